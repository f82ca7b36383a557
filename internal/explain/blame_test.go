package explain_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hale/internal/balancer"
	"hale/internal/explain"
	"hale/internal/servertest"
)

// relay passes connections on to an address, each after what before says of the
// n-th: a pause, or that it is dropped.
func relay(t *testing.T, to string, before func(n int64) (pause time.Duration, drop bool)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var all sync.WaitGroup
	var n int64
	all.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			n++
			pause, drop := before(n)
			all.Go(func() {
				defer conn.Close()
				defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
				if drop {
					return
				}
				select {
				case <-ctx.Done():
				case <-time.After(pause):
				}
				behind, err := net.Dial("tcp", to)
				if err != nil {
					return
				}
				defer behind.Close()
				go func() {
					_, _ = io.Copy(behind, conn)
					_ = behind.(*net.TCPConn).CloseWrite()
				}()
				_, _ = io.Copy(conn, behind)
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

func late(d time.Duration) func(int64) (time.Duration, bool) {
	return func(int64) (time.Duration, bool) { return d, false }
}

func dropFirst(n int64) (time.Duration, bool) { return 0, n == 1 }

// bothVersions starts a Go server of HTTP/1.1 and of HTTP/2 without TLS.
func bothVersions(t *testing.T, handler http.HandlerFunc) string {
	return goServer(t, handler, func(s *http.Server) {
		s.Protocols = new(http.Protocols)
		s.Protocols.SetHTTP1(true)
		s.Protocols.SetUnencryptedHTTP2(true)
	})
}

// TestTimeIsNotBlamedOnAChange: what is late, or fails once, must not be laid to
// what explain changed when it asked again.
func TestTimeIsNotBlamedOnAChange(t *testing.T) {
	t.Parallel()
	lab := &laboratory{certs: servertest.NewCerts(t, time.Hour, "127.0.0.1", "localhost", "shop.example")}
	var all sync.WaitGroup
	defer all.Wait()
	slowly := func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(1500 * time.Millisecond)
		hello(w, r)
	}
	for _, c := range []struct {
		name, as string
		start    func(t *testing.T) place
		want     balancer.CauseID
		says     string
	}{
		{"both versions of HTTP, late", "kubelet", func(t *testing.T) place {
			return place{url: "http://" + bothVersions(t, slowly) + "/"}
		}, balancer.CauseSlow, "given more time"},
		{"a late handshake", "kubelet", func(t *testing.T) place {
			where := secured(t, lab.certs, "")
			where.url = "https://" + relay(t, strings.Trim(strings.TrimPrefix(where.url, "https://"), "/"), late(1300*time.Millisecond)) + "/"
			return where
		}, balancer.CauseSlow, "given more time"},
		{"a late handshake of a port that sends plain HTTP to itself", "kubelet", func(t *testing.T) place {
			where := secured(t, lab.certs, "error_page 497 =307 https://$http_host$request_uri;")
			where.url = "https://" + relay(t, strings.Trim(strings.TrimPrefix(where.url, "https://"), "/"), late(1300*time.Millisecond)) + "/"
			return where
		}, balancer.CauseSlow, "given more time"},
		{"late, and not put off by empty lines", "kubelet", func(t *testing.T) place {
			return place{url: "http://" + speaker(t, func(ctx context.Context, conn net.Conn) {
				select {
				case <-ctx.Done():
				case <-time.After(1500 * time.Millisecond):
				}
				_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			}) + "/"}
		}, balancer.CauseSlow, "given more time"},
		{"both versions of HTTP, and the first connection dropped", "alb", func(t *testing.T) place {
			return place{url: "http://" + relay(t, bothVersions(t, hello), dropFirst) + "/"}
		}, "", "comes and goes"},
		{"TLS, and the first connection dropped", "alb", func(t *testing.T) place {
			where := secured(t, lab.certs, "")
			where.url = "https://" + relay(t, strings.Trim(strings.TrimPrefix(where.url, "https://"), "/"), dropFirst) + "/"
			where.options.Site = "shop.example"
			return where
		}, "", "comes and goes"},
		{"both versions of HTTP, and a field is missing", "alb", func(t *testing.T) place {
			return place{url: "http://" + bothVersions(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("X-Tenant") == "" {
					w.WriteHeader(http.StatusBadRequest)
				}
			}) + "/"}
		}, "", "no other request"},
	} {
		// They do little but wait.
		all.Go(func() {
			t.Run(c.name, func(t *testing.T) {
				r := play(t, c.as, c.start(t))
				if text := story(r); r.OK || r.Cause() != c.want || !strings.Contains(text, c.says) {
					t.Errorf("the cause is %q, want %q and %q:\n%s", r.Cause(), c.want, c.says, text)
				}
			})
		})
	}
}

// TestEvidenceIsWhatWasTried: no sentence says of a request that was not sent,
// and what looks like another cause is not called it.
func TestEvidenceIsWhatWasTried(t *testing.T) {
	t.Parallel()
	redirect := func(status int, to string, fields ...string) func(*testing.T) place {
		return func(t *testing.T) place {
			return place{url: "http://" + goServer(t, func(w http.ResponseWriter, _ *http.Request) {
				for i := 0; i < len(fields); i += 2 {
					w.Header().Set(fields[i], fields[i+1])
				}
				w.Header().Set("Location", to)
				w.WriteHeader(status)
			}, nil) + "/health"}
		}
	}
	server := func(config string) func(*testing.T) place {
		return func(t *testing.T) place { return at(servertest.Nginx(t, config), "/health") }
	}
	for _, c := range []struct {
		name, as     string
		start        func(t *testing.T) place
		want         balancer.CauseID
		sure         explain.Certainty
		says, silent []string
	}{
		{"nginx hangs up", "alb", server("return 444;"), balancer.CauseBroken, explain.Guess,
			[]string{"also with HTTP/2, TLS and a browser's User-Agent.", "--site NAME"}, []string{"another Host", "another method", "PROXY", "GET in place"}},
		{"HAProxy has no server for this", "alb", func(t *testing.T) place {
			return at(servertest.HAProxy(t, haproxyDefaults+"frontend f\n bind 127.0.0.1:$PORT\n use_backend shop if { hdr(host) -i shop.example }\nbackend shop\n http-request return status 200\n"), "/health")
		}, balancer.CauseBroken, explain.Likely, []string{"no backend is there for this request", "--site NAME", "<NOSRV>"}, nil},
		{"a certificate without a subjectAltName", "consul", func(t *testing.T) place {
			return secured(t, selfSigned(t, "shop.example"), "")
		}, balancer.CauseWrongName, explain.Certain, []string{"shop.example (in its CN alone)", "has no subjectAltName"}, []string{"is not for 127.0.0.1"}},
		{"a Host that Django takes for none", "envoy", func(t *testing.T) place {
			where := at(servertest.Django(t, ""), "/health_check")
			where.options.Host = "my_cluster"
			return where
		}, balancer.CauseHostGuard, explain.Certain, []string{"RFC 1034", "Have Envoy send another Host"}, []string{"ALLOWED_HOSTS +="}},
		{"another success", "front-door", server("return 202 ok;"), balancer.CauseNoContent, explain.Certain,
			[]string{"202 Accepted"}, []string{"User-Agent", "GET in its place"}},
		{"nginx forbids", "alb", server("location / { deny all; }"), balancer.CauseAuth, explain.Guess,
			[]string{"a browser's User-Agent", "Host: localhost", "--site NAME"}, []string{"the site's name", "auth_basic"}},
		{"it has moved away", "alb", redirect(301, "https://elsewhere.example/new/home"), "", explain.Likely,
			[]string{"The page has moved"}, []string{"the same page", "https-redirect"}},
		{"all goes to the front page over https", "alb", redirect(301, "https://127.0.0.1/"), balancer.CauseHTTPSRedirect, explain.Likely,
			[]string{"another page over https"}, []string{"the same page"}},
		{"PHP redirects to https", "alb", redirect(301, "https://127.0.0.1/health", "Content-Type", "text/html; charset=UTF-8",
			"X-Content-Type-Options", "nosniff", "X-Powered-By", "PHP/8.2.7"), balancer.CauseHTTPSRedirect, explain.Likely, nil, []string{"Django"}},
		{"PHP redirects to https, and says no more than its session", "alb", redirect(301, "https://127.0.0.1/health", "Content-Type", "text/html; charset=utf-8",
			"X-Content-Type-Options", "nosniff", "Referrer-Policy", "same-origin", "Set-Cookie", "PHPSESSID=1"), balancer.CauseHTTPSRedirect, explain.Likely, nil, []string{"Django"}},
		{"a redirect to itself", "alb", redirect(302, "/health"), "", explain.Certain, []string{"to itself"}, nil},
		{"a redirect to itself that is followed", "kubelet", redirect(302, "/health"), "", explain.Certain, []string{"to itself"}, nil},
		{"a WebSocket server", "alb", func(t *testing.T) place {
			return place{url: "http://" + bothVersions(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Upgrade", "websocket")
				w.WriteHeader(http.StatusUpgradeRequired)
			}) + "/health"}
		}, "", explain.Certain, []string{"WebSocket"}, []string{"http2-only"}},
		{"a server that wants an upgrade", "alb", func(t *testing.T) place {
			return place{url: "http://" + goServer(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUpgradeRequired) }, nil) + "/health"}
		}, "", explain.Guess, nil, []string{"http2-only"}},
		{"a server that wants an upgrade of HTTP/1.0 too", "hetzner", func(t *testing.T) place {
			return place{url: "http://" + goServer(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUpgradeRequired) }, nil) + "/health"}
		}, "", explain.Guess, nil, []string{"http2-only"}},
		{"a limit refuses the site's own name too", "alb", func(t *testing.T) place {
			where := place{url: "http://" + goServer(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Host == "shop.example" {
					w.WriteHeader(http.StatusTooManyRequests)
					return
				}
				w.WriteHeader(http.StatusForbidden)
			}, nil) + "/health"}
			where.options.Site = "shop.example"
			return where
		}, balancer.CauseAuth, explain.Guess, []string{"With Host: shop.example the answer was 429"}, []string{"--site NAME"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := play(t, c.as, c.start(t))
			text := story(r)
			if r.OK || r.Cause() != c.want || r.Findings[0].Sure != c.sure {
				t.Errorf("want %q, %s:\n%s", c.want, c.sure, text)
			}
			for _, want := range c.says {
				if !strings.Contains(text, want) {
					t.Errorf("it lacks %q:\n%s", want, text)
				}
			}
			for _, not := range c.silent {
				if strings.Contains(text, not) {
					t.Errorf("it says %q:\n%s", not, text)
				}
			}
		})
	}
}

// TestNobodyAskedForLocalhost: of ::1 itself it can't be said that localhost is
// that first.
func TestNobodyAskedForLocalhost(t *testing.T) {
	t.Parallel()
	addr := goServer(t, hello, nil)
	_, port, _ := net.SplitHostPort(addr)
	r := play(t, "alb", place{url: "http://[::1]:" + port + "/"})
	if text := story(r); r.Cause() != balancer.CauseStopped || !strings.Contains(text, "127.0.0.1 takes the connection") {
		t.Error(text)
	}
	r = play(t, "alb", place{url: "http://127.0.0.1:" + freePort(t) + "/"})
	if text := story(r); r.Cause() != balancer.CauseStopped || strings.Contains(text, "nothing else") {
		t.Error(text)
	}
}

// TestTheCommandKeepsTheScheme: what sets another path must not turn HTTPS into
// HTTP.
func TestTheCommandKeepsTheScheme(t *testing.T) {
	t.Parallel()
	lab := certsOnly(t)
	var asked atomic.Int64
	addr := goServer(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.URL.Path != "/health/" {
			http.NotFound(w, r)
		}
	}, goTLS(t, lab.certs, nil))
	for as, want := range map[string]string{"elb": "Target=HTTPS:", "kubelet": "scheme: HTTPS", "gcp": "health-checks update https "} {
		r := play(t, as, place{url: "https://" + addr + "/health"})
		if r.Cause() != balancer.CauseTrailingSlash || !strings.Contains(r.Findings[0].Config, want) {
			t.Errorf("as %s: it lacks %q:\n%s", as, want, story(r))
		}
	}
}
