package server_test

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"

	"hale/internal/balancer"
	"hale/internal/server"
)

// header2 is a PROXY protocol header of version 2.
func header2(command, family byte, rest string) string {
	length := binary.BigEndian.AppendUint16(nil, uint16(len(rest)))
	return "\r\n\r\n\x00\r\nQUIT\n" + string([]byte{command, family}) + string(length) + rest
}

var (
	addresses4 = strings.Repeat("\x01", 12)
	addresses6 = strings.Repeat("\x01", 36)
	tlv        = "\x04\x00\x03abc\xea\x00\x01x"
	longV1     = "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"
)

// headers are PROXY protocol headers, and whether they are right.
var headers = []struct {
	name, send string
	ok         bool
}{
	{"none", "", true},
	{"v1 TCP4", "PROXY TCP4 10.0.0.1 10.0.0.2 54321 80\r\n", true},
	{"v1 TCP6", "PROXY TCP6 2001:db8::1 ::1 54321 80\r\n", true},
	{"v1 longest TCP6", longV1, true},
	{"v1 UNKNOWN", "PROXY UNKNOWN\r\n", true},
	{"v1 UNKNOWN with more", "PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n", true},
	{"v1 UNKNOWN of 107 bytes", "PROXY UNKNOWN " + strings.Repeat("x", 107-16) + "\r\n", true},
	{"v1 of 108 bytes", "PROXY UNKNOWN " + strings.Repeat("x", 108-16) + "\r\n", false},
	{"v1 without an end", "PROXY UNKNOWN " + strings.Repeat("x", 5000), false},
	{"v1 with a line feed alone", "PROXY TCP4 10.0.0.1 10.0.0.2 54321 80\n", false},
	{"v1 with a name", "PROXY TCP4 a b 54321 80\r\n", false},
	{"v1 of the wrong family", "PROXY TCP4 ::1 ::1 54321 80\r\n", false},
	{"v1 with a port too large", "PROXY TCP4 10.0.0.1 10.0.0.2 65536 80\r\n", false},
	{"v1 cut short", "PROXY TCP4 10.0.0.1\r\n", false},
	{"v1 of another family", "PROXY UDP4 10.0.0.1 10.0.0.2 1 2\r\n", false},
	{"v2 LOCAL as NLB sends it", string(balancer.ProxyLocal()), true},
	{"v2 LOCAL without addresses", header2(0x20, 0, ""), true},
	{"v2 LOCAL with what has no meaning", header2(0x20, 0xff, "x"), true},
	{"v2 TCP4", header2(0x21, 0x11, addresses4), true},
	{"v2 TCP4 with TLVs", header2(0x21, 0x11, addresses4+tlv), true},
	{"v2 TCP6 with TLVs", header2(0x21, 0x21, addresses6+tlv), true},
	{"v2 unspecified", header2(0x21, 0, ""), true},
	{"v2 as long as a head", header2(0x21, 0x11, addresses4+strings.Repeat("x", server.MaxHead-28)), true},
	{"v2 a byte longer", header2(0x21, 0x11, addresses4+strings.Repeat("x", server.MaxHead-27)), false},
	{"v2 64 KiB, not sent", "\r\n\r\n\x00\r\nQUIT\n\x21\x11\xff\xff", false},
	{"v2 with too little for its family", header2(0x21, 0x21, addresses4), false},
	{"v2 of version 3", header2(0x31, 0x11, addresses4), false},
	{"v2 with another command", header2(0x22, 0x11, addresses4), false},
	{"v2 of an unknown family", header2(0x21, 0x41, addresses4), false},
	{"two headers", "PROXY UNKNOWN\r\nPROXY UNKNOWN\r\n", false},
	{"v2 after v1", "PROXY UNKNOWN\r\n" + string(balancer.ProxyLocal()), false},
	{"a bad signature", "\r\n\r\n\x00\r\nQUIX\n\x20\x11\x00\x00", false},
}

var loopback = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("127.0.0.0/8")}

// TestProxyHeaders, in one piece and byte by byte.
func TestProxyHeaders(t *testing.T) {
	t.Parallel()
	each(t, fixed, server.Options{ProxyFrom: loopback}, func(t *testing.T, r *running) {
		for _, h := range headers {
			for _, dripped := range []bool{false, true} {
				if dripped && len(h.send) > 1000 {
					continue
				}
				c := r.dial(t)
				go send(c, h.send+get, dripped)
				b := bufio.NewReader(c)
				if h.ok {
					checkAnswer(t, b, "200 ok", false, false)
				} else {
					checkAnswer(t, b, "400 bad request", true, false)
					checkClosed(t, b)
				}
				if t.Failed() {
					t.Fatalf("%s, dripped %v", h.name, dripped)
				}
				c.Close()
			}
		}
	})
}

// TestProxyWithoutEnd: what is too long is refused before its end comes.
func TestProxyWithoutEnd(t *testing.T) {
	r := start(t, fixed, server.Options{ProxyFrom: loopback})
	for _, part := range []string{"PROXY UNKNOWN " + strings.Repeat("x", 107-14), "\r\n\r\n\x00\r\nQUIT\n\x20\x00\xff\xff"} {
		c := r.dial(t)
		io.WriteString(c, part)
		checkAnswer(t, bufio.NewReader(c), "400 bad request", true, false)
	}
	c := r.dial(t)
	io.WriteString(c, "PROXY UNKNOWN "+strings.Repeat("x", 106-14))
	io.WriteString(c, "\n") // without its carriage return, but in time
	checkAnswer(t, bufio.NewReader(c), "400 bad request", true, false)
}

func send(c net.Conn, s string, dripped bool) {
	if !dripped {
		io.WriteString(c, s)
		return
	}
	for i := range len(s) {
		if _, err := io.WriteString(c, s[i:i+1]); err != nil {
			return
		}
	}
}

// TestProxyRefused: whoever is not listed may not send a header, and is served
// without.
func TestProxyRefused(t *testing.T) {
	for name, from := range map[string][]netip.Prefix{
		"nobody":  nil,
		"another": {netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::/0")},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, fixed, server.Options{ProxyFrom: from})
			for i, header := range []string{"PROXY TCP4 10.0.0.1 10.0.0.2 54321 80\r\n", string(balancer.ProxyLocal())} {
				c := r.dial(t)
				io.WriteString(c, header+get)
				b := bufio.NewReader(c)
				checkAnswer(t, b, "400 bad request", true, false)
				checkClosed(t, b)
				r.awaitDrops(t, server.DropProxy, i+1)
			}
			ask(t, r.dial(t))
		})
	}
}

// TestMethodPROXY: it is no header, so it is a method like any other.
func TestMethodPROXY(t *testing.T) {
	r := start(t, echo, server.Options{})
	c := r.dial(t)
	send(c, "PROXY /x HTTP/1.1\r\n\r\n", true)
	checkAnswer(t, bufio.NewReader(c), "200 PROXY /x", false, false)
}

// TestProxyThenTLS, and a header inside TLS is none.
func TestProxyThenTLS(t *testing.T) {
	r := startVersatile(t, fixed, server.Options{})
	for _, tt := range []struct{ before, inside, want string }{
		{string(balancer.ProxyLocal()), "", "200 ok"},
		{"PROXY TCP4 10.0.0.1 10.0.0.2 54321 80\r\n", "", "200 ok"},
		{"", string(balancer.ProxyLocal()), "400 bad request"},
	} {
		c := r.dial(t)
		io.WriteString(c, tt.before)
		secure := tls.Client(c, &tls.Config{InsecureSkipVerify: true})
		io.WriteString(secure, tt.inside+get)
		checkAnswer(t, bufio.NewReader(secure), tt.want, tt.want != "200 ok", false)
	}
}
