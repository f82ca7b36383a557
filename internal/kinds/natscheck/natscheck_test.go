package natscheck_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"hale/internal/check"
	"hale/internal/kinds/kindtest"
	"hale/internal/kinds/natscheck"
	"hale/internal/servertest"
)

var kinds = kindtest.Kinds{natscheck.Kind(), natscheck.KindTLS()}

var (
	run           = kinds.Run
	build         = kinds.Build
	value         = kindtest.Option
	expectFailure = kindtest.ExpectFailure
)

// expectPong expects a healthy run whose note begins with the version and ends
// as given.
func expectPong(t *testing.T, result check.Result, end string) {
	t.Helper()
	rest, ok := strings.CutPrefix(result.Note, "PONG, version 2.")
	if result.Err != nil || !ok || strings.TrimLeft(rest, "0123456789.") != end {
		t.Errorf("got note %q and error %v, want PONG, the version and %q", result.Note, result.Err, end)
	}
}

func TestContract(t *testing.T) {
	for name, n := range map[string]kindtest.Network{
		"nats":  {Kind: natscheck.Kind(), URL: func(a string) string { return "nats://" + a }},
		"natss": {Kind: natscheck.KindTLS(), URL: func(a string) string { return "natss://" + a }},
	} {
		t.Run(name, n.Run)
	}
}

func TestPlain(t *testing.T) {
	s := servertest.NATS(t)
	url := "nats://" + s.Addr
	kindtest.ExpectLeavesNothing(t)
	expectPong(t, run(t, url), "")
	expectPong(t, run(t, fmt.Sprintf("nats://:%d", s.Port)), "")
	// A server without accounts does not mind a login.
	expectPong(t, run(t, "nats://hale:s3cret-word@"+s.Addr), "")
	expectFailure(t, run(t, url+"?jetstream"), check.ReasonMissing, url+": has no JetStream; set jetstream in its configuration, or see in its log why it was disabled")
	expectFailure(t, run(t, "natss://"+s.Addr), check.ReasonTLS, "natss://"+s.Addr+": the server has no TLS; set tls in its configuration, or write nats:// without options for TLS if that is right")
	expectFailure(t, run(t, url+"?min_days=1"), check.ReasonTLS, "the server has no TLS")
	if text := s.Log(); strings.Contains(text, "[ERR]") {
		t.Errorf("the server logs errors:\n%s", text)
	}
	s.Pause()
	expectFailure(t, run(t, url+"?timeout=300ms"), check.ReasonTimeout, url+": waiting for INFO: ")
	s.Resume()
	expectPong(t, run(t, url), "")
	s.Stop()
	expectFailure(t, run(t, url), check.ReasonRefused, url+": no connection: ")
}

func TestJetStream(t *testing.T) {
	s := servertest.NATS(t, "jetstream: {store_dir: $DIR/store, max_memory_store: 1M, max_file_store: 1M}")
	expectPong(t, run(t, "nats://"+s.Addr+"?jetstream"), ", JetStream")
}

func TestUser(t *testing.T) {
	s := servertest.NATS(t, `authorization: {user: "hale", password: "p\"a:s/s@w<rd"}`)
	const password = "p%22a%3As%2Fs%40w%3Crd"
	expectPong(t, run(t, "nats://hale:"+password+"@"+s.Addr), "")
	expectPong(t, run(t, "nats://"+s.Addr, value("username", "hale"), value("password", `p"a:s/s@w<rd`)), "")
	expectFailure(t, run(t, "nats://"+s.Addr), check.ReasonAuth, "nats://"+s.Addr+": demands a login, and none was given; set username and password or token (a user with an nkey or JWT can't be used here): refuses the login: Authorization Violation")
	result := run(t, "nats://hale:wrong-password@"+s.Addr)
	expectFailure(t, result, check.ReasonAuth, "nats://"+s.Addr+": refuses the login: Authorization Violation")
	if strings.Contains(result.Text(), "wrong-password") {
		t.Errorf("%q holds the password", result.Text())
	}
	expectFailure(t, run(t, "nats://hail:"+password+"@"+s.Addr), check.ReasonAuth, "refuses the login")
	expectFailure(t, run(t, "nats://:t0ken-word@"+s.Addr), check.ReasonAuth, "refuses the login")
}

func TestToken(t *testing.T) {
	s := servertest.NATS(t, `authorization: {token: "t0ken-word"}`)
	expectPong(t, run(t, "nats://:t0ken-word@"+s.Addr), "")
	expectPong(t, run(t, "nats://"+s.Addr, value("token", "t0ken-word")), "")
	expectFailure(t, run(t, "nats://:wrong-token@"+s.Addr), check.ReasonAuth, "refuses the login: Authorization Violation")
}

// TestFull is about a server that has all the clients it takes.
func TestFull(t *testing.T) {
	s := servertest.NATS(t, "max_connections: 1")
	url := "nats://" + s.Addr
	var conn net.Conn
	servertest.Wait(t, "the only place to be taken", func() (err error) {
		conn, err = occupy(s.Addr)
		return err
	})
	defer conn.Close()
	expectFailure(t, run(t, url), check.ReasonStatus, url+": has as many clients as it accepts; look for a client that leaks connections, or raise max_connections: maximum connections exceeded")
	_ = conn.Close()
	servertest.Wait(t, "the place to be free", func() error { return run(t, url+"?timeout=1s").Err })
}

// occupy takes a client's place on a server. One that was taken a moment ago may
// not be free yet.
func occupy(address string) (net.Conn, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	_ = conn.SetDeadline(time.Now().Add(2 * time.Second))
	_, err = io.WriteString(conn, "CONNECT {\"verbose\":false}\r\nPING\r\n")
	for r := bufio.NewReader(conn); err == nil; {
		var line string
		if line, err = r.ReadString('\n'); line == "PONG\r\n" {
			return conn, nil
		}
	}
	_ = conn.Close()
	return nil, err
}

// TestLameDuck is about a server on its way out, which takes no connections.
func TestLameDuck(t *testing.T) {
	s := servertest.NATS(t, `lame_duck_duration: "60s"`, `lame_duck_grace_period: "50s"`)
	url := "nats://" + s.Addr
	// Without a client it would end at once.
	conn, err := occupy(s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	expectPong(t, run(t, url), "")
	if err := syscall.Kill(s.PID(), syscall.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	servertest.Wait(t, "no more connections to be taken", func() error {
		// One that came at the last moment may be left without an answer.
		if result := run(t, url+"?timeout=1s"); result.Reason() != check.ReasonRefused {
			return fmt.Errorf("got %q, %v", result.Note, result.Err)
		}
		return nil
	})
	s.Kill() // which it would put off until its last client is gone
}

// tlsLine configures TLS.
func tlsLine(certs *servertest.Certs, more string) string {
	return fmt.Sprintf("tls: {cert_file: %q, key_file: %q, ca_file: %q, %s}", certs.Cert, certs.Key, certs.CA, more)
}

func TestTLS(t *testing.T) {
	certs := servertest.NewCerts(t, 240*time.Hour, "nats.example", "127.0.0.1")
	s := servertest.NATS(t, tlsLine(certs, ""), `authorization: {user: hale, password: s3cret-word}`)
	kindtest.ExpectLeavesNothing(t)
	for _, scheme := range []string{"nats", "natss"} {
		url := scheme + "://hale:s3cret-word@" + s.Addr
		shown := scheme + "://" + s.Addr
		expectPong(t, run(t, url+"?ca="+certs.CA), "")
		expectPong(t, run(t, url+"?insecure"), "")
		expectPong(t, run(t, url+"?server_name=nats.example&min_days=9&ca="+certs.CA), "")
		expectFailure(t, run(t, url), check.ReasonTLS, shown+`: the certificate of nats.example, 127.0.0.1 is signed by "test authority", which is not trusted; set ca`)
		expectFailure(t, run(t, url+"?server_name=db.example&ca="+certs.CA), check.ReasonTLS, "not for db.example")
		expectFailure(t, run(t, url+"?min_days=11&insecure"), check.ReasonTLS, shown+": the certificate of nats.example expires on ")
		expectFailure(t, run(t, shown+"?insecure"), check.ReasonAuth, "demands a login, and none was given")
	}
}

// TestOptionalTLS is about a server that leaves it to its clients.
func TestOptionalTLS(t *testing.T) {
	certs := servertest.NewCerts(t, time.Hour, "127.0.0.1")
	s := servertest.NATS(t, tlsLine(certs, ""), "allow_non_tls: true")
	expectPong(t, run(t, "nats://"+s.Addr), "")
	expectPong(t, run(t, "nats://"+s.Addr+"?ca="+certs.CA), "")
	expectPong(t, run(t, "natss://"+s.Addr+"?ca="+certs.CA), "")
	expectFailure(t, run(t, "natss://"+s.Addr), check.ReasonTLS, "is not trusted")
}

func TestMutualTLS(t *testing.T) {
	certs := servertest.NewCerts(t, time.Hour, "127.0.0.1")
	other := servertest.NewCerts(t, time.Hour, "127.0.0.1")
	s := servertest.NATS(t, tlsLine(certs, "verify: true"))
	url := "nats://" + s.Addr + "?ca=" + certs.CA
	with := func(c *servertest.Certs) string { return "&cert=" + c.Cert + "&key=" + c.Key }
	expectPong(t, run(t, url+with(certs)), "")
	expectFailure(t, run(t, url), check.ReasonTLS, "ends the connection after it asked for a client certificate: set cert and key")
	expectFailure(t, run(t, url+with(other)), check.ReasonTLS, "ends the connection after it asked for a client certificate: it refuses the one that cert has")
}

func TestOptions(t *testing.T) {
	for _, test := range []struct{ name, url, want string }{
		{"opaque", "nats:4222", "url: nats:4222 has no host; write nats://HOST:PORT, or nats://:PORT for this host"},
		{"port", "nats://h:70000", "url: port 70000 is out of range; a port is a number from 1 to 65535"},
		{"path", "nats://h/orders", `url: has the path "/orders", and a server is checked as a whole; leave it out`},
		{"several", "nats://h1,h2", "url: names several servers; make a check of each"},
		{"token without colon", "nats://t0ken-word@h", "username: needs a password; write nats://USER:PASSWORD@HOST, or nats://:TOKEN@HOST for a token"},
		{"password alone", "nats://h?password=x", "password: needs username, the user it is the password of"},
		{"two users", "nats://a:pass-word@h?username=b", `username: is "b", and the URL names another user; give it once`},
		{"two passwords", "nats://a:pass-word@h?password=x", "password: is not the one in the URL; give it once"},
		{"two tokens", "nats://:t0ken-word@h?token=other-word", "token: is not the one in the URL; give it once"},
		{"token and user", "nats://a:pass-word@h?token=other-word", "token: is in place of user and password; give either"},
		{"relative CA", "natss://h?ca=ca.pem", `ca: "ca.pem" is a relative path; give an absolute one`},
		{"missing CA", "nats://h?ca=/nowhere/ca.pem", "ca: open /nowhere/ca.pem: no such file or directory"},
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
	const want = "[{username } {password } {token } {jetstream false} {ca } {cert } {key } {server_name } {insecure false} {min_days 0}]"
	for _, url := range []string{"nats://", natscheck.Kind().Example, natscheck.KindTLS().Example} {
		c, err := build(url)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(c.Options); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
