package servertest_test

import (
	"strings"
	"testing"

	"hale/internal/servertest"
)

func TestProxiesAnswer(t *testing.T) {
	for name, start := range map[string]func(*testing.T) *servertest.Server{
		"Apache": func(t *testing.T) *servertest.Server { return servertest.Apache(t, "") },
		"Caddy":  func(t *testing.T) *servertest.Server { return servertest.Caddy(t, "http://:$PORT {\nrespond 200\n}") },
		"HAProxy": func(t *testing.T) *servertest.Server {
			return servertest.HAProxy(t, "defaults\n mode http\n timeout client 5s\n timeout server 5s\n timeout connect 5s\nfrontend f\n bind 127.0.0.1:$PORT\n http-request return status 200\n")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			if got := exchange(t, s, "GET / HTTP/1.1\r\nHost: "+s.Addr+"\r\nConnection: close\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 200 OK\r\n") {
				t.Errorf("got %q, want 200\n%s", got, s.Log())
			}
		})
	}
}
