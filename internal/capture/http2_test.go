package capture_test

import (
	"bytes"
	"io"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"hale/internal/balancer"
	"hale/internal/capture"
)

// ask2 is a request of HTTP/2 with prior knowledge, as bytes.
func ask2(p balancer.Probe, host string) string {
	var block, out bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	field := func(name, value string) { _ = encoder.WriteField(hpack.HeaderField{Name: name, Value: value}) }
	field(":method", p.Method)
	field(":scheme", "http")
	field(":path", p.Path)
	field(":authority", host)
	for _, f := range p.Fields {
		field(strings.ToLower(f.Name), f.Value)
	}
	if p.Protocol == balancer.GRPC {
		field("content-type", "application/grpc")
		field("te", "trailers")
	}
	out.WriteString(http2.ClientPreface)
	framer := http2.NewFramer(&out, nil)
	_ = framer.WriteSettings()
	_ = framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: p.Protocol != balancer.GRPC})
	if p.Protocol == balancer.GRPC {
		_ = framer.WriteData(1, true, make([]byte, 5))
	}
	return out.String()
}

// TestHTTP2Probes sends each probe of HTTP/2 and gRPC that the table has.
func TestHTTP2Probes(t *testing.T) {
	s := start(t, capture.Options{})
	address := netip.MustParseAddrPort(s.addr)
	for _, b := range balancer.All() {
		for _, p := range b.Probes {
			if p.Protocol != balancer.HTTP2 && p.Protocol != balancer.GRPC {
				continue
			}
			host := p.HostOf(balancer.Target{Name: "app.example.org", Address: address, Balancer: address.Addr()})
			answer := s.send(t, ask2(p, host))
			a := s.next(t)
			if !has(a, b.Name) || a.Protocol != p.Protocol || a.Path != p.Path || a.Host == nil || *a.Host != host || len(a.Frames) < 3 {
				t.Errorf("%s %s: %s\n%s", b.Name, p.Protocol, names(a), text(t, a))
			}
			if !strings.Contains(minds(a), "HTTP/2 without TLS") {
				t.Errorf("%s: %s", b.Name, minds(a))
			}
			if len(answer) < 9 {
				t.Errorf("%s is answered %q", b.Name, answer)
			}
		}
	}
}

// TestBadHTTP2: a preface and no request, frames that never end in one, and
// garbage end, and are shown.
func TestBadHTTP2(t *testing.T) {
	s := start(t, capture.Options{})
	settings := "\x00\x00\x00\x04\x00\x00\x00\x00\x00"
	for what, sent := range map[string]string{
		"no more":           "",
		"garbage":           strings.Repeat("\xff", 100),
		"settings alone":    settings,
		"many settings":     strings.Repeat(settings, 5000),
		"no end of headers": settings + "\x00\x00\x01\x01\x00\x00\x00\x00\x01\x82" + strings.Repeat("\x00\x00\x01\x09\x00\x00\x00\x00\x01\x84", 50000),
		"no end of body":    ask2(balancer.Probe{Protocol: balancer.GRPC, Method: "POST", Path: "/x"}, "a")[len(http2.ClientPreface) : len(ask2(balancer.Probe{Protocol: balancer.GRPC, Method: "POST", Path: "/x"}, "a"))-14],
	} {
		c := s.dial(t)
		go func() {
			_, _ = io.WriteString(c, http2.ClientPreface+sent)
			_ = c.CloseWrite()
			_, _ = io.Copy(io.Discard, c)
		}()
		if a := s.next(t); a.Kind != capture.Unfinished || a.Ended == "" {
			t.Errorf("%s: %s %q", what, a.Kind, a.Ended)
		}
	}
}
