package explain_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hale/internal/balancer"
	"hale/internal/explain"
	"hale/internal/servertest"
)

// speaker answers each connection with f after its first bytes came.
func speaker(t *testing.T, f func(ctx context.Context, conn net.Conn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer conn.Close()
				defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
				_, _ = conn.Read(make([]byte, 1<<10))
				f(ctx, conn)
			})
		}
	})
	t.Cleanup(func() {
		stop()
		_ = listener.Close()
		all.Wait()
	})
	return listener.Addr().String()
}

// TestHostilePeers: whatever comes, it ends in time, little is kept, and there
// is a line about it.
func TestHostilePeers(t *testing.T) {
	t.Parallel()
	block := bytes.Repeat([]byte("x"), 1<<20)
	for _, c := range []struct {
		name string
		f    func(ctx context.Context, conn net.Conn)
		ok   bool
		says string
	}{
		{"1 GB of body", func(_ context.Context, conn net.Conn) {
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n")
			for range 1 << 10 {
				if _, err := conn.Write(block); err != nil {
					return
				}
			}
		}, true, "more than"},
		{"1 GB of nothing like HTTP", func(_ context.Context, conn net.Conn) {
			for range 1 << 10 {
				if _, err := conn.Write(block); err != nil {
					return
				}
			}
		}, false, "not HTTP"},
		{"a header without end", func(_ context.Context, conn net.Conn) {
			_, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\n")
			for err == nil {
				_, err = io.WriteString(conn, "A: b\r\n")
			}
		}, false, "64 KiB"},
		{"a header that drips", func(ctx context.Context, conn net.Conn) {
			for _, b := range []byte("HTTP/1.1 200 OK\r\nServer: drip" + strings.Repeat("p", 1000)) {
				if _, err := conn.Write([]byte{b}); err != nil {
					return
				}
				select {
				case <-ctx.Done():
					return
				case <-time.After(20 * time.Millisecond):
				}
			}
		}, false, "was not whole"},
		{"garbage", func(_ context.Context, conn net.Conn) {
			_, _ = io.WriteString(conn, "SSH-2.0-\x1b[31mX\r\n")
		}, false, "not HTTP"},
		{"a reset", func(_ context.Context, conn net.Conn) {
			_ = conn.(*net.TCPConn).SetLinger(0)
		}, false, "no answer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			r := play(t, "kubelet", place{url: "http://" + speaker(t, c.f) + "/"})
			text := story(r)
			if r.OK != c.ok || !strings.Contains(text, c.says) {
				t.Errorf("want ok %v and %q, got\n%s", c.ok, c.says, text)
			}
			if strings.ContainsRune(text, 0x1b) {
				t.Errorf("an escape sequence gets through:\n%q", text)
			}
			if took := time.Since(start); took > time.Minute {
				t.Errorf("it took %v", took)
			}
		})
	}
}

// TestEqualRequestsAreSentOnce: Traefik and Caddy send the same to a port that
// is not a usual one.
func TestEqualRequestsAreSentOnce(t *testing.T) {
	t.Parallel()
	var came atomic.Int64
	addr := goServer(t, func(http.ResponseWriter, *http.Request) { came.Add(1) }, nil)
	report, err := explain.Run(t.Context(), "http://"+addr+"/", []*balancer.Balancer{balancer.Find("traefik"), balancer.Find("caddy"), balancer.Find("caddy")}, explain.Options{})
	if err != nil || !report.OK() {
		t.Fatalf("got %v, %v", report, err)
	}
	if got := came.Load(); got != 1 {
		t.Errorf("%d requests came, want 1", got)
	}
}

func TestRedirects(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	mux.HandleFunc("/hop/{n}", func(w http.ResponseWriter, r *http.Request) {
		var n int
		_, _ = fmt.Sscan(r.PathValue("n"), &n)
		if n > 0 {
			http.Redirect(w, r, fmt.Sprintf("/hop/%d", n-1), http.StatusFound)
		}
	})
	mux.HandleFunc("/round", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/round", http.StatusFound) })
	mux.HandleFunc("/away", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://other.invalid/away", http.StatusMovedPermanently)
	})
	mux.HandleFunc("/metadata", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://0.0.0.0/latest", http.StatusFound)
	})
	mux.HandleFunc("/odd", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "javascript:alert(1)")
		w.WriteHeader(302)
	})
	addr := goServer(t, mux.ServeHTTP, nil)
	for _, c := range []struct {
		as, path string
		ok       bool
		says     string
	}{
		{"traefik", "/hop/3", true, "followed to"},
		{"kubelet", "/hop/9", true, "followed to"},
		{"traefik", "/hop/12", false, "more than 10 redirects"},
		{"consul", "/round", false, "more than 10 redirects"},
		{"alb", "/hop/1", false, "alb counts only 200"},
		{"nlb", "/hop/1", true, "not followed"},
		{"kubelet", "/away", true, "with a warning"},
		{"traefik", "/away", false, "does not resolve"},
		{"traefik", "/metadata", false, "which explain does not ask"},
		{"traefik", "/odd", false, "leads nowhere"},
	} {
		t.Run(c.as+c.path, func(t *testing.T) {
			t.Parallel()
			r := play(t, c.as, place{url: "http://" + addr + c.path})
			if text := story(r); r.OK != c.ok || !strings.Contains(text, c.says) {
				t.Errorf("want ok %v and %q, got\n%s", c.ok, c.says, text)
			}
		})
	}
}

// TestItEndsWithItsContext: nothing is left behind.
func TestItEndsWithItsContext(t *testing.T) {
	addr := speaker(t, func(ctx context.Context, _ net.Conn) { <-ctx.Done() })
	before := runtime.NumGoroutine()
	ctx, stop := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer stop()
	start := time.Now()
	if _, err := explain.Run(ctx, "http://"+addr+"/", balancer.Explained(), explain.Options{}); err == nil {
		t.Error("there is no error after its context ended")
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("it took %v to end", took)
	}
	for deadline := time.Now().Add(20 * time.Second); runtime.NumGoroutine() > before+2; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines before, %d after", before, runtime.NumGoroutine())
		}
	}
}

// TestALimitOnRequestsIsNotTripped: explain's own requests for other balancers
// must not be what makes one of them unhappy.
func TestALimitOnRequestsIsNotTripped(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var window time.Time
	var count int
	addr := goServer(t, func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if time.Since(window) > time.Second {
			window, count = time.Now(), 0
		}
		if count++; count > 5 {
			w.WriteHeader(http.StatusTooManyRequests)
		}
	}, nil)
	report, err := explain.Run(t.Context(), "http://"+addr+"/", balancer.Explained(), explain.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range report.Results {
		if !report.Results[i].OK {
			t.Error(story(&report.Results[i]))
		}
	}
}

// TestSecretsStayInside: a token in the URL, in a redirect, or in a login.
func TestSecretsStayInside(t *testing.T) {
	t.Parallel()
	addr := goServer(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "https://me:hunter2@shop.invalid/x?session_token=hunter2", http.StatusFound)
	}, nil)
	report, err := explain.Run(t.Context(), "http://"+addr+"/x?token=hunter2", balancer.Explained(), explain.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	_ = report.WriteText(&out)
	_ = report.WriteJSON(&out)
	for i := range report.Results {
		one := explain.Report{URL: report.URL, Results: report.Results[i : i+1]}
		_ = one.WriteText(&out)
	}
	if strings.Contains(out.String(), "hunter2") {
		t.Errorf("the secret is shown:\n%s", out.String())
	}
	if !strings.Contains(out.String(), "token=…") {
		t.Errorf("the mask is missing:\n%s", out.String())
	}
}

// TestTheReportAsText: a line each, the details of the first that fails, and
// what is assumed.
func TestTheReportAsText(t *testing.T) {
	t.Parallel()
	addr := goServer(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }, nil)
	report, err := explain.Run(t.Context(), "http://"+addr+"/", []*balancer.Balancer{balancer.Find("kubelet"), balancer.Find("azure-lb"), balancer.Find("gcp")}, explain.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var text, data strings.Builder
	if err := report.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"\nok  kubelet   204 No Content in ", "\nNO  azure-lb  204 No Content: only 200 counts\n", "\nNO  gcp       204",
		"Azure Load Balancer asks http://" + addr + "/\n", "(assumed: Host, header fields)", "[status-204]", "  fix: Answer 200",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the text lacks %q:\n%s", want, text.String())
		}
	}
	if strings.Contains(text.String(), "Google Cloud load balancing asks") {
		t.Errorf("the details of a second balancer are shown:\n%s", text.String())
	}
	if err := report.WriteJSON(&data); err != nil {
		t.Fatal(err)
	}
	var got struct {
		OK      bool
		Results []struct {
			Balancer string
			OK       bool
			Steps    []struct{ Name, Text string }
			Findings []struct{ Cause, Certainty string }
			Assumed  []string
		}
	}
	if err := json.Unmarshal([]byte(data.String()), &got); err != nil {
		t.Fatal(err)
	}
	if got.OK || len(got.Results) != 3 || !got.Results[0].OK || got.Results[1].Findings[0].Cause != "status-204" || got.Results[2].Findings[0].Certainty != "certain" || len(got.Results[1].Assumed) == 0 {
		t.Errorf("the JSON is %s", data.String())
	}
}

// TestALineIsReadable: what came is bytes, and there is a line for each balancer.
func TestALineIsReadable(t *testing.T) {
	t.Parallel()
	frames := servertest.NginxHTTP(t, `server { listen 127.0.0.1:$PORT http2; return 200; }`)
	garbage := speaker(t, func(_ context.Context, conn net.Conn) { _, _ = conn.Write(bytes.Repeat([]byte{0, 0xff}, 250)) })
	for addr, says := range map[string]string{frames.Addr: "frames of HTTP/2", garbage: `it begins with "\x00\xff`} {
		report, err := explain.Run(t.Context(), "http://"+addr+"/", balancer.Explained(), explain.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for i := range report.Results {
			r := &report.Results[i]
			if r.Balancer.Name == "f5" {
				continue // to whom any bytes are an answer
			}
			if !strings.Contains(r.Summary, says) || len(r.Summary) > 120 {
				t.Errorf("the line lacks %q or has more than 120 letters:\n%s", says, r.Summary)
			}
		}
	}
}

// TestEachBalancerHasItsOwnFix: a reason is found once, and what mends it is told
// to each in its own language.
func TestEachBalancerHasItsOwnFix(t *testing.T) {
	t.Parallel()
	var came atomic.Int64
	addr := goServer(t, func(w http.ResponseWriter, r *http.Request) {
		came.Add(1)
		http.NotFound(w, r)
	}, nil)
	report, err := explain.Run(t.Context(), "http://"+addr+"/healthz", balancer.Explained(), explain.Options{Site: "shop.example"})
	if err != nil {
		t.Fatal(err)
	}
	for i := range report.Results {
		r := &report.Results[i]
		text := story(r)
		if r.OK {
			continue // F5 takes any answer
		}
		if r.Cause() != balancer.CauseNotFound || strings.Contains(text, "aws elb") != (r.Balancer.Name == "alb" || r.Balancer.Name == "nlb" || r.Balancer.Name == "elb") || strings.ContainsRune(text, 0) {
			t.Error(text)
		}
	}
	if got := came.Load(); got > 120 {
		t.Errorf("%d requests came", got)
	} else {
		t.Logf("%d requests came", got)
	}
}
