package server

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// The PROXY protocol, versions 1 and 2: what a proxy writes before anything else
// to say on whose behalf it connects (haproxy.org, proxy-protocol.txt). No
// answer depends on that, so the header is checked and forgotten.

const (
	proxyV1 = "PROXY "
	proxyV2 = "\r\n\r\n\x00\r\nQUIT\n"
	// maxProxyV1 is the length of the longest header of version 1 (section 2.1).
	maxProxyV1 = 107
)

// startsProxy reports whether b begins with a PROXY protocol header; maybe is
// true if more bytes could make it so. Of version 1 the first letter of the
// family is waited for, since PROXY may be a method: no target begins with T or
// U.
func startsProxy(b []byte) (is, maybe bool) {
	if len(b) > len(proxyV1) && string(b[:len(proxyV1)]) == proxyV1 {
		c := b[len(proxyV1)]
		return c == 'T' || c == 'U', false
	}
	if is, maybe = begins(b, proxyV2); is || maybe {
		return is, maybe
	}
	is, maybe = begins(b, proxyV1)
	return false, is || maybe
}

// begins reports whether b begins with start; maybe is true if more bytes could
// make it so.
func begins(b []byte, start string) (is, maybe bool) {
	if len(b) < len(start) {
		return false, string(b) == start[:len(b)]
	}
	return string(b[:len(start)]) == start, false
}

// parseProxy returns the length of the PROXY protocol header that b begins with;
// 0 if b does not hold all of it yet. It reports false for one that is not
// right, or is longer than limit.
func parseProxy(b []byte, limit int) (n int, ok bool) {
	if b[0] == proxyV1[0] {
		return parseProxyV1(b)
	}
	return parseProxyV2(b, limit)
}

// parseProxyV1 reads a line such as PROXY TCP4 10.0.0.1 10.0.0.2 54321 80, or
// PROXY UNKNOWN and whatever.
func parseProxyV1(b []byte) (n int, ok bool) {
	end := bytes.IndexByte(b, '\n')
	switch {
	case end < 0:
		return 0, len(b) < maxProxyV1
	case end >= maxProxyV1 || b[end-1] != '\r':
		return 0, false
	}
	parts := strings.Split(string(b[len(proxyV1):end-1]), " ")
	switch {
	case parts[0] == "UNKNOWN":
		return end + 1, true
	case len(parts) != 5 || parts[0] != "TCP4" && parts[0] != "TCP6":
		return 0, false
	}
	for _, part := range parts[1:3] {
		addr, err := netip.ParseAddr(part)
		if err != nil || addr.Is4() != (parts[0] == "TCP4") || addr.Zone() != "" {
			return 0, false
		}
	}
	for _, part := range parts[3:] {
		if _, err := strconv.ParseUint(part, 10, 16); err != nil {
			return 0, false
		}
	}
	return end + 1, true
}

// parseProxyV2 reads the signature, a byte each for version with command and
// for family with protocol, the length of the rest in two bytes, and the rest:
// addresses and what may follow them, none of which is looked at. Of the command
// LOCAL not even the family matters (section 2.2).
func parseProxyV2(b []byte, limit int) (n int, ok bool) {
	const fixed = len(proxyV2) + 4
	if len(b) < fixed {
		return 0, true
	}
	command, family := b[12], b[13]>>4
	rest := int(binary.BigEndian.Uint16(b[14:]))
	n = fixed + rest
	const local, proxied = 0x20, 0x21
	var least int // what the addresses of the family take
	switch family {
	case 1: // IPv4
		least = 12
	case 2: // IPv6
		least = 36
	case 3: // unix
		least = 216
	}
	switch {
	case n > limit, command != local && command != proxied, command == proxied && (family > 3 || rest < least):
		return 0, false
	case len(b) < n:
		return 0, true
	}
	return n, true
}

// mayProxy reports whether who is at the other end of nc may begin with a PROXY
// protocol header.
func (s *Server) mayProxy(nc net.Conn) bool {
	tcp, ok := nc.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return false
	}
	addr := tcp.AddrPort().Addr().Unmap().WithZone("")
	for _, p := range s.proxyFrom {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// hintProxy says, once, why a balancer that sends PROXY protocol headers takes
// this instance for unhealthy.
func (s *Server) hintProxy(nc net.Conn) {
	s.proxyHint.Do(func() {
		s.log.Warn("a PROXY protocol header came from an address that may not send one, and was refused: if it is the balancer's, add it to proxy_protocol; further ones are only counted",
			"address", nc.RemoteAddr().String())
	})
}
