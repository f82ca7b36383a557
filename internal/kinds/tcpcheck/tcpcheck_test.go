package tcpcheck_test

import (
	"context"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"hale/internal/check"
	"hale/internal/kinds/kindtest"
	"hale/internal/kinds/tcpcheck"
	"hale/internal/servertest"
)

func TestContractWithoutExpect(t *testing.T) {
	kindtest.Network{
		Kind: tcpcheck.Kind(),
		URL:  func(address string) string { return "tcp://" + address },
		// The check ends with the handshake, before any of them misbehaves.
		ContentWith: []string{"silent", "drip", "reset", "closes", "garbage", "endless"},
	}.Run(t)
}

func TestContractWithExpect(t *testing.T) {
	kindtest.Network{
		Kind: tcpcheck.Kind(),
		URL:  func(address string) string { return "tcp://" + address + `?send=PING\r\n&expect=+PONG` },
	}.Run(t)
}

func TestContractWithExpectRegexp(t *testing.T) {
	kindtest.Network{
		Kind: tcpcheck.Kind(),
		URL:  func(address string) string { return "tcp://" + address + `?expect_regexp=%5E220 ` },
	}.Run(t)
}

func TestZeroOptionsAreTheDefaults(t *testing.T) {
	c := kindtest.Build(t, tcpcheck.Kind(), "tcp://127.0.0.1:5432")
	want := []check.Setting{{Name: "send"}, {Name: "expect"}, {Name: "expect_regexp"}}
	for i, o := range c.Options {
		if o != want[i] {
			t.Errorf("option %d is %+v, want %+v", i, o, want[i])
		}
	}
	if len(c.Options) != len(want) {
		t.Errorf("got %d options, want %d", len(c.Options), len(want))
	}
}

func TestFaultsInTheURL(t *testing.T) {
	for _, test := range []struct{ url, want string }{
		{"tcp://", "url: tcp:// has no host; write tcp://HOST:PORT, or tcp://:PORT for this host"},
		{"tcp:db:5432", "url: tcp:db:5432 has no host; write tcp://HOST:PORT, or tcp://:PORT for this host"},
		{"tcp://db", "url: tcp://db has no port; write tcp://db:PORT"},
		{"tcp://[::1]", "url: tcp://[::1] has no port; write tcp://[::1]:PORT"},
		{"tcp://db:0", "url: port 0 is out of range; a port is a number from 1 to 65535"},
		{"tcp://db:65536", "url: port 65536 is out of range; a port is a number from 1 to 65535"},
		{"tcp://db:http", "url: the port is not a number; a port is a number from 1 to 65535 (a special character in a password is written %XX, such as %40 for @)"},
		{"tcp://70000", "url: port 70000 is out of range; a port is a number from 1 to 65535"},
		{"tcp://user:hunter2@db:5432", "url: a tcp check does not log in; leave out what stands before the @"},
		{"tcp://db:5432/app", "url: a tcp check has no path; write tcp://db:5432"},
		{"tcp://:5432/app", "url: a tcp check has no path; write tcp://:5432"},
	} {
		_, err := kindtest.TryBuild(t, tcpcheck.Kind(), test.url)
		if got := errText(err); got != test.want {
			t.Errorf("%s\n got %s\nwant %s", test.url, got, test.want)
		}
	}
}

func TestFaultsInTheOptions(t *testing.T) {
	for _, test := range []struct{ options, want string }{
		{`send=x`, "send: needs expect or expect_regexp, the answer to wait for"},
		{`send=x\&expect=y`, `send: ends in a lone backslash; write \\ for a backslash`},
		{`expect=\x0`, `expect: has a \x that is not followed by two hexadecimal digits, as in \x0a`},
		{`expect=\xgg`, `expect: has a \x that is not followed by two hexadecimal digits, as in \x0a`},
		{`expect=\é`, `expect: has the unknown escape "\\é"; known are \r \n \t \0 \\ \" and \xNN`},
		{`expect_regexp=(`, "expect_regexp: not a regular expression: error parsing regexp: missing closing ): `(`"},
		{`expect=a&expect_regexp=b`, "expect_regexp: is given beside expect; give one of them"},
		{`expect=\q&expect_regexp=[&send=\`, `send: ends in a lone backslash; write \\ for a backslash` + "\n" +
			`expect: has the unknown escape "\\q"; known are \r \n \t \0 \\ \" and \xNN` + "\n" +
			"expect_regexp: not a regular expression: error parsing regexp: missing closing ]: `[`\n" +
			"expect_regexp: is given beside expect; give one of them"},
	} {
		_, err := kindtest.TryBuild(t, tcpcheck.Kind(), "tcp://127.0.0.1:1?"+test.options)
		if got := errText(err); got != test.want {
			t.Errorf("%s\n got %s\nwant %s", test.options, got, test.want)
		}
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestRealServers(t *testing.T) {
	redis := servertest.Redis(t)
	nginx := servertest.Nginx(t, "return 200 fine;")
	postgres := servertest.Postgres(t)
	for _, test := range []struct{ name, url, note string }{
		{"redis", "tcp://" + redis.Addr, "connected to " + redis.Addr},
		{"redis answers", "tcp://" + redis.Addr + `?send=PING\r\n&expect=+PONG\r\n`, `answered "+PONG\r\n"`},
		{"nginx", "tcp://" + nginx.Addr, "connected to " + nginx.Addr},
		{"nginx answers", "tcp://" + nginx.Addr + `?send=GET / HTTP/1.0\r\n\r\n&expect_regexp=^HTTP/1\.1 200 `, `answered "HTTP/1.1 200 OK`},
		{"postgres", "tcp://" + postgres.Addr, "connected to " + postgres.Addr},
		// An SSLRequest, which a server without TLS answers with N: PostgreSQL,
		// "SSL Session Encryption".
		{"postgres answers", "tcp://" + postgres.Addr + `?send=\0\0\0\x08\x04\xd2\x16\x2f&expect=N`, `answered "N"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			result := runPatiently(t, test.url)
			if !result.Healthy() {
				t.Fatalf("got %v, want healthy", result.Err)
			}
			if !strings.HasPrefix(result.Note, test.note) {
				t.Errorf("note %q, want %q", result.Note, test.note)
			}
		})
	}
}

// A server that is stopped while its kernel goes on taking connections passes
// a check without expect, and fails one with it.
func TestPausedServer(t *testing.T) {
	redis := servertest.Redis(t)
	redis.Pause()
	defer redis.Resume()
	if result := runPatiently(t, "tcp://"+redis.Addr); !result.Healthy() {
		t.Errorf("without expect: got %v, want healthy", result.Err)
	}
	c := kindtest.Build(t, tcpcheck.Kind(), "tcp://"+redis.Addr+`?send=PING\r\n&expect=+PONG`)
	result := kindtest.Run(t, t.Context(), c)
	kindtest.ExpectReason(t, result, check.ReasonTimeout)
	want := "no answer within 400ms: " + redis.Addr + ` took the connection and sent nothing, want "+PONG"`
	if result.Text() != want {
		t.Errorf("got  %s\nwant %s", result.Text(), want)
	}
}

func TestStoppedServer(t *testing.T) {
	redis := servertest.Redis(t)
	redis.Stop()
	result := runPatiently(t, "tcp://"+redis.Addr)
	kindtest.ExpectReason(t, result, check.ReasonRefused)
	want := redis.Addr + " refused the connection: nothing listens there; is the service running, and on this address and port? (connection refused)"
	if result.Text() != want {
		t.Errorf("got  %s\nwant %s", result.Text(), want)
	}
}

// runPatiently runs a check of the URL once with a timeout fit for a busy
// machine.
func runPatiently(t *testing.T, url string) check.Result {
	t.Helper()
	return runWith(t, check.Env{}, url, 30*time.Second)
}

func runWith(t *testing.T, env check.Env, url string, timeout time.Duration) check.Result {
	t.Helper()
	registry, err := check.NewRegistry(env, tcpcheck.Kind())
	if err != nil {
		t.Fatal(err)
	}
	policy := check.DefaultPolicy()
	policy.Timeout, policy.Interval = timeout, max(timeout, policy.Interval)
	c, err := registry.Build(check.Spec{URL: url, Policy: policy})
	if err != nil {
		t.Fatal(err)
	}
	return kindtest.Run(t, t.Context(), c)
}

// A server that no longer accepts has its queue filled by others; then the
// kernel drops what comes.
func TestFullQueue(t *testing.T) {
	address := listenWithFullQueue(t)
	result := runWith(t, check.Env{}, "tcp://"+address, 300*time.Millisecond)
	kindtest.ExpectReason(t, result, check.ReasonTimeout)
	want := "no answer within 300ms: " + address + " does not answer, and is of this host: the program there takes no connections and its queue is full, or this host's firewall drops the packets (dial tcp " + address + ": i/o timeout)"
	if result.Text() != want {
		t.Errorf("got  %s\nwant %s", result.Text(), want)
	}
}

// listenWithFullQueue returns the address of a socket that listens, has room
// for one connection and has it taken.
func listenWithFullQueue(t *testing.T) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	address := check.Address("127.0.0.1", name.(*syscall.SockaddrInet4).Port)
	for range 64 {
		conn, err := net.DialTimeout("tcp", address, 300*time.Millisecond)
		if err != nil {
			return address
		}
		t.Cleanup(func() { _ = conn.Close() })
	}
	t.Fatal("the queue of a listening socket does not fill up")
	return ""
}

// Failures that need a network this machine may not have.
func TestDialErrors(t *testing.T) {
	for _, test := range []struct {
		err    error
		reason check.Reason
		want   string
	}{
		{&net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "db", IsNotFound: true}}, check.ReasonDNS,
			"db:5432: the name does not resolve; is it right, and the name server up? (lookup db: no such host)"},
		{&net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 77), Port: 5432}, Err: syscall.ETIMEDOUT}, check.ReasonTimeout,
			"db:5432 does not answer: the host is down, or a firewall drops the packets (connection timed out)"},
		{&net.OpError{Op: "dial", Net: "tcp", Err: syscall.EHOSTUNREACH}, check.ReasonUnreachable,
			"db:5432 can't be reached: the network, a route or the host is down (no route to host)"},
		{&net.OpError{Op: "dial", Net: "tcp", Err: syscall.EACCES}, check.ReasonPermission,
			"connecting to db:5432: dial tcp: permission denied"},
	} {
		env := check.Env{Dial: func(context.Context, string, string) (net.Conn, error) { return nil, test.err }}
		result := runWith(t, env, "tcp://db:5432", time.Second)
		kindtest.ExpectReason(t, result, test.reason)
		if result.Text() != test.want {
			t.Errorf("got  %s\nwant %s", result.Text(), test.want)
		}
	}
}
