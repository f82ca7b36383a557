package server_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"hale/internal/server"
)

// slow is a handler that tells when it starts and waits to be released.
type slow struct {
	started, release chan struct{}
}

func newSlow() *slow {
	return &slow{started: make(chan struct{}, 100), release: make(chan struct{})}
}

func (s *slow) Respond(ctx context.Context, _ *server.Request) *server.Response {
	s.started <- struct{}{}
	select {
	case <-s.release:
		return server.NewResponse(200, "text/plain", "ok")
	case <-ctx.Done():
		return server.NewResponse(503, "text/plain", "given up")
	}
}

// TestShutdown: the listener closes, an answer in flight arrives and says that
// the connection ends, and idle connections end.
func TestShutdown(t *testing.T) {
	for _, transport := range transports {
		t.Run(transport.name, func(t *testing.T) {
			h := newSlow()
			r := startOn(t, transport.listen(t), transport.dial, h, server.Options{})
			idle, silent, busy := r.dial(t), r.dial(t), r.dial(t)
			io.WriteString(idle, get)
			<-h.started
			h.release <- struct{}{}
			idleReader := bufio.NewReader(idle)
			checkAnswer(t, idleReader, "200 ok", false, false)
			io.WriteString(busy, get)
			<-h.started

			stopped := make(chan error)
			go func() { stopped <- r.stop() }()
			checkClosed(t, idleReader)
			checkClosed(t, bufio.NewReader(silent))
			if c, err := r.dialer(r.address); err == nil {
				c.Close()
				t.Error("a connection was accepted after the shutdown began")
			}
			select {
			case err := <-stopped:
				t.Fatalf("Serve returned %v before the last answer", err)
			default:
			}
			h.release <- struct{}{}
			b := bufio.NewReader(busy)
			checkAnswer(t, b, "200 ok", true, false)
			checkClosed(t, b)
			if err := <-stopped; err != nil {
				t.Errorf("got %v, want nil", err)
			}
			if len(r.drops) > 0 {
				t.Errorf("got drops %v, want none", r.drops)
			}
		})
	}
}

// TestShutdownCutsOff: an answer that takes longer than the grace is given up,
// its handler is told so, and Serve says it.
func TestShutdownCutsOff(t *testing.T) {
	h := newSlow()
	var log bytes.Buffer
	s := server.New(h, server.Options{Grace: 50 * time.Millisecond, Log: slog.New(slog.NewTextHandler(&log, nil))})
	l := listenTCP(t)
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error)
	go func() { served <- s.Serve(ctx, l) }()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, get)
	<-h.started
	cancel()
	const want = "1 connections were cut off: they had not ended 50ms after the listener was closed"
	if err := <-served; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	c.SetDeadline(time.Now().Add(patience))
	if _, err := io.ReadAll(c); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the connection was not closed")
	}
}

// TestTwoListeners: one server serves both, and the end of one is not that of
// the other.
func TestTwoListeners(t *testing.T) {
	r := start(t, fixed, server.Options{})
	second := listenTCP(t)
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error)
	go func() { served <- r.server.Serve(ctx, second) }()
	first := r.dial(t)
	ask(t, first)
	c, err := net.Dial("tcp", second.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ask(t, c)
	cancel()
	if err := <-served; err != nil {
		t.Error(err)
	}
	checkClosed(t, bufio.NewReader(c))
	ask(t, first)
	ask(t, r.dial(t))
}

func TestListenerClosedByOthers(t *testing.T) {
	l := listenTCP(t)
	l.Close()
	err := server.New(fixed, server.Options{}).Serve(t.Context(), l)
	if !errors.Is(err, net.ErrClosed) || !strings.Contains(err.Error(), l.Addr().String()) {
		t.Errorf("got %v, want one that names %v and is net.ErrClosed", err, l.Addr())
	}
}

// TestPanic: a request whose handler panics, or has nothing to say, gets 500
// and never 200; the connection and the server live on, and the log has it.
func TestPanic(t *testing.T) {
	var log lockedBuffer
	h := server.HandlerFunc(func(_ context.Context, r *server.Request) *server.Response {
		switch string(r.Path) {
		case "/panic":
			panic("oh no")
		case "/nil":
			return nil
		}
		return server.NewResponse(200, "text/plain", "ok")
	})
	r := start(t, h, server.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	c := r.dial(t)
	b := bufio.NewReader(c)
	for _, path := range []string{"/panic", "/nil", "/panic"} {
		io.WriteString(c, "GET "+path+" HTTP/1.1\r\n\r\n")
		checkAnswer(t, b, "500 internal server error", false, false)
	}
	ask(t, c)
	if got := log.String(); strings.Count(got, "level=ERROR") != 2 || !strings.Contains(got, "oh no") || !strings.Contains(got, "shutdown_test.go") {
		t.Errorf("got log %q, want two errors with the panic and its stack", got)
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
