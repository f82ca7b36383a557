package server_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"hale/internal/server"
)

// patience is how long a test waits for what should happen at once, on a slow
// machine with other things to do.
const patience = time.Minute

// transports are the ways on which the server is reached. All but the first go
// through net.Conn only.
var transports = []struct {
	name   string
	listen func(t *testing.T) net.Listener
	dial   func(address net.Addr) (net.Conn, error)
}{
	{"tcp", listenTCP, dialPlain},
	{"net.Conn", func(t *testing.T) net.Listener { return veiledListener{listenTCP(t)} }, dialPlain},
	{"unix", listenUnix, dialPlain},
	{"tls", listenTLS, dialTLS},
}

func listenTCP(t *testing.T) net.Listener {
	t.Helper()
	l, err := server.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func listenUnix(t *testing.T) net.Listener {
	t.Helper()
	dir, err := os.MkdirTemp("", "hale") // t.TempDir can be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func listenTLS(t *testing.T) net.Listener {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate := tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	return tls.NewListener(listenTCP(t), &tls.Config{Certificates: []tls.Certificate{certificate}})
}

func dialPlain(address net.Addr) (net.Conn, error) {
	return net.Dial(address.Network(), address.String())
}

func dialTLS(address net.Addr) (net.Conn, error) {
	return tls.Dial("tcp", address.String(), &tls.Config{InsecureSkipVerify: true})
}

// A veiledListener's connections don't show that they are TCP.
type veiledListener struct{ net.Listener }

func (l veiledListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return veiled{nc, nc.(*net.TCPConn)}, nil
}

type veiled struct {
	net.Conn
	tcp *net.TCPConn
}

func (v veiled) CloseWrite() error { return v.tcp.CloseWrite() }

// A running is a server under test.
type running struct {
	server  *server.Server
	address net.Addr
	dialer  func(net.Addr) (net.Conn, error)
	// stop ends Serve and returns its error. It is called at the test's end at
	// the latest, where an error fails the test.
	stop func() error

	mu      sync.Mutex
	drops   map[string]int
	answers map[int]int
}

// start serves on a TCP listener.
func start(t *testing.T, h server.Handler, o server.Options) *running {
	t.Helper()
	return startOn(t, listenTCP(t), dialPlain, h, o)
}

// startOn serves on l. Timeouts that o does not set are so long that a slow
// machine does not meet them.
func startOn(t *testing.T, l net.Listener, dial func(net.Addr) (net.Conn, error), h server.Handler, o server.Options) *running {
	t.Helper()
	for _, timeout := range []*time.Duration{&o.HeadTimeout, &o.IdleTimeout, &o.WriteTimeout, &o.Grace} {
		if *timeout == 0 {
			*timeout = patience
		}
	}
	return startExactly(t, l, dial, h, o)
}

// startExactly serves on l with the hooks of o replaced, and nothing else.
func startExactly(t *testing.T, l net.Listener, dial func(net.Addr) (net.Conn, error), h server.Handler, o server.Options) *running {
	t.Helper()
	r := &running{address: l.Addr(), dialer: dial, drops: map[string]int{}, answers: map[int]int{}}
	o.OnDrop = func(reason string) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.drops[reason]++
	}
	o.OnAnswer = func(status int) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.answers[status]++
	}
	r.server = server.New(h, o)
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- r.server.Serve(ctx, l) }()
	r.stop = sync.OnceValue(func() error {
		cancel()
		return <-served
	})
	t.Cleanup(func() {
		if err := r.stop(); err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return r
}

// dial opens a connection that is closed with the test, on which everything
// must happen within patience.
func (r *running) dial(t *testing.T) net.Conn {
	t.Helper()
	c, err := r.dialer(r.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return c
}

// dropped returns how often connections were dropped for a reason.
func (r *running) dropped(reason string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.drops[reason]
}

// awaitDrops waits until n connections were dropped for a reason.
func (r *running) awaitDrops(t *testing.T, reason string, n int) {
	t.Helper()
	await(t, func() bool { return r.dropped(reason) >= n })
	if got := r.dropped(reason); got != n {
		t.Errorf("%s: got %d drops, want %d", reason, got, n)
	}
}

// await waits until done is true.
func await(t *testing.T, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("waited in vain")
		}
	}
}

// echo answers with what it has understood.
var echo = server.HandlerFunc(func(_ context.Context, r *server.Request) *server.Response {
	body := string(r.Method) + " " + string(r.Path)
	if len(r.Query) > 0 {
		body += " ?" + string(r.Query)
	}
	return server.NewResponse(200, "text/plain", body, "Cache-Control: no-store")
})

// fixed answers always the same.
var fixed = func() server.Handler {
	ok := server.NewResponse(200, "text/plain", "ok")
	return server.HandlerFunc(func(context.Context, *server.Request) *server.Response { return ok })
}()
