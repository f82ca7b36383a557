package explain_test

import (
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"hale/internal/balancer"
	"hale/internal/servertest"
	"hale/internal/verdict"
)

// webCases are what web servers do of their own.
func webCases() []labCase {
	return []labCase{
		{
			name: "nginx redirects to https", as: "alb gcp elb azure-lb", sees: "HTTP/1.1 301 ",
			start: nginxAt("/health_check", `server_name shop.example; location / { return 301 https://$host$request_uri; }`),
			want:  balancer.CauseHTTPSRedirect, software: "nginx", fix: "location = /health_check",
		},
		{
			name: "nginx redirects to https on the site's name", as: "alb", sees: "HTTP/1.1 301 ",
			start: nginxAt("/health_check", `return 301 https://shop.example$request_uri;`),
			want:  balancer.CauseHTTPSRedirect, software: "nginx", fix: "location = /health_check",
		},
		{
			name: "nginx redirects to the site's name", as: "alb gcp caddy", content: "nlb kubelet haproxy", sees: "HTTP/1.1 301 ",
			start: nginxAt("/health_check", `if ($host != "shop.example") { return 301 http://shop.example$request_uri; } return 200 "well";`),
			want:  balancer.CauseSiteRedirect, software: "nginx", fix: "location = /",
		},
		{
			name: "nginx sends strangers to a login elsewhere", as: "alb gcp", sees: "HTTP/1.1 302 ",
			start: nginxAt("/", `return 302 https://sso.example/login?next=$request_uri;`), want: balancer.CauseLoginRedirect,
		},
		{
			name: "Apache redirects to https", as: "alb gcp", sees: "HTTP/1.1 301 ",
			start: func(t *testing.T, _ *laboratory) place {
				return at(servertest.Apache(t, "RewriteEngine on\nRewriteRule ^ https://%{HTTP_HOST}%{REQUEST_URI} [R=301,L]"), "/healthz")
			},
			want: balancer.CauseHTTPSRedirect, software: "Apache", fix: "RewriteCond",
		},
		{
			name: "nginx's default server says 404", as: "alb nlb kubelet", sees: "HTTP/1.1 404 ",
			start: named(`return 404;`), want: balancer.CauseDefaultServer, software: "nginx", fix: "default",
		},
		{
			name: "nginx's default server hangs up", as: "alb gcp", sees: closed,
			start: named(`return 444;`), want: balancer.CauseDefaultServer, software: "nginx", fix: "default",
		},
		{
			name: "basic auth", as: "alb kubelet haproxy", sees: "HTTP/1.1 401 ",
			start: nginxAt("/", `location / { auth_basic "staff"; auth_basic_user_file /dev/null; root $DIR; try_files /nginx.conf =404; }`),
			want:  balancer.CauseAuth, software: "nginx", fix: "auth_basic off",
		},
		{
			name: "limit_req with 429", as: "alb kubelet", sends: "GET / HTTP/1.0", sees: "HTTP/1.1 429 ",
			start: limited("2r/m", "limit_req_status 429;"), want: balancer.CauseRateLimit, software: "nginx", fix: "limit_req",
		},
		{
			name: "limit_req with nginx's own 503", waits: true, as: "alb", sends: "GET / HTTP/1.0", sees: "HTTP/1.1 503 ",
			start: limited("40r/m", ""), again: true, want: balancer.CauseRateLimit, software: "nginx", fix: "limit_req",
		},
		{
			name: "204", as: "gcp azure-lb elb front-door alb envoy", content: "kubelet haproxy nlb consul caddy", sees: "HTTP/1.1 204 ",
			start: nginxAt("/", `return 204;`), want: balancer.CauseNoContent, software: "nginx", fix: "200",
		},
		{
			name: "201", as: "gcp azure-lb", sees: "HTTP/1.1 201 ", start: nginxAt("/", `return 201 ok;`), want: balancer.CauseNoContent, fix: "return 201",
		},
		{
			name: "202", as: "alb elb gcp azure-lb cloudflare front-door envoy", content: "kubelet haproxy nlb consul caddy traefik", sees: "HTTP/1.1 202 ",
			start: nginxAt("/", `return 202 ok;`), want: balancer.CauseNoContent, software: "nginx", fix: "in place of 202",
		},
		{
			name: "206", as: "cloudflare elb", sees: "HTTP/1.1 206 ", start: nginxAt("/", `return 206 ok;`), want: balancer.CauseNoContent, fix: "in place of 206",
		},
		{
			name: "a success that has no name", as: "alb", sees: "HTTP/1.1 299 ", start: nginxAt("/", `return 299 ok;`), want: balancer.CauseNoContent, fix: "in place of 299",
		},
		{
			name: "nginx refuses OPTIONS for a file", as: "haproxy", content: "alb front-door", sends: "OPTIONS / HTTP/1.0", sees: "HTTP/1.1 405 ",
			start: nginxAt("/", `root $DIR; location = / { try_files /nginx.conf =404; }`),
			want:  balancer.CauseMethod, software: "nginx", fix: "option httpchk GET",
		},
		{
			name: "a filter against bots", as: "alb elb", content: "kubelet", sees: "HTTP/1.1 403 ",
			start: nginxAt("/", `if ($http_user_agent ~* "elb|bot|curl") { return 403; } return 200;`),
			want:  balancer.CauseBotFilter, software: "nginx",
		},
		{
			name: "a filter against those without User-Agent", as: "haproxy hetzner", content: "alb kubelet", sends: "GET / HTTP/1.0", sees: "HTTP/1.1 403 ",
			start: nginxAt("/", `if ($http_user_agent = "") { return 403; } return 200;`),
			want:  balancer.CauseBotFilter, software: "nginx",
		},
		{
			name: "a server that wants a Host", as: "haproxy hetzner", content: "alb kubelet", sends: "GET / HTTP/1.0", sees: "HTTP/1.1 400 ",
			start: nginxAt("/", `if ($http_host = "") { return 400; } return 200;`),
			want:  balancer.CauseNoHost, software: "nginx",
		},
		{
			name: "nginx has no such path", as: "alb elb kubelet", sees: "HTTP/1.1 404 ",
			start: nginxAt("/healthz", `root $DIR; location = / { return 200; }`), want: balancer.CauseNotFound, software: "nginx", fix: "/healthz",
			otherwise: "haproxy", // nginx refuses OPTIONS for files
		},
		{
			name: "nginx's directory wants a slash", as: "alb gcp", sees: "HTTP/1.1 301 ",
			start: nginxAt("/body", `root $DIR; autoindex on;`), want: balancer.CauseTrailingSlash, software: "nginx", fix: "/body/",
			otherwise: "haproxy", // nginx refuses OPTIONS for files
		},
		{
			name: "502: nothing is behind nginx", as: "alb kubelet haproxy", sees: "HTTP/1.1 502 ",
			start: func(t *testing.T, _ *laboratory) place {
				return at(servertest.Nginx(t, `location / { proxy_pass http://127.0.0.1:`+freePort(t)+`; }`), "/")
			},
			want: balancer.CauseBroken, software: "nginx",
		},
		{
			// It says nothing of the application.
			name: "nginx says 503 of its own", waits: true, as: "alb", sees: "HTTP/1.1 503 ",
			start: nginxAt("/", `return 503;`), want: "", software: "nginx", fix: "before what refuses it", asks: "limiting requests",
		},
		{
			name: "504: what is behind nginx is silent", waits: true, as: "alb", sees: "HTTP/1.1 504 ",
			start: func(t *testing.T, _ *laboratory) place {
				return at(servertest.Nginx(t, `location / { proxy_read_timeout 1s; proxy_pass http://`+silence(t)+`; }`), "/")
			},
			want: balancer.CauseBroken, software: "nginx",
		},
		{
			// Spring Boot's actuator is not among Debian's packages; this is what
			// it says.
			name: "a dependency is down", as: "alb kubelet", sees: "HTTP/1.1 503 ",
			start: func(t *testing.T, _ *laboratory) place {
				return place{url: "http://" + goServer(t, func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Content-Type", "application/vnd.spring-boot.actuator.v3+json")
					w.WriteHeader(503)
					_, _ = w.Write([]byte(`{"status":"DOWN","components":{"db":{"status":"DOWN","details":{"error":"Connection refused"}},"ping":{"status":"UP"}}}`))
				}, nil) + "/actuator/health"}
			},
			want: balancer.CauseDependency, fix: "dependency",
		},
		{
			name: "hale says that a check fails", as: "alb kubelet haproxy", sees: "HTTP/1.1 503 ",
			start: func(t *testing.T, _ *laboratory) place {
				return place{url: "http://" + haleListener(t, verdict.Fail) + "/readyz"}
			},
			want: balancer.CauseDependency, software: "hale", fix: "hale status",
		},
	}
}

// nginxAt starts an nginx of one server and asks a path of it.
func nginxAt(path, server string) func(*testing.T, *laboratory) place {
	return func(t *testing.T, _ *laboratory) place { return at(servertest.Nginx(t, server), path) }
}

// named starts an nginx whose default server does something else than the
// site's.
func named(byDefault string) func(*testing.T, *laboratory) place {
	return func(t *testing.T, _ *laboratory) place {
		where := at(servertest.NginxHTTP(t, `
server { listen 127.0.0.1:$PORT default_server; server_name _; `+byDefault+` }
server { listen 127.0.0.1:$PORT; server_name shop.example; return 200 "the shop\n"; }`), "/")
		where.options.Site = "shop.example"
		return where
	}
}

// limited starts an nginx that answers so many requests, and asks it once.
func limited(rate, how string) func(*testing.T, *laboratory) place {
	return func(t *testing.T, _ *laboratory) place {
		s := servertest.NginxHTTP(t, `
limit_req_zone $binary_remote_addr zone=all:1m rate=`+rate+`;
server { listen 127.0.0.1:$PORT; root $DIR; `+how+`
  location = / { limit_req zone=all; try_files /nginx.conf =404; } }`)
		if got := raw(t, s.Addr, "GET / HTTP/1.0\r\n\r\n", 30*time.Second); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
			t.Fatalf("the first answer is %.200q, want 200", got)
		}
		return at(s, "/")
	}
}

// silence listens and takes connections, and never answers.
func silence(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return listener.Addr().String()
}

// hold connects and sends nothing until the test ends.
func hold(t *testing.T, addr string) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", addr, 20*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
}
