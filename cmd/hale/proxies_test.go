package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"hale/internal/servertest"
)

// The proxies that Debian has, each taking a site out and in again by hale's
// verdict. For HAProxy see haproxy_test.go.

// TestNginxAsksForEachRequest: nginx with auth_request gives a request to the
// application only if hale's verdict is good.
func TestNginxAsksForEachRequest(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.start(t)
	nginx := servertest.Nginx(t, fmt.Sprintf(`
    location / {
      auth_request /ready;
      error_page 500 =503 @out;
      proxy_pass http://%s;
    }
    location = /ready {
      internal;
      proxy_pass http://%s/readyz;
      proxy_pass_request_body off;
      proxy_set_header Content-Length "";
    }
    location @out { return 503 "out of service"; }`, s.app, s.public))
	front := "http://" + nginx.Addr
	s.outAndIn(t, nginx, answered(front, "200", "the app"), answered(front, "503", "out of service"))
}

// TestNginxPassesOver: nginx, whose checks are passive, counts hale's 503 as a
// failure of an upstream, passes over it, and comes back to it.
func TestNginxPassesOver(t *testing.T) {
	t.Parallel()
	s, other := newSite(t), newSite(t)
	s.start(t)
	other.start(t)
	nginx := servertest.NginxHTTP(t, fmt.Sprintf(`
  upstream web {
    server %s max_fails=1 fail_timeout=1s;
    server %s max_fails=1 fail_timeout=1s;
  }
  server {
    listen 127.0.0.1:$PORT;
    proxy_next_upstream error timeout http_503;
    add_header X-Upstream $upstream_addr always;
    location / { proxy_pass http://web; }
  }`, s.public, other.public))

	// upstreams asks a number of times and tells who answered, which must be good.
	upstreams := func() (map[string]int, error) {
		who := map[string]int{}
		for range 20 {
			response, err := client.Get("http://" + nginx.Addr)
			if err != nil {
				return nil, err
			}
			body, _ := io.ReadAll(response.Body)
			response.Body.Close()
			if response.StatusCode != 200 {
				return nil, fmt.Errorf("%s %s from %s", response.Status, body, response.Header.Get("X-Upstream"))
			}
			who[response.Header.Get("X-Upstream")]++
		}
		return who, nil
	}
	in := func() error {
		who, err := upstreams()
		if err == nil && (who[s.public] == 0 || who[other.public] == 0) {
			err = fmt.Errorf("answered: %v, want both", who)
		}
		return err
	}
	failing := answered("http://"+s.public, "503", "fail")
	out := func() error {
		if err := failing(); err != nil {
			return err
		}
		who, err := upstreams()
		if err != nil {
			t.Errorf("with one of two failing: %v", err)
		}
		if who[s.public] > 0 {
			return fmt.Errorf("answered: %v, want %s alone", who, other.public)
		}
		return nil
	}
	s.outAndIn(t, nginx, in, out)
}

// TestCaddy: Caddy's active health checks.
func TestCaddy(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.start(t)
	caddy := servertest.Caddy(t, fmt.Sprintf(`http://:$PORT {
	reverse_proxy %s {
		health_uri /readyz
		health_port %s
		health_interval 100ms
		health_timeout 10s
	}
}`, s.app, portOf(s.public)))
	front := "http://" + caddy.Addr
	s.outAndIn(t, caddy, answered(front, "200", "the app"), answered(front, "503", ""))
}

// TestCaddyToHale: Caddy's health checks go the way of its requests, so hale is
// asked over TLS and over HTTP/2 without it too. When it is out, Caddy answers
// itself.
func TestCaddyToHale(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.start(t)
	for name, how := range map[string][2]string{
		"http":  {"http://", ""},
		"https": {"https://", "transport http {\ntls_insecure_skip_verify\nversions 1.1\n}"},
		"h2":    {"https://", "transport http {\ntls_insecure_skip_verify\nversions 2\n}"},
		"h2c":   {"h2c://", ""},
	} {
		t.Run(name, func(t *testing.T) {
			caddy := servertest.Caddy(t, fmt.Sprintf(`http://:$PORT {
	reverse_proxy %s%s {
		health_uri /readyz
		health_interval 100ms
		health_timeout 10s
		%s
	}
}`, how[0], s.public, how[1]))
			front := "http://" + caddy.Addr
			s.outAndIn(t, caddy, answered(front, "200", "ok"), func() error {
				if got := ask(front); got != "503" {
					return fmt.Errorf("got %q, want 503 from Caddy", got)
				}
				return nil
			})
		})
	}
}

// TestApache: Apache's mod_proxy_hcheck. It asks the very address that it
// balances to, so hale is the application here; when it is out, Apache answers
// itself.
func TestApache(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"GET", "HEAD", "OPTIONS", "GET11", "HEAD11", "OPTIONS11"} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.start(t)
			apache := servertest.Apache(t, fmt.Sprintf(`
Include /etc/apache2/mods-available/slotmem_shm.load
Include /etc/apache2/mods-available/proxy_balancer.load
Include /etc/apache2/mods-available/lbmethod_byrequests.load
Include /etc/apache2/mods-available/proxy_hcheck.load
ProxyHCExpr passes {%%{REQUEST_STATUS} =~ /^[23]/}
<Proxy balancer://web>
  BalancerMember http://%s hcmethod=%s hcuri=/readyz hcinterval=100ms hcpasses=1 hcfails=1 hcexpr=passes
</Proxy>
ProxyPass / balancer://web/`, s.public, method))
			front := "http://" + apache.Addr
			s.outAndIn(t, apache, answered(front, "200", "ok"), func() error {
				got := ask(front)
				if !strings.HasPrefix(got, "503 ") || strings.HasSuffix(got, " fail") {
					return fmt.Errorf("got %q, want 503 from Apache", got)
				}
				return nil
			})
		})
	}
}

// TestVarnish: Varnish's probe, which asks the very address that it gets pages
// from; when hale is out, Varnish answers itself.
func TestVarnish(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.start(t)
	varnish := servertest.Varnish(t, fmt.Sprintf(`
backend web {
  .host = "127.0.0.1";
  .port = "%s";
  .probe = { .url = "/readyz"; .interval = 100ms; .timeout = 10s; .window = 1; .threshold = 1; }
}
sub vcl_recv { return (pass); }
sub vcl_backend_error {
  set beresp.http.X-Sick = "yes";
  return (deliver);
}`, portOf(s.public)))
	sick := func(want bool) func() error {
		return func() error {
			response, err := client.Get("http://" + varnish.Addr)
			if err != nil {
				return err
			}
			defer response.Body.Close()
			body, _ := io.ReadAll(response.Body)
			if got := response.Header.Get("X-Sick") == "yes"; got != want {
				return fmt.Errorf("%s %q, sick %v", response.Status, body, got)
			}
			if want != (response.StatusCode == http.StatusServiceUnavailable) {
				return errors.New(response.Status)
			}
			return nil
		}
	}
	s.outAndIn(t, varnish, sick(false), sick(true))
}
