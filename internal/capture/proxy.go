package capture

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
)

// A Proxy is a PROXY protocol header (haproxy.org, proxy-protocol.txt).
type Proxy struct {
	Version int `json:"version"`
	// Local is true for LOCAL of version 2, and UNKNOWN of version 1: the
	// sender's own connection, not one that it hands on.
	Local bool `json:"local"`
	// From and To are the addresses of the connection that is handed on; "" if
	// there are none.
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
	// Extra names what else a header of version 2 holds, with its length.
	Extra []string `json:"extra,omitempty"`
	// Bare is true for a header of version 2 that has no addresses at all.
	Bare bool `json:"bare,omitempty"`
	// Raw is the header as it came, or the beginning of a long one.
	Raw string `json:"raw"`
}

// signature begins a header of version 2, and maxProxy is the longest header
// that is read: addresses and some hundreds of bytes besides.
const (
	signature = "\r\n\r\n\x00\r\nQUIT\n"
	maxV1     = 107
	maxProxy  = 4096
)

// readProxy reads a PROXY header if one comes first; nil if something else
// does. What begins like one and is none is an error.
func readProxy(s *stream) (*Proxy, error) {
	for n := 1; ; n++ {
		if err := s.peek(n); err != nil {
			return nil, nil // what is there is no header; whoever reads next meets the error
		}
		two, one := strings.HasPrefix(signature, string(s.unread[:n])), strings.HasPrefix("PROXY ", string(s.unread[:n]))
		switch {
		case two && n == len(signature):
			return readV2(s)
		case one && n == len("PROXY "):
			return readV1(s)
		case !one && !two:
			return nil, nil
		}
	}
}

func readV1(s *stream) (*Proxy, error) {
	for {
		if i := bytes.IndexByte(s.unread, '\n'); i >= 0 && i < maxV1 {
			line := s.take(i + 1)
			p := &Proxy{Version: 1, Raw: visible(line)}
			words := strings.Fields(string(line))
			switch {
			case len(words) > 1 && words[1] == "UNKNOWN":
				p.Local = true
			case len(words) == 6 && (words[1] == "TCP4" || words[1] == "TCP6"):
				p.From, p.To = join(words[2], words[4]), join(words[3], words[5])
			}
			if !p.Local && (p.From == "" || p.To == "") {
				return p, fmt.Errorf("it begins like a PROXY header of version 1, and is none")
			}
			return p, nil
		}
		if len(s.unread) >= maxV1 {
			return nil, fmt.Errorf("it begins like a PROXY header of version 1, and has no end within %d bytes", maxV1)
		}
		if err := s.more(); err != nil {
			return nil, fmt.Errorf("it begins like a PROXY header of version 1, and has no end: %w", err)
		}
	}
}

// join joins an address and a port; "" if they are none.
func join(host, port string) string {
	if addr, err := netip.ParseAddr(host); err == nil {
		if p, err := netip.ParseAddrPort("0.0.0.0:" + port); err == nil {
			return netip.AddrPortFrom(addr, p.Port()).String()
		}
	}
	return ""
}

func readV2(s *stream) (*Proxy, error) {
	const fixed = len(signature) + 4
	if err := s.peek(fixed); err != nil {
		return nil, fmt.Errorf("a PROXY header of version 2 that does not end: %w", err)
	}
	kind, family := s.unread[12], s.unread[13]
	length := int(binary.BigEndian.Uint16(s.unread[14:]))
	p := &Proxy{Version: 2, Local: kind == 0x20, Bare: length == 0}
	if kind != 0x20 && kind != 0x21 || fixed+length > maxProxy {
		p.Raw = visible(s.unread[:fixed])
		return p, fmt.Errorf("a PROXY header of version 2 with the command \\x%02x and a length of %d bytes is not valid, or too long", kind, length)
	}
	if err := s.peek(fixed + length); err != nil {
		return nil, fmt.Errorf("a PROXY header of version 2 that does not end: %w", err)
	}
	header := s.take(fixed + length)
	p.Raw = short(header, 64)
	body := header[fixed:]
	size := map[byte]int{0x1: 4, 0x2: 16}[family>>4]
	if size == 0 || len(body) < 2*size+4 {
		return p, nil
	}
	if !p.Local {
		p.From, p.To = addrOf(body, 0, size), addrOf(body, 1, size)
	}
	p.Extra = extras(body[2*size+4:])
	return p, nil
}

// addrOf returns the source (0) or the destination (1) of a header's addresses.
func addrOf(body []byte, which, size int) string {
	addr, _ := netip.AddrFromSlice(body[which*size : (which+1)*size])
	return netip.AddrPortFrom(addr, binary.BigEndian.Uint16(body[2*size+2*which:])).String()
}

// extras names the fields behind the addresses; at most 16.
func extras(b []byte) (found []string) {
	names := map[byte]string{0x01: "ALPN", 0x02: "authority", 0x03: "CRC32C", 0x04: "padding", 0x05: "unique ID", 0x20: "TLS", 0x30: "namespace", 0xea: "AWS", 0xee: "Azure"}
	for len(b) >= 3 && len(found) < 16 {
		length := int(binary.BigEndian.Uint16(b[1:]))
		if 3+length > len(b) {
			return found
		}
		name := names[b[0]]
		if name == "" {
			name = fmt.Sprintf(`\x%02x`, b[0])
		}
		found = append(found, fmt.Sprintf("%s, %d bytes", name, length))
		b = b[3+length:]
	}
	return found
}
