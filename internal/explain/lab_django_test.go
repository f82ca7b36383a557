package explain_test

import (
	"io"
	"log"
	"strconv"
	"testing"

	"hale/internal/balancer"
	"hale/internal/servertest"
)

// djangoCases are what Django does, asked directly and behind nginx.
func djangoCases() []labCase {
	return []labCase{
		{
			name: "ALLOWED_HOSTS", waits: true, as: "alb app-gateway nlb", sees: "HTTP/1.1 400 ",
			start: pageOf("/health_check", strict, false),
			want:  balancer.CauseDjangoHosts, software: "Django", fix: "127.0.0.1",
		},
		{
			name: "ALLOWED_HOSTS behind nginx", as: "alb kubelet gcp elb haproxy", sees: "HTTP/1.1 400 ",
			start: pageOf("/health_check", strict, true),
			want:  balancer.CauseDjangoHosts, software: "Django", fix: "ALLOWED_HOSTS",
		},
		{
			name: "ALLOWED_HOSTS and a site that is known", waits: true, as: "alb", sees: "HTTP/1.1 400 ",
			start: func(t *testing.T, lab *laboratory) place {
				where := at(lab.strict, "/health_check")
				where.options.Site = "shop.example"
				return where
			},
			want: balancer.CauseDjangoHosts, software: "Django", fix: "ALLOWED_HOSTS",
		},
		{
			// Envoy sends the name of its cluster, and this Django allows any Host.
			name: "a Host that is none to Django", as: "envoy alb", sends: "GET /health_check HTTP/1.0\r\nHost: my_cluster", sees: "HTTP/1.0 400 ",
			start: func(_ *testing.T, lab *laboratory) place {
				where := at(lab.open, "/health_check")
				where.options.Host = "my_cluster"
				return where
			},
			want: balancer.CauseHostGuard, software: "Django", fix: "to ALLOWED_HOSTS does not help",
		},
		{
			name: "SECURE_SSL_REDIRECT", waits: true, as: "alb gcp kubelet", sees: "HTTP/1.1 301 ",
			start: pageOf("/health_check", ssl, false),
			want:  balancer.CauseDjangoSSL, software: "Django", fix: "SECURE_REDIRECT_EXEMPT",
		},
		{
			name: "SECURE_SSL_REDIRECT behind nginx", as: "alb", sees: "HTTP/1.1 301 ",
			start: pageOf("/health_check", ssl, true),
			want:  balancer.CauseDjangoSSL, software: "Django", fix: "SECURE_REDIRECT_EXEMPT",
		},
		{
			name: "APPEND_SLASH", as: "alb gcp elb", content: "kubelet nlb traefik", sees: "HTTP/1.1 301 ",
			start: pageOf("/health", open, false), want: balancer.CauseTrailingSlash, fix: "/health/",
		},
		{
			name: "APPEND_SLASH behind nginx", as: "alb", sees: "HTTP/1.1 301 ",
			start: pageOf("/health", open, true), want: balancer.CauseTrailingSlash, fix: "/health/",
		},
		{
			name: "login required", as: "alb gcp caddy", sees: "HTTP/1.1 302 ",
			start: pageOf("/private/", open, false), want: balancer.CauseLoginRedirect,
			// They follow, and the site has no page to log in.
			otherwise: "consul kubelet traefik",
		},
		{
			name: "an API wants a token", as: "alb kubelet haproxy", sees: "HTTP/1.1 401 ",
			start: pageOf("/api/", open, false), want: balancer.CauseAuth,
		},
		{
			name: "the view is broken", as: "alb kubelet haproxy gcp", sees: "HTTP/1.1 500 ",
			start: pageOf("/broken/", open, false), want: balancer.CauseBroken,
		},
		{
			name: "the view is broken, or boots still", as: "alb", start: pageOf("/broken/", open, false),
			want: balancer.CauseBroken, asks: "grace period",
		},
		{
			name: "Django has no such path", as: "elb", sends: "GET /index.html HTTP/1.1", sees: "HTTP/1.1 404 ",
			start: pageOf("", open, false), want: balancer.CauseNotFound,
		},
		{
			name: "HEAD is refused", as: "front-door", content: "alb", sends: "HEAD /get-only/ HTTP/1.1", sees: "HTTP/1.1 405 ",
			start: pageOf("/get-only/", open, false), want: balancer.CauseMethod, fix: "HEAD",
		},
		{
			name: "OPTIONS is refused", as: "haproxy", content: "alb", sends: "OPTIONS /get-only/ HTTP/1.0", sees: "HTTP/1.0 405 ",
			start: pageOf("/get-only/", open, false), want: balancer.CauseMethod, fix: "option httpchk GET",
		},
		{
			name: "a slow answer", waits: true, as: "kubelet haproxy", content: "app-gateway", sees: silent,
			start: pageOf("/slow/3/", open, false), want: balancer.CauseSlow,
		},
		{
			name: "a silent connection holds the only worker", waits: true, as: "kubelet", sees: silent,
			start: func(t *testing.T, _ *laboratory) place {
				s := servertest.Django(t, "", "--timeout", "120")
				hold(t, s.Addr)
				return at(s, "/")
			},
			want: balancer.CauseBusyWorkers, fix: "gthread",
		},
	}
}

// pageOf asks a page of one of the shared sites, directly or behind an nginx
// that passes the Host on.
func pageOf(path string, site func(*laboratory) *servertest.Server, behindNginx bool) func(*testing.T, *laboratory) place {
	return func(t *testing.T, lab *laboratory) place {
		s := site(lab)
		if behindNginx {
			s = servertest.Nginx(t, `location / { proxy_pass http://`+s.Addr+`; proxy_set_header Host $http_host; proxy_set_header X-Forwarded-Proto $scheme; }`)
		}
		return at(s, path)
	}
}

func open(lab *laboratory) *servertest.Server   { return lab.open }
func strict(lab *laboratory) *servertest.Server { return lab.strict }
func ssl(lab *laboratory) *servertest.Server    { return lab.ssl }

func freePort(t *testing.T) string { return strconv.Itoa(servertest.FreePort(t)) }

func quiet() *log.Logger { return log.New(io.Discard, "", 0) }
