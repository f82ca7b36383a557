package servertest_test

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"hale/internal/servertest"
)

func TestDjangoAnswersAsItsSettingsSay(t *testing.T) {
	t.Parallel()
	open := servertest.Django(t, "")
	strict := servertest.Django(t, `ALLOWED_HOSTS = ["shop.example"]`+"\nSECURE_SSL_REDIRECT = True\n"+`SECURE_REDIRECT_EXEMPT = [r"^health_check$"]`)
	for _, tt := range []struct {
		server              *servertest.Server
		request, host, want string
	}{
		{open, "GET /", "127.0.0.1", "200 OK"},
		{open, "OPTIONS /", "", "200 OK"},
		{open, "HEAD /health_check", "127.0.0.1", "200 OK"},
		{open, "GET /health", "127.0.0.1", "301 Moved Permanently"},
		{open, "HEAD /get-only/", "127.0.0.1", "405 Method Not Allowed"},
		{open, "GET /private/", "127.0.0.1", "302 Found"},
		{open, "GET /broken/", "127.0.0.1", "500 Internal Server Error"},
		{open, "GET /api/", "127.0.0.1", "401 Unauthorized"},
		{open, "GET /slow/0/", "127.0.0.1", "200 OK"},
		{open, "GET /none", "127.0.0.1", "404 Not Found"},
		{strict, "GET /health_check", "127.0.0.1", "400 Bad Request"},
		{strict, "GET /health_check", "shop.example", "200 OK"},
		{strict, "GET /", "shop.example", "301 Moved Permanently"},
	} {
		head := tt.request + " HTTP/1.0\r\n"
		if tt.host != "" {
			head += "Host: " + tt.host + "\r\n"
		}
		if got := exchange(t, tt.server, head+"\r\n"); !strings.HasPrefix(got, "HTTP/1.1 "+tt.want+"\r\n") && !strings.HasPrefix(got, "HTTP/1.0 "+tt.want+"\r\n") {
			t.Errorf("%s of %q: got %q, want %s", tt.request, tt.host, got, tt.want)
		}
	}
}

// exchange sends a text and returns all that comes until the connection ends.
func exchange(t *testing.T, s *servertest.Server, text string) string {
	t.Helper()
	conn, err := net.DialTimeout("tcp", s.Addr, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := conn.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Errorf("%q, then %v", answer, err)
	}
	return string(answer)
}

func TestRailsAnswersAsItsSettingsSay(t *testing.T) {
	t.Parallel()
	hosts := servertest.Rails(t, `use ActionDispatch::HostAuthorization, ["shop.example"]`)
	ssl := servertest.Rails(t, `use ActionDispatch::SSL`)
	for _, tt := range []struct {
		server *servertest.Server
		fields string
		want   string
	}{
		{hosts, "Host: 127.0.0.1\r\n", "HTTP/1.1 403 Forbidden\r\n"},
		{hosts, "Host: shop.example\r\n", "HTTP/1.1 200 OK\r\n"},
		{ssl, "Host: shop.example\r\n", "HTTP/1.1 301 Moved Permanently\r\n"},
		{ssl, "Host: shop.example\r\nX-Forwarded-Proto: https\r\n", "HTTP/1.1 200 OK\r\n"},
	} {
		if got := exchange(t, tt.server, "GET /up HTTP/1.1\r\nConnection: close\r\n"+tt.fields+"\r\n"); !strings.HasPrefix(got, tt.want) {
			t.Errorf("%q: got %q, want %q", tt.fields, got, tt.want)
		} else {
			t.Logf("%s", got)
		}
	}
}
