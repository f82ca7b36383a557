package capture_test

import (
	"context"
	"net"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"hale/internal/balancer"
	"hale/internal/capture"
	"hale/internal/servertest"
)

func curl(t *testing.T, args ...string) (string, error) {
	t.Helper()
	program := servertest.Program(t, "curl", "curl")
	out, err := exec.CommandContext(t.Context(), program, append([]string{"-s", "-i", "--noproxy", "*", "--max-time", "50"}, args...)...).Output()
	return string(out), err
}

// TestCurl: HTTP/1.1, HTTP/2 with prior knowledge, and both within TLS.
func TestCurl(t *testing.T) {
	s := start(t, capture.Options{})
	for _, test := range []struct {
		args     []string
		protocol balancer.Protocol
		alpn     string
	}{
		{[]string{"http://" + s.addr + "/h"}, balancer.HTTP11, ""},
		{[]string{"--http1.0", "http://" + s.addr + "/h"}, balancer.HTTP10, ""},
		{[]string{"-I", "http://" + s.addr + "/h"}, balancer.HTTP11, ""},
		{[]string{"--http2-prior-knowledge", "http://" + s.addr + "/h"}, balancer.HTTP2, ""},
		{[]string{"--http2-prior-knowledge", "-I", "http://" + s.addr + "/h"}, balancer.HTTP2, ""},
		{[]string{"--http2-prior-knowledge", "-d", "a=b", "http://" + s.addr + "/h"}, balancer.HTTP2, ""},
		{[]string{"-k", "--http2", "https://" + s.addr + "/h"}, balancer.HTTP2, "h2 http/1.1"},
		{[]string{"-k", "--http1.1", "https://" + s.addr + "/h"}, balancer.HTTP11, "http/1.1"},
		{[]string{"-k", "--tlsv1.3", "--no-alpn", "https://" + s.addr + "/h"}, balancer.HTTP11, ""},
	} {
		out, err := curl(t, test.args...)
		if err != nil || !strings.HasPrefix(out, "HTTP/") || !strings.Contains(out, " 200") {
			t.Errorf("%v: curl got %q, %v", test.args, out, err)
		}
		a := s.next(t)
		tls := strings.HasPrefix(test.args[len(test.args)-1], "https")
		if a.Kind != capture.Request || a.Protocol != test.protocol || a.Path != "/h" || !strings.HasPrefix(names(a), "curl likely") || a.Host == nil || *a.Host != s.addr || (a.TLS != nil) != tls {
			t.Errorf("%v: %s", test.args, text(t, a))
		}
		if tls && (strings.Join(a.TLS.ALPN, " ") != test.alpn || a.TLS.Agreed == "" || a.TLS.ServerName != "" || len(a.TLS.Versions) == 0) {
			t.Errorf("%v: %+v", test.args, a.TLS)
		}
	}
}

// TestServerName: the name that a client sends in TLS, and the lack of one.
func TestServerName(t *testing.T) {
	s := start(t, capture.Options{})
	_, port, _ := net.SplitHostPort(s.addr)
	if _, err := curl(t, "-k", "--resolve", "www.example.org:"+port+":127.0.0.1", "https://www.example.org:"+port+"/"); err != nil {
		t.Fatal(err)
	}
	a := s.next(t)
	if a.TLS.ServerName != "www.example.org" || strings.Contains(minds(a), "SNI") || !strings.Contains(minds(a), `logs \x16\x03\x01`) {
		t.Errorf("%+v: %s", a.TLS, minds(a))
	}
}

// TestVerifyingClient: who wants a good certificate breaks off, and that is said.
func TestVerifyingClient(t *testing.T) {
	s := start(t, capture.Options{})
	if _, err := curl(t, "https://"+s.addr+"/"); err == nil {
		t.Error("curl trusts the certificate")
	}
	a := s.next(t)
	if a.Kind != capture.Handshake || !strings.Contains(a.TLS.Failed, "the client broke off: unknown certificate authority") || len(a.Who) != 0 || !strings.Contains(minds(a), "this client verifies certificates") {
		t.Errorf("%s %+v %s: %s", a.Kind, a.TLS, names(a), minds(a))
	}
	if shown := text(t, a); !strings.Contains(shown, "can't be told: the client broke off before its request") {
		t.Error(shown)
	}
	// A hello that can't be read is hale's to end.
	s.send(t, "\x16\x03\x01\x00\x05hello")
	if shown := text(t, s.next(t)); !strings.Contains(shown, "can't be told: the handshake failed before a request") {
		t.Error(shown)
	}
}

// TestHAProxy: Debian's HAProxy in all its ways to check.
func TestHAProxy(t *testing.T) {
	s := start(t, capture.Options{})
	options := []string{"check", "check check-ssl verify none", "check check-ssl verify none check-sni www.example.org", "check send-proxy", "check send-proxy-v2"}
	var config strings.Builder
	config.WriteString("defaults\n  mode http\n  timeout connect 5s\n  timeout client 5s\n  timeout server 5s\n  default-server inter 1s\nfrontend f\n  bind 127.0.0.1:$PORT\n")
	for i, option := range options {
		name := string(rune('a' + i))
		config.WriteString("backend " + name + "\n  option httpchk\n  server s " + s.addr + " " + option + "\n")
		config.WriteString("backend tcp-" + name + "\n  server s " + s.addr + " " + option + "\n")
	}
	config.WriteString("backend hello\n  option ssl-hello-chk\n  server s " + s.addr + " check\n")
	_, port, _ := net.SplitHostPort(s.addr)
	config.WriteString("backend agent\n  server s " + s.addr + " agent-check agent-inter 1s agent-port " + port + "\n")
	servertest.HAProxy(t, config.String())

	is := func(kind capture.Kind, more func(*capture.Arrival) bool) func(*capture.Arrival) bool {
		return func(a *capture.Arrival) bool { return a.Kind == kind && more(a) }
	}
	for _, test := range []struct {
		what string
		want func(*capture.Arrival) bool
		who  string
	}{
		{"httpchk", is(capture.Request, func(a *capture.Arrival) bool { return a.TLS == nil && a.Proxy == nil }), "haproxy likely"},
		{"httpchk check-ssl", is(capture.Request, func(a *capture.Arrival) bool { return a.TLS != nil && a.TLS.ServerName == "" }), "haproxy likely"},
		{"httpchk check-sni", is(capture.Request, func(a *capture.Arrival) bool { return a.TLS != nil && a.TLS.ServerName == "www.example.org" }), "haproxy likely"},
		{"httpchk send-proxy", is(capture.Request, func(a *capture.Arrival) bool { return a.Proxy != nil && a.Proxy.Version == 1 }), "haproxy likely"},
		{"httpchk send-proxy-v2", is(capture.Request, func(a *capture.Arrival) bool { return a.Proxy != nil && a.Proxy.Version == 2 && a.Proxy.Bare }), "haproxy certain"},
		{"check-ssl", is(capture.Handshake, func(a *capture.Arrival) bool { return a.TLS.Agreed != "" }), "elb guess, envoy guess, gcp guess, haproxy guess"},
		{"ssl-hello-chk", is(capture.Handshake, func(a *capture.Arrival) bool { return slices.Equal(a.TLS.Versions, []string{"SSL 3.0"}) }), "haproxy likely"},
		{"send-proxy-v2", is(capture.Connect, func(a *capture.Arrival) bool { return a.Proxy != nil && a.Proxy.Version == 2 }), "haproxy likely, nlb guess"},
		{"agent-check", is(capture.Connect, func(a *capture.Arrival) bool { return a.Proxy == nil && strings.Contains(a.Ended, " s, ") }), "haproxy guess"},
	} {
		a := s.until(t, test.want)
		if names(a) != test.who {
			t.Errorf("%s: got %s, want %s\n%s", test.what, names(a), test.who, text(t, a))
		}
		if test.what == "agent-check" && (!strings.Contains(minds(a), "waits to be told something") || strings.Contains(minds(a), "nothing is asked")) {
			t.Errorf("%s: %s", test.what, minds(a))
		}
		if shown := text(t, a); test.what == "ssl-hello-chk" && (strings.Contains(shown, "client broke off") || !strings.Contains(shown, "which hale refuses")) {
			t.Errorf("%s: %s", test.what, shown)
		}
		if strings.HasPrefix(test.what, "httpchk") && a.Raw != `OPTIONS / HTTP/1.0\r\n\r\n` {
			t.Errorf("%s: %s", test.what, a.Raw)
		}
	}
	a := s.until(t, func(a *capture.Arrival) bool {
		return a.Kind == capture.Request && a.TLS == nil && a.Proxy == nil && a.Pace.Seen > 2
	})
	if every := time.Duration(a.Pace.Every); every < 500*time.Millisecond || every > 10*time.Second {
		t.Errorf("it asks every second, and %v is measured", every)
	}
}

// TestBehindNginx: nginx hands on a client's request as HTTP/1.0.
func TestBehindNginx(t *testing.T) {
	s := start(t, capture.Options{})
	nginx := servertest.Nginx(t, "location / { proxy_pass http://"+s.addr+"; }")
	out, err := curl(t, "http://"+nginx.Addr+"/h")
	if err != nil || !strings.Contains(out, "hale capture") {
		t.Errorf("curl got %q, %v", out, err)
	}
	a := s.until(t, func(a *capture.Arrival) bool { return a.Kind == capture.Request })
	if a.Line != "GET /h HTTP/1.0" || names(a) != "curl likely, nginx guess, docker guess" {
		t.Errorf("%s: %s", a.Line, names(a))
	}
}

// TestGRPC: grpc-go's health client, and a method that only ALB asks for.
func TestGRPC(t *testing.T) {
	for code, want := range map[int]grpc_health_v1.HealthCheckResponse_ServingStatus{
		200: grpc_health_v1.HealthCheckResponse_SERVING, 503: grpc_health_v1.HealthCheckResponse_NOT_SERVING,
	} {
		s := start(t, capture.Options{Code: code})
		cc, err := grpc.NewClient("passthrough:///"+s.addr, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithUserAgent("kube-probe/1.33"))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), long)
		client := grpc_health_v1.NewHealthClient(cc)
		for range 2 {
			answer, err := client.Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: "ready"})
			if err != nil || answer.GetStatus() != want {
				t.Errorf("with %d: got %v, %v, want %v", code, answer.GetStatus(), err, want)
			}
			a := s.next(t)
			if a.Protocol != balancer.GRPC || a.Line != "POST /grpc.health.v1.Health/Check" || !strings.HasPrefix(names(a), "kubelet certain") || a.Body != 12 {
				t.Errorf("%s", text(t, a))
			}
		}
		watch, err := client.Watch(ctx, &grpc_health_v1.HealthCheckRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if answer, err := watch.Recv(); err != nil || answer.GetStatus() != want {
			t.Errorf("Watch: got %v, %v, want %v", answer.GetStatus(), err, want)
		}
		s.next(t)
		err = cc.Invoke(ctx, "/AWS.ALB/healthcheck", &grpc_health_v1.HealthCheckRequest{}, &grpc_health_v1.HealthCheckResponse{})
		if status.Code(err) != codes.Unimplemented {
			t.Errorf("ALB's method: %v, want UNIMPLEMENTED", err)
		}
		if a := s.next(t); !has(a, "alb") {
			t.Errorf("ALB's method: %s", names(a))
		}
		cancel()
		cc.Close()
	}
}
