package capture_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"hale/internal/capture"
)

// TestHugePeer: a peer that sends without end is cut, and costs little memory.
func TestHugePeer(t *testing.T) {
	s := start(t, capture.Options{})
	for what, begin := range map[string]string{
		"a head":  "GET / HTTP/1.1\r\nX: ",
		"a line":  "",
		"fields":  "GET / HTTP/1.1\r\n",
		"a body":  "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1073741824\r\n\r\n",
		"chunks":  "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
		"records": "\x16\x03\x01\x40\x00",
	} {
		piece := bytes.Repeat([]byte("x"), 64<<10)
		if what == "fields" {
			piece = bytes.Repeat([]byte("Name: value\r\n"), 5000)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		c := s.dial(t)
		_, _ = io.WriteString(c, begin)
		sent := 0
		for sent < 1<<30 {
			n, err := c.Write(piece)
			sent += n
			if err != nil {
				break
			}
		}
		if sent >= 1<<30 {
			t.Errorf("%s: all of 1 GB was taken", what)
		}
		a := s.next(t)
		runtime.ReadMemStats(&after)
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 32<<20 {
			t.Errorf("%s: %d bytes were allocated", what, grown)
		}
		if wanted := map[string]capture.Kind{"a body": capture.Request, "chunks": capture.Request, "records": capture.Handshake}[what]; wanted == "" && a.Kind != capture.TooLong || wanted != "" && a.Kind != wanted {
			t.Errorf("%s: %s %q after %d bytes", what, a.Kind, a.Ended, sent)
		}
		if shown := len(text(t, a)); shown > 64<<10 {
			t.Errorf("%s: %d bytes are shown", what, shown)
		}
		c.Close()
	}
}

// TestGarbage: what is no request is shown as what it is.
func TestGarbage(t *testing.T) {
	s := start(t, capture.Options{})
	for sent, want := range map[string]capture.Kind{
		"PING\r\n":                      capture.Other,
		"SSH-2.0-OpenSSH_9.2p1\r\n":     capture.Other,
		"\x00\x01\x02\x03":              capture.Unfinished,
		"\n":                            capture.Other,
		"GET":                           capture.Unfinished,
		"GET / HTTP/1.1\r\nHost: a":     capture.Unfinished,
		"\x16\x03\x01\x00\x05hello":     capture.Handshake,
		"\x16\x03":                      capture.Handshake,
		"\x16":                          capture.Unfinished,
		"GET / HTTP/1.1\nHost: a\n\n":   capture.Request,
		"GET / HTTP/9.9\r\n\r\n":        capture.Request,
		"GET / HTTP/1.1\r\n: x\r\n\r\n": capture.Request,
		"PRI * HTTP/2.0\r\n\r\n":        capture.Request,
	} {
		s.send(t, sent)
		a := s.next(t)
		if a.Kind != want {
			t.Errorf("%q: got %s (%s), want %s", sent, a.Kind, a.Ended, want)
		}
		text(t, a)
	}
}

// TestNeverEnds: a silent connection, a head that never ends and one that drips
// are given up after 10 s, together.
func TestNeverEnds(t *testing.T) {
	s := start(t, capture.Options{})
	s.dial(t)
	_, _ = io.WriteString(s.dial(t), "GET / HTTP/1.1\r\n")
	half := s.dial(t)
	_, _ = io.WriteString(half, "\x16\x03\x01\x02\x00\x01")
	drips := s.dial(t)
	go func() {
		for {
			if _, err := io.WriteString(drips, "x"); err != nil {
				return
			}
			<-time.After(200 * time.Millisecond)
		}
	}()
	kinds := map[capture.Kind]int{}
	for range 4 {
		a := s.next(t)
		kinds[a.Kind]++
		if a.Kind == capture.Silent && (!has(a, "haproxy") || !strings.Contains(a.Ended, "still open and silent after 10s")) {
			t.Errorf("%q %s", a.Ended, names(a))
		}
	}
	if kinds[capture.Silent] != 1 || kinds[capture.Unfinished] != 2 || kinds[capture.Handshake] != 1 {
		t.Errorf("got %v", kinds)
	}
}

// TestFlood: more connections than are held are closed at once, and a request
// of one that is held is answered.
func TestFlood(t *testing.T) {
	s := start(t, capture.Options{})
	held := make([]net.Conn, capture.MaxConnections)
	for i := range held {
		held[i] = s.dial(t)
	}
	over := s.dial(t)
	if n, err := over.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("one more than %d: got %d bytes, %v", capture.MaxConnections, n, err)
	}
	_, _ = io.WriteString(held[0], "GET / HTTP/1.0\r\n\r\n")
	if a := s.next(t); a.Kind != capture.Request {
		t.Errorf("got %s", a.Kind)
	}
	s.stop()
	s.wait(t)
	if s.summary.Dropped != 1 {
		t.Errorf("%d were dropped, want 1", s.summary.Dropped)
	}
}

// TestEndsAtOnce: the context ends it whatever its connections are doing, and
// nothing of it is left.
func TestEndsAtOnce(t *testing.T) {
	before := runtime.NumGoroutine()
	s := start(t, capture.Options{})
	for _, sent := range []string{"", "GET", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "\x16\x03\x01", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "PROXY ", "POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n"} {
		_, _ = io.WriteString(s.dial(t), sent)
	}
	s.next(t) // one was answered, so all were accepted, or are about to be
	begin := time.Now()
	s.stop()
	s.wait(t)
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("it took %v to end", took)
	}
	for begin := time.Now(); runtime.NumGoroutine() > before; runtime.Gosched() {
		if time.Since(begin) > long {
			t.Fatalf("%d goroutines, before there were %d", runtime.NumGoroutine(), before)
		}
	}
}

// TestBlockedOutput: the context ends it also while what shows arrivals is
// blocked, and it says that not all was shown.
func TestBlockedOutput(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	blocked := make(chan struct{})
	ended := make(chan error, 1)
	go func() {
		_, err := capture.Run(ctx, l, capture.Options{Code: 200}, func(*capture.Arrival) error {
			close(blocked)
			_, err := w.Write(make([]byte, 1<<20)) // more than any pipe holds unread
			return err
		})
		ended <- err
	}()
	for range 3 {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_, _ = io.WriteString(c, "GET / HTTP/1.0\r\n\r\n")
	}
	<-blocked
	cancel()
	select {
	case err := <-ended:
		if !errors.Is(err, capture.ErrBlocked) {
			t.Errorf("got %v, want %v", err, capture.ErrBlocked)
		}
	case <-time.After(long / 2):
		t.Error("it does not end while its output is blocked")
	}
}
