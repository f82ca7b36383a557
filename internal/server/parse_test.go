package server

import (
	"strings"
	"testing"
)

// FuzzParseProxy: whatever comes, no more is used than there is, and more bytes
// never turn a header that was refused into one that is right.
func FuzzParseProxy(f *testing.F) {
	for _, seed := range []string{
		"PROXY TCP4 10.0.0.1 10.0.0.2 54321 80\r\nGET", "PROXY UNKNOWN\r\n", "PROXY T\n", "PROXY U\r\n",
		proxyV2 + "\x20\x00\x00\x00", proxyV2 + "\x21\x11\x00\x0c" + strings.Repeat("a", 12), proxyV2 + "\x21\x31\xff\xff",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		refused := false
		for i := range len(b) + 1 {
			is, maybe := startsProxy(b[:i])
			if !is {
				if !maybe {
					return
				}
				continue
			}
			n, ok := parseProxy(b[:i], MaxHead)
			if n > i || n < 0 || ok && refused || n > 0 && !ok {
				t.Fatalf("%q: got %d, %v; refused before: %v", b[:i], n, ok, refused)
			}
			if n > 0 {
				return
			}
			refused = refused || !ok
		}
	})
}

func FuzzParseService(f *testing.F) {
	for _, seed := range []string{"", "\x0a\x04live", "\x10\x96\x01\x0a\x00", "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "\x0b"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if service, ok := parseService(b); !ok && service != "" || len(service) > len(b) {
			t.Errorf("% x: got %q, %v", b, service, ok)
		}
	})
}
