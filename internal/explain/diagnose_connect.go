package explain

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"hale/internal/balancer"
)

func noName(t *trouble) *Finding {
	return t.found(balancer.CauseName, Certain, fmt.Sprintf("Looking %s up gave: %s.", clean(t.place.name), inWords(t.p.noName)))
}

// at is a change of the address, with the same port.
func at(addr netip.Addr) func(*attempt) {
	return func(a *attempt) { a.target.Address = netip.AddrPortFrom(addr, a.target.Address.Port()) }
}

// knocks reports whether an address takes connections on the port.
func (t *trouble) knocks(addr netip.Addr) bool {
	a := t.try(func(a *attempt) {
		at(addr)(a)
		a.probe = balancer.Probe{Protocol: balancer.TCP}
		a.secure, a.proxy = false, false
	})
	return a.stage == atEnd
}

func localhostIPv6(t *trouble) *Finding {
	first := t.base.target.Address.Addr()
	if !isLocalhost(t.place.name) {
		return nil
	}
	other := netip.MustParseAddr("127.0.0.1")
	if first.Is4() {
		other = netip.IPv6Loopback()
	}
	if !t.knocks(other) {
		return nil
	}
	return t.found(balancer.CauseLocalhost, Certain,
		fmt.Sprintf("%s is %s first, and there it was: %s.", clean(t.place.name), first, t.connectError()),
		fmt.Sprintf("%s takes the connection on the same port.", other))
}

func dropped(t *trouble) *Finding {
	unreachable := errors.Is(t.answer.err, syscall.EHOSTUNREACH) || errors.Is(t.answer.err, syscall.EACCES) || errors.Is(t.answer.err, syscall.EPERM)
	switch {
	case isTimeout(t.answer.err):
		return t.found(balancer.CauseFirewall, Likely,
			fmt.Sprintf("No answer came to the connection's first packet (SYN) within %s: neither accepted nor refused.", since(t.answer.took)),
			"A running machine without a firewall would answer, if only with a refusal; which firewall drops it can't be seen from here.")
	case unreachable:
		return t.found(balancer.CauseFirewall, Guess, fmt.Sprintf("Connecting gave: %s. A firewall that rejects says so, and so does a router that does not find the machine.", inWords(t.answer.err)))
	}
	return nil
}

// noRoute is for a network that can't be reached, of which this machine's kernel
// tells or a router on the way.
func noRoute(t *trouble) *Finding {
	if !errors.Is(t.answer.err, syscall.ENETUNREACH) {
		return nil
	}
	addr := t.base.target.Address
	f := &Finding{
		Sure: Likely,
		Why:  []string{fmt.Sprintf("Connecting to %s gave: %s. This machine has no route to that address, or a router on the way says that it has none.", addr.Addr(), inWords(t.answer.err))},
		Fix:  []string{"Run explain where the balancer is, or add the route that is missing."},
		Ask: []string{
			fmt.Sprintf("Which way does this machine go: ip route get %s?", addr.Addr()),
			fmt.Sprintf("Do the routes between the balancer's subnets and the instance's (route tables, peering, VPN) lead there and back, and does the instance's security group allow port %d from %s?", addr.Port(), t.b.From),
		},
	}
	if addr.Addr().Is6() {
		f.Ask = append(f.Ask, "Has this machine, and has the balancer, an IPv6 address at all?")
	}
	return f
}

func loopbackOnly(t *trouble) *Finding {
	addr := t.base.target.Address.Addr()
	if !errors.Is(t.answer.err, syscall.ECONNREFUSED) || !isOwn(addr) || addr == netip.IPv6Loopback() {
		return nil
	}
	for _, inside := range []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback()} {
		if addr == inside || inside.Is6() && addr.IsLoopback() {
			continue
		}
		if t.knocks(inside) {
			return t.found(balancer.CauseLoopbackOnly, Certain,
				fmt.Sprintf("%s refuses the connection, and %s on the same machine takes it on the same port.", addr, inside))
		}
	}
	return nil
}

// isOwn reports whether an address is one of this machine's.
func isOwn(addr netip.Addr) bool {
	if addr.IsLoopback() {
		return true
	}
	all, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	for _, a := range all {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil && prefix.Addr().Unmap() == addr {
			return true
		}
	}
	return false
}

func stopped(t *trouble) *Finding {
	if !errors.Is(t.answer.err, syscall.ECONNREFUSED) {
		return nil
	}
	addr := t.base.target.Address
	if isOwn(addr.Addr()) {
		why := fmt.Sprintf("%s refuses the connection: nothing listens there.", addr)
		if other := netip.MustParseAddr("127.0.0.1"); addr.Addr() == netip.IPv6Loopback() && t.knocks(other) {
			why += fmt.Sprintf(" %s takes the connection on the same port.", other)
		}
		return t.found(balancer.CauseStopped, Certain, why)
	}
	f := t.found(balancer.CauseStopped, Likely, fmt.Sprintf("%s refuses the connection: the machine answers, and nothing listens there.", addr))
	f.Ask = append(f.Ask, fmt.Sprintf("Does the server listen on 127.0.0.1 only? On that machine, ss -ltn 'sport = :%d' shows it; it has to be 0.0.0.0, [::] or %s.", addr.Port(), addr.Addr()))
	return f
}
