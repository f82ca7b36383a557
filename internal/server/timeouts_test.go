package server_test

import (
	"bufio"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"hale/internal/server"
)

// A pipeListener's connections are pipes, whose deadlines go by the time of a
// synctest bubble.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }

// inBubble runs a test on a server in a bubble, where waiting takes no time and
// a slow machine makes no difference. Every connection that is dialled must be
// closed.
func inBubble(t *testing.T, h server.Handler, o server.Options, test func(t *testing.T, r *running)) {
	synctest.Test(t, func(t *testing.T) {
		l := &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
		dial := func(net.Addr) (net.Conn, error) {
			ours, theirs := net.Pipe()
			l.conns <- theirs
			return ours, nil
		}
		test(t, startExactly(t, l, dial, h, o))
	})
}

// closedAfter waits for the end of the connection and checks when that is.
func closedAfter(t *testing.T, c net.Conn, least, most time.Duration) {
	t.Helper()
	c.SetDeadline(time.Time{})
	begin := time.Now()
	checkClosed(t, bufio.NewReader(c))
	if after := time.Since(begin); after < least || after > most {
		t.Errorf("closed after %v, want from %v to %v", after, least, most)
	}
}

// TestDefaultTimeouts checks when a connection ends at which nothing happens:
// from the beginning, after an answer, in a body, after the last answer, and
// while an answer is not read.
func TestDefaultTimeouts(t *testing.T) {
	inBubble(t, fixed, server.Options{}, func(t *testing.T, r *running) {
		closedAfter(t, r.dial(t), 5*time.Second, 5*time.Second)
		r.awaitDrops(t, server.DropHeadTimeout, 1)

		c := r.dial(t)
		ask(t, c)
		closedAfter(t, c, 73*time.Second, 75*time.Second)

		c = r.dial(t)
		ask(t, c)
		io.WriteString(c, "POST / HTTP/1.1\r\n")
		time.Sleep(3 * time.Second)
		io.WriteString(c, "Content-Length: 10\r\n\r\n")
		checkAnswer(t, bufio.NewReader(c), "200 ok", false, false)
		io.WriteString(c, "12345")
		closedAfter(t, c, 5*time.Second, 5*time.Second)
		r.awaitDrops(t, server.DropBodyTimeout, 1)

		c = r.dial(t)
		io.WriteString(c, "POST / HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n")
		checkAnswer(t, bufio.NewReader(c), "200 ok", true, false)
		closedAfter(t, c, time.Second, time.Second)

		c = r.dial(t)
		go io.WriteString(c, get)
		closeAfterWriteTimeout(t, r, c)
	})
}

// closeAfterWriteTimeout reads nothing, and then finds half an answer at most.
func closeAfterWriteTimeout(t *testing.T, r *running, c net.Conn) {
	t.Helper()
	begin := time.Now()
	r.awaitDrops(t, server.DropWriteTimeout, 1)
	if after := time.Since(begin).Round(time.Second / 10); after != 5*time.Second {
		t.Errorf("the answer was given up after %v, want 5s", after)
	}
	closedAfter(t, c, 0, time.Second)
}

// TestDrippedHeadIsCut: each byte comes in time, the head does not. This is so
// for the first request of a connection and for a later one.
func TestDrippedHeadIsCut(t *testing.T) {
	inBubble(t, fixed, server.Options{}, func(t *testing.T, r *running) {
		for i, before := range []int{0, 1, 10} {
			c := r.dial(t)
			for range before {
				ask(t, c)
				time.Sleep(time.Second / 10)
			}
			begin := time.Now()
			var dripping sync.WaitGroup
			dripping.Go(func() {
				for _, b := range []byte("GET / HTTP/1.1\r\nX: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa") {
					if _, err := c.Write([]byte{b}); err != nil {
						return
					}
					time.Sleep(time.Second / 3)
				}
			})
			b := bufio.NewReader(c)
			checkAnswer(t, b, "408 request timeout", true, false)
			if after := time.Since(begin); after != 5*time.Second {
				t.Errorf("cut after %v, want 5s", after)
			}
			checkClosed(t, b)
			dripping.Wait()
			r.awaitDrops(t, server.DropHeadTimeout, i+1)
		}
	})
}

// TestUsedConnectionStays: the idle timeout begins anew with each request, and
// with one that comes in parts too.
func TestUsedConnectionStays(t *testing.T) {
	inBubble(t, fixed, server.Options{}, func(t *testing.T, r *running) {
		c := r.dial(t)
		c.SetDeadline(time.Time{})
		for pause := range 72 {
			ask(t, c)
			time.Sleep(time.Duration(pause) * time.Second)
			io.WriteString(c, get[:10])
			time.Sleep(time.Duration(pause) * time.Second / 20)
			io.WriteString(c, get[10:])
			checkAnswer(t, bufio.NewReader(c), "200 ok", false, false)
			time.Sleep(time.Duration(pause) * time.Second)
		}
		// The deadline of a head does not outlive it.
		ask(t, c)
		ask(t, c)
		time.Sleep(70 * time.Second)
		ask(t, c)
		c.Close()
	})
}

// TestSlowHandler: no deadline runs while the handler works, and a client that
// hangs up meanwhile harms nobody.
func TestSlowHandler(t *testing.T) {
	h := newSlow()
	inBubble(t, h, server.Options{}, func(t *testing.T, r *running) {
		h.started, h.release = make(chan struct{}, 2), make(chan struct{})
		patient, hasty := r.dial(t), r.dial(t)
		patient.SetDeadline(time.Time{})
		io.WriteString(patient, get)
		<-h.started
		io.WriteString(hasty, get)
		<-h.started
		hasty.Close()
		time.Sleep(10 * time.Minute)
		close(h.release)
		checkAnswer(t, bufio.NewReader(patient), "200 ok", false, false)
		closedAfter(t, patient, 73*time.Second, 75*time.Second)
	})
}

// TestGrace: how long Serve waits for an answer in flight.
func TestGrace(t *testing.T) {
	h := newSlow()
	inBubble(t, h, server.Options{}, func(t *testing.T, r *running) {
		h.started, h.release = make(chan struct{}, 2), make(chan struct{})
		c := r.dial(t)
		io.WriteString(c, get)
		<-h.started
		go func() {
			time.Sleep(4 * time.Second)
			h.release <- struct{}{}
		}()
		go io.Copy(io.Discard, c)
		begin := time.Now()
		if err := r.stop(); err != nil {
			t.Error(err)
		}
		if after := time.Since(begin).Round(time.Second); after != 4*time.Second && after != 5*time.Second {
			t.Errorf("stopped after %v, want 4s and the time to linger", after)
		}
	})
}
