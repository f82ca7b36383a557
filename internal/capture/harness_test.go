package capture_test

import (
	"context"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"hale/internal/capture"
)

// long is how long a test waits for what is to come soon.
const long = 60 * time.Second

// A session is a capture that runs.
type session struct {
	addr     string
	arrivals chan *capture.Arrival
	ended    chan struct{}
	stop     context.CancelFunc
	summary  capture.Summary
	err      error
}

// start captures on a free loopback port until the test ends.
func start(t *testing.T, o capture.Options) *session {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if o.Code == 0 {
		o.Code = 200
	}
	ctx, cancel := context.WithCancel(t.Context())
	s := &session{addr: l.Addr().String(), arrivals: make(chan *capture.Arrival, 10000), ended: make(chan struct{}), stop: cancel}
	go func() {
		defer close(s.ended)
		s.summary, s.err = capture.Run(ctx, l, o, func(a *capture.Arrival) error {
			s.arrivals <- a
			return nil
		})
	}()
	t.Cleanup(func() {
		cancel()
		s.wait(t)
		if s.err != nil {
			t.Error(s.err)
		}
	})
	return s
}

// wait waits until the capture has ended.
func (s *session) wait(t *testing.T) {
	t.Helper()
	select {
	case <-s.ended:
	case <-time.After(long):
		t.Fatal("the capture does not end")
	}
}

// next returns the next arrival.
func (s *session) next(t *testing.T) *capture.Arrival {
	t.Helper()
	select {
	case a := <-s.arrivals:
		return a
	case <-time.After(long):
		t.Fatal("nothing arrives")
		return nil
	}
}

// until returns the first arrival of those to come that is as wanted.
func (s *session) until(t *testing.T, want func(*capture.Arrival) bool) *capture.Arrival {
	t.Helper()
	var seen []string
	limit := time.After(long)
	for {
		select {
		case a := <-s.arrivals:
			if want(a) {
				return a
			}
			seen = append(seen, string(a.Kind)+" "+a.Line+" "+a.Ended)
		case <-limit:
			t.Fatalf("what is wanted does not arrive; what does: %q", seen)
		}
	}
}

// dial connects to the capture.
func (s *session) dial(t *testing.T) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(long))
	return c.(*net.TCPConn)
}

// send sends bytes, says that there are no more, and returns all that is
// answered.
func (s *session) send(t *testing.T, b string) string {
	t.Helper()
	c := s.dial(t)
	if _, err := io.WriteString(c, b); err != nil {
		t.Fatal(err)
	}
	_ = c.CloseWrite()
	answer, err := io.ReadAll(c)
	if err != nil {
		t.Errorf("reading the answer to %.100q: %v", b, err)
	}
	return string(answer)
}

func names(a *capture.Arrival) string {
	var all []string
	for _, who := range a.Who {
		all = append(all, who.Name+" "+string(who.Sure))
	}
	return strings.Join(all, ", ")
}

func has(a *capture.Arrival, name string) bool {
	return slices.ContainsFunc(a.Who, func(w capture.Who) bool { return w.Name == name })
}

func text(t *testing.T, a *capture.Arrival) string {
	t.Helper()
	var b strings.Builder
	if err := a.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func minds(a *capture.Arrival) string {
	var all []string
	for _, o := range a.Objections {
		all = append(all, o.Text)
	}
	return strings.Join(all, "\n")
}
