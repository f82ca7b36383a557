package explain_test

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"testing"
	"time"

	"hale/internal/balancer"
	"hale/internal/servertest"
)

const (
	// verifying are those that check a certificate with its name, and careless
	// some that take any.
	verifying = "traefik caddy consul cloudflare app-gateway"
	careless  = "alb nlb gcp elb kubelet azure-lb route53"
	// plainToTLS is how Go's server answers plain HTTP on a port of TLS.
	plainToTLS = "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server."
)

// tlsCases are what is wrong between plain HTTP, TLS, certificates and names.
func tlsCases() []labCase {
	return []labCase{
		{
			name: "TLS to nginx's plain port", as: "alb nlb traefik haproxy", sees: "HTTP/1.1 200 ", secure: "first record does not look like a TLS handshake",
			start: func(t *testing.T, _ *laboratory) place { return atTLS(servertest.Nginx(t, `return 200;`), "/") },
			want:  balancer.CauseTLSToPlain,
		},
		{
			// It waits for the rest of what it takes for a request line.
			name: "TLS to gunicorn's plain port", waits: true, as: "alb", sees: "HTTP/1.1 200 ",
			start: func(_ *testing.T, lab *laboratory) place { return atTLS(lab.open, "/") },
			want:  balancer.CauseTLSToPlain,
		},
		{
			name: "TLS to Go's plain port", as: "alb", sees: "HTTP/1.1 200 ", secure: "first record does not look like a TLS handshake",
			start: func(t *testing.T, _ *laboratory) place { return place{url: "https://" + goServer(t, hello, nil) + "/"} },
			want:  balancer.CauseTLSToPlain,
		},
		{
			name: "plain HTTP to nginx's port of TLS", as: "alb haproxy kubelet hetzner", sees: "HTTP/1.1 400 ", secure: "200 OK",
			start: func(t *testing.T, lab *laboratory) place { return plain(secured(t, lab.certs, "")) },
			want:  balancer.CausePlainToTLS, software: "nginx",
		},
		{
			name: "plain HTTP to gunicorn's port of TLS", as: "alb haproxy", secure: "200 OK",
			start: func(t *testing.T, lab *laboratory) place {
				return at(servertest.Django(t, "", "--certfile", lab.certs.Cert, "--keyfile", lab.certs.Key), "/")
			},
			sees: closed, want: balancer.CausePlainToTLS,
		},
		{
			name: "plain HTTP to Go's port of TLS", as: "alb elb", sees: plainToTLS, secure: "200 OK",
			start: func(t *testing.T, lab *laboratory) place {
				return place{url: "http://" + goServer(t, hello, goTLS(t, lab.certs, nil)) + "/"}
			},
			want: balancer.CausePlainToTLS,
		},
		{
			name: "an expired certificate", as: verifying + " haproxy front-door", content: careless, secure: "200 OK",
			start: func(t *testing.T, _ *laboratory) place {
				return secured(t, servertest.NewCerts(t, -30*time.Minute, "127.0.0.1", "localhost"), "")
			},
			want: balancer.CauseExpired,
		},
		{
			name: "a certificate for another name", as: verifying + " front-door", content: careless, secure: "200 OK",
			start: func(t *testing.T, _ *laboratory) place {
				return secured(t, servertest.NewCerts(t, time.Hour, "other.example"), "")
			},
			want: balancer.CauseWrongName, fix: "other.example",
		},
		{
			name: "a certificate with a name in its CN alone", as: verifying + " front-door", content: careless, secure: "200 OK",
			start: func(t *testing.T, _ *laboratory) place { return secured(t, selfSigned(t, "shop.example"), "") },
			want:  balancer.CauseWrongName, fix: "subjectAltName",
		},
		{
			name: "an issuer that nobody knows", as: verifying + " haproxy front-door", content: careless, secure: "200 OK",
			start: func(t *testing.T, lab *laboratory) place {
				where := secured(t, lab.certs, "")
				where.options.Roots = x509.NewCertPool()
				return where
			},
			want: balancer.CauseUntrusted,
		},
		{
			name: "ssl_reject_handshake and no SNI", as: "alb nlb gcp elb", secure: "unrecognized name",
			start: func(t *testing.T, lab *laboratory) place { return rejecting(t, lab, "shop.example") },
			want:  balancer.CauseNoSNI,
		},
		{
			name: "ssl_reject_handshake, and nobody knows the name", as: "alb", secure: "unrecognized name",
			start: func(t *testing.T, lab *laboratory) place { return rejecting(t, lab, "") },
			want:  balancer.CauseNoSNI,
		},
		{
			name: "nginx wants a client certificate", as: "alb kubelet traefik", secure: "No required SSL certificate was sent",
			start: func(t *testing.T, lab *laboratory) place {
				return secured(t, lab.certs, "ssl_verify_client on; ssl_client_certificate "+lab.certs.CA+";")
			},
			want: balancer.CauseClientCert, software: "nginx",
		},
		{
			name: "a Go server wants a client certificate in TLS 1.3", as: "alb kubelet", secure: "certificate required",
			start: func(t *testing.T, lab *laboratory) place { return wanting(t, lab, tls.VersionTLS13) },
			want:  balancer.CauseClientCert,
		},
		{
			name: "a Go server wants a client certificate in TLS 1.2", as: "alb", secure: "handshake failure",
			start: func(t *testing.T, lab *laboratory) place { return wanting(t, lab, tls.VersionTLS12) },
			want:  balancer.CauseClientCert,
		},
		{
			name: "OpenSSL wants a client certificate in TLS 1.3", as: "alb", secure: "certificate required",
			start: func(t *testing.T, lab *laboratory) place {
				where := atTLS(servertest.OpenSSL(t, lab.certs, "-Verify", "1", "-CAfile", lab.certs.CA, "-www", "-tls1_3"), "/")
				where.options.Roots = roots(t, lab.certs)
				return where
			},
			want: balancer.CauseClientCert,
		},
		{
			name: "OpenSSL wants a client certificate in TLS 1.2", as: "alb", secure: "handshake failure",
			start: func(t *testing.T, lab *laboratory) place {
				return atTLS(servertest.OpenSSL(t, lab.certs, "-Verify", "1", "-CAfile", lab.certs.CA, "-www", "-tls1_2"), "/")
			},
			want: balancer.CauseClientCert,
		},
	}
}

// secured starts an nginx with a certificate, whose authority is trusted.
func secured(t *testing.T, certs *servertest.Certs, more string) place {
	where := atTLS(servertest.NginxHTTP(t, `server { listen 127.0.0.1:$PORT ssl;
ssl_certificate `+certs.Cert+`; ssl_certificate_key `+certs.Key+`; `+more+` return 200 "hello\n"; }`), "/")
	where.options.Roots = roots(t, certs)
	return where
}

// plain is a place over http that was over https.
func plain(where place) place {
	where.url = "http" + where.url[len("https"):]
	return where
}

// rejecting starts an nginx that shakes hands with those only that name
// shop.example.
func rejecting(t *testing.T, lab *laboratory, site string) place {
	where := atTLS(servertest.NginxHTTP(t, `
server { listen 127.0.0.1:$PORT ssl default_server; ssl_reject_handshake on; }
server { listen 127.0.0.1:$PORT ssl; server_name shop.example;
ssl_certificate `+lab.certs.Cert+`; ssl_certificate_key `+lab.certs.Key+`; return 200; }`), "/")
	where.options.Site = site
	where.options.Roots = roots(t, lab.certs)
	return where
}

// wanting starts a Go server that wants a client certificate.
func wanting(t *testing.T, lab *laboratory, version uint16) place {
	addr := goServer(t, hello, goTLS(t, lab.certs, func(c *tls.Config) {
		c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, roots(t, lab.certs)
		c.MinVersion, c.MaxVersion = version, version
	}))
	where := place{url: "https://" + addr + "/"}
	where.options.Roots = roots(t, lab.certs)
	return where
}

// goTLS makes a Go server speak TLS.
func goTLS(t *testing.T, certs *servertest.Certs, change func(*tls.Config)) func(*http.Server) {
	return func(s *http.Server) {
		pair, err := tls.LoadX509KeyPair(certs.Cert, certs.Key)
		if err != nil {
			t.Fatal(err)
		}
		s.TLSConfig = &tls.Config{Certificates: []tls.Certificate{pair}}
		if change != nil {
			change(s.TLSConfig)
		}
	}
}

func hello(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hello\n")) }
