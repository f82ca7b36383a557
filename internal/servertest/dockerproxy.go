package servertest

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// A SocketProxy is a proxy in front of an engine's socket that a test can break
// and mend. It is mended, and ends, with the test.
type SocketProxy struct {
	// Socket is the path of its socket, Host the same as DOCKER_HOST has it.
	Socket, Host string

	tb     testing.TB
	engine string
	server *http.Server // nil while it is broken

	mu       sync.Mutex
	open     chan struct{} // closed while answers pass
	requests []string
}

// Proxy starts a proxy in front of the engine.
func (d *DockerEngine) Proxy() *SocketProxy {
	d.tb.Helper()
	p := &SocketProxy{tb: d.tb, engine: d.Socket, open: make(chan struct{})}
	p.Socket = filepath.Join(shortDir(d.tb), "proxy.sock")
	p.Host = "unix://" + p.Socket
	close(p.open)
	p.Mend()
	d.tb.Cleanup(p.Break)
	return p
}

// Hang lets the engine hang: requests are taken and no answer comes, and streams
// are silent. Only [SocketProxy.Resume] ends it.
func (p *SocketProxy) Hang() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open = make(chan struct{})
}

// Resume undoes [SocketProxy.Hang].
func (p *SocketProxy) Resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.open:
	default:
		close(p.open)
	}
}

// Break ends all connections and removes the socket, as when an engine stops.
func (p *SocketProxy) Break() {
	p.Resume()
	if p.server != nil {
		_ = p.server.Close()
		p.server = nil
	}
}

// Mend undoes [SocketProxy.Break].
func (p *SocketProxy) Mend() {
	p.tb.Helper()
	if p.server != nil {
		return
	}
	_ = os.Remove(p.Socket)
	listener, err := net.Listen("unix", p.Socket)
	if err != nil {
		p.tb.Fatal(err)
	}
	if err := os.Chmod(p.Socket, 0o666); err != nil {
		p.tb.Fatal(err)
	}
	through := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: "docker"})
	through.ErrorLog = log.New(io.Discard, "", 0)
	through.FlushInterval = -1 // events are to be passed on at once
	through.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { panic(http.ErrAbortHandler) }
	through.Transport = &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", p.engine)
	}}
	through.ModifyResponse = func(answer *http.Response) error {
		answer.Body = gated{answer.Body, p, answer.Request.Context()}
		return nil
	}
	p.server = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.requests = append(p.requests, r.Method+" "+r.URL.Path)
		p.mu.Unlock()
		if p.wait(r.Context()) == nil {
			through.ServeHTTP(w, r)
		}
	})}
	go func(server *http.Server) {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			p.tb.Error(err)
		}
	}(p.server)
}

// Requests returns the method and path of every request that there was.
func (p *SocketProxy) Requests() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.requests...)
}

// wait waits until answers pass.
func (p *SocketProxy) wait(ctx context.Context) error {
	p.mu.Lock()
	open := p.open
	p.mu.Unlock()
	select {
	case <-open:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// gated is an answer's body that passes while the proxy does not hang.
type gated struct {
	io.ReadCloser
	proxy *SocketProxy
	ctx   context.Context
}

func (g gated) Read(into []byte) (int, error) {
	n, err := g.ReadCloser.Read(into)
	if waiting := g.proxy.wait(g.ctx); waiting != nil {
		return 0, waiting
	}
	return n, err
}
