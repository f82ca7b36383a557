package httpcheck_test

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"hale/internal/check"
	"hale/internal/servertest"
)

// environmentProxy is where the environment's proxy settings lead. They are
// read once in a process's life, and so are set before any test runs.
var environmentProxy atomic.Pointer[proxy]

func TestMain(m *testing.M) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			environmentProxy.Load().handle(conn)
			_ = conn.Close()
		}
	}()
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"} {
		_ = os.Setenv(name, "http://"+listener.Addr().String())
	}
	_ = os.Setenv("NO_PROXY", "")
	_ = os.Setenv("no_proxy", "")
	os.Exit(m.Run())
}

// A proxy forwards whatever it is asked for to backend, over HTTP, by CONNECT
// and over SOCKS 5.
type proxy struct {
	backend string       // address
	auth    string       // the Proxy-Authorization to insist on
	refuse  string       // an answer to CONNECT in place of a connection
	asked   atomic.Value // what it was last asked for, a string
}

func (p *proxy) handle(conn net.Conn) {
	reader := bufio.NewReader(conn)
	if first, err := reader.Peek(1); err == nil && first[0] == 5 {
		p.handleSOCKS(conn, reader)
		return
	}
	r, err := http.ReadRequest(reader)
	if err != nil {
		return
	}
	p.asked.Store(r.Method + " " + r.RequestURI)
	switch {
	case p.auth != "" && r.Header.Get("Proxy-Authorization") != p.auth:
		fmt.Fprint(conn, "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
	case r.Method == http.MethodConnect && p.refuse != "":
		fmt.Fprint(conn, p.refuse)
	case r.Method == http.MethodConnect:
		fmt.Fprint(conn, "HTTP/1.1 200 Connection established\r\n\r\n")
		p.pipe(conn, reader)
	default:
		p.forward(conn, r)
	}
}

// forward sends a request on and its answer back.
func (p *proxy) forward(conn net.Conn, r *http.Request) {
	backend, err := net.Dial("tcp", p.backend)
	if err != nil {
		return
	}
	defer backend.Close()
	r.Header.Del("Proxy-Authorization")
	r.Close = true
	_ = r.Write(backend)
	_, _ = io.Copy(conn, backend)
}

// handleSOCKS speaks SOCKS 5 (RFC 1928) without authentication.
func (p *proxy) handleSOCKS(conn net.Conn, reader *bufio.Reader) {
	head := make([]byte, 2)
	_, _ = io.ReadFull(reader, head)
	_, _ = io.CopyN(io.Discard, reader, int64(head[1]))
	_, _ = conn.Write([]byte{5, 0})
	request := make([]byte, 5)
	_, _ = io.ReadFull(reader, request)
	name := make([]byte, request[4])
	_, _ = io.ReadFull(reader, name)
	port := make([]byte, 2)
	_, _ = io.ReadFull(reader, port)
	p.asked.Store(fmt.Sprintf("SOCKS %s:%d", name, binary.BigEndian.Uint16(port)))
	_, _ = conn.Write([]byte{5, 0, 0, 1, 127, 0, 0, 1, 0, 0})
	p.pipe(conn, reader)
}

// pipe joins a client with the backend until either ends.
func (p *proxy) pipe(conn net.Conn, reader io.Reader) {
	backend, err := net.Dial("tcp", p.backend)
	if err != nil {
		return
	}
	defer backend.Close()
	go func() {
		_, _ = io.Copy(backend, reader)
		_ = backend.Close()
	}()
	_, _ = io.Copy(conn, backend)
}

func (p *proxy) expectAsked(t *testing.T, want string) {
	t.Helper()
	if got, _ := p.asked.Load().(string); got != want {
		t.Errorf("the proxy was asked for %q, want %q", got, want)
	}
}

func TestProxy(t *testing.T) {
	certs := servertest.NewCerts(t, time.Hour, "app.example")
	secure, plain := secureNginx(t, certs, "")
	secure = strings.TrimPrefix(secure, "https://")
	for _, test := range []struct{ name, backend, url, credentials, asked string }{
		{"http", plain, "http://app.example/?x=y#body=HTTP/1.1 app.example", "", "GET http://app.example/?x=y"},
		{"http with credentials", plain, "http://app.example/#body=HTTP", "user:p%40ss@", "GET http://app.example/"},
		{"https and Host", secure, "https://app.example:8443/#host=www.example.com&body=www.example.com&insecure", "", "CONNECT app.example:8443"},
		{"https", secure, "https://app.example/#body=HTTP/2.0&ca=" + certs.CA, "", "CONNECT app.example:443"},
		{"https with credentials", secure, "https://app.example/#ca=" + certs.CA, "user:p%40ss@", "CONNECT app.example:443"},
		{"https with HTTP/1.1", secure, "https://app.example:8443/#body=HTTP/1.1&version=1.1&ca=" + certs.CA, "", "CONNECT app.example:8443"},
		{"https and server name", secure, "https://10.0.0.1/#server_name=app.example&ca=" + certs.CA, "", "CONNECT 10.0.0.1:443"},
	} {
		for _, keep := range []string{"", "&keepalive"} {
			t.Run(test.name+keep, func(t *testing.T) {
				p := &proxy{backend: test.backend}
				if test.credentials != "" {
					p.auth = "Basic dXNlcjpwQHNz" // user:p@ss
				}
				option := "&proxy=http://" + strings.ReplaceAll(test.credentials, "%", "%25") + servertest.Peer(t, p.handle)
				c := mustBuild(t, nil, test.url+option+keep)
				expectUp(t, once(t, c), "200 in ")
				expectUp(t, once(t, c), "200 in ")
				p.expectAsked(t, test.asked)
			})
		}
	}
	t.Run("credentials stay there", func(t *testing.T) {
		p := &proxy{backend: plain}
		expectUp(t, run(t, "http://app.example/#proxy=http://user:hidden1@"+servertest.Peer(t, p.handle)), "200 in ")
		var got http.Header
		server := goServer(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Header }), nil)
		expectUp(t, run(t, server), "200 in ")
		want := http.Header{"User-Agent": {"hale"}, "Accept": {"*/*"}, "Connection": {"close"}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("the next request's headers (-want +got):\n%s", diff)
		}
	})
	t.Run("redirect home by the Host header", func(t *testing.T) {
		server := goServer(t, http.HandlerFunc(redirecting), serverTLS(t))
		p := &proxy{backend: strings.TrimPrefix(server, "https://")}
		expectUp(t, run(t, "https://app.example/to?url=https://www.example.com/x#host=www.example.com&follow=1&insecure&body=/x&proxy=http://"+servertest.Peer(t, p.handle)), "200 in ")
		p.expectAsked(t, "CONNECT app.example:443")
	})
	t.Run("SOCKS", func(t *testing.T) {
		p := &proxy{backend: plain}
		expectUp(t, run(t, "http://app.example/#body=HTTP/1.1 app.example&proxy=socks5://"+servertest.Peer(t, p.handle)), "200 in ")
		p.expectAsked(t, "SOCKS app.example:80")
		p = &proxy{backend: secure}
		expectUp(t, run(t, "https://app.example/#ca="+certs.CA+"&proxy=socks5h://"+servertest.Peer(t, p.handle)), "200 in ")
		p.expectAsked(t, "SOCKS app.example:443")
	})
}

func TestProxyFails(t *testing.T) {
	gone := "127.0.0.1:1"
	for _, test := range []struct {
		name, url, proxy string
		reason           check.Reason
		message          string
	}{
		{"refused", "http://app.example/", gone, check.ReasonRefused,
			"GET $URL: through the proxy http://$PROXY: dial tcp 127.0.0.1:1: connect: connection refused; nothing listens there"},
		{"no credentials", "http://app.example/", servertest.Peer(t, (&proxy{auth: "x"}).handle), check.ReasonAuth,
			"GET $URL: status 407 Proxy Authentication Required, want 200-299; the proxy asks for credentials: write its URL with USER:PASSWORD@ before the host"},
		{"no credentials for CONNECT", "https://app.example/", servertest.Peer(t, (&proxy{auth: "x"}).handle), check.ReasonAuth,
			"GET $URL: through the proxy http://$PROXY: it answers 407 Proxy Authentication Required; write its URL with USER:PASSWORD@ before the host"},
		{"CONNECT forbidden", "https://app.example/", servertest.Peer(t, (&proxy{refuse: "HTTP/1.1 403 Forbidden\r\n\r\n"}).handle), check.ReasonStatus,
			"GET $URL: through the proxy http://$PROXY: it does not connect to the server but answers 403 Forbidden"},
		{"early data", "https://app.example/", servertest.Peer(t, (&proxy{refuse: "HTTP/1.1 200 OK\r\n\r\nSSH-2.0"}).handle), check.ReasonProtocol,
			"GET $URL: through the proxy http://$PROXY: the server speaks first, which no TLS server does"},
		{"no proxy", "https://app.example/", servertest.Peer(t, (&proxy{refuse: "SSH-2.0-OpenSSH\r\n"}).handle), check.ReasonProtocol,
			"GET $URL: through the proxy http://$PROXY: CONNECT: the answer is not HTTP/1.1; it starts with \"SSH-2.0-OpenSSH\""},
	} {
		t.Run(test.name, func(t *testing.T) {
			message := strings.ReplaceAll(test.message, "$PROXY", test.proxy)
			expectDown(t, run(t, test.url+"#proxy=http://"+test.proxy), test.reason, test.url, message)
		})
	}
	t.Run("credentials are not shown", func(t *testing.T) {
		expectDown(t, run(t, "http://app.example/#proxy=http://user:hidden1@"+gone), check.ReasonRefused, gone,
			"GET http://app.example/: through the proxy http://user:***@$URL: dial tcp 127.0.0.1:1: connect: connection refused; nothing listens there")
	})
}

// TestEnvironmentProxy sees that the environment's proxy is used when asked for
// and only then.
func TestEnvironmentProxy(t *testing.T) {
	plain := servertest.Nginx(t, "location / { return 200; }")
	p := &proxy{backend: plain.Addr}
	environmentProxy.Store(p)

	var dialled string
	straight := dialing(plain.Addr, func(_, address string) { dialled = address })
	expectUp(t, once(t, mustBuild(t, straight, "http://app.example/")), "200 in ")
	if dialled != "app.example:80" || p.asked.Load() != nil {
		t.Errorf("dialled %s, the proxy was asked for %v; want the server itself", dialled, p.asked.Load())
	}
	expectUp(t, run(t, "http://app.example/#proxy=env"), "200 in ")
	p.expectAsked(t, "GET http://app.example/")

	// This host is never behind a proxy.
	p.asked.Store("nothing")
	expectUp(t, run(t, fmt.Sprintf("http://:%d/#proxy=env", plain.Port)), "200 in ")
	p.expectAsked(t, "nothing")
}
