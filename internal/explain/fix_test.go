package explain_test

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"hale/internal/balancer"
	"hale/internal/explain"
	"hale/internal/servertest"
)

// A mending is a server with a fault, and what becomes of it with the
// configuration that is printed.
type mending struct {
	name, path string
	// start starts a server with the fault, or with what mends it, in which
	// 127.0.0.1:8000 is the application.
	start func(t *testing.T, config string) *servertest.Server
	fault string
	want  balancer.CauseID
	app   string
	// other is another path, and how its answer begins still.
	other, still string
	// warns is part of what is said besides.
	warns string
	// secure is true if it is asked over https, and site what --site names.
	secure bool
	site   string
	// section is how the comments begin over the part to be used, where there is
	// more than one software's.
	section string
	// ask is where the balancer is to ask then, if it is at another port.
	ask string
}

// try has the fault explained, and tries what is printed.
func (c mending) try(t *testing.T) {
	t.Parallel()
	where := at(c.start(t, c.fault), c.path)
	if c.secure {
		where.url = "https" + strings.TrimPrefix(where.url, "http")
	}
	where.options.Site = c.site
	before := play(t, "alb", where)
	if before.OK || before.Cause() != c.want {
		t.Fatalf("the cause is %q, want %s:\n%s", before.Cause(), c.want, story(before))
	}
	if !strings.Contains(story(before), c.warns) {
		t.Errorf("it lacks %q:\n%s", c.warns, story(before))
	}
	config, _, _ := strings.Cut(before.Findings[0].Config, "\n# or the balancer")
	if c.section != "" {
		config = section(config, c.section)
	}
	scheme, rest, _ := strings.Cut(where.url, "://127.0.0.1:")
	port, _, _ := strings.Cut(rest, "/")
	config = strings.NewReplacer("127.0.0.1:8000", c.app, "listen "+port, "listen 127.0.0.1:$PORT", "bind :"+port, "bind 127.0.0.1:$PORT", port, "$PORT").Replace(config)
	mended := c.start(t, config)
	where.url = scheme + "://" + mended.Addr + c.path
	if c.ask != "" {
		where.url = c.ask + c.path
		opened(t, strings.TrimPrefix(c.ask, "http://"))
	}
	after := play(t, "alb", where)
	if !after.OK {
		t.Errorf("with\n%s\nit is still\n%s", config, story(after))
	} else if got := body(t, where.url); got != asked {
		t.Errorf("the answer is not the application's but %q, with\n%s", got, config)
	}
	if c.still == "" {
		return
	}
	if c.secure {
		if got := overTLS(t, mended.Addr); !strings.Contains(got, c.still) {
			t.Errorf("/ is answered with %.200q, want %q, with\n%s", got, c.still, config)
		}
	} else if got := raw(t, mended.Addr, "GET "+c.other+" HTTP/1.1\r\nHost: x\r\nUser-Agent: curl\r\nConnection: close\r\n\r\n", 20*time.Second); !strings.HasPrefix(got, c.still) {
		t.Errorf("%s is answered with %.200q, want %q, with\n%s", c.other, got, c.still, config)
	}
}

// section is the part of a configuration from the first comment that begins so to
// the one that begins with another software's name.
func section(config, begins string) string {
	var lines []string
	inside := false
	for line := range strings.Lines(config) {
		for _, name := range []string{"# nginx", "# Apache", "# haproxy.cfg", "# Caddyfile"} {
			if strings.HasPrefix(line, name) {
				inside = name == begins
			}
		}
		if inside {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

// body asks as the balancer does, and returns the body.
func body(t *testing.T, url string) string {
	t.Helper()
	client := http.Client{
		Timeout:       20 * time.Second,
		Transport:     &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("User-Agent", "ELB-HealthChecker/2.0")
	answer, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// asked is what the application of a mending answers.
const asked = "the application was asked\n"

// mended starts an application that minds neither Host nor scheme, and a shop that
// knows no Host but its own.
func mended(t *testing.T) (app, shop string) {
	app = goServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Forwarded-Proto") == "http" {
			w.WriteHeader(http.StatusTeapot)
		}
		_, _ = io.WriteString(w, asked)
	}, nil)
	shop = goServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Host != "shop.example" {
			http.Redirect(w, r, "http://shop.example"+r.URL.Path, http.StatusMovedPermanently)
			return
		}
		_, _ = io.WriteString(w, asked)
	}, nil)
	return app, shop
}

// inFrontend starts a HAProxy whose frontend has the lines given besides.
func inFrontend(app string) func(*testing.T, string) *servertest.Server {
	return func(t *testing.T, config string) *servertest.Server {
		return servertest.HAProxy(t, haproxyDefaults+"backend app\n server one "+app+"\nfrontend f\n bind 127.0.0.1:$PORT\n"+config+"\n")
	}
}

// TestTheFixMends: the configuration that is printed is put in place of what was
// at fault, and the balancer is satisfied, with an answer of the application's.
func TestTheFixMends(t *testing.T) {
	t.Parallel()
	app, shop := mended(t)
	certs := servertest.NewCerts(t, time.Hour, "shop.example")
	inNginx := func(t *testing.T, config string) *servertest.Server { return servertest.Nginx(t, config) }
	inApache := func(t *testing.T, config string) *servertest.Server {
		return servertest.Apache(t, "<VirtualHost *:$PORT>\n"+config+"\n</VirtualHost>")
	}
	inCaddy := func(t *testing.T, config string) *servertest.Server { return servertest.Caddy(t, config) }
	const apacheToHTTPS = "RewriteEngine On\nRewriteRule ^ https://%{HTTP_HOST}%{REQUEST_URI} [R=301,L]"
	for _, c := range []mending{
		{
			name: "nginx to https", path: "/health", start: inNginx, app: app, want: balancer.CauseHTTPSRedirect,
			fault: "return 301 https://$host$request_uri;", other: "/x", still: "HTTP/1.1 301 ",
		},
		{
			name: "Apache to https", path: "/health/", start: inApache, app: app, want: balancer.CauseHTTPSRedirect,
			fault: apacheToHTTPS, other: "/health/x", still: "HTTP/1.1 301 ",
		},
		{
			name: "Apache to https, by Redirect", path: "/health", start: inApache, app: app, want: balancer.CauseHTTPSRedirect,
			fault: "Redirect permanent / https://shop.example/", other: "/x", still: "HTTP/1.1 301 ",
		},
		{
			name: "Apache to https, a path with signs", path: "/a+b$c", start: inApache, app: app, want: balancer.CauseHTTPSRedirect,
			fault: apacheToHTTPS, other: "/x", still: "HTTP/1.1 301 ",
		},
		{
			name: "Caddy to https", path: "/health", start: inCaddy, app: app, want: balancer.CauseHTTPSRedirect,
			fault: "http://:$PORT {\nredir https://{host}{uri} permanent\n}", other: "/x", still: "HTTP/1.1 301 ",
		},
		{
			name: "HAProxy to https", path: "/health", start: inFrontend(app), app: app, want: balancer.CauseHTTPSRedirect,
			fault: "http-request redirect scheme https", other: "/x", still: "HTTP/1.1 302 ",
		},
		{
			name: "nginx to the site's name", path: "/health", start: inNginx, app: shop, want: balancer.CauseSiteRedirect,
			fault: "return 301 http://shop.example$request_uri;", other: "/x", still: "HTTP/1.1 301 ",
		},
		{
			name: "Apache to the site's name", path: "/health", start: inApache, app: shop, want: balancer.CauseSiteRedirect,
			fault: "Redirect permanent / http://shop.example/", other: "/x", still: "HTTP/1.1 301 ", warns: "# Apache",
		},
		{
			name: "Caddy to the site's name", path: "/health", app: shop, want: balancer.CauseSiteRedirect,
			start: func(t *testing.T, config string) *servertest.Server {
				return servertest.Caddy(t, "http://:$PORT {\n"+config+"\n}")
			},
			fault: "redir http://shop.example{uri} permanent", other: "/x", still: "HTTP/1.1 301 ", warns: "# Caddyfile",
		},
		{
			name: "HAProxy to the site's name", path: "/health", start: inFrontend(shop), app: shop, want: balancer.CauseSiteRedirect,
			fault: "http-request redirect prefix http://shop.example code 301 unless { hdr(host) -i shop.example }\ndefault_backend app",
			other: "/x", still: "HTTP/1.1 301 ", warns: "# haproxy.cfg",
		},
		{
			name: "the application to its name, behind nginx", path: "/health", start: inNginx, app: shop, want: balancer.CauseSiteRedirect,
			fault: "location / { proxy_pass http://" + shop + "; proxy_set_header Host $http_host; }",
		},
		{
			name: "the application to its name, behind Apache", path: "/health", app: shop, want: balancer.CauseSiteRedirect,
			start: func(t *testing.T, config string) *servertest.Server {
				return inApache(t, config+"\nProxyPass / http://"+shop+"/\nProxyPreserveHost On")
			},
			other: "/x", still: "HTTP/1.1 301 ", warns: "# Apache",
		},
		{
			name: "nginx's default server", path: "/health", app: shop, want: balancer.CauseDefaultServer, site: "shop.example",
			start: func(t *testing.T, config string) *servertest.Server {
				return inNginx(t, config+" } server { listen 127.0.0.1:$PORT; server_name shop.example; return 200;")
			},
			fault: "return 444;", other: "/x", still: closed, warns: "comes before any location",
		},
		{
			name: "nginx's default server says 404", path: "/health", app: shop, want: balancer.CauseDefaultServer, site: "shop.example",
			start: func(t *testing.T, config string) *servertest.Server {
				return inNginx(t, config+" } server { listen 127.0.0.1:$PORT; server_name shop.example; return 200;")
			},
			fault: "return 404;", other: "/x", still: "HTTP/1.1 404 ", warns: "comes before any location",
		},
		{
			name: "Apache's default server", path: "/health", app: shop, want: balancer.CauseDefaultServer, site: "shop.example",
			start: func(t *testing.T, config string) *servertest.Server {
				return servertest.Apache(t, "<VirtualHost *:$PORT>\nRedirect 404 /\n"+config+"\n</VirtualHost>\n<VirtualHost *:$PORT>\nServerName shop.example\nProxyPass / http://"+shop+"/\nProxyPreserveHost On\n</VirtualHost>")
			},
			other: "/x", still: "HTTP/1.1 404 ", warns: "# Apache",
		},
		{
			name: "Caddy's default server", path: "/health", start: func(t *testing.T, config string) *servertest.Server {
				return servertest.Caddy(t, config+"\nhttp://shop.example:$PORT {\nreverse_proxy "+shop+"\n}")
			},
			app: shop, want: balancer.CauseDefaultServer, site: "shop.example",
			fault: "http://:$PORT {\nrespond 404\n}", other: "/x", still: "HTTP/1.1 404 ", warns: "# Caddyfile",
		},
		{
			name: "HAProxy's default server", path: "/health", start: func(t *testing.T, config string) *servertest.Server {
				return inFrontend(shop)(t, config+"\n use_backend app if { hdr(host) -i shop.example }")
			},
			app: shop, want: balancer.CauseDefaultServer, site: "shop.example", other: "/x", still: "HTTP/1.1 503 ", warns: "# haproxy.cfg",
		},
		{
			name: "nginx has no such path", path: "/health", start: inNginx, app: app, want: balancer.CauseNotFound,
			fault: "location / { return 404; }",
		},
		{
			name: "nginx's ssl_reject_handshake", path: "/health", app: shop, want: balancer.CauseNoSNI, secure: true, site: "shop.example",
			start: func(t *testing.T, config string) *servertest.Server {
				return servertest.NginxHTTP(t, defaultPair(certs).Replace(config)+`
server { listen 127.0.0.1:$PORT ssl; server_name shop.example; ssl_certificate `+certs.Cert+`; ssl_certificate_key `+certs.Key+`; return 200; }`)
			},
			fault: "server { listen 127.0.0.1:$PORT ssl default_server; ssl_reject_handshake on; }", still: "404 Not Found",
		},
	} {
		t.Run(c.name, c.try)
	}
}

// defaultPair puts a certificate where a fix has one of its own.
func defaultPair(c *servertest.Certs) *strings.Replacer {
	return strings.NewReplacer("/etc/nginx/default.pem", c.Cert, "/etc/nginx/default.key", c.Key, "/etc/caddy/default.pem", c.Cert, "/etc/caddy/default.key", c.Key)
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

// opened waits until a server that is ready at one port is so at another too.
func opened(t *testing.T, address string) {
	t.Helper()
	servertest.Wait(t, address+" to be open", func() error {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return err
		}
		return conn.Close()
	})
}
