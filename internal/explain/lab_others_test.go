package explain_test

import (
	"os"
	"path/filepath"
	"testing"

	"hale/internal/balancer"
	"hale/internal/servertest"
)

// otherCases are what Apache, Caddy and HAProxy do.
func otherCases() []labCase {
	return []labCase{
		{
			name: "Caddy redirects to https", as: "alb", sees: "HTTP/1.1 301 ",
			start: caddyAt("/healthz", "http://:$PORT {\nredir https://{host}{uri} permanent\n}"), want: balancer.CauseHTTPSRedirect, software: "Caddy", fix: "/healthz",
		},
		{
			name: "HAProxy redirects to https", as: "alb gcp", sees: "HTTP/1.1 302 ",
			start: haproxyAt("/healthz", "bind 127.0.0.1:$PORT\n http-request redirect scheme https"), want: balancer.CauseHTTPSRedirect, software: "HAProxy", fix: "acl is_health path /healthz",
		},
		{
			name: "Apache's default site says 404", as: "alb kubelet", sees: "HTTP/1.1 404 ",
			start: func(t *testing.T, _ *laboratory) place {
				where := at(servertest.Apache(t, `<VirtualHost *:$PORT>
RedirectMatch 404 ^/
</VirtualHost>
<VirtualHost *:$PORT>
ServerName shop.example
</VirtualHost>`), "/")
				where.options.Site = "shop.example"
				return where
			},
			want: balancer.CauseDefaultServer, software: "Apache",
		},
		{
			name: "Apache wants a password", as: "alb", sees: "HTTP/1.1 401 ",
			start: apacheAt("<Location />\nAuthType Basic\nAuthName staff\nAuthUserFile /dev/null\nRequire valid-user\n</Location>"),
			want:  balancer.CauseAuth, software: "Apache",
		},
		{
			name: "nothing is behind Apache", as: "alb kubelet", sees: "HTTP/1.1 503 ",
			start: func(t *testing.T, lab *laboratory) place {
				return apacheAt("ProxyPass / http://127.0.0.1:"+freePort(t)+"/")(t, lab)
			},
			want: balancer.CauseBroken, software: "Apache",
		},
		{
			name: "nothing is behind HAProxy", as: "alb kubelet", sees: "HTTP/1.1 503 ",
			start: haproxyAt("/", "bind 127.0.0.1:$PORT\n default_backend none\nbackend none"), want: balancer.CauseBroken, software: "HAProxy",
			asks: "--site NAME",
		},
		{
			name: "HAProxy has a backend for the site's Host alone", as: "alb kubelet", sees: "HTTP/1.1 503 ",
			start: func(t *testing.T, lab *laboratory) place {
				where := haproxyAt("/", "bind 127.0.0.1:$PORT\n use_backend shop if { hdr(host) -i shop.example }\nbackend shop\n http-request return status 200")(t, lab)
				where.options.Site = "shop.example"
				return where
			},
			want: balancer.CauseDefaultServer, software: "HAProxy",
		},
		{
			name: "nothing is behind Caddy", as: "alb", sees: "HTTP/1.1 502 ",
			start: func(t *testing.T, lab *laboratory) place {
				return caddyAt("/", "http://:$PORT {\nreverse_proxy 127.0.0.1:"+freePort(t)+"\n}")(t, lab)
			},
			want: balancer.CauseBroken, software: "Caddy",
		},
		{
			name: "HAProxy limits the rate", as: "alb", sees: "HTTP/1.1 429 ",
			start: haproxyAt("/", "bind 127.0.0.1:$PORT\n http-request deny deny_status 429"), want: balancer.CauseRateLimit,
		},
		{
			name: "plain HTTP to Apache's port of TLS", as: "alb", sees: "HTTP/1.1 400 ", secure: "200 OK",
			start: func(t *testing.T, lab *laboratory) place { return plain(apacheTLS(t, lab, "")) },
			want:  balancer.CausePlainToTLS, software: "Apache",
		},
		{
			name: "plain HTTP to HAProxy's port of TLS", as: "alb", secure: "200 OK", sees: closed,
			start: func(t *testing.T, lab *laboratory) place { return plain(haproxyTLS(t, lab, "")) },
			want:  balancer.CausePlainToTLS,
		},
		{
			name: "TLS to Apache's plain port", as: "alb", sees: "HTTP/1.1 200 ", secure: "first record does not look like a TLS handshake",
			start: func(t *testing.T, _ *laboratory) place { return atTLS(servertest.Apache(t, ""), "/") },
			want:  balancer.CauseTLSToPlain,
		},
		{
			name: "Caddy has no certificate without SNI", as: "alb", secure: "internal error",
			start: caddyFor("shop.example"), want: balancer.CauseNoSNI,
		},
		{
			name: "Caddy has no certificate without SNI, and nobody knows the name", as: "alb nlb traefik haproxy", secure: "internal error",
			start: caddyFor(""), want: balancer.CauseNoSNI, asks: "--site NAME",
		},
		{
			// Without a server name Caddy takes the certificate of the address, and
			// who may ask for certificates has it compare the names.
			name: "Caddy is strict about SNI", as: "alb nlb",
			start: func(t *testing.T, lab *laboratory) place {
				where := atTLS(servertest.Caddy(t, "https://shop.example:$PORT {\ntls "+lab.certs.Cert+" "+lab.certs.Key+" {\nclient_auth {\nmode request\n}\n}\nrespond well\n}"), "/")
				where.options.Roots = roots(t, lab.certs)
				return where
			},
			want: balancer.CauseNoSNI,
		},
		{
			name: "HAProxy's strict-sni", as: "alb nlb", secure: "unrecognized name",
			start: func(t *testing.T, lab *laboratory) place {
				where := haproxyTLS(t, lab, "strict-sni")
				where.options.Site = "shop.example"
				return where
			},
			want: balancer.CauseNoSNI,
		},
		{
			name: "Apache is strict about SNI", as: "alb", secure: "403 Forbidden",
			start: func(t *testing.T, lab *laboratory) place {
				pair := "SSLEngine on\nSSLCertificateFile " + lab.certs.Cert + "\nSSLCertificateKeyFile " + lab.certs.Key + "\n"
				where := atTLS(servertest.Apache(t, "SSLStrictSNIVHostCheck on\n<VirtualHost *:$PORT>\nServerName other.example\n"+pair+
					"</VirtualHost>\n<VirtualHost *:$PORT>\nServerName shop.example\n"+pair+"</VirtualHost>"), "/")
				where.options.Site = "shop.example"
				where.options.Roots = roots(t, lab.certs)
				return where
			},
			want: balancer.CauseNoSNI, software: "Apache",
		},
		{
			name: "HAProxy wants a client certificate", as: "alb kubelet", secure: "certificate required",
			start: func(t *testing.T, lab *laboratory) place {
				return haproxyTLS(t, lab, "verify required ca-file "+lab.certs.CA)
			},
			want: balancer.CauseClientCert,
			// Its certificate is the shop's.
			otherwise: verifying + " front-door",
		},
		{
			name: "Apache wants a client certificate", as: "alb", secure: "certificate required",
			start: func(t *testing.T, lab *laboratory) place {
				return apacheTLS(t, lab, "SSLVerifyClient require\nSSLCACertificateFile "+lab.certs.CA)
			},
			want: balancer.CauseClientCert,
		},
		{
			name: "HAProxy wants a PROXY header", as: "alb kubelet", sees: closed,
			start: haproxyAt("/", "bind 127.0.0.1:$PORT accept-proxy\n http-request return status 200"), want: balancer.CauseProxyExpected,
		},
	}
}

// caddyFor starts a Caddy that has a certificate for shop.example alone.
func caddyFor(site string) func(*testing.T, *laboratory) place {
	return func(t *testing.T, _ *laboratory) place {
		certs := servertest.NewCerts(t, 1<<40, "shop.example")
		where := atTLS(servertest.Caddy(t, "https://shop.example:$PORT {\ntls "+certs.Cert+" "+certs.Key+"\nrespond well\n}"), "/")
		where.options.Site = site
		return where
	}
}

func caddyAt(path, caddyfile string) func(*testing.T, *laboratory) place {
	return func(t *testing.T, _ *laboratory) place { return at(servertest.Caddy(t, caddyfile), path) }
}

func apacheAt(config string) func(*testing.T, *laboratory) place {
	return func(t *testing.T, _ *laboratory) place { return at(servertest.Apache(t, config), "/") }
}

func apacheTLS(t *testing.T, lab *laboratory, more string) place {
	where := atTLS(servertest.Apache(t, "SSLEngine on\nSSLCertificateFile "+lab.certs.Cert+"\nSSLCertificateKeyFile "+lab.certs.Key+"\n"+more), "/")
	where.options.Roots = roots(t, lab.certs)
	return where
}

func haproxyAt(path, frontend string) func(*testing.T, *laboratory) place {
	return func(t *testing.T, _ *laboratory) place {
		return at(servertest.HAProxy(t, haproxyDefaults+"frontend f\n "+frontend+"\n"), path)
	}
}

// haproxyTLS starts a HAProxy with a certificate of the shop's alone, and
// further words for its bind.
func haproxyTLS(t *testing.T, lab *laboratory, bind string) place {
	t.Helper()
	certs := servertest.NewCerts(t, 1<<40, "shop.example")
	pem := filepath.Join(t.TempDir(), "both.pem")
	if err := os.WriteFile(pem, append(certs.CertPEM, certs.KeyPEM...), 0o600); err != nil {
		t.Fatal(err)
	}
	where := atTLS(servertest.HAProxy(t, haproxyDefaults+"frontend f\n bind 127.0.0.1:$PORT ssl crt "+pem+" "+bind+"\n http-request return status 200\n"), "/")
	where.options.Roots = roots(t, certs)
	return where
}
