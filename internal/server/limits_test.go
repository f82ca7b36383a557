package server_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"hale/internal/server"
)

const get = "GET / HTTP/1.1\r\n\r\n"

// ask sends a request and checks that 200 comes, with ok.
func ask(t *testing.T, c net.Conn) {
	t.Helper()
	if _, err := io.WriteString(c, get); err != nil {
		t.Fatal(err)
	}
	checkAnswer(t, bufio.NewReader(c), "200 ok", false, false)
}

// each runs a test on both wires, at the same time.
func each(t *testing.T, h server.Handler, o server.Options, test func(t *testing.T, r *running)) {
	on(t, 2, h, o, test)
}

// everywhere runs a test on every transport, at the same time.
func everywhere(t *testing.T, h server.Handler, o server.Options, test func(t *testing.T, r *running)) {
	on(t, len(transports), h, o, test)
}

func on(t *testing.T, n int, h server.Handler, o server.Options, test func(t *testing.T, r *running)) {
	for _, transport := range transports[:n] {
		t.Run(transport.name, func(t *testing.T) {
			t.Parallel()
			test(t, startOn(t, transport.listen(t), transport.dial, h, o))
		})
	}
}

func TestSilentClientIsDropped(t *testing.T) {
	each(t, fixed, server.Options{HeadTimeout: 100 * time.Millisecond}, func(t *testing.T, r *running) {
		c := r.dial(t)
		checkClosed(t, bufio.NewReader(c))
		r.awaitDrops(t, server.DropHeadTimeout, 1)
	})
}

// TestIdleConnectionIsClosed, and without a word: that is nobody's fault.
func TestIdleConnectionIsClosed(t *testing.T) {
	each(t, fixed, server.Options{IdleTimeout: 100 * time.Millisecond}, func(t *testing.T, r *running) {
		c := r.dial(t)
		ask(t, c)
		checkClosed(t, bufio.NewReader(c))
		r.mu.Lock()
		defer r.mu.Unlock()
		if len(r.drops) > 0 {
			t.Errorf("got drops %v, want none", r.drops)
		}
	})
}

// TestUsedConnectionStaysInRealTime: the idle timeout begins anew with each
// request. The machine may be too slow for the first ones.
func TestUsedConnectionStaysInRealTime(t *testing.T) {
	t.Parallel()
	stays := func(idle time.Duration) bool {
		r := start(t, fixed, server.Options{IdleTimeout: idle})
		c := r.dial(t)
		defer c.Close()
		b := bufio.NewReader(c)
		for range 4 {
			io.WriteString(c, get)
			if _, err := http.ReadResponse(b, nil); err != nil {
				return false
			}
			io.CopyN(io.Discard, b, 2)
			time.Sleep(idle / 2)
		}
		return true
	}
	for idle := 100 * time.Millisecond; !stays(idle); idle *= 3 {
		if idle > patience {
			t.Fatal("a connection was closed though it was used")
		}
	}
}

// TestUnreadAnswers: a client that sends requests and reads nothing is cut off,
// and others are answered meanwhile.
func TestUnreadAnswers(t *testing.T) {
	t.Parallel()
	o := server.Options{WriteTimeout: time.Second, Grace: 3 * time.Second}
	everywhere(t, fixed, o, func(t *testing.T, r *running) {
		c := r.dial(t)
		var failed atomic.Bool
		go func() {
			for {
				if _, err := io.WriteString(c, get+get+get+get); err != nil {
					failed.Store(true)
					return
				}
			}
		}()
		r.awaitDrops(t, server.DropWriteTimeout, 1)
		ask(t, r.dial(t))
		if err := r.stop(); err != nil { // it takes no time to be rid of that client
			t.Error(err)
		}
		await(t, failed.Load)
	})
}

// TestSlowReader: a client that reads in time, after the buffers were full,
// gets all its answers, and the connection lives on.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	each(t, fixed, server.Options{}, func(t *testing.T, r *running) {
		c := r.dial(t)
		// Long requests, so that it does not take too many to fill the buffers.
		long := "GET / HTTP/1.1\r\nX: " + strings.Repeat("x", server.MaxHead-100) + "\r\n\r\n"
		sent := make(chan int)
		stop := make(chan struct{})
		go func() {
			n := 0
			for {
				select {
				case <-stop:
					sent <- n
					return
				default:
					io.WriteString(c, long)
					n++
				}
			}
		}()
		// The writer is stuck when the server is.
		answered := func() int {
			r.mu.Lock()
			defer r.mu.Unlock()
			return r.answers[200]
		}
		for before := -1; answered() > before; time.Sleep(200 * time.Millisecond) {
			before = answered()
		}
		close(stop)
		b := bufio.NewReader(c)
		n := 0
		for total := -1; n != total; {
			checkAnswer(t, b, "200 ok", false, false)
			n++
			if total < 0 {
				select {
				case total = <-sent:
				default:
				}
			}
		}
		ask(t, c)
	})
}

// TestFull: the places are taken by silent, dripping and idle connections; who
// comes is answered all the same, and those who have waited longest go.
func TestFull(t *testing.T) {
	everywhere(t, fixed, server.Options{MaxConnections: 30}, func(t *testing.T, r *running) {
		var held []net.Conn
		for i := range 30 {
			c := r.dial(t)
			switch i % 3 {
			case 0:
				io.WriteString(c, "GET / HT")
			case 1:
				ask(t, c)
			case 2:
				// Its handshake, if there is one, is done. It is silent.
			}
			held = append(held, c)
		}
		for range 10 {
			ask(t, r.dial(t))
		}
		r.awaitDrops(t, server.DropEvicted, 10)
		// The oldest that was never answered is gone.
		held[0].SetReadDeadline(time.Now().Add(patience))
		if _, err := held[0].Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("got %v, want the end of the first connection", err)
		}
	})
}

// TestUsedConnectionIsNotEvicted: new connections come and go in a full server,
// and one that is used between them keeps its place.
func TestUsedConnectionIsNotEvicted(t *testing.T) {
	r := start(t, fixed, server.Options{MaxConnections: 5})
	used := r.dial(t)
	for range 50 {
		ask(t, used)
		r.dial(t)
		ask(t, r.dial(t))
	}
	ask(t, used)
}

// TestEndedConnectionsMakeRoom: those that are over count no more.
func TestEndedConnectionsMakeRoom(t *testing.T) {
	r := start(t, fixed, server.Options{MaxConnections: 5})
	for range 50 {
		c := r.dial(t)
		io.WriteString(c, "GET / HTTP/1.0\r\n\r\n")
		b := bufio.NewReader(c)
		checkAnswer(t, b, "200 ok", true, false)
		checkClosed(t, b)
	}
	r.awaitDrops(t, server.DropEvicted, 0)
}

// TestBusyConnectionsAreNotEvicted: answers that are being made are not given
// up for a newcomer.
func TestBusyConnectionsAreNotEvicted(t *testing.T) {
	ok := server.NewResponse(200, "text/plain", "ok")
	started, release := make(chan struct{}), make(chan struct{})
	slow := server.HandlerFunc(func(context.Context, *server.Request) *server.Response {
		started <- struct{}{}
		<-release
		return ok
	})
	r := start(t, slow, server.Options{MaxConnections: 3})
	var busy []net.Conn
	for range 3 {
		c := r.dial(t)
		io.WriteString(c, get)
		<-started
		busy = append(busy, c)
	}
	newcomer := r.dial(t)
	if _, err := newcomer.Read(make([]byte, 1)); err == nil {
		t.Error("a newcomer was served")
	}
	r.awaitDrops(t, server.DropConnections, 1)
	close(release)
	for _, c := range busy {
		checkAnswer(t, bufio.NewReader(c), "200 ok", false, false)
	}
	go func() { <-started }()
	ask(t, r.dial(t)) // there is room again
}

// TestThousandIdleConnections: they disturb nobody, and end with the server.
func TestThousandIdleConnections(t *testing.T) {
	r := start(t, fixed, server.Options{MaxConnections: 2000})
	var idle []net.Conn
	for i := range 1000 {
		c := r.dial(t)
		if i%2 == 0 {
			ask(t, c)
		}
		idle = append(idle, c)
	}
	ask(t, r.dial(t))
	ask(t, idle[0])
	if err := r.stop(); err != nil {
		t.Error(err)
	}
	for _, c := range idle {
		checkClosed(t, bufio.NewReader(c))
	}
}

// TestFlood: many clients connect, do nothing or nonsense and go; a probe on a
// new connection is answered each time.
func TestFlood(t *testing.T) {
	r := start(t, fixed, server.Options{})
	var stop atomic.Bool
	var flood sync.WaitGroup
	defer flood.Wait()
	defer stop.Store(true)
	for worker := range 4 {
		flood.Go(func() {
			for i := 0; !stop.Load(); i++ {
				c, err := net.Dial("tcp", r.address.String())
				if err != nil {
					continue
				}
				switch (worker + i) % 4 {
				case 0:
					io.WriteString(c, "\x00garbage")
				case 1:
					io.WriteString(c, "GET / HTTP/1.1\r\nHos")
				case 2:
					io.WriteString(c, get+get)
				}
				if i%2 == 0 {
					c.(*net.TCPConn).SetLinger(0) // a reset
				}
				c.Close()
			}
		})
	}
	for range 200 {
		c := r.dial(t)
		ask(t, c)
		c.Close()
	}
}

// TestResets: clients that reset the connection at any time harm nobody.
func TestResets(t *testing.T) {
	r := start(t, fixed, server.Options{})
	for _, send := range []string{"", "G", "GET / HTTP/1.1\r\n", get, get + get, "POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n1"} {
		for range 20 {
			c := r.dial(t)
			io.WriteString(c, send)
			c.(*net.TCPConn).SetLinger(0)
			c.Close()
		}
	}
	ask(t, r.dial(t))
}

// A troubledListener fails as often as its script wants.
type troubledListener struct {
	net.Listener
	script chan error // nil is a connection; after its end there are only these
}

func (l troubledListener) Accept() (net.Conn, error) {
	if err := <-l.script; err != nil {
		return nil, &net.OpError{Op: "accept", Err: err}
	}
	return l.Listener.Accept()
}

// TestAcceptErrors: whatever prevents a connection from being accepted, the
// next one is; and where the system lacks files, waiting connections give way.
func TestAcceptErrors(t *testing.T) {
	for _, tt := range []struct {
		err    error
		scarce bool
	}{
		{syscall.EMFILE, true},
		{syscall.ENFILE, true},
		{syscall.ENOBUFS, true},
		{syscall.ENOMEM, true},
		{syscall.ECONNABORTED, false},
		{errors.New("odd"), false},
	} {
		t.Run(tt.err.Error(), func(t *testing.T) {
			t.Parallel()
			var log lockedBuffer
			l := troubledListener{listenTCP(t), make(chan error, 5)}
			for _, err := range []error{nil, nil, tt.err, tt.err, tt.err} {
				l.script <- err
			}
			close(l.script)
			r := startOn(t, l, dialPlain, fixed, server.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
			idle := r.dial(t)
			ask(t, idle)
			last := r.dial(t)
			ask(t, last)
			ask(t, r.dial(t)) // after the errors
			ask(t, r.dial(t))
			if tt.scarce {
				checkClosed(t, bufio.NewReader(idle))
				r.awaitDrops(t, server.DropEvicted, 1)
			} else {
				ask(t, idle)
			}
			ask(t, last)
			if got := log.String(); strings.Count(got, "\n") != 2 || strings.Count(got, tt.err.Error()) != 1 {
				t.Errorf("got log %q, want a line when it began and one when it ended", got)
			}
		})
	}
}
