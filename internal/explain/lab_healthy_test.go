package explain_test

import (
	"context"
	"crypto/tls"
	"net"
	"testing"
	"time"

	"hale/internal/balancer"
	"hale/internal/explain"
	"hale/internal/server"
	"hale/internal/servertest"
	"hale/internal/verdict"
)

// TestHealthySetupsDrawNoComplaint: every balancer is satisfied with what is
// well, over http and over https.
func TestHealthySetupsDrawNoComplaint(t *testing.T) {
	t.Parallel()
	certs := servertest.NewCerts(t, 240*time.Hour, "127.0.0.1", "localhost")
	pem := "ssl_certificate " + certs.Cert + "; ssl_certificate_key " + certs.Key + ";"
	for _, setup := range []struct {
		name  string
		start func(t *testing.T) place
	}{
		{"nginx", func(t *testing.T) place { return at(servertest.Nginx(t, `return 200 "well\n";`), "/") }},
		{"nginx over TLS", func(t *testing.T) place { return secured(t, certs, "") }},
		{"nginx over TLS and HTTP/2", func(t *testing.T) place {
			return atTLS(servertest.NginxHTTP(t, "server { listen 127.0.0.1:$PORT ssl http2; "+pem+` return 200 "well\n"; }`), "/")
		}},
		{"nginx that speaks IPv6 too", func(t *testing.T) place {
			s := servertest.NginxHTTP(t, "server { listen 127.0.0.1:$PORT; listen [::1]:$PORT; return 200 'well'; }")
			return place{url: "http://localhost:" + port(t, s.Addr) + "/"}
		}},
		{"nginx at an IPv6 address", func(t *testing.T) place {
			s := servertest.NginxHTTP(t, "server { listen 127.0.0.1:$PORT; listen [::1]:$PORT; return 200 'well'; }")
			return place{url: "http://[::1]:" + port(t, s.Addr) + "/"}
		}},
		{"Django", func(t *testing.T) place {
			return at(servertest.Django(t, "", "--worker-class", "gthread", "--threads", "4"), "/health_check")
		}},
		{"Django with synchronous workers", func(t *testing.T) place { return at(servertest.Django(t, "", "--workers", "2"), "/health_check") }},
		{"Django over TLS", func(t *testing.T) place {
			return atTLS(servertest.Django(t, "", "--threads", "4", "--certfile", certs.Cert, "--keyfile", certs.Key), "/")
		}},
		{"Django behind nginx", func(t *testing.T) place {
			s := servertest.Django(t, "", "--threads", "4")
			return at(servertest.Nginx(t, "location / { proxy_pass http://"+s.Addr+"; proxy_set_header Host $http_host; }"), "/")
		}},
		{"Apache", func(t *testing.T) place { return at(servertest.Apache(t, ""), "/") }},
		{"Apache over TLS", func(t *testing.T) place {
			return atTLS(servertest.Apache(t, "SSLEngine on\nSSLCertificateFile "+certs.Cert+"\nSSLCertificateKeyFile "+certs.Key), "/")
		}},
		{"Caddy", func(t *testing.T) place { return at(servertest.Caddy(t, "http://:$PORT {\nrespond well\n}"), "/") }},
		{"Caddy over TLS", func(t *testing.T) place {
			return atTLS(servertest.Caddy(t, ":$PORT {\ntls "+certs.Cert+" "+certs.Key+"\nrespond well\n}"), "/")
		}},
		{"Go", func(t *testing.T) place { return place{url: "http://" + goServer(t, hello, nil) + "/"} }},
		{"Go over TLS", func(t *testing.T) place {
			return place{url: "https://" + goServer(t, hello, goTLS(t, certs, func(c *tls.Config) { c.NextProtos = []string{"h2", "http/1.1"} })) + "/"}
		}},
		{"hale", func(t *testing.T) place { return place{url: "http://" + haleListener(t, verdict.Pass) + "/"} }},
		{"HAProxy", func(t *testing.T) place {
			return at(servertest.HAProxy(t, haproxyDefaults+"frontend f\n bind 127.0.0.1:$PORT\n http-request return status 200\n"), "/")
		}},
	} {
		t.Run(setup.name, func(t *testing.T) {
			t.Parallel()
			where := setup.start(t)
			where.options.Roots = roots(t, certs)
			report, err := explain.Run(t.Context(), where.url, balancer.Explained(), where.options)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := len(report.Results), len(balancer.Explained()); got != want {
				t.Errorf("%d results, want %d", got, want)
			}
			for i := range report.Results {
				r := &report.Results[i]
				for i := 0; hurried(r) && i < 3; i++ {
					r = play(t, r.Balancer.Name, where)
				}
				if !r.OK || len(r.Findings) > 0 || len(r.Remarks) > 0 {
					t.Errorf("a complaint about what is well:\n%s", story(r))
				}
			}
		})
	}
}

// port returns an address' port.
func port(t *testing.T, addr string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// haleListener starts hale's own listener, whose verdict is always the same.
func haleListener(t *testing.T, outcome verdict.Outcome) string {
	t.Helper()
	listener, err := server.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- server.New(server.Verdicts(always(outcome), server.VerdictOptions{}), server.Options{}).Serve(ctx, listener)
	}()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("hale's listener: %v", err)
		}
	})
	return listener.Addr().String()
}

// always is one and the same verdict.
type always verdict.Outcome

func (a always) Answer(context.Context, string) (verdict.Outcome, bool) {
	return verdict.Outcome(a), true
}
func (a always) AnswerUndrained(context.Context, string) (verdict.Outcome, bool) {
	return verdict.Outcome(a), true
}
func (always) Draining() bool { return false }
