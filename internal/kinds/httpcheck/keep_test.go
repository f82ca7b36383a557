package httpcheck_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hale/internal/check"
	"hale/internal/kinds/kindtest"
	"hale/internal/servertest"
)

// TestKeepalive counts the connections of three runs.
func TestKeepalive(t *testing.T) {
	certs := servertest.NewCerts(t, time.Hour, "127.0.0.1")
	secure, plain := secureNginx(t, certs, "")
	for _, test := range []struct {
		name, url string
		want      int32
	}{
		{"new by default", "http://" + plain, 3},
		{"kept", "http://" + plain + "#keepalive", 1},
		{"kept with a body to match", "http://" + plain + "#keepalive&body=HTTP", 1},
		{"kept with HEAD", "http://" + plain + "#keepalive&method=HEAD", 1},
		{"kept over a redirect", "http://" + plain + "/old#keepalive&follow=1", 1},
		{"new with TLS", secure + "#insecure&version=1.1", 3},
		{"kept with TLS", secure + "#keepalive&insecure&version=1.1", 1},
		{"new with HTTP/2", secure + "#insecure&body=HTTP/2.0", 3},
		{"kept with HTTP/2", secure + "#keepalive&insecure&body=HTTP/2.0", 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			var dialled atomic.Int32
			c := mustBuild(t, counting(&dialled), test.url)
			for range 3 {
				if got := once(t, c); got.Err != nil {
					t.Fatal(got.Err)
				}
			}
			if n := dialled.Load(); n != test.want {
				t.Errorf("%d connections for three runs, want %d", n, test.want)
			}
		})
	}
}

// TestNotKept is about answers after which the connection is of no more use,
// although the server leaves it open.
func TestNotKept(t *testing.T) {
	for name, test := range map[string]struct{ options, answer string }{
		"told to close":     {"", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nready"},
		"HTTP/1.0":          {"", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nready"},
		"more than it said": {"", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nready and more"},
		"too long a body":   {"", "HTTP/1.1 200 OK\r\nContent-Length: 65537\r\n\r\n" + strings.Repeat("x", 65536)},
		"wrong status":      {"&status=204", "HTTP/1.1 200 OK\r\nContent-Length: 600\r\n\r\n" + strings.Repeat("x", 600)},
	} {
		t.Run(name, func(t *testing.T) {
			var dialled atomic.Int32
			url := "http://" + servertest.Peer(t, func(conn net.Conn) {
				for r := bufio.NewReader(conn); ; {
					if _, err := http.ReadRequest(r); err != nil {
						return
					}
					fmt.Fprint(conn, test.answer)
				}
			})
			c := mustBuild(t, counting(&dialled), url+"/#keepalive"+test.options)
			once(t, c)
			once(t, c)
			if n := dialled.Load(); n != 2 {
				t.Errorf("%d connections for two runs, want 2", n)
			}
		})
	}
}

// counting is [check.Dial] that counts.
func counting(n *atomic.Int32) check.DialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		n.Add(1)
		return check.Dial(ctx, network, address)
	}
}

// TestStaleConnection kills the kept connection in several ways between two
// runs, or as soon as the second one uses it; the service is healthy all the
// time, and so must be every run.
func TestStaleConnection(t *testing.T) {
	const answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nready"
	for name, second := range map[string]func(net.Conn, *bufio.Reader){
		"closed while idle":          func(c net.Conn, _ *bufio.Reader) { _ = c.Close() },
		"reset while idle":           func(c net.Conn, _ *bufio.Reader) { _ = c.(*net.TCPConn).SetLinger(0); _ = c.Close() },
		"a parting word while idle":  func(c net.Conn, _ *bufio.Reader) { fmt.Fprint(c, "HTTP/1.1 408 Request Timeout\r\n\r\n") },
		"closed at the next request": func(c net.Conn, r *bufio.Reader) { _, _ = http.ReadRequest(r); _ = c.Close() },
		"reset at the next request":  func(c net.Conn, r *bufio.Reader) { _, _ = r.Peek(1); _ = c.(*net.TCPConn).SetLinger(0); _ = c.Close() },
		"closed in the next headers": func(c net.Conn, r *bufio.Reader) { _, _ = http.ReadRequest(r); fmt.Fprint(c, "HTTP/1.1 200 OK\r\n") },
		"garbage at the next request": func(c net.Conn, r *bufio.Reader) {
			_, _ = http.ReadRequest(r)
			fmt.Fprint(c, "\x00\x01\x02\x03\x04\x05")
		},
		"closed by Connection: close":  nil,
		"more than the announced body": nil,
	} {
		for _, method := range []string{"GET", "POST"} {
			t.Run(method+" "+name, func(t *testing.T) {
				idle := make(chan struct{})       // a run ended
				served := make(chan struct{}, 10) // the server is through with a connection
				url := "http://" + servertest.Peer(t, func(conn net.Conn) {
					defer func() { served <- struct{}{} }()
					r := bufio.NewReader(conn)
					if _, err := http.ReadRequest(r); err != nil {
						return
					}
					switch name {
					case "closed by Connection: close":
						fmt.Fprint(conn, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nready")
					case "more than the announced body":
						fmt.Fprint(conn, answer+"HTTP/1.1 500 Internal Server Error\r\n\r\n")
					default:
						fmt.Fprint(conn, answer)
						if strings.HasSuffix(name, "idle") {
							<-idle
						}
						second(conn, r)
					}
				})
				c := mustBuild(t, nil, url+"/#keepalive&method="+method)
				for range 3 {
					expectUp(t, once(t, c), "200 in ")
					if strings.HasSuffix(name, "idle") {
						idle <- struct{}{}
						<-served
					}
				}
			})
		}
	}
}

// TestStaleIsNotSlow sees that the time which a dead connection took does not
// count.
func TestStaleIsNotSlow(t *testing.T) {
	const slow = 500 * time.Millisecond
	url := "http://" + servertest.Peer(t, func(conn net.Conn) {
		r := bufio.NewReader(conn)
		_, _ = http.ReadRequest(r)
		fmt.Fprint(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		if _, err := http.ReadRequest(r); err == nil {
			<-time.After(slow)
		}
	})
	c := mustBuild(t, nil, url+"/#keepalive&slow="+slow.String())
	expectUp(t, once(t, c), "200 in ")
	got := once(t, c)
	expectUp(t, got, "200 in ")
	if got.Took < slow {
		t.Errorf("took %v; the connection was not kept", got.Took)
	}
}

// TestStaleHTTP2 is TestStaleConnection for HTTP/2: the server goes away and
// comes back.
func TestStaleHTTP2(t *testing.T) {
	certs := servertest.NewCerts(t, time.Hour, "127.0.0.1")
	port := servertest.FreePort(t)
	server := servertest.Nginx(t, fmt.Sprintf(`
    listen 127.0.0.1:%d ssl http2; ssl_certificate %s; ssl_certificate_key %s;
    location / { return 200 $server_protocol; }`, port, certs.Cert, certs.Key))
	for _, url := range []string{
		fmt.Sprintf("https://127.0.0.1:%d/#keepalive&insecure&body=HTTP/2.0", port),
		fmt.Sprintf("https://127.0.0.1:%d/#keepalive&insecure&body=HTTP/1.1&version=1.1", port),
		"http://" + server.Addr + "/#keepalive",
	} {
		c := mustBuild(t, nil, url)
		for _, end := range []func(){server.Stop, server.Kill} {
			expectUp(t, once(t, c), "200 in ")
			end()
			server.Start()
			expectUp(t, once(t, c), "200 in ")
			end()
			if got := once(t, c); got.Reason() != check.ReasonRefused {
				t.Errorf("%s: got %v while the server is gone, want refused", url, got.Text())
			}
			server.Start()
		}
	}
}

// TestKeptConnectionFailsSoon looks for the option by which the kernel gives up
// a connection whose peer is gone without a word.
func TestKeptConnectionFailsSoon(t *testing.T) {
	var raw syscall.RawConn
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := check.Dial(ctx, network, address)
		if err == nil {
			raw, err = conn.(*net.TCPConn).SyscallConn()
		}
		return conn, err
	}
	url := "http://" + saying(t, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	c := mustBuild(t, dial, url+"#keepalive")
	expectUp(t, once(t, c), "200 in ")
	var got int
	err := raw.Control(func(fd uintptr) { got, _ = syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, unix.TCP_USER_TIMEOUT) })
	if err != nil || got != 1000 {
		t.Errorf("TCP_USER_TIMEOUT is %d (%v), want 1000", got, err)
	}
	runtime.KeepAlive(c)
}

// TestKeptConnectionIsGivenUp sees that a check that is no longer in use closes
// its connection, and that one which failed closes it at once.
func TestKeptConnectionIsGivenUp(t *testing.T) {
	for _, version := range []string{"1.1", "h2c"} {
		t.Run(version, func(t *testing.T) {
			kindtest.ExpectLeavesNothing(t)
			var open atomic.Int32
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			server := &http.Server{ConnState: func(_ net.Conn, s http.ConnState) {
				switch s {
				case http.StateNew:
					open.Add(1)
				case http.StateClosed:
					open.Add(-1)
				}
			}, Protocols: new(http.Protocols), Handler: http.NotFoundHandler()}
			server.Protocols.SetHTTP1(true)
			server.Protocols.SetUnencryptedHTTP2(true)
			go func() { _ = server.Serve(listener) }()
			defer server.Close()
			url := "http://" + listener.Addr().String() + "/#keepalive&version=" + version

			func() {
				c := mustBuild(t, nil, url+"&status=404")
				expectUp(t, once(t, c), "404 in ")
				if open.Load() != 1 {
					t.Errorf("%d connections are open after the run, want 1", open.Load())
				}
			}()
			eventually(t, "the connection of a check that is gone to be closed", func() bool {
				runtime.GC()
				return open.Load() == 0
			})
		})
	}
}

// TestKeptConnectionAfterTimeout sees that a run that ended too late leaves no
// connection behind, which would bring the late answer to the next run.
func TestKeptConnectionAfterTimeout(t *testing.T) {
	var hang atomic.Bool
	handler := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if hang.Load() {
			<-r.Context().Done()
		}
	})
	for _, url := range []string{
		goServer(t, handler, nil) + "/#keepalive",
		goServer(t, handler, nil) + "/#keepalive&version=h2c",
		goServer(t, handler, serverTLS(t)) + "/#keepalive&insecure&version=1.1",
		goServer(t, handler, serverTLS(t)) + "/#keepalive&insecure&version=2",
	} {
		var dialled atomic.Int32
		c := mustBuild(t, counting(&dialled), url)
		expectUp(t, once(t, c), "200 in ")
		hang.Store(true)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		if got := c.Run(ctx, nil); got.Healthy() {
			t.Errorf("%s: healthy although the server hangs", url)
		}
		cancel()
		hang.Store(false)
		expectUp(t, once(t, c), "200 in ")
		if n := dialled.Load(); n != 2 {
			t.Errorf("%s: %d connections, want a new one after the timeout", url, n)
		}
	}
}
