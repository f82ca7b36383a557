package explain_test

import (
	"bufio"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"

	"hale/internal/balancer"
	"hale/internal/explain"
	"hale/internal/servertest"
)

// wireCases are about what goes over the connection beside the request: the
// PROXY protocol, the version of HTTP, gRPC, the body.
func wireCases() []labCase {
	return []labCase{
		{
			name: "nginx wants a PROXY header", as: "alb kubelet haproxy nlb", sees: closed,
			start: func(t *testing.T, _ *laboratory) place { return at(preceded(t, ""), "/") },
			want:  balancer.CauseProxyExpected,
		},
		{
			name: "nginx wants a PROXY header before TLS", as: "alb",
			start: func(t *testing.T, lab *laboratory) place {
				return atTLS(preceded(t, "ssl; ssl_certificate "+lab.certs.Cert+"; ssl_certificate_key "+lab.certs.Key), "/")
			},
			want: balancer.CauseProxyExpected,
		},
		{
			name: "nginx does not know the PROXY header", as: "nlb", sees: "HTTP/1.1 200 ",
			start: func(t *testing.T, _ *laboratory) place { return proxied(at(servertest.Nginx(t, `return 200;`), "/")) },
			want:  balancer.CauseProxyUnexpected,
		},
		{
			name: "gunicorn does not know the PROXY header", as: "nlb", sees: "HTTP/1.1 200 ",
			start: func(_ *testing.T, lab *laboratory) place { return proxied(at(lab.open, "/")) },
			want:  balancer.CauseProxyUnexpected,
		},
		{
			name: "nginx speaks HTTP/2 only", as: "alb kubelet",
			start: func(t *testing.T, _ *laboratory) place {
				return at(servertest.NginxHTTP(t, `server { listen 127.0.0.1:$PORT http2; return 200; }`), "/")
			},
			want: balancer.CauseHTTP2,
		},
		{
			name: "a Go server speaks HTTP/2 only", waits: true, as: "alb gcp haproxy",
			start: func(t *testing.T, _ *laboratory) place {
				return place{url: "http://" + goServer(t, hello, func(s *http.Server) {
					s.Protocols = new(http.Protocols)
					s.Protocols.SetUnencryptedHTTP2(true)
				}) + "/"}
			},
			want: balancer.CauseHTTP2,
		},
		{
			name: "a gRPC server is asked over HTTP/1.1", as: "alb kubelet",
			start: func(t *testing.T, _ *laboratory) place { return place{url: "http://" + grpcServer(t, true) + "/"} },
			want:  balancer.CauseHTTP2,
		},
		{
			name: "HTTP/1.1 is asked for gRPC", as: "alb kubelet", sees: "HTTP/1.1 200 ",
			start: func(t *testing.T, _ *laboratory) place {
				return place{url: "grpc://" + servertest.Nginx(t, `return 200;`).Addr}
			},
			want: balancer.CauseHTTP2,
		},
		{
			name: "gunicorn is asked for gRPC", as: "alb kubelet", sends: "PRI * HTTP/2.0\r\n\r\nSM", sees: "HTTP/2.0 404 ",
			start: func(_ *testing.T, lab *laboratory) place { return place{url: "grpc://" + lab.open.Addr} },
			want:  balancer.CauseHTTP2,
		},
		{
			name: "the health service answers 0 where ALB wants 12", as: "alb", content: "kubelet",
			start: func(t *testing.T, _ *laboratory) place {
				return place{url: "grpc://" + grpcServer(t, true) + "/grpc.health.v1.Health/Check"}
			},
			want: balancer.CauseGRPCStatus, fix: "0",
		},
		{
			name: "there is no health service", as: "kubelet gcp", content: "alb",
			start: func(t *testing.T, _ *laboratory) place { return place{url: "grpc://" + grpcServer(t, false)} },
			want:  balancer.CauseGRPCStatus,
		},
		{
			name: "a body without a length", as: "elb", content: "alb kubelet", sees: "HTTP/1.1 200 ",
			start: func(t *testing.T, _ *laboratory) place { return place{url: "http://" + unframed(t) + "/"} },
			want:  balancer.CauseUnframed,
		},
		{
			name: "only the first answer is slow", waits: true, as: "kubelet",
			start: func(t *testing.T, _ *laboratory) place {
				var first sync.Once
				return place{url: "http://" + goServer(t, func(w http.ResponseWriter, r *http.Request) {
					first.Do(func() { time.Sleep(2 * time.Second) })
					hello(w, r)
				}, nil) + "/"}
			},
			want: balancer.CauseSlow,
		},
		{
			name: "only the first bytes come", waits: true, as: "kubelet",
			start: func(t *testing.T, _ *laboratory) place {
				return place{url: "http://" + goServer(t, func(w http.ResponseWriter, r *http.Request) {
					_, _ = w.Write([]byte("hel"))
					_ = http.NewResponseController(w).Flush()
					select {
					case <-r.Context().Done():
					case <-time.After(3 * time.Second):
					}
				}, nil) + "/"}
			},
			want: balancer.CauseSlow,
		},
	}
}

// preceded starts an nginx that wants a PROXY header.
func preceded(t *testing.T, more string) *servertest.Server {
	return servertest.NginxHTTP(t, `server { listen 127.0.0.1:$PORT proxy_protocol `+more+`; return 200; }`)
}

// proxied has the balancer send a PROXY header.
func proxied(where place) place {
	where.options.Proxy = true
	return where
}

// grpcServer starts grpc-go's own server, with its health service or without.
func grpcServer(t *testing.T, healthService bool) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	if healthService {
		grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener)
	}()
	t.Cleanup(func() {
		server.Stop()
		<-done
	})
	return listener.Addr().String()
}

// unframed answers HTTP/1.1 with a body that ends with the connection.
func unframed(t *testing.T) string {
	t.Helper()
	return servertest.Peer(t, func(conn net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
			_, _ = conn.Write([]byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nhello\n"))
		}
	})
}

// TestWhatPassesIsRemarkedUpon: the balancer is satisfied, and its user should
// know something still.
func TestWhatPassesIsRemarkedUpon(t *testing.T) {
	t.Parallel()
	long := "http://" + goServer(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(strings.Repeat("well ", 4<<10)))
	}, nil) + "/"
	for _, name := range []string{"kubelet"} {
		result := play(t, name, place{url: long})
		if !result.OK || !slices.ContainsFunc(result.Remarks, func(f explain.Finding) bool { return f.Cause == balancer.CauseLargeBody }) {
			t.Errorf("a body of 20 KiB, as %s: want success with a remark on it, got\n%s", name, story(result))
		}
	}
	// Who has not been told to look into the body has nothing to fear.
	if result := play(t, "alb", place{url: long}); !result.OK {
		t.Errorf("a body of 20 KiB, as alb:\n%s", story(result))
	}
}
