package explain_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"hale/internal/balancer"
	"hale/internal/explain"
	"hale/internal/servertest"
)

// TestTheFixMends: the configuration that is printed is put in place of what was
// at fault, and the balancer is satisfied, with an answer of the application's.
func TestTheFixMends(t *testing.T) {
	t.Parallel()
	app := goServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Forwarded-Proto") == "http" {
			w.WriteHeader(http.StatusTeapot)
		}
	}, nil)
	shop := goServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Host != "shop.example" {
			http.Redirect(w, r, "http://shop.example"+r.URL.Path, http.StatusMovedPermanently)
		}
	}, nil)
	certs := servertest.NewCerts(t, time.Hour, "shop.example")
	inNginx := func(t *testing.T, config string) *servertest.Server { return servertest.Nginx(t, config) }
	for _, c := range []struct {
		name, as, path string
		// start starts a server with the fault, or with what mends it, in which
		// 127.0.0.1:8000 is the application.
		start func(t *testing.T, config string) *servertest.Server
		fault string
		want  balancer.CauseID
		app   string
		// other is another path, and how its answer begins still.
		other, still string
	}{
		{"nginx to https", "alb", "/health", inNginx, "return 301 https://$host$request_uri;", balancer.CauseHTTPSRedirect, app, "/x", "HTTP/1.1 301 "},
		{"Apache to https", "alb", "/health/", func(t *testing.T, config string) *servertest.Server {
			return servertest.Apache(t, config+"\nProxyPass / http://"+app+"/")
		}, "RewriteEngine On\nRewriteRule ^ https://%{HTTP_HOST}%{REQUEST_URI} [R=301,L]", balancer.CauseHTTPSRedirect, app, "/x", "HTTP/1.1 301 "},
		{"Apache to https, a path with signs", "alb", "/a+b$c", func(t *testing.T, config string) *servertest.Server {
			return servertest.Apache(t, config+"\nProxyPass / http://"+app+"/")
		}, "RewriteEngine On\nRewriteRule ^ https://%{HTTP_HOST}%{REQUEST_URI} [R=301,L]", balancer.CauseHTTPSRedirect, app, "/x", "HTTP/1.1 301 "},
		{"Caddy to https", "alb", "/health", func(t *testing.T, config string) *servertest.Server { return servertest.Caddy(t, config) },
			"http://:$PORT {\nredir https://{host}{uri} permanent\n}", balancer.CauseHTTPSRedirect, app, "/x", "HTTP/1.1 301 "},
		{"HAProxy to https", "alb", "/health", func(t *testing.T, config string) *servertest.Server {
			return servertest.HAProxy(t, haproxyDefaults+"backend app\n server one "+app+"\nfrontend f\n bind 127.0.0.1:$PORT\n"+config+"\n")
		}, "http-request redirect scheme https", balancer.CauseHTTPSRedirect, app, "/x", "HTTP/1.1 302 "},
		{"nginx to the site's name", "alb", "/health", inNginx, "return 301 http://shop.example$request_uri;", balancer.CauseSiteRedirect, shop, "/x", "HTTP/1.1 301 "},
		{"the application to its name", "alb", "/health", inNginx, "location / { proxy_pass http://" + shop + "; proxy_set_header Host $http_host; }", balancer.CauseSiteRedirect, shop, "/x", ""},
		{"nginx's default server", "alb", "/health", inNginx, "return 444; } server { listen 127.0.0.1:$PORT; server_name shop.example; return 200;", balancer.CauseDefaultServer, shop, "/x", ""},
		{"Apache's default server", "alb", "/health", func(t *testing.T, config string) *servertest.Server {
			return servertest.Apache(t, config+"\n<VirtualHost *:$PORT>\nServerName shop.example\n</VirtualHost>\nAlias /health $DIR/html/index.html")
		}, "<VirtualHost *:$PORT>\nRedirectMatch 404 ^/\n</VirtualHost>", balancer.CauseDefaultServer, shop, "", ""},
		{"nginx wants a client certificate", "alb", "/health", func(t *testing.T, config string) *servertest.Server {
			return servertest.NginxHTTP(t, "server { listen 127.0.0.1:$PORT ssl; ssl_certificate "+certs.Cert+"; ssl_certificate_key "+certs.Key+"; ssl_client_certificate "+certs.CA+";\n"+config+"\n}")
		}, "ssl_verify_client on;", balancer.CauseClientCert, app, "", ""},
		{"nginx has no such path", "alb", "/health", inNginx, "location / { return 404; }", balancer.CauseNotFound, app, "/x", ""},
		{"nginx's ssl_reject_handshake", "alb", "/health", func(t *testing.T, config string) *servertest.Server {
			return servertest.NginxHTTP(t, strings.NewReplacer("/etc/nginx/default.pem", certs.Cert, "/etc/nginx/default.key", certs.Key).Replace(config)+`
server { listen 127.0.0.1:$PORT ssl; server_name shop.example; ssl_certificate `+certs.Cert+`; ssl_certificate_key `+certs.Key+`; return 200; }`)
		}, "server { listen 127.0.0.1:$PORT ssl default_server; ssl_reject_handshake on; }", balancer.CauseNoSNI, shop, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			where := at(c.start(t, c.fault), c.path)
			if c.want == balancer.CauseNoSNI || c.want == balancer.CauseClientCert {
				where.url = "https" + strings.TrimPrefix(where.url, "http")
			}
			if c.app == shop && c.want != balancer.CauseSiteRedirect {
				where.options.Site = "shop.example"
			}
			before := play(t, c.as, where)
			if before.OK || before.Cause() != c.want {
				t.Fatalf("the cause is %q, want %s:\n%s", before.Cause(), c.want, story(before))
			}
			config, _, _ := strings.Cut(before.Findings[0].Config, "\n# or the balancer")
			for _, hollow := range []string{`return 200`, `respond "ok"`, "return status 200"} {
				if strings.Contains(config, hollow) {
					t.Errorf("it answers without the application, by %s:\n%s", hollow, config)
				}
			}
			_, port, _ := strings.Cut(strings.TrimPrefix(where.url, "http://"), ":")
			port, _, _ = strings.Cut(strings.TrimPrefix(port, "//127.0.0.1:"), "/")
			config = strings.NewReplacer("127.0.0.1:8000", c.app, "listen "+port, "listen 127.0.0.1:$PORT", port, "$PORT").Replace(config)
			mended := c.start(t, config)
			where.url = strings.SplitAfter(where.url, "//")[0] + mended.Addr + c.path
			after := play(t, c.as, where)
			if !after.OK {
				t.Errorf("with\n%s\nit is still\n%s", config, story(after))
			}
			if c.still != "" {
				if got := raw(t, mended.Addr, "GET "+c.other+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 20*time.Second); !strings.HasPrefix(got, c.still) {
					t.Errorf("%s is answered with %.200q, want %q", c.other, got, c.still)
				}
			}
		})
	}
}

// TestTheExactPathIsTheOtherOne: where the answer is no redirect too.
func TestTheExactPathIsTheOtherOne(t *testing.T) {
	t.Parallel()
	django := servertest.Django(t, "")
	nginx := servertest.Nginx(t, "location = /missing { return 404; } location = /missing/ { return 200; }")
	for _, c := range []struct{ url, want string }{
		{"http://" + nginx.Addr + "/missing", "/missing/"},
		{"http://" + nginx.Addr + "/missing?a=b", "/missing/?a=b"},
		{"http://" + django.Addr + "/health_check/", "/health_check"},
		{"http://" + django.Addr + "/health", "/health/"},
	} {
		r := play(t, "alb", place{url: c.url})
		if r.Cause() != balancer.CauseTrailingSlash || !strings.Contains(story(r), "exact path, "+c.want+".") {
			t.Errorf("%s: want the path %s:\n%s", c.url, c.want, story(r))
			continue
		}
		base, _, _ := strings.Cut(strings.TrimPrefix(c.url, "http://"), "/")
		if r := play(t, "alb", place{url: "http://" + base + c.want}); !r.OK {
			t.Error(story(r))
		}
	}
}

// TestADjangoIsCertainOnlyIfProven: by the redirect's look it is likely, and
// X-Forwarded-Proto proves it.
func TestADjangoIsCertainOnlyIfProven(t *testing.T) {
	t.Parallel()
	const settings = "SECURE_SSL_REDIRECT = True\nSECURE_PROXY_SSL_HEADER = ('HTTP_X_FORWARDED_PROTO', 'https')"
	django := servertest.Django(t, settings)
	nginx := servertest.Nginx(t, "location / { proxy_pass http://"+django.Addr+"; proxy_set_header Host $http_host; proxy_set_header X-Forwarded-Proto $scheme; }")
	for where, want := range map[*servertest.Server]explain.Certainty{django: explain.Certain, nginx: explain.Likely} {
		r := play(t, "alb", at(where, "/health_check"))
		if r.Cause() != balancer.CauseDjangoSSL || r.Findings[0].Sure != want {
			t.Errorf("want %s\n%s", want, story(r))
		}
	}
}
