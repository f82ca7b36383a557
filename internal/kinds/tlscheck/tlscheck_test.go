package tlscheck_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"hale/internal/check"
	"hale/internal/kinds/kindtest"
	"hale/internal/kinds/tlscheck"
	"hale/internal/servertest"
)

var kinds = kindtest.Kinds{tlscheck.Kind()}

var (
	run        = kinds.Run
	build      = kinds.Build
	expectNote = kindtest.ExpectNote
)

// expectFailure asserts a failure's reason and exact message, after the
// target's URL.
func expectFailure(t *testing.T, result check.Result, reason check.Reason, url, message string) {
	t.Helper()
	target, _, _ := strings.Cut(url, "?")
	if want := target + ": " + message; result.Reason() != reason || result.Text() != want {
		t.Errorf("got  %s: %s\nwant %s: %s", result.Reason(), result.Text(), reason, want)
	}
}

// serve runs a TLS server of Go's until the test ends and returns its URL.
// After each handshake it waits for the client to be done.
func serve(t *testing.T, config *tls.Config) string {
	t.Helper()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	servertest.Handle(t, listener, func(conn net.Conn) {
		if conn.(*tls.Conn).Handshake() == nil {
			_, _ = conn.Read(make([]byte, 1))
		}
	})
	return "tls://" + listener.Addr().String()
}

func TestContract(t *testing.T) {
	kindtest.Network{Kind: tlscheck.Kind(), URL: func(a string) string { return "tls://" + a + "?insecure" }}.Run(t)
}

const day = 24 * time.Hour

func date(from time.Duration) string { return time.Now().Add(from).UTC().Format(time.DateOnly) }

func TestCertificates(t *testing.T) {
	root := newAuthority(t, "test root", nil)
	between := newAuthority(t, "test intermediate", root)
	ca := "?ca=" + root.file(t)
	serveWith := func(pair tls.Certificate) string { return serve(t, &tls.Config{Certificates: []tls.Certificate{pair}}) }
	good := serveWith(between.leaf(t, -time.Hour, 30*day+time.Hour, between))
	incomplete := serveWith(between.leaf(t, -time.Hour, 30*day, root))
	expired := serveWith(root.leaf(t, -2*day, -day-time.Minute))
	early := serveWith(root.leaf(t, 2*day, 30*day))
	lastDay := serveWith(root.leaf(t, -time.Hour, day+time.Hour))
	self := newAuthority(t, "self-made", nil)
	selfSigned := serveWith(tls.Certificate{Certificate: [][]byte{self.cert.Raw}, PrivateKey: self.key})

	for _, test := range []struct{ name, url, note string }{
		{"chain", good + ca, "TLS 1.3, 30 days left"},
		{"name", good + ca + "&server_name=app.example", "TLS 1.3, 30 days left"},
		{"days", good + ca + "&min_days=30", "TLS 1.3, 30 days left"},
		{"one day", lastDay + ca, "TLS 1.3, 1 day left"},
		{"not verified", good + "?insecure", "TLS 1.3, 30 days left, not verified"},
		{"expired and not verified", expired + "?insecure", "TLS 1.3, the certificate expired on " + date(-day-time.Minute) + ", not verified"},
	} {
		t.Run(test.name, func(t *testing.T) { expectNote(t, run(t, test.url), test.note) })
	}
	const who = "the certificate of app.example, 127.0.0.1 "
	for _, test := range []struct{ name, url, message string }{
		{"not trusted", good, `the certificate of test intermediate is signed by "test root", which is not trusted; set ca to the file with that authority's certificate; if that is an intermediate authority, the server has to send its certificate along`},
		{"incomplete chain", incomplete + ca, who + `is signed by "test intermediate", which is not trusted; set ca to the file with that authority's certificate; if that is an intermediate authority, the server has to send its certificate along`},
		{"self-signed", selfSigned + ca, `the certificate of 127.0.0.1 is signed by "self-made", which is not trusted; set ca to the file with that authority's certificate`},
		{"wrong name", good + ca + "&server_name=db.example", "the certificate is for app.example, 127.0.0.1, not for db.example; set server_name if that is the name to expect"},
		{"expired", expired + ca, who + "expired on " + date(-day-time.Minute)},
		{"not yet valid", early + ca, who + "is not valid before " + date(2*day) + "; is the clock right?"},
		{"too few days", good + ca + "&min_days=31", "the certificate of app.example expires on " + date(30*day+time.Hour) + ", in 30 days; at least 31 are wanted"},
		{"expired, not verified, but days are wanted", expired + "?insecure&min_days=1", "the certificate of app.example expired on " + date(-day-time.Minute) + "; at least 1 days are wanted"},
	} {
		t.Run(test.name, func(t *testing.T) {
			expectFailure(t, run(t, test.url), check.ReasonTLS, test.url, test.message)
		})
	}
	// An address of this host is not in the certificate: a URL without a host
	// asks for localhost.
	port := good[strings.LastIndexByte(good, ':'):]
	result := run(t, "tls://"+port+ca)
	expectFailure(t, result, check.ReasonTLS, "tls://"+port, "the certificate is for app.example, 127.0.0.1, not for localhost; set server_name if that is the name to expect")
	expectNote(t, run(t, "tls://"+port+ca+"&server_name=app.example"), "TLS 1.3, 30 days left")
}

func TestVersions(t *testing.T) {
	root := newAuthority(t, "test root", nil)
	pairs := []tls.Certificate{root.leaf(t, -time.Hour, 30*day+time.Hour)}
	expectNote(t, run(t, serve(t, &tls.Config{Certificates: pairs, MaxVersion: tls.VersionTLS12})+"?insecure"), "TLS 1.2, 30 days left, not verified")
	old := serve(t, &tls.Config{Certificates: pairs, MaxVersion: tls.VersionTLS11})
	expectFailure(t, run(t, old+"?insecure"), check.ReasonTLS, old, "the server ends the TLS connection: protocol version not supported")
}

func TestClientCertificate(t *testing.T) {
	root, other := newAuthority(t, "test root", nil), newAuthority(t, "another root", nil)
	pool := x509.NewCertPool()
	pool.AddCert(root.cert)
	pair := func(a *authority) string {
		cert, key := files(t, a.leaf(t, -time.Hour, 30*day+time.Hour))
		return "&cert=" + cert + "&key=" + key
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		name := tls.VersionName(version)
		t.Run(name, func(t *testing.T) {
			url := serve(t, &tls.Config{
				Certificates: []tls.Certificate{root.leaf(t, -time.Hour, 30*day+time.Hour)},
				ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: pool, MaxVersion: version,
			}) + "?ca=" + root.file(t)
			expectNote(t, run(t, url+pair(root)), name+", 30 days left")
			const asked = "the server ends the connection after it asked for a client certificate: "
			for _, test := range []struct{ options, want string }{
				{"", asked + "set cert and key (remote error: tls: "},
				{pair(other), asked + "it refuses the one that cert has (remote error: tls: "},
			} {
				if result := run(t, url+test.options); result.Reason() != check.ReasonTLS || !strings.Contains(result.Text(), test.want) {
					t.Errorf("got  %s: %s\nwant %s", result.Reason(), result.Text(), test.want)
				}
			}
		})
	}
}

// TestSilentAfterHandshake: a server that asks for a client certificate, does
// not mind that there is none, and says nothing and does not close, is healthy
// also when the time is short.
func TestSilentAfterHandshake(t *testing.T) {
	root := newAuthority(t, "test root", nil)
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{root.leaf(t, -time.Hour, 30*day+time.Hour)}, ClientAuth: tls.RequestClientCert,
	})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	var serving sync.WaitGroup
	serving.Go(func() {
		conn, err := listener.Accept()
		if err == nil {
			_ = conn.(*tls.Conn).Handshake()
			<-done
			_ = conn.Close()
		}
	})
	defer func() { _ = listener.Close(); close(done); serving.Wait() }()
	expectNote(t, run(t, "tls://"+listener.Addr().String()+"?insecure&timeout=1s"), "TLS 1.3, 30 days left, not verified")
}

// TestRealServers is about servers that are not Go's.
func TestRealServers(t *testing.T) {
	certs := servertest.NewCerts(t, 10*day+time.Hour, "app.example", "127.0.0.1")
	t.Run("openssl", func(t *testing.T) {
		s := servertest.OpenSSL(t, certs, "-CAfile", certs.CA, "-Verify", "1", "-verify_return_error")
		url := "tls://" + s.Addr
		with := "?ca=" + certs.CA + "&min_days=10&cert=" + certs.Cert + "&key=" + certs.Key
		expectNote(t, run(t, url+with), "TLS 1.3, 10 days left")
		if result := run(t, url+"?ca="+certs.CA); result.Reason() != check.ReasonTLS || !strings.Contains(result.Text(), "set cert and key") {
			t.Errorf("got %s: %s", result.Reason(), result.Text())
		}
		s.Pause()
		result := run(t, url+with+"&timeout=300ms")
		expectFailure(t, result, check.ReasonTimeout, "no answer within 300ms: "+url, result.Text()[strings.LastIndex(result.Text(), "TLS handshake: "):])
		s.Resume()
		expectNote(t, run(t, url+with), "TLS 1.3, 10 days left")
		s.Stop()
		if result := run(t, url); result.Reason() != check.ReasonRefused {
			t.Errorf("got %s: %s", result.Reason(), result.Text())
		}
	})
	t.Run("nginx", func(t *testing.T) {
		port := servertest.FreePort(t)
		s := servertest.Nginx(t, fmt.Sprintf(`
    listen 127.0.0.1:%d ssl;
    ssl_certificate %s;
    ssl_certificate_key %s;
    ssl_client_certificate %s;
    ssl_verify_client optional;`, port, certs.Cert, certs.Key, certs.CA))
		expectNote(t, run(t, fmt.Sprintf("tls://127.0.0.1:%d?ca=%s", port, certs.CA)), "TLS 1.2, 10 days left")
		expectFailure(t, run(t, "tls://"+s.Addr), check.ReasonTLS, "tls://"+s.Addr, "TLS handshake: the port speaks HTTP without TLS")
	})
}

// TestHandshakeBreaksOff is about a server that hangs up in the middle.
func TestHandshakeBreaksOff(t *testing.T) {
	url := "tls://" + servertest.Peer(t, func(conn net.Conn) { _, _ = conn.Read(make([]byte, 64<<10)) })
	expectFailure(t, run(t, url), check.ReasonClosed, url, "the server closed the connection during the TLS handshake")
}

func TestOptions(t *testing.T) {
	for _, test := range []struct{ name, url, want string }{
		{"no host", "tls://", "url: tls:// has no host; write tls://HOST:PORT, or tls://:PORT for this host"},
		{"port", "tls://h:70000", "url: port 70000 is out of range; a port is a number from 1 to 65535"},
		{"user", "tls://u:pass-word@h", "url: has a user name or password, and a handshake needs none; leave it out"},
		{"path", "tls://h/health", `url: has the path "/health", and a handshake has none; leave it out, or use https:// to request it`},
		{"days", "tls://h?min_days=-1", "min_days: -1 is negative; give a number of days"},
		{"relative", "tls://h?ca=ca.pem", `ca: "ca.pem" is a relative path; give an absolute one`},
		{"cert alone", "tls://h?cert=/c.pem", "cert: needs key, the file with its private key"},
		{"key alone", "tls://h?key=/c.pem", "key: needs cert, the file with its certificate"},
		{"no file", "tls://h?ca=/no/such.pem", "ca: open /no/such.pem: no such file or directory"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := build(test.url)
			if err == nil || err.Error() != test.want {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
		})
	}
}

func TestDefaults(t *testing.T) {
	c := kindtest.Build(t, tlscheck.Kind(), "tls://example.com")
	if got, want := fmt.Sprint(c.Options), "[{ca } {cert } {key } {server_name } {insecure false} {min_days 0}]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if _, err := build(tlscheck.Kind().Example); err != nil {
		t.Errorf("the example: %v", err)
	}
}
