package mysqlcheck_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"

	"hale/internal/check"
	"hale/internal/kinds/kindtest"
	"hale/internal/kinds/mysqlcheck"
	"hale/internal/servertest"
)

var kinds = kindtest.Kinds{mysqlcheck.Kind()}

var (
	run           = kinds.Run
	runFrom       = kinds.RunIn
	build         = kinds.BuildIn
	option        = kindtest.Option
	expectFailure = kindtest.ExpectFailure
)

func expectNote(t *testing.T, result check.Result, want string) {
	t.Helper()
	if result.Err != nil || !strings.HasPrefix(result.Note, want) {
		t.Errorf("got note %q and error %v, want note %q", result.Note, result.Err, want)
	}
}

// expectQuiet asserts that the server's log has not grown.
func expectQuiet(t *testing.T, s *servertest.MariaDBServer, before string) {
	t.Helper()
	if got := s.Log(); got != before {
		t.Errorf("the server's log grew by:\n%s", strings.TrimPrefix(got, before))
	}
}

func TestContract(t *testing.T) {
	t.Run("ping", func(t *testing.T) {
		kindtest.Network{Kind: mysqlcheck.Kind(), URL: func(a string) string { return "mysql://" + a }}.Run(t)
	})
	t.Run("login", func(t *testing.T) {
		kindtest.Network{Kind: mysqlcheck.Kind(), URL: func(a string) string { return "mysql://app:secret@" + a + "/shop?query=select%201" }}.Run(t)
	})
	t.Run("TLS", func(t *testing.T) {
		kindtest.Network{Kind: mysqlcheck.Kind(), URL: func(a string) string { return "mysql://" + a + "?tls=require" }}.Run(t)
	})
}

// A check of the server's own host without credentials finds it up, and the
// server has nothing to log.
func TestPing(t *testing.T) {
	s := servertest.MariaDB(t)
	before := s.Log()
	for _, url := range []string{
		"mysql://" + s.Addr, fmt.Sprintf("mysql://:%d", s.Port), fmt.Sprintf("mysql://%d", s.Port), "mysql:///?unix=" + s.Socket(),
		"mysql://root@" + s.Addr,
	} {
		expectNote(t, run(t, url), "accepts connections, 10.")
	}
	expectQuiet(t, s, before)
	// Somebody who is not let in is proof as well.
	expectNote(t, run(t, "mysql://nobody@"+s.Addr), "accepts connections, 10.")
	if got := s.SQL("show global status like 'Aborted_clients'"); got != "Aborted_clients\t0" {
		t.Errorf("%s, want none: the check must say goodbye", got)
	}

	s.Pause()
	expectFailure(t, run(t, "mysql://"+s.Addr+"?timeout=300ms"), check.ReasonTimeout, "no greeting")
	s.Resume()
	s.Stop()
	expectFailure(t, run(t, "mysql://"+s.Addr), check.ReasonRefused, "mysql://"+s.Addr)
	expectFailure(t, run(t, "mysql:///?unix="+s.Socket()), check.ReasonMissing, s.Socket())
}

// from returns an environment whose connections come from an address. MySQL
// never blocks 127.0.0.1.
func from(host string) check.Env {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(host)}}
	return check.Env{Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		return d.DialContext(ctx, network, address)
	}}
}

// MySQL blocks a host from which max_connect_errors handshakes in a row broke
// off. Checks must not be counted among them.
func TestHostIsNotBlocked(t *testing.T) {
	s := servertest.MariaDB(t, "max_connect_errors=3", "performance_schema=ON")
	// Whatever name this host gives 127.0.0.2, it is to be a stranger.
	s.SQL("delete from mysql.global_priv where host <> 'localhost'", "flush privileges")
	env := from("127.0.0.2")
	url := "mysql://" + s.Addr
	expectFailure(t, runFrom(t, env, url), check.ReasonPermission, "no account may log in from this host", "(error 1130)")
	s.SQL("create user app@'%' identified by 'pass-word'", "flush hosts")

	for range 200 {
		if result := runFrom(t, env, url); result.Err != nil {
			t.Fatal(result.Err)
		}
	}
	if got := s.SQL("select ip, sum_connect_errors, count_handshake_errors from performance_schema.host_cache"); got != "127.0.0.2\t0\t0" {
		t.Errorf("host cache: %q, want no errors of 127.0.0.2", got)
	}
	expectNote(t, runFrom(t, env, "mysql://app:pass-word@"+s.Addr), "logged in")

	// The same server does block who hangs up in the middle.
	for range 4 {
		conn, err := env.Dial(t.Context(), "tcp", s.Addr)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = conn.Read(make([]byte, 1))
		_ = conn.Close()
	}
	servertest.Wait(t, "the host to be blocked", func() error {
		if result := runFrom(t, env, url); result.Reason() != check.ReasonPermission {
			return fmt.Errorf("got %q, %v", result.Note, result.Err)
		}
		return nil
	})
	expectFailure(t, runFrom(t, env, url), check.ReasonPermission, "FLUSH HOSTS", "(error 1129)")
}

func TestTooManyConnections(t *testing.T) {
	s := servertest.MariaDB(t, "max_connections=10", "connect_timeout=600")
	url := "mysql://" + s.Addr
	s.SQL("create user app identified by 'pass-word'")
	var conns []net.Conn
	defer func() {
		for _, c := range conns {
			_ = c.Close()
		}
	}()
	open := func() error {
		conn, err := net.Dial("tcp", s.Addr)
		if err != nil {
			return err
		}
		conns = append(conns, conn)
		_, err = conn.Read(make([]byte, 1))
		return err
	}
	// One more than the limit may connect, lest an administrator be shut out.
	for range 10 {
		if err := open(); err != nil {
			t.Fatal(err)
		}
	}
	expectFailure(t, run(t, "mysql://app:pass-word@"+s.Addr), check.ReasonStatus, "Too many connections (error 1040)")
	var result check.Result
	servertest.Wait(t, "the last place to be taken", func() error {
		if err := open(); err != nil {
			return err
		}
		if result = run(t, url); result.Healthy() {
			return fmt.Errorf("got %q", result.Note)
		}
		return nil
	})
	expectFailure(t, result, check.ReasonStatus, "Too many connections (error 1040); look for a client that leaks connections, or raise max_connections")
}

func TestOptions(t *testing.T) {
	tests := []struct {
		name, url string
		options   []check.Option
		want      string
	}{
		{"opaque", "mysql:3306", nil, "url: mysql:3306 has no host; write mysql://HOST:PORT, or mysql://:PORT for this host"},
		{"port", "mysql://h:65536", nil, "url: port 65536 is out of range; a port is a number from 1 to 65535"},
		{"two users", "mysql://a@h", []check.Option{option("username", "b")}, `username: is "b", and the URL names another user; give it once`},
		{"two passwords", "mysql://a:first-pw@h", []check.Option{option("password", "second-pw")}, "password: is not the one in the URL; give it once"},
		{"no user", "mysql://:pass-word@h", nil, "username: is missing, and a password, cert, query or read_only needs a login; write mysql://USER:PASSWORD@HOST/DATABASE"},
		{"query without login", "mysql://h?query=select%201", nil, "username: is missing, and a password, cert, query or read_only needs a login; write mysql://USER:PASSWORD@HOST/DATABASE"},
		{"blank query", "mysql://a@h?query=%20", nil, "query: is blank; give a statement such as select 1"},
		{"expect alone", "mysql://a@h?expect=1", nil, "expect: needs query, the statement that answers it"},
		{"read_only", "mysql://a@h?read_only=yes", nil, `read_only: "yes" is not known; give true or false`},
		{"socket", "mysql:///?unix=my.sock", nil, `unix: "my.sock" is a relative path; give an absolute one`},
		{"socket and host", "mysql://h?unix=/my.sock", nil, "unix: is a unix socket, and the URL names a host or port; give one of them"},
		{"zero", "mysql://a%00b:c%00d@h/e%00f", nil, `username: has a zero byte, which MySQL has no way to receive
password: has a zero byte, which MySQL has no way to receive
url: has a zero byte, which MySQL has no way to receive`},
		{"tls", "mysql://h?tls=required", nil, `tls: "required" is not known; did you mean "require"? (known: disable, prefer, require)`},
		{"socket and TLS", "mysql:///?unix=/my.sock&tls=require", nil, "tls: is require, and a unix socket is without TLS; leave it out"},
		{"TLS options without TLS", "mysql://h?ca=/ca.pem", nil, "tls: is prefer, and ca, cert, key, server_name, insecure and min_days need require"},
		{"relative file", "mysql://h?tls=require&ca=ca.pem", nil, `ca: "ca.pem" is a relative path; give an absolute one`},
		{"missing file", "mysql://h?tls=require&ca=/nowhere/ca.pem", nil, "ca: open /nowhere/ca.pem: no such file or directory"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := build(check.Env{}, test.url, test.options...)
			if err == nil || err.Error() != test.want {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
		})
	}
}

func TestDefaults(t *testing.T) {
	c := kindtest.Build(t, mysqlcheck.Kind(), "mysql://:1")
	want := []check.Setting{
		{Name: "username", Value: ""}, {Name: "password", Value: ""}, {Name: "unix", Value: ""}, {Name: "query", Value: ""},
		{Name: "expect", Value: ""}, {Name: "read_only", Value: ""}, {Name: "tls", Value: "prefer"},
		{Name: "ca", Value: ""}, {Name: "cert", Value: ""}, {Name: "key", Value: ""}, {Name: "server_name", Value: ""},
		{Name: "insecure", Value: "false"}, {Name: "min_days", Value: "0"},
	}
	if got := fmt.Sprint(c.Options); got != fmt.Sprint(want) {
		t.Errorf("got %s, want %v", got, want)
	}
}

func TestExampleIsValid(t *testing.T) {
	if _, err := build(check.Env{}, mysqlcheck.Kind().Example); err != nil {
		t.Error(err)
	}
}
