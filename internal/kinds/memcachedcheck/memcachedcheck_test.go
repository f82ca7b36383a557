package memcachedcheck_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hale/internal/check"
	"hale/internal/kinds/kindtest"
	"hale/internal/kinds/memcachedcheck"
	"hale/internal/servertest"
)

var kinds = kindtest.Kinds{memcachedcheck.Kind()}

var (
	run           = kinds.Run
	build         = kinds.Build
	option        = kindtest.Option
	expectFailure = kindtest.ExpectFailure
)

func expectNote(t *testing.T, result check.Result, want string) {
	t.Helper()
	if result.Err != nil || !strings.HasPrefix(result.Note, want) {
		t.Errorf("got note %q and error %v, want note %q", result.Note, result.Err, want)
	}
}

// ask sends commands to a server and returns the answers up to a line.
func ask(t *testing.T, address, commands, last string) string {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := conn.Write([]byte(commands)); err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		if lines.Text() == last {
			return all.String()
		}
		all.WriteString(lines.Text() + "\n")
	}
	t.Fatalf("no %q in the answers to %q: %q", last, commands, &all)
	return ""
}

func TestContract(t *testing.T) {
	for name, rest := range map[string]string{"plain": "", "TLS": "?tls=true"} {
		t.Run(name, func(t *testing.T) {
			kindtest.Network{Kind: memcachedcheck.Kind(), URL: func(a string) string { return "memcached://app:secret@" + a + rest }}.Run(t)
		})
	}
}

func TestServing(t *testing.T) {
	s := servertest.Memcached(t)
	for _, url := range []string{"memcached://" + s.Addr, "memcached://" + s.Addr + "/", fmt.Sprintf("memcached://:%d", s.Port), fmt.Sprintf("memcached://%d", s.Port)} {
		expectNote(t, run(t, url), "version 1.")
	}
	// The cache has seen no command that reads or writes, and no connection is
	// left: the one is that which asks.
	servertest.Wait(t, "the server to count nothing", func() error {
		stats := ask(t, s.Addr, "stats\r\n", "END")
		for _, want := range []string{"cmd_get 0\n", "cmd_set 0\n", "cmd_touch 0\n", "total_items 0\n", "curr_connections 1\n"} {
			if !strings.Contains(stats, "STAT "+want) {
				return fmt.Errorf("statistics:\n%s\nwant %s", stats, want)
			}
		}
		return nil
	})
	s.Pause()
	expectFailure(t, run(t, "memcached://"+s.Addr+"?timeout=300ms"), check.ReasonTimeout, "no answer to version")
	s.Resume()
	s.Stop()
	expectFailure(t, run(t, "memcached://"+s.Addr), check.ReasonRefused, "memcached://"+s.Addr)
}

func TestSocket(t *testing.T) {
	s, socket := servertest.MemcachedSocket(t)
	expectNote(t, run(t, "memcached://?unix="+socket), "version 1.")
	s.Stop()
	if err := os.Remove(socket); err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	expectFailure(t, run(t, "memcached:///?unix="+socket), check.ReasonMissing, socket)
}

func TestLogin(t *testing.T) {
	file := filepath.Join(t.TempDir(), "accounts")
	if err := os.WriteFile(file, []byte("other:word\napp:p@ss/word#\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := servertest.Memcached(t, "-Y", file)
	url := "memcached://app:p%40ss%2Fword%23@" + s.Addr
	expectNote(t, run(t, url), "version 1.")
	expectNote(t, run(t, "memcached://"+s.Addr, option("username", "app"), option("password", "p@ss/word#")), "version 1.")
	expectNote(t, run(t, url, option("username", "app"), option("password", "p@ss/word#")), "version 1.")
	expectFailure(t, run(t, "memcached://"+s.Addr), check.ReasonAuth, "wants a login, and none was given; write memcached://USER:PASSWORD@HOST")
	for _, user := range []string{"app:wrong-word", "nobody:wrong-word"} {
		result := run(t, "memcached://"+user+"@"+s.Addr)
		expectFailure(t, result, check.ReasonAuth, "refuses the user name or password: CLIENT_ERROR")
		if strings.Contains(result.Text(), "wrong-word") {
			t.Errorf("the password is in %q", result.Text())
		}
	}
}

// A login looks like storing an item, and must not be stored by a server that
// takes anybody.
func TestLoginIsNotStored(t *testing.T) {
	s := servertest.Memcached(t)
	result := run(t, "memcached://app:pass-word@"+s.Addr)
	if !check.IsWarning(result.Err) || result.Reason() != check.ReasonAuth || !strings.Contains(result.Text(), "it wants no login, although one is configured") {
		t.Errorf("got %q, %v, want a reservation", result.Note, result.Err)
	}
	if stats := ask(t, s.Addr, "stats\r\n", "END"); !strings.Contains(stats, "cmd_set 0\n") {
		t.Errorf("statistics:\n%s\nwant nothing stored", stats)
	}
}

func TestFull(t *testing.T) {
	s := servertest.Memcached(t, "-c", "20")
	servertest.Wait(t, "the connection that found the server ready to be gone", func() error { return run(t, "memcached://"+s.Addr).Err })
	var held []net.Conn
	defer func() {
		for _, conn := range held {
			_ = conn.Close()
		}
	}()
	var result check.Result
	servertest.Wait(t, "the server to be full", func() error {
		conn, err := net.Dial("tcp", s.Addr)
		if err != nil {
			return err
		}
		held = append(held, conn)
		if result = run(t, "memcached://"+s.Addr); result.Healthy() {
			return fmt.Errorf("got %q", result.Note)
		}
		return nil
	})
	expectFailure(t, result, check.ReasonStatus, "Too many open connections; look for a client that leaks connections")
}

func TestTLS(t *testing.T) {
	certs := servertest.NewCerts(t, 72*time.Hour, "127.0.0.1", "cache.test")
	s := servertest.Memcached(t, "-Z", "-o", "ssl_chain_cert="+certs.Cert, "-o", "ssl_key="+certs.Key, "-o", "ssl_ca_cert="+certs.CA)
	url := "memcached://" + s.Addr + "?tls=true"
	ca := option("ca", certs.CA)
	expectNote(t, run(t, url, ca), "version 1.")
	expectNote(t, run(t, url, option("insecure", "true")), "version 1.")
	expectNote(t, run(t, url, ca, option("server_name", "cache.test"), option("min_days", "2")), "version 1.")
	expectFailure(t, run(t, url), check.ReasonTLS, "unknown authority")
	expectFailure(t, run(t, url, ca, option("server_name", "other.test")), check.ReasonTLS, "other.test")
	expectFailure(t, run(t, url, ca, option("min_days", "4")), check.ReasonTLS, "expires on", "at least 4 are wanted")
	plain := run(t, "memcached://"+s.Addr)
	if reason := plain.Reason(); reason != check.ReasonClosed && reason != check.ReasonReset || !strings.Contains(plain.Text(), "it may speak TLS") {
		t.Errorf("without TLS: %q, %v", reason, plain.Err)
	}
	without := servertest.Memcached(t)
	result := run(t, "memcached://"+without.Addr+"?tls=true&timeout=500ms")
	if result.Healthy() || !strings.Contains(result.Text(), "leave out tls if it is without") {
		t.Errorf("TLS to a server without: %q, %v", result.Note, result.Err)
	}
}

// What a real server can't be made to say.
func TestAnswers(t *testing.T) {
	for _, test := range []struct {
		name, answer string
		reason       check.Reason
		part         string
	}{
		{"error", "ERROR\r\n", check.ReasonStatus, "answers version with ERROR"},
		{"server error", "SERVER_ERROR out of memory\r\n", check.ReasonStatus, "SERVER_ERROR out of memory"},
		{"no version", "VERSION\r\n", check.ReasonProtocol, `not memcached's: "VERSION"`},
		{"line end", "VERSION 1.6\n", check.ReasonProtocol, "not memcached's"},
		{"long", "VERSION " + strings.Repeat("1", 1000) + "\r\n", check.ReasonProtocol, "not memcached's"},
		{"half", "VERSION 1", check.ReasonClosed, "no answer to version"},
		{"another server", "220 mail.test ESMTP\r\n", check.ReasonProtocol, `not memcached's: "220 mail.test ESMTP"`},
		{"nothing after the login", "CLIENT_ERROR unauthenticated\r\n", check.ReasonClosed, "no answer to the login"},
		{"login repeated", "CLIENT_ERROR unauthenticated\r\nERROR app pass-word\r\n", check.ReasonAuth, "refuses the user name or password"},
		{"nothing after the version", "CLIENT_ERROR unauthenticated\r\nSTORED\r\n", check.ReasonClosed, "no answer to version"},
	} {
		t.Run(test.name, func(t *testing.T) {
			address := servertest.Peer(t, func(conn net.Conn) {
				_, _ = conn.Write([]byte(test.answer))
				_ = conn.(*net.TCPConn).CloseWrite()
				_, _ = io.Copy(io.Discard, conn)
			})
			result := run(t, "memcached://app:pass-word@"+address)
			expectFailure(t, result, test.reason, test.part)
			if strings.Contains(result.Text(), "pass-word") {
				t.Errorf("the password is in %q", result.Text())
			}
		})
	}
}

func TestOptions(t *testing.T) {
	for _, test := range []struct {
		name, url string
		options   []check.Option
		want      string
	}{
		{"opaque", "memcached:11211", nil, "url: memcached:11211 has no host; write memcached://HOST:PORT, or memcached://:PORT for this host"},
		{"port", "memcached://h:65536", nil, "url: port 65536 is out of range; a port is a number from 1 to 65535"},
		{"path", "memcached://h/key", nil, `url: has the path "/key", which means nothing to memcached; write memcached://HOST:PORT, or memcached://?unix=PATH for a unix socket`},
		{"two users", "memcached://a:pw@h", []check.Option{option("username", "b")}, `username: is "b", and the URL names another user; give it once`},
		{"two passwords", "memcached://a:first-pw@h", []check.Option{option("password", "second-pw")}, "password: is not the one in the URL; give it once"},
		{"no user", "memcached://:pass-word@h", nil, "username: is missing, and a password needs one; write memcached://USER:PASSWORD@HOST"},
		{"user alone", "memcached://forgotten-colon@h", nil, "username: needs a password; write memcached://USER:PASSWORD@HOST"},
		{"user with a space", "memcached://a%20b:pass-word@h", nil, "username: has a space, a colon, a line break or a zero byte, which memcached's --auth-file has no way to hold"},
		{"password with a line break", "memcached://a:pass%0Aword@h", nil, "password: has a line break or a zero byte, which memcached's --auth-file has no way to hold"},
		{"socket", "memcached://?unix=mc.sock", nil, `unix: "mc.sock" is a relative path; give an absolute one`},
		{"socket and host", "memcached://h?unix=/mc.sock", nil, "unix: is a unix socket, and the URL names a host or port; give one of them"},
		{"socket and TLS", "memcached://?unix=/mc.sock&tls", nil, "tls: is for a host, and a unix socket is without TLS; leave it out"},
		{"TLS options without TLS", "memcached://h?min_days=3", nil, "tls: is false, and ca, cert, key, server_name, insecure and min_days need it to be true"},
		{"relative file", "memcached://h?tls&ca=ca.pem", nil, `ca: "ca.pem" is a relative path; give an absolute one`},
		{"missing file", "memcached://h?tls&ca=/nowhere/ca.pem", nil, "ca: open /nowhere/ca.pem: no such file or directory"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := build(test.url, test.options...)
			if err == nil || err.Error() != test.want {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
		})
	}
}

func TestDefaults(t *testing.T) {
	c := kindtest.Build(t, memcachedcheck.Kind(), "memcached://:1")
	want := []check.Setting{
		{Name: "username", Value: ""}, {Name: "password", Value: ""}, {Name: "unix", Value: ""}, {Name: "tls", Value: "false"},
		{Name: "ca", Value: ""}, {Name: "cert", Value: ""}, {Name: "key", Value: ""}, {Name: "server_name", Value: ""},
		{Name: "insecure", Value: "false"}, {Name: "min_days", Value: "0"},
	}
	if got := fmt.Sprint(c.Options); got != fmt.Sprint(want) {
		t.Errorf("got %s, want %v", got, want)
	}
}

func TestExampleIsValid(t *testing.T) {
	if _, err := build(memcachedcheck.Kind().Example); err != nil {
		t.Error(err)
	}
}
