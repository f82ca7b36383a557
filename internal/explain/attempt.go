package explain

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"hale/internal/balancer"
)

// An attempt is a request before it is bytes, so that another can differ from it
// in one thing.
type attempt struct {
	probe  balancer.Probe
	target balancer.Target
	proxy  bool
	secure bool
	sni    string
	wait   time.Duration
	// bytes replace what is sent, unless they are "".
	bytes string
}

// question is the attempt as it goes out.
func (t attempt) question() question {
	q := question{
		addr: t.target.Address, proxy: t.proxy, tls: t.secure, sni: t.sni, speak: t.probe.Protocol,
		method: t.probe.Method, wait: t.wait,
	}
	switch t.probe.Protocol {
	case balancer.HTTP2, balancer.GRPC:
		q.host, q.agent, q.send = t.probe.HostOf(t.target), t.probe.Agent(), t.path()
		if t.probe.Protocol == balancer.GRPC {
			q.send, q.service = t.grpcPath()
		}
	default:
		q.send = string(t.probe.Request(t.target))
	}
	if t.bytes != "" {
		q.send = t.bytes
	}
	return q
}

// path is the request's, with its query.
func (t attempt) path() string {
	if t.target.Path != "" {
		return t.target.Path
	}
	return t.probe.Path
}

// grpcPath is the method's path and the service that is asked for: of a URL
// with one segment the path is the service, with two it is the method.
func (t attempt) grpcPath() (path, service string) {
	word := strings.Trim(t.target.Path, "/")
	if word == "" {
		return t.probe.Path, ""
	}
	if strings.Contains(word, "/") {
		return t.target.Path, ""
	}
	return t.probe.Path, word
}

// host is what stands in the Host field; "" is none.
func (t attempt) host() string {
	if t.probe.Protocol == balancer.HTTP09 {
		return ""
	}
	return t.probe.HostOf(t.target)
}

// hostname is the same without the port.
func (t attempt) hostname() string { return withoutPort(t.host()) }

// withoutPort cuts the port off a Host, and the brackets.
func withoutPort(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return strings.Trim(host, "[]")
}

// line is the request in a line, fit to be shown.
func (t attempt) line() string {
	switch t.probe.Protocol {
	case balancer.HTTP09:
		return clean(t.probe.Method + " " + t.path() + ", without a version")
	case balancer.GRPC:
		path, service := t.grpcPath()
		if service != "" {
			service = ", service " + service
		}
		return clean("gRPC " + path + service + ", :authority: " + t.host())
	}
	host := ", no Host"
	if h := t.host(); h != "" {
		host = ", Host: " + h
	}
	return clean(t.probe.Method + " " + t.path() + " " + string(t.probe.Protocol) + host)
}

// keepFamily leaves out the target's addresses that can't be asked from the
// address that was given. It is an error if none is left, or if the address is
// not one of this machine.
func (p *player) keepFamily() error {
	from := p.From.Unmap()
	if !from.IsValid() {
		return nil
	}
	// Nothing is sent; only the system knows which addresses are its own.
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: from.AsSlice(), Zone: from.Zone()})
	if err != nil {
		return fmt.Errorf("--from: %s is not an address of this machine that can be used: %s", from, inWords(err))
	}
	conn.Close()
	all := p.addrs
	p.addrs = slices.DeleteFunc(slices.Clone(all), func(a netip.AddrPort) bool { return a.Addr().Is4() != from.Is4() })
	if len(all) > 0 && len(p.addrs) == 0 {
		return fmt.Errorf("--from: from %s nothing can be asked of %s, as one is IPv4 and the other IPv6", from, listAddrs(all))
	}
	return nil
}

// localTo returns the address from which this machine would connect. Nothing is
// sent to find out.
func localTo(addr netip.AddrPort, from netip.Addr) netip.Addr {
	if from.IsValid() {
		return from
	}
	conn, err := net.Dial("udp", addr.String())
	if err != nil {
		return addr.Addr()
	}
	defer conn.Close()
	if local, ok := conn.LocalAddr().(*net.UDPAddr); ok {
		return local.AddrPort().Addr().Unmap()
	}
	return addr.Addr()
}
