package httpcheck_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"hale/internal/check"
	"hale/internal/servertest"
)

// secureNginx starts an nginx with TLS and returns its https URL and its port
// with plain HTTP.
func secureNginx(t testing.TB, certs *servertest.Certs, more string) (url, plain string) {
	t.Helper()
	port := servertest.FreePort(t)
	server := servertest.Nginx(t, fmt.Sprintf(`
    listen 127.0.0.1:%d ssl http2;
    ssl_certificate %s;
    ssl_certificate_key %s;
    location = /old { return 301 /; }
    location / { return 200 "$server_protocol $http_host $ssl_server_name $ssl_client_verify\n"; }
    %s`, port, certs.Cert, certs.Key, more))
	return fmt.Sprintf("https://127.0.0.1:%d", port), server.Addr
}

func TestTLS(t *testing.T) {
	certs := servertest.NewCerts(t, 240*time.Hour, "app.example", "127.0.0.1")
	url, plain := secureNginx(t, certs, "")
	for _, test := range []struct{ name, rest string }{
		{"authority", "/#ca=" + certs.CA},
		{"not verified", "/#insecure"},
		{"HTTP/2 by ALPN", "/#body=HTTP/2.0&insecure"},
		{"HTTP/2 demanded", "/#body=HTTP/2.0&version=2&insecure"},
		{"HTTP/1.1", "/#body=HTTP/1.1&version=1.1&insecure"},
		{"server name", "/#server_name=app.example&body= app.example NONE&ca=" + certs.CA},
		{"Host is not the server name", "/#host=www.example.com&body= www.example.com  NONE&insecure"},
		{"days left", "/#min_days=9&ca=" + certs.CA},
		{"HEAD", "/#method=HEAD&insecure"},
		{"HEAD over HTTP/1.1", "/#method=HEAD&version=1.1&insecure"},
		{"HTTP/2 with a redirect", "/old#follow=1&body=HTTP/2.0&insecure"},
	} {
		t.Run(test.name, func(t *testing.T) { expectUp(t, run(t, url+test.rest), "200 in ") })
	}
	t.Run("HTTP/1.1 over a unix socket", func(t *testing.T) {
		c := mustBuild(t, dialing(strings.TrimPrefix(url, "https://"), nil), "https://app.example/#unix=/run/app.sock&body=HTTP/1.1&insecure")
		expectUp(t, once(t, c), "200 in ")
	})
	for _, test := range []struct {
		name, url, options string
		reason             check.Reason
		message            string
	}{
		{"authority not trusted", url, "", check.ReasonTLS,
			`GET $URL: the certificate of app.example, 127.0.0.1 is signed by "test authority", which is not trusted; set ca to the file with that authority's certificate`},
		{"wrong name", url, "server_name=db.example&ca=" + certs.CA, check.ReasonTLS,
			"GET $URL: the certificate is for app.example, 127.0.0.1, not for db.example; set server_name if that is the name to expect"},
		{"few days left", url, "min_days=11&ca=" + certs.CA, check.ReasonTLS,
			"GET $URL: the certificate of app.example expires on " + time.Now().Add(240*time.Hour).UTC().Format(time.DateOnly) + ", in 9 days; at least 11 are wanted"},
		{"few days left and not verified", url, "min_days=11&insecure&version=1.1", check.ReasonTLS,
			"GET $URL: the certificate of app.example expires on " + time.Now().Add(240*time.Hour).UTC().Format(time.DateOnly) + ", in 9 days; at least 11 are wanted"},
		{"HTTP on the TLS port", strings.Replace(url, "https", "http", 1), "", check.ReasonProtocol,
			"GET $URL: status 400 Bad Request, want 200-299; the port speaks TLS: use https://; the page's title is \"400 The plain HTTP request was sent to HTTPS port\""},
		{"TLS on the HTTP port", "https://" + plain, "", check.ReasonTLS,
			"GET $URL: TLS handshake: the port speaks HTTP without TLS: use http://"},
	} {
		t.Run(test.name, func(t *testing.T) {
			expectDown(t, run(t, test.url+"#"+test.options), test.reason, test.url, test.message)
		})
	}
}

func TestExpired(t *testing.T) {
	certs := servertest.NewCerts(t, -time.Minute, "app.example", "127.0.0.1")
	url, _ := secureNginx(t, certs, "")
	day := time.Now().Add(-time.Minute).UTC().Format(time.DateOnly)
	expectDown(t, run(t, url+"#ca="+certs.CA), check.ReasonTLS, url,
		"GET $URL: the certificate of app.example, 127.0.0.1 expired on "+day)
	expectUp(t, run(t, url+"#insecure"), "200 in ")
}

func TestClientCertificate(t *testing.T) {
	certs := servertest.NewCerts(t, time.Hour, "app.example", "127.0.0.1")
	with := "#cert=" + certs.Cert + "&key=" + certs.Key + "&ca=" + certs.CA

	t.Run("nginx", func(t *testing.T) {
		url, _ := secureNginx(t, certs, "ssl_verify_client on; ssl_client_certificate "+certs.CA+";")
		expectUp(t, run(t, url+"/"+with+"&body=SUCCESS"), "200 in ")
		expectDown(t, run(t, url+"#ca="+certs.CA), check.ReasonStatus, url,
			`GET $URL: status 400 Bad Request, want 200-299; the page's title is "400 No required SSL certificate was sent"`)
	})
	t.Run("Go", func(t *testing.T) {
		pair, err := tls.LoadX509KeyPair(certs.Cert, certs.Key)
		if err != nil {
			t.Fatal(err)
		}
		pem, err := os.ReadFile(certs.CA)
		if err != nil {
			t.Fatal(err)
		}
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(pem)
		ok := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
		config := &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool}
		url := goServer(t, ok, config)
		expectUp(t, run(t, url+"/"+with), "200 in ")
		other := servertest.NewCerts(t, time.Hour, "app.example")
		for _, version := range []string{"1.1", "2"} {
			expectDown(t, run(t, url+"#version="+version+"&ca="+certs.CA), check.ReasonTLS, url,
				"GET $URL: the server ends the connection after it asked for a client certificate: set cert and key")
			expectDown(t, run(t, url+"#version="+version+"&cert="+other.Cert+"&key="+other.Key+"&ca="+certs.CA), check.ReasonTLS, url,
				"GET $URL: the server ends the connection after it asked for a client certificate: it refuses the one that cert has")
		}
	})
}

// tlsServer serves connections with TLS as config says.
func tlsServer(t *testing.T, config *tls.Config, handle func(net.Conn)) string {
	t.Helper()
	config.Certificates = serverTLS(t).Certificates
	return "https://" + servertest.Peer(t, func(conn net.Conn) {
		secure := tls.Server(conn, config)
		if secure.Handshake() == nil {
			handle(secure)
			_ = secure.Close()
		}
	})
}

func TestHandshake(t *testing.T) {
	answer := func(conn net.Conn) {
		readRequest(conn)
		_, _ = conn.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nready"))
	}
	ssh := func(conn net.Conn) {
		_, _ = conn.Write([]byte("SSH-2.0-OpenSSH_9.2p1\r\n"))
		_, _ = conn.Read(make([]byte, 64<<10))
	}
	old := tlsServer(t, &tls.Config{MaxVersion: tls.VersionTLS11}, answer)
	for _, test := range []struct {
		name, url, options string
		reason             check.Reason
		message            string
	}{
		{"old TLS", old, "insecure", check.ReasonTLS,
			"GET $URL: the server ends the TLS connection: protocol version not supported"},
		{"HTTP/1.1 only", tlsServer(t, &tls.Config{NextProtos: []string{"http/1.1"}}, answer), "insecure&version=2", check.ReasonTLS,
			"GET $URL: the server ends the TLS connection: no application protocol; it does not speak HTTP/2"},
		{"no ALPN", tlsServer(t, &tls.Config{}, answer), "insecure&version=2", check.ReasonProtocol,
			"GET $URL: the answer is in HTTP/1.1, want HTTP/2; leave version out to take either"},
		{"not TLS but SSH", "https://" + servertest.Peer(t, ssh), "", check.ReasonTLS,
			"GET $URL: TLS handshake: the port does not speak TLS"},
		{"hangs up", "https://" + servertest.Peer(t, func(c net.Conn) { _, _ = c.Read(make([]byte, 64<<10)) }), "", check.ReasonClosed,
			"GET $URL: the server closed the connection during the TLS handshake"},
		{"body cut short", tlsServer(t, &tls.Config{}, func(c net.Conn) {
			readRequest(c)
			_, _ = c.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nready"))
		}), "insecure", check.ReasonClosed, "GET $URL: the server closed the connection in the middle of the body, after 5 bytes"},
	} {
		t.Run(test.name, func(t *testing.T) {
			expectDown(t, run(t, test.url+"#"+test.options), test.reason, test.url, test.message)
		})
	}
	expectUp(t, run(t, tlsServer(t, &tls.Config{}, answer)+"/#insecure&body=ready"), "200 in ")
}

// TestRedirectOverTLS sees that another server is asked for its own name and
// is not shown the client certificate.
func TestRedirectOverTLS(t *testing.T) {
	var asked string
	var shown int
	other := goServer(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked, shown = r.TLS.ServerName, len(r.TLS.PeerCertificates)
	}), &tls.Config{Certificates: serverTLS(t).Certificates, ClientAuth: tls.RequestClientCert})
	home := goServer(t, http.RedirectHandler("https://other.example/", http.StatusFound), serverTLS(t))
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		to := map[string]string{"app.example:443": home, "other.example:443": other}[address]
		return check.Dial(ctx, network, strings.TrimPrefix(to, "https://"))
	}
	certs := servertest.NewCerts(t, time.Hour, "app.example")
	url := "https://app.example/#follow=1&insecure&server_name=db.example&cert=" + certs.Cert + "&key=" + certs.Key
	expectUp(t, once(t, mustBuild(t, dial, url)), "200 in ")
	if asked != "other.example" || shown != 0 {
		t.Errorf("the other server was asked for %q and shown %d certificates, want its own name and none", asked, shown)
	}
}

// TestServerName is about which name a server is asked for.
func TestServerName(t *testing.T) {
	for _, test := range []struct{ rest, want string }{
		{"://app.example/#insecure", "app.example"},
		{"://app.example/#insecure&host=www.example.com", "app.example"},
		{"://app.example/#insecure&server_name=db.example", "db.example"},
		{"://127.0.0.1/#insecure", ""},
		{"://:443/#insecure", "localhost"},
		{"://app.example/#insecure&unix=/run/app.sock", "app.example"},
	} {
		var got string
		server := tlsServer(t, &tls.Config{GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			got = hello.ServerName
			return nil, nil
		}}, func(conn net.Conn) {
			readRequest(conn)
			_, _ = conn.Write([]byte("HTTP/1.1 200 OK\r\n\r\n"))
		})
		address := strings.TrimPrefix(server, "https://")
		expectUp(t, once(t, mustBuild(t, dialing(address, nil), "https"+test.rest)), "200 in ")
		if got != test.want {
			t.Errorf("https%s asks for %q, want %q", test.rest, got, test.want)
		}
	}
}
