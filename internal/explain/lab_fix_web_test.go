package explain_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"hale/internal/balancer"
	"hale/internal/servertest"
)

// TestTheFixLetsThePathIn: out of a filter, a limit and a demand for a password,
// each in the configuration of who refused.
func TestTheFixLetsThePathIn(t *testing.T) {
	t.Parallel()
	app := goServer(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(asked)) }, nil)
	const nginxFilter = "# nginx: in the filter"
	inNginx := func(t *testing.T, config string) *servertest.Server {
		outside, filter, _ := strings.Cut(config, nginxFilter)
		if !strings.Contains(config, nginxFilter) {
			outside, filter = "", "\n"+config
		}
		_, filter, _ = strings.Cut(filter, "\n")
		return servertest.NginxHTTP(t, outside+"server { listen 127.0.0.1:$PORT;\n"+filter+"\n}")
	}
	inApache := func(t *testing.T, config string) *servertest.Server {
		return servertest.Apache(t, "<VirtualHost *:$PORT>\n"+config+"\nProxyPass / http://"+app+"/\n</VirtualHost>")
	}
	inCaddy := func(t *testing.T, config string) *servertest.Server {
		return servertest.Caddy(t, "http://:$PORT {\n"+strings.ReplaceAll(config, "# NAME HASH", caddyUser)+"\nreverse_proxy "+app+"\n}")
	}
	inHAProxy := func(t *testing.T, config string) *servertest.Server {
		return inFrontend(app)(t, "default_backend app\nstick-table type ip size 1k expire 1m store http_req_rate(1m)\n"+
			strings.ReplaceAll(config, "gt 100", "gt 0")+"\nuserlist USERLIST\n user staff insecure-password secret")
	}
	const proxied = "\nlocation / { proxy_pass http://127.0.0.1:8000; }"
	within := func(config string) string { return strings.ReplaceAll(config, "127.0.0.1:8000", app) }
	for _, c := range []mending{
		{
			name: "nginx filters by User-Agent", start: func(t *testing.T, config string) *servertest.Server { return inNginx(t, config+within(proxied)) },
			fault: `if ($http_user_agent ~* "elb|bot|curl") { return 403; }`, want: balancer.CauseBotFilter,
			other: "/x", still: "HTTP/1.1 403 ", warns: "before any location",
		},
		{
			name: "nginx hangs up by User-Agent", start: func(t *testing.T, config string) *servertest.Server { return inNginx(t, config+within(proxied)) },
			fault: `if ($http_user_agent ~* "elb|bot|curl") { return 444; }`, want: balancer.CauseBotFilter,
			other: "/x", still: "HTTP/1.1 403 ", warns: "before any location",
		},
		{
			name: "Apache filters by User-Agent", start: inApache, want: balancer.CauseBotFilter, warns: "# Apache",
			fault: "RewriteEngine On\nRewriteCond %{HTTP_USER_AGENT} \"elb|bot|curl\" [NC]\nRewriteRule ^ - [F]", other: "/x", still: "HTTP/1.1 403 ",
		},
		{
			name: "Apache filters by what SetEnvIf marks", want: balancer.CauseBotFilter, warns: "# Apache",
			start: func(t *testing.T, config string) *servertest.Server {
				_, config, _ = strings.Cut(config, "after these\n")
				return inApache(t, "SetEnvIfNoCase User-Agent \"elb|bot|curl\" bad_bot\n"+config+
					"\n<Location \"/\">\n<RequireAll>\nRequire all granted\nRequire not env bad_bot\n</RequireAll>\n</Location>")
			},
			other: "/x", still: "HTTP/1.1 403 ",
		},
		{
			name: "Caddy filters by User-Agent", start: inCaddy, want: balancer.CauseBotFilter, warns: "# Caddyfile",
			fault: "@bots header_regexp User-Agent (?i)elb|bot|curl\nrespond @bots 403", other: "/x", still: "HTTP/1.1 403 ",
		},
		{
			name: "HAProxy filters by User-Agent", start: inHAProxy, want: balancer.CauseBotFilter, warns: "# haproxy.cfg",
			fault: `http-request deny if { hdr_reg(user-agent) -i "elb|bot|curl" }`, other: "/x", still: "HTTP/1.1 403 ",
		},
		{
			name: "nginx wants a password", want: balancer.CauseAuth, start: func(t *testing.T, config string) *servertest.Server {
				return inNginx(t, "auth_basic staff; auth_basic_user_file /dev/null;\n"+config+within(proxied))
			},
			other: "/x", still: "HTTP/1.1 401 ", warns: "# nginx",
		},
		{
			name: "Apache wants a password", want: balancer.CauseAuth, start: func(t *testing.T, config string) *servertest.Server {
				return inApache(t, "<Location \"/\">\nAuthType Basic\nAuthName staff\nAuthUserFile /dev/null\nRequire valid-user\n</Location>\n"+config)
			},
			other: "/x", still: "HTTP/1.1 401 ", warns: "# Apache",
		},
		{
			name: "Caddy wants a password", start: inCaddy, want: balancer.CauseAuth, warns: "# Caddyfile",
			fault: "basicauth {\n" + caddyUser + "\n}", other: "/x", still: "HTTP/1.1 401 ",
		},
		{
			name: "HAProxy wants a password", start: inHAProxy, want: balancer.CauseAuth, warns: "# haproxy.cfg",
			fault: "http-request auth unless { http_auth(USERLIST) }", other: "/x", still: "HTTP/1.1 401 ",
		},
		{
			name: "HAProxy limits the rate", start: inHAProxy, want: balancer.CauseRateLimit, warns: "# haproxy.cfg",
			fault: "http-request track-sc0 src\nhttp-request deny deny_status 429 if { sc_http_req_rate(0) gt 0 }", other: "/x", still: "HTTP/1.1 429 ",
		},
	} {
		c.path, c.app = "/health", app
		t.Run(c.name, c.try)
	}
}

// caddyUser is a user with the hash of a password.
const caddyUser = "staff JDJhJDA0JEVxWUZ0dHZCRjZQOWVVbGNmM3E2Qi5nRjZ6QjVBSlBqSkdmSHVnQXE2TFlVVnVhbG9mTklL"

// TestTheFixMendsTheConnection: what is below HTTP, each in the configuration of
// who takes the connections.
func TestTheFixMendsTheConnection(t *testing.T) {
	t.Parallel()
	app, shop := mended(t)
	// HAProxy leaves the Server field of who is behind it.
	python := goServer(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Server", "gunicorn")
		_, _ = w.Write([]byte(asked))
	}, nil)
	plainApp := goServer(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(asked)) }, nil)
	certs := servertest.NewCerts(t, time.Hour, "127.0.0.1", "shop.example")
	pem := filepath.Join(t.TempDir(), "both.pem")
	if err := os.WriteFile(pem, append(certs.CertPEM, certs.KeyPEM...), 0o600); err != nil {
		t.Fatal(err)
	}
	// second has the port for health checks be one that is free.
	second := func(t *testing.T, c mending) mending {
		free := strconv.Itoa(servertest.FreePort(t))
		start := c.start
		c.start = func(t *testing.T, config string) *servertest.Server {
			return start(t, strings.NewReplacer("listen 8081", "listen 127.0.0.1:"+free, "Listen 8081", "Listen 127.0.0.1:"+free, "bind :8081", "bind 127.0.0.1:"+free, ":8081", ":"+free).Replace(config))
		}
		c.ask = "http://127.0.0.1:" + free
		return c
	}
	inNginx := func(more string) func(*testing.T, string) *servertest.Server {
		return func(t *testing.T, config string) *servertest.Server {
			return servertest.NginxHTTP(t, "server {\n"+config+"\n"+more+"}")
		}
	}
	inApache := func(config string, more string) string {
		return "LoadModule remoteip_module /usr/lib/apache2/modules/mod_remoteip.so\n<VirtualHost *:$PORT>\n" + more + "\nProxyPass / http://" + app + "/\n</VirtualHost>\n" + config
	}
	frontend := func(bind, behind string) func(*testing.T, string) *servertest.Server {
		return func(t *testing.T, config string) *servertest.Server {
			return servertest.HAProxy(t, haproxyDefaults+"backend app\n server one "+behind+"\nfrontend f\n"+bind+"\n"+strings.ReplaceAll(config, "/etc/haproxy/site.pem", pem)+"\ndefault_backend app\n")
		}
	}
	pair := "SSLEngine on\nSSLCertificateFile " + certs.Cert + "\nSSLCertificateKeyFile " + certs.Key + "\n"
	for _, c := range []mending{
		second(t, mending{
			name: "nginx wants a PROXY header", start: inNginx("location / { proxy_pass http://" + app + "; }"), app: app, want: balancer.CauseProxyExpected,
			fault: "listen 127.0.0.1:$PORT proxy_protocol;", warns: "# nginx",
		}),
		second(t, mending{
			name: "Apache wants a PROXY header", app: app, want: balancer.CauseProxyExpected, warns: "# Apache",
			start: func(t *testing.T, config string) *servertest.Server {
				return servertest.Apache(t, inApache(config, "RemoteIPProxyProtocol On"))
			},
		}),
		second(t, mending{
			name: "HAProxy wants a PROXY header", start: frontend("", python), app: python, want: balancer.CauseProxyExpected,
			fault: "bind 127.0.0.1:$PORT accept-proxy", warns: "# haproxy.cfg",
		}),
		second(t, mending{
			name: "HAProxy wants a PROXY header, and nobody names himself", start: frontend("", app), app: app, want: balancer.CauseProxyExpected,
			fault: "bind 127.0.0.1:$PORT accept-proxy", section: "# haproxy.cfg", warns: "# Apache",
		}),
		{
			name: "nginx wants a client certificate", app: app, want: balancer.CauseClientCert, secure: true,
			start: func(t *testing.T, config string) *servertest.Server {
				return servertest.NginxHTTP(t, "server { listen 127.0.0.1:$PORT ssl; ssl_certificate "+certs.Cert+"; ssl_certificate_key "+certs.Key+"; ssl_client_certificate "+certs.CA+";\n"+config+"\n}")
			},
			fault: "ssl_verify_client on;", still: "403 Forbidden",
		},
		{
			name: "Apache wants a client certificate", app: app, want: balancer.CauseClientCert, secure: true, section: "# Apache",
			start: func(t *testing.T, config string) *servertest.Server {
				return servertest.Apache(t, inApache("", pair+"SSLCACertificateFile "+certs.CA+"\n"+config))
			},
			fault: "SSLVerifyClient require", still: "403 Forbidden",
		},
		{
			name: "HAProxy wants a client certificate", app: app, want: balancer.CauseClientCert, secure: true, section: "# haproxy.cfg",
			start: func(t *testing.T, config string) *servertest.Server {
				verify := "optional"
				if config == "" {
					verify = "required"
				}
				return frontend("bind 127.0.0.1:$PORT ssl crt "+pem+" ca-file "+certs.CA+" verify "+verify, app)(t, config)
			},
			still: "403 Forbidden",
		},
		second(t, mending{
			name: "Caddy wants a client certificate", app: plainApp, want: balancer.CauseClientCert, secure: true, section: "# Caddyfile",
			start: func(t *testing.T, config string) *servertest.Server {
				return servertest.Caddy(t, "https://:$PORT {\ntls "+certs.Cert+" "+certs.Key+" {\nclient_auth {\ntrusted_ca_cert_file "+certs.CA+"\nmode require_and_verify\n}\n}\nreverse_proxy "+plainApp+"\n}\n"+config)
			},
		}),
		{
			name: "HAProxy's strict-sni", start: frontend("", python), app: python, want: balancer.CauseNoSNI, secure: true, site: "shop.example",
			fault: "bind 127.0.0.1:$PORT ssl crt " + pem + " strict-sni", warns: "# haproxy.cfg",
		},
		{
			name: "Caddy's site has a name", app: shop, want: balancer.CauseNoSNI, secure: true, site: "shop.example", warns: "# Caddyfile",
			start: func(t *testing.T, config string) *servertest.Server {
				named := servertest.NewCerts(t, time.Hour, "shop.example")
				return servertest.Caddy(t, defaultPair(named).Replace(config)+"\nhttps://shop.example:$PORT {\ntls "+named.Cert+" "+named.Key+"\nreverse_proxy "+shop+"\n}")
			},
			still: "404 Not Found",
		},
		{
			name: "Apache's SSLStrictSNIVHostCheck", app: shop, want: balancer.CauseNoSNI, secure: true, site: "shop.example", warns: "# Apache",
			start: func(t *testing.T, config string) *servertest.Server {
				check, site, _ := strings.Cut(config, "# and in that VirtualHost")
				return servertest.Apache(t, check+"\n<VirtualHost *:$PORT>\nServerName other.example\n"+pair+site+"\n</VirtualHost>\n<VirtualHost *:$PORT>\nServerName shop.example\n"+
					pair+"ProxyPass / http://"+shop+"/\nProxyPreserveHost On\n</VirtualHost>")
			},
			fault: "SSLStrictSNIVHostCheck on",
		},
	} {
		c.path = "/health"
		t.Run(c.name, c.try)
	}
}
