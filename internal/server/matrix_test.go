package server_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"hale/internal/balancer"
	"hale/internal/server"
	"hale/internal/verdict"
)

// startVersatile serves everything that the listener can speak.
func startVersatile(t *testing.T, h server.Handler, o server.Options) *running {
	t.Helper()
	config, err := server.NewTLS("", "", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	o.TLS = config
	o.ProxyFrom = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	return start(t, h, o)
}

// A condition is what an instance can be in.
type condition struct {
	name     string
	outcome  verdict.Outcome
	draining bool
	healthy  bool // what a balancer is to believe
}

var conditions = []condition{
	{"pass", verdict.Pass, false, true},
	{"degraded", verdict.Degraded, false, true},
	{"fail", verdict.Fail, false, false},
	{"draining", verdict.Fail, true, false},
}

// changing is an Answerer whose groups are all in one condition.
type changing struct{ now atomic.Pointer[condition] }

func newChanging(c condition) *changing {
	a := &changing{}
	a.now.Store(&c)
	return a
}

func (a *changing) Answer(_ context.Context, group string) (verdict.Outcome, bool) {
	return a.now.Load().outcome, group != "nosuch"
}

func (a *changing) AnswerUndrained(ctx context.Context, group string) (verdict.Outcome, bool) {
	if a.Draining() {
		return verdict.Pass, group != "nosuch"
	}
	return a.Answer(ctx, group)
}

func (a *changing) Draining() bool { return a.now.Load().draining }

// TestMatrix plays every probe of every balancer at an instance in every
// condition: plainly, inside TLS, and after a PROXY protocol header where one
// may come. What comes back must be what this balancer takes for the truth.
func TestMatrix(t *testing.T) {
	for _, c := range conditions {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := startVersatile(t, server.Verdicts(newChanging(c), server.VerdictOptions{}), server.Options{})
			for _, b := range balancer.All() {
				for i, p := range b.Probes {
					t.Run(fmt.Sprintf("%s/%d-%s", b.Name, i, strings.ReplaceAll(string(p.Protocol), "/", "-")), func(t *testing.T) {
						for _, secure := range []bool{false, true} {
							play(t, r, b, p, secure, false, c.healthy)
							if p.ProxyLocal {
								play(t, r, b, p, secure, true, c.healthy)
							}
						}
					})
				}
			}
		})
	}
}

// play sends a probe and checks what the balancer makes of the answer.
func play(t *testing.T, r *running, b *balancer.Balancer, p balancer.Probe, secure, proxied, healthy bool) {
	t.Helper()
	address := r.address.(*net.TCPAddr).AddrPort()
	target := balancer.Target{
		Name: "hale.test", Address: address, Balancer: netip.MustParseAddr("127.0.0.9"), TLS: secure,
	}
	dial := func() net.Conn { return dialTarget(t, r, b, target, secure, proxied) }
	what := fmt.Sprintf("TLS %v, PROXY %v", secure, proxied)
	switch p.Protocol {
	case balancer.TCP:
		dial().Close() // says no more than that hale listens
	case balancer.SSL:
		if secure {
			dial().Close()
		}
	case balancer.HTTP09, balancer.HTTP10, balancer.HTTP11:
		c := dial()
		defer c.Close()
		reader := bufio.NewReader(c)
		for range map[bool]int{false: 1, true: 3}[p.Keeps] {
			c.Write(p.Request(target))
			answer, body := readAnswer(t, reader, p.Method)
			if got := accepts(b.Judge, answer, body); got != healthy {
				t.Errorf("%s: got %d %q, healthy %v, want %v", what, answer.StatusCode, body, got, healthy)
			}
		}
	case balancer.HTTP2, balancer.GRPC:
		answer, body := ask2(t, dial, p, target)
		got := accepts(b.Judge, answer, body)
		if p.Protocol == balancer.GRPC {
			got = acceptsGRPC(t, b.Judge, answer, body)
		}
		if got != healthy {
			t.Errorf("%s: got %d %q %v, healthy %v, want %v", what, answer.StatusCode, body, answer.Trailer, got, healthy)
		}
	}
}

func dialTarget(t *testing.T, r *running, b *balancer.Balancer, target balancer.Target, secure, proxied bool) net.Conn {
	t.Helper()
	c := r.dial(t)
	if proxied {
		c.Write(balancer.ProxyLocal())
	}
	if !secure {
		return c
	}
	// Many name no protocol by ALPN; those that do are in clients_test.go.
	s := tls.Client(c, &tls.Config{InsecureSkipVerify: true, ServerName: b.ServerName(target)})
	if err := s.Handshake(); err != nil {
		t.Fatal(err)
	}
	return s
}

func readAnswer(t *testing.T, b *bufio.Reader, method string) (*http.Response, string) {
	t.Helper()
	answer, err := http.ReadResponse(b, &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(body)
}

// accepts reports whether an answer over HTTP is a healthy one by a row.
func accepts(j balancer.Judge, answer *http.Response, body string) bool {
	framed := answer.ContentLength >= 0 || len(answer.TransferEncoding) > 0
	if len(j.Codes) == 0 {
		// Whoever takes any answer has to be told what to look for.
		return strings.HasPrefix(fmt.Sprintf("%s %d", answer.Proto, answer.StatusCode), "HTTP/1.1 200")
	}
	return j.Codes.Contain(answer.StatusCode) && (framed || !j.Framed) &&
		(answer.StatusCode < 300 || answer.StatusCode > 399) && (j.BodyLimit == 0 || len(body) <= j.BodyLimit)
}

// acceptsGRPC is the same for gRPC.
func acceptsGRPC(t *testing.T, j balancer.Judge, answer *http.Response, body string) bool {
	t.Helper()
	status := answer.Trailer.Get("Grpc-Status") + answer.Header.Get("Grpc-Status")
	switch {
	case strings.HasPrefix(j.GRPC, "12"):
		return status == "12"
	case j.GRPC == "0 with SERVING":
		return status == "0" && body == "\x00\x00\x00\x00\x02\x08\x01"
	}
	t.Fatalf("%q is not understood", j.GRPC)
	return false
}

// ask2 sends a probe over HTTP/2 with net/http's client.
func ask2(t *testing.T, dial func() net.Conn, p balancer.Probe, target balancer.Target) (*http.Response, string) {
	t.Helper()
	var body io.Reader
	if p.Protocol == balancer.GRPC {
		body = bytes.NewReader(make([]byte, 5))
	}
	request, err := http.NewRequestWithContext(t.Context(), p.Method, "http://"+target.Address.String()+p.Path, body)
	if err != nil {
		t.Fatal(err)
	}
	request.Host = p.HostOf(target)
	for _, f := range p.Fields {
		request.Header.Set(f.Name, f.Value)
	}
	if p.Protocol == balancer.GRPC {
		request.Header.Set("Content-Type", "application/grpc")
		request.Header.Set("Te", "trailers")
	}
	client := clientOn(t, dial)
	answer, err := client.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	all, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(all)
}

// clientOn returns an HTTP/2 client with prior knowledge on a connection that
// dial makes.
func clientOn(t *testing.T, dial func() net.Conn) *http.Transport {
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{
		Protocols:   &protocols,
		DialContext: func(context.Context, string, string) (net.Conn, error) { return dial(), nil },
	}
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

// TestMatrixALBWithCheck: ALB judges by the gRPC status and reads no message, so
// a failing Check must not have the status 0 for it.
func TestMatrixALBWithCheck(t *testing.T) {
	alb := balancer.Find("alb")
	p, _ := alb.Probe(balancer.GRPC)
	for _, path := range []string{"/grpc.health.v1.Health/Check", "/AWS.ALB/healthcheck", "/livez", "/group/web", "/group/nosuch", "/grpc.health.v1.Health/Nosuch"} {
		for _, c := range conditions {
			r := startVersatile(t, server.Verdicts(newChanging(c), server.VerdictOptions{DegradedStatus: 429}), server.Options{})
			p.Path = path
			answer, _ := ask2(t, func() net.Conn { return r.dial(t) }, p, balancer.Target{Address: r.address.(*net.TCPAddr).AddrPort()})
			got := answer.Trailer.Get("Grpc-Status") + answer.Header.Get("Grpc-Status")
			want := "14"
			switch {
			case path == "/group/nosuch":
				want = "5"
			case c.healthy && strings.HasSuffix(path, "/Check"):
				want = "0"
			case c.healthy:
				want = "12"
			}
			if got != want {
				t.Errorf("%s, %s: got status %s, want %s", path, c.name, got, want)
			}
		}
	}
}

// TestMatrixF5 with a receive string of its own in the body: ok tells a pass
// from a failure.
func TestMatrixF5(t *testing.T) {
	f5, _ := balancer.Find("f5").HTTP()
	for _, c := range conditions {
		r := startVersatile(t, server.Verdicts(newChanging(c), server.VerdictOptions{}), server.Options{})
		conn := r.dial(t)
		conn.Write(f5.Request(balancer.Target{}))
		answer, err := io.ReadAll(conn)
		if err != nil {
			t.Fatal(err)
		}
		_, body, _ := bytes.Cut(answer, []byte("\r\n\r\n"))
		want := map[string]string{"pass": "ok", "degraded": "degraded"}[c.name]
		if want == "" {
			want = "fail"
		}
		if string(body) != want {
			t.Errorf("%s: got the body %q, want %q", c.name, body, want)
		}
	}
}
