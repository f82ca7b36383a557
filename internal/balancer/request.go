package balancer

import (
	"net"
	"net/netip"
	"strconv"
)

// A Target is what a probe is sent to, as its bytes depend on it.
type Target struct {
	// Name is what the balancer's configuration calls it: a name or an address.
	Name string
	// Address is where it is.
	Address netip.AddrPort
	// Balancer is where the probe comes from.
	Balancer netip.Addr
	// TLS is true for https.
	TLS bool
	// Path replaces the probe's default path, with a query if there is one.
	Path string
	// Host replaces the Host field, unless it is "".
	Host string
}

// cluster is the Host of those who send the name of their own configuration's
// part, which nobody else can know.
const cluster = "cluster"

// HostOf returns the value of the probe's Host field for a target; "" is none.
func (p *Probe) HostOf(t Target) string {
	if t.Host != "" {
		return t.Host
	}
	return t.fill(p.Host)
}

// ServerName returns the server name that a balancer sends to a target in TLS;
// "" is none. An address is never sent (RFC 6066, section 3).
func (b *Balancer) ServerName(t Target) string {
	host := t.fill(b.TLS.SNI)
	if b.TLS.SNI != HostNone && t.Host != "" {
		host = t.Host
	}
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return ""
	}
	return host
}

// fill returns what stands for h at a target.
func (t Target) fill(h Host) string {
	port := t.Address.Port()
	address := t.Address.Addr().Unmap().WithZone("").String()
	switch h {
	case HostAddress:
		return t.join(address, port, false)
	case HostAddressPort:
		return t.join(address, port, true)
	case HostBareAddress:
		return bracketed(address)
	case HostBalancer:
		return t.join(t.Balancer.Unmap().WithZone("").String(), port, true)
	case HostName:
		return t.join(t.Name, port, false)
	case HostNamePort:
		return t.join(t.Name, port, true)
	case HostLoopback:
		return "127.0.0.1"
	case HostCluster:
		return cluster
	default:
		return ""
	}
}

// join returns host:port, without the port if it is the scheme's and need not
// be there.
func (t Target) join(host string, port uint16, always bool) string {
	if usual := port == 80 && !t.TLS || port == 443 && t.TLS; usual && !always {
		return bracketed(host)
	}
	return net.JoinHostPort(host, strconv.Itoa(int(port)))
}

// bracketed writes an IPv6 address as a Host field does.
func bracketed(host string) string {
	if addr, err := netip.ParseAddr(host); err == nil && addr.Is6() {
		return "[" + host + "]"
	}
	return host
}

// Request returns the bytes of an HTTP/1.x probe to a target, as the balancer
// sends them after the connection (and TLS) is made. They are nil for a
// protocol that is not HTTP/1.x or older.
func (p *Probe) Request(t Target) []byte {
	if !p.Protocol.HTTP() {
		return nil
	}
	path := t.Path
	if path == "" {
		path = p.Path
	}
	b := []byte(p.Method + " " + path)
	if p.Protocol == HTTP09 {
		return append(b, "\r\n"...)
	}
	b = append(b, " "+string(p.Protocol)+"\r\n"...)
	if host := p.HostOf(t); host != "" {
		b = append(b, "Host: "+host+"\r\n"...)
	}
	for _, f := range p.Fields {
		b = append(b, f.Name+": "+f.Value+"\r\n"...)
	}
	return append(b, "\r\n"...)
}

// ProxyLocal is the PROXY protocol v2 header that says that the connection is
// the balancer's own: the signature, version 2 with the command LOCAL, TCP over
// IPv4, and addresses that the receiver ignores (The PROXY protocol, section
// 2.2; a capture of NLB's in kubernetes/kubernetes#57250).
func ProxyLocal() []byte {
	header := []byte("\r\n\r\n\x00\r\nQUIT\n\x20\x11\x00\x0c")
	return append(header, make([]byte, 12)...)
}
