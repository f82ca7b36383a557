package capture

import (
	"fmt"
	"hash/fnv"
	"net"
	"net/netip"
)

// A book completes arrivals by what came before them.
type book struct {
	sender, all meter
}

// enter fills in who sent an arrival, how often, and what applications object
// to.
func (b *book) enter(a *Arrival) {
	a.recognise()
	a.Objections = objections(a)
	what := string(a.Kind) + " " + cut(a.Line) + " " + cut(a.field("User-Agent"))
	if a.TLS != nil {
		what += " TLS " + a.TLS.ServerName
	}
	if a.Proxy != nil {
		what += fmt.Sprintf(" PROXY %d %v", a.Proxy.Version, a.Proxy.Local)
	}
	from := a.From.Addr()
	a.Pace = b.sender.seen(from.String()+" "+what, from, a.At).pace()
	all := b.all.seen(what, from, a.At)
	if together := all.pace(); together.Senders > 1 {
		a.Together = &together
	}
	if look := a.look(); all.first > 0 && all.look == look {
		a.Like = all.first
	} else {
		all.first, all.look = a.Number, look
	}
}

// look sums up what an arrival looks like and who it was.
func (a *Arrival) look() uint64 {
	h := fnv.New64a()
	fmt.Fprint(h, a.Raw, a.Fields, a.Answer)
	if a.TLS != nil {
		fmt.Fprint(h, a.TLS.Failed)
	}
	for _, o := range a.Objections {
		fmt.Fprint(h, o.Causes)
	}
	for _, who := range a.Who {
		fmt.Fprint(h, who.Name, who.Sure)
	}
	return h.Sum64()
}

// cut bounds what is remembered of a text.
func cut(s string) string { return s[:min(len(s), 256)] }

// addrPort returns an address as it is written: IPv4 in IPv6 as IPv4.
func addrPort(a net.Addr) netip.AddrPort {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := tcp.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
