package server_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"hale/internal/server"
	"hale/internal/verdict"
)

// client2 returns Go's HTTP client, which speaks HTTP/2 only.
func (r *running) client2(t *testing.T, scheme string) *http.Client {
	var protocols http.Protocols
	protocols.SetHTTP2(scheme == "https")
	protocols.SetUnencryptedHTTP2(scheme == "http")
	transport := &http.Transport{Protocols: &protocols, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}

// TestHTTP2Client: Go's client gets the verdicts, plainly and by ALPN, whatever
// the method and the body.
func TestHTTP2Client(t *testing.T) {
	a := groups{"ready": verdict.Pass, "live": verdict.Fail, "all": verdict.Degraded}
	r := startVersatile(t, server.Verdicts(a, server.VerdictOptions{}), server.Options{})
	for _, scheme := range []string{"http", "https"} {
		client := r.client2(t, scheme)
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				for i := range 40 {
					method := []string{"GET", "HEAD", "POST", "OPTIONS", "PUT"}[i%5]
					path := []string{"/", "/livez?x", "/healthz/", "/healthz?degraded=429", "/group/nosuch"}[i/5%5]
					want := []string{"200 ok", "503 fail", "200 degraded", "429 degraded", "404 unknown group"}[i/5%5]
					var body io.Reader
					if method == "POST" || method == "PUT" {
						body = bytes.NewReader(make([]byte, i<<14))
					}
					if method == "HEAD" {
						want = want[:4]
					}
					request, _ := http.NewRequestWithContext(t.Context(), method, scheme+"://"+r.address.String()+path, body)
					answer, err := client.Do(request)
					if err != nil {
						t.Errorf("%s %s %s: %v", scheme, method, path, err)
						return
					}
					text, _ := io.ReadAll(answer.Body)
					answer.Body.Close()
					if got := answer.Status[:4] + string(text); got != want || answer.ProtoMajor != 2 {
						t.Errorf("%s %s %s: got %s in HTTP/%d, want %s in HTTP/2", scheme, method, path, got, answer.ProtoMajor, want)
					}
				}
			})
		}
		all.Wait()
	}
}

// TestHTTP2Fields: the answer has the same fields as in HTTP/1.x.
func TestHTTP2Fields(t *testing.T) {
	c := newChanging(condition{outcome: verdict.Fail, draining: true})
	r := startVersatile(t, server.Verdicts(c, server.VerdictOptions{FailStatus: 500}), server.Options{})
	request, _ := http.NewRequestWithContext(t.Context(), "GET", "http://"+r.address.String(), nil)
	request.Header.Set("Accept", "application/json")
	answer, err := r.client2(t, "http").Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	answer.Header.Del("Date")
	want := http.Header{"Content-Type": {"application/health+json"}, "Content-Length": {"17"}, "Cache-Control": {"no-store"},
		"X-Envoy-Immediate-Health-Check-Fail": {"true"}}
	if got := answer.Header; answer.StatusCode != 500 || len(got) != len(want) {
		t.Errorf("got %d %v, want 500 %v", answer.StatusCode, got, want)
	}
	for name := range want {
		if got := answer.Header.Get(name); got != want.Get(name) {
			t.Errorf("%s: got %q, want %q", name, got, want.Get(name))
		}
	}
}

// framed begins an HTTP/2 connection by hand.
func framed(t *testing.T, r *running) (net.Conn, *http2.Framer) {
	t.Helper()
	c := r.dial(t)
	io.WriteString(c, http2.ClientPreface)
	f := http2.NewFramer(c, c)
	f.WriteSettings()
	return c, f
}

// headersOf encodes the fields of a request.
func headersOf(method, path string, extra ...hpack.HeaderField) []byte {
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	for _, f := range append([]hpack.HeaderField{{Name: ":method", Value: method}, {Name: ":scheme", Value: "http"}, {Name: ":path", Value: path}, {Name: ":authority", Value: "a"}}, extra...) {
		e.WriteField(f)
	}
	return b.Bytes()
}

// TestHTTP2Floods: what floods is cut off or bounded, others are answered
// meanwhile, and nothing is left when it is over.
func TestHTTP2Floods(t *testing.T) {
	before := runtime.NumGoroutine()
	r := startVersatile(t, fixed, server.Options{HeadTimeout: 2 * time.Second, IdleTimeout: 2 * time.Second, WriteTimeout: time.Second})
	const many = 30_000
	for name, flood := range map[string]func(f *http2.Framer, i uint32) error{
		"rapid reset": func(f *http2.Framer, i uint32) error {
			f.WriteHeaders(http2.HeadersFrameParam{StreamID: 2*i + 1, BlockFragment: headersOf("GET", "/"), EndStream: true, EndHeaders: true})
			return f.WriteRSTStream(2*i+1, http2.ErrCodeCancel)
		},
		"settings": func(f *http2.Framer, _ uint32) error {
			return f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1})
		},
		"ping":           func(f *http2.Framer, _ uint32) error { return f.WritePing(false, [8]byte{}) },
		"window updates": func(f *http2.Framer, _ uint32) error { return f.WriteWindowUpdate(0, 1) },
		"empty data": func(f *http2.Framer, i uint32) error {
			if i == 0 {
				f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: headersOf("GET", "/"), EndHeaders: true})
			}
			return f.WriteData(1, false, nil)
		},
		"continuation": func(f *http2.Framer, i uint32) error {
			if i == 0 {
				f.AllowIllegalWrites = true
				return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: headersOf("GET", "/")})
			}
			return f.WriteContinuation(1, false, nil)
		},
		"large header": func(f *http2.Framer, i uint32) error {
			return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 2*i + 1, EndStream: true, EndHeaders: true,
				BlockFragment: headersOf("GET", "/", hpack.HeaderField{Name: "x", Value: strings.Repeat("a", 12<<10)})})
		},
		"unread answers": func(f *http2.Framer, i uint32) error {
			return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 2*i + 1, BlockFragment: headersOf("GET", "/"), EndStream: true, EndHeaders: true})
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, f := framed(t, r)
			c.SetWriteDeadline(time.Now().Add(5 * time.Second))
			for i := range uint32(many) {
				if flood(f, i) != nil {
					break
				}
			}
			ask(t, r.dial(t))
			answer, err := r.client2(t, "http").Get("http://" + r.address.String())
			if err != nil {
				t.Fatal(err)
			}
			answer.Body.Close()
			c.Close()
		})
	}
	if err := r.stop(); err != nil {
		t.Error(err)
	}
	await(t, func() bool { return runtime.NumGoroutine() <= before+5 })
}

// TestHTTP2IsEvicted: an idle HTTP/2 connection makes room like any other.
func TestHTTP2IsEvicted(t *testing.T) {
	r := start(t, fixed, server.Options{MaxConnections: 2})
	c, f := framed(t, r)
	f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: headersOf("GET", "/"), EndStream: true, EndHeaders: true})
	awaitFrame(t, f, http2.FrameData)
	for range 3 { // each waits for its client since later
		ask(t, r.dial(t))
	}
	await(t, func() bool { return r.dropped(server.DropEvicted) > 0 })
	if _, err := io.Copy(io.Discard, c); isTimeout(err) {
		t.Error("the connection is still there")
	}
}

// TestHTTP2Busy: a connection is not cut off while any of its answers is being
// made, and waits for its client after the last of them.
func TestHTTP2Busy(t *testing.T) {
	h := newSlow()
	r := start(t, h, server.Options{MaxConnections: 1})
	_, f := framed(t, r)
	for id := uint32(1); id <= 3; id += 2 {
		f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: headersOf("GET", "/"), EndStream: true, EndHeaders: true})
		<-h.started
	}
	io.Copy(io.Discard, r.dial(t))
	r.awaitDrops(t, server.DropConnections, 1)
	h.release <- struct{}{}
	awaitFrame(t, f, http2.FrameData)
	io.Copy(io.Discard, r.dial(t))
	r.awaitDrops(t, server.DropConnections, 2)
	h.release <- struct{}{}
	awaitFrame(t, f, http2.FrameData)
	go func() { h.release <- struct{}{} }()
	ask(t, r.dial(t))
	r.awaitDrops(t, server.DropEvicted, 1)
}

// TestHTTP2IdleEnds, with a goodbye.
func TestHTTP2IdleEnds(t *testing.T) {
	r := start(t, fixed, server.Options{IdleTimeout: 100 * time.Millisecond})
	c, f := framed(t, r)
	awaitFrame(t, f, http2.FrameGoAway)
	if _, err := io.Copy(io.Discard, c); isTimeout(err) {
		t.Error("the connection is still there")
	}
}

func isTimeout(err error) bool {
	e, ok := err.(net.Error)
	return ok && e.Timeout()
}

// awaitFrame reads frames until one of a type comes.
func awaitFrame(t *testing.T, f *http2.Framer, want http2.FrameType) http2.Frame {
	t.Helper()
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			t.Fatalf("no %v came: %v", want, err)
		}
		if frame.Header().Type == want {
			return frame
		}
	}
}

// TestHTTP2Shutdown: idle clients are told to go away, and an answer in flight
// arrives.
func TestHTTP2Shutdown(t *testing.T) {
	for _, scheme := range []string{"http", "https"} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			h := newSlow()
			r := startVersatile(t, h, server.Options{})
			conn, idle := framed(t, r)
			awaitFrame(t, idle, http2.FrameSettings)
			got := make(chan string, 1)
			go func() {
				answer, err := r.client2(t, scheme).Get(scheme + "://" + r.address.String())
				if err != nil {
					got <- err.Error()
					return
				}
				defer answer.Body.Close()
				body, _ := io.ReadAll(answer.Body)
				got <- string(body)
			}()
			<-h.started
			stopped := make(chan error, 1)
			go func() { stopped <- r.stop() }()
			if frame := awaitFrame(t, idle, http2.FrameGoAway).(*http2.GoAwayFrame); frame.ErrCode != http2.ErrCodeNo {
				t.Errorf("got GOAWAY with %v", frame.ErrCode)
			}
			io.Copy(io.Discard, conn) // it is closed; that takes a while
			select {
			case err := <-stopped:
				t.Fatalf("Serve returned %v before the last answer", err)
			default:
			}
			h.release <- struct{}{}
			if text := <-got; text != "ok" {
				t.Errorf("got %q, want ok", text)
			}
			if err := <-stopped; err != nil {
				t.Error(err)
			}
		})
	}
}

// TestHTTP2GraceIsOver: who does not end in the grace is cut off.
func TestHTTP2GraceIsOver(t *testing.T) {
	stuck := server.HandlerFunc(func(ctx context.Context, _ *server.Request) *server.Response {
		<-ctx.Done()
		return server.NewResponse(503, "text/plain", "given up")
	})
	r := start(t, stuck, server.Options{Grace: 100 * time.Millisecond})
	c, f := framed(t, r)
	f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: headersOf("GET", "/"), EndStream: true, EndHeaders: true})
	awaitFrame(t, f, http2.FrameSettings)
	if err := r.stop(); err == nil || !strings.Contains(err.Error(), "cut off") {
		t.Errorf("got %v, want that it was cut off", err)
	}
	r.stop = func() error { return nil } // said already
	if _, err := io.Copy(io.Discard, c); isTimeout(err) {
		t.Error("the connection is still there")
	}
}

// TestHTTP2Panic: a fault of the handler's costs one answer.
func TestHTTP2Panic(t *testing.T) {
	r := start(t, server.HandlerFunc(func(context.Context, *server.Request) *server.Response { panic("oh") }), server.Options{})
	answer, err := r.client2(t, "http").Get("http://" + r.address.String())
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != 500 {
		t.Errorf("got %d, want 500", answer.StatusCode)
	}
}
