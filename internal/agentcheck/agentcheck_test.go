package agentcheck_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hale/internal/agentcheck"
	"hale/internal/verdict"
)

const patience = 30 * time.Second

func TestLine(t *testing.T) {
	for _, tt := range []struct {
		outcome  verdict.Outcome
		draining bool
		weight   int
		want     string
	}{
		{verdict.Pass, false, 0, "ready up"},
		{verdict.Pass, false, 50, "ready up 100%"},
		{verdict.Degraded, false, 0, "ready up"},
		{verdict.Degraded, false, 50, "ready up 50%"},
		{verdict.Fail, false, 0, "ready down #not healthy"},
		{verdict.Fail, false, 50, "ready down #not healthy"},
		{verdict.Outcome(99), false, 50, "ready down #not healthy"},
		{verdict.Pass, true, 50, "drain"},
		{verdict.Degraded, true, 50, "drain"},
		{verdict.Fail, true, 0, "drain"},
	} {
		if got := agentcheck.Line(tt.outcome, tt.draining, tt.weight); got != tt.want {
			t.Errorf("%v, draining %v, weight %d: got %q, want %q", tt.outcome, tt.draining, tt.weight, got, tt.want)
		}
	}
}

// A fake is an Answerer whose answers a test chooses.
type fake struct {
	outcome  atomic.Uint32
	draining atomic.Bool
	answer   func(ctx context.Context) (verdict.Outcome, bool) // nil: outcome
}

func (f *fake) Answer(ctx context.Context, group string) (verdict.Outcome, bool) {
	if f.answer != nil {
		return f.answer(ctx)
	}
	return verdict.Outcome(f.outcome.Load()), group == "ready"
}

func (f *fake) Draining() bool { return f.draining.Load() }

// start serves until the test ends, and returns the address, and what ends it
// and gives its error.
func start(t *testing.T, f *fake, o agentcheck.Options) (address string, end func() error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- agentcheck.Serve(ctx, l, f, o) }()
	end = sync.OnceValue(func() error {
		cancel()
		select {
		case err := <-done:
			return err
		case <-time.After(patience):
			return errors.New("Serve does not end")
		}
	})
	t.Cleanup(func() {
		if err := end(); err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String(), end
}

func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	c, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	return c
}

// line sends what is to be sent and returns all that comes.
func line(t *testing.T, address, send string) string {
	t.Helper()
	c := dial(t, address)
	if _, err := io.WriteString(c, send); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(c)
	if err != nil {
		t.Errorf("after %q: %v", got, err)
	}
	return string(got)
}

// Each state is said in one line, and each line takes back what others set.
func TestAnswers(t *testing.T) {
	f := new(fake)
	address, _ := start(t, f, agentcheck.Options{DegradedWeight: 40})
	for _, tt := range []struct {
		outcome  verdict.Outcome
		draining bool
		want     string
	}{
		{verdict.Fail, false, "ready down #not healthy\n"},
		{verdict.Pass, false, "ready up 100%\n"},
		{verdict.Degraded, false, "ready up 40%\n"},
		{verdict.Degraded, true, "drain\n"},
		{verdict.Pass, false, "ready up 100%\n"},
	} {
		f.outcome.Store(uint32(tt.outcome))
		f.draining.Store(tt.draining)
		if got := line(t, address, ""); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

// What a client sends is ignored, and does not cost it the line.
func TestWhatIsSentIsIgnored(t *testing.T) {
	f := new(fake)
	f.outcome.Store(uint32(verdict.Pass))
	address, _ := start(t, f, agentcheck.Options{})
	for _, send := range []string{"be1\n", "no line end", "GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01", strings.Repeat("x", 3000)} {
		if got, want := line(t, address, send), "ready up\n"; got != want {
			t.Errorf("after sending %.20q: got %q, want %q", send, got, want)
		}
	}
}

// What nobody can vouch for is down: an unknown group, a fault of hale's own,
// checks on demand that take too long.
func TestDoubtIsDown(t *testing.T) {
	for name, answer := range map[string]func(context.Context) (verdict.Outcome, bool){
		"unknown": func(context.Context) (verdict.Outcome, bool) { return verdict.Pass, false },
		"panic":   func(context.Context) (verdict.Outcome, bool) { panic("fault") },
		"slow": func(ctx context.Context) (verdict.Outcome, bool) {
			<-ctx.Done()
			return verdict.Fail, true
		},
	} {
		t.Run(name, func(t *testing.T) {
			address, _ := start(t, &fake{answer: answer}, agentcheck.Options{Wait: 50 * time.Millisecond})
			if got, want := line(t, address, ""), "ready down #not healthy\n"; got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

// Draining that begins while checks run on demand is said.
func TestDrainingMeanwhile(t *testing.T) {
	f := new(fake)
	f.answer = func(context.Context) (verdict.Outcome, bool) {
		f.draining.Store(true)
		return verdict.Fail, true
	}
	address, _ := start(t, f, agentcheck.Options{})
	if got, want := line(t, address, ""), "drain\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Clients that neither read nor go away don't keep others from their line, and
// hold no more than their places.
func TestIdleClientsGiveWay(t *testing.T) {
	f := new(fake)
	f.outcome.Store(uint32(verdict.Pass))
	address, _ := start(t, f, agentcheck.Options{MaxConnections: 3})
	for range 30 {
		c := dial(t, address) // stays open
		if got, err := bufio.NewReader(c).ReadString('\n'); got != "ready up\n" {
			t.Fatalf("got %q and %v", got, err)
		}
	}
}

// Where all places wait for checks on demand, one more is closed at once.
func TestFull(t *testing.T) {
	asked, release := make(chan struct{}, 2), make(chan struct{})
	address, _ := start(t, &fake{answer: func(context.Context) (verdict.Outcome, bool) {
		asked <- struct{}{}
		<-release
		return verdict.Pass, true
	}}, agentcheck.Options{MaxConnections: 2, Wait: patience})
	held := []net.Conn{dial(t, address), dial(t, address)}
	for range held {
		<-asked
	}
	if got, _ := io.ReadAll(dial(t, address)); len(got) > 0 {
		t.Errorf("got %q, want nothing", got)
	}
	close(release)
	for _, c := range held {
		if got, err := io.ReadAll(c); string(got) != "ready up\n" {
			t.Errorf("got %q and %v", got, err)
		}
	}
}

// Serve ends when it is told to, with clients that linger and others that wait;
// what is cut short says nothing.
func TestEnd(t *testing.T) {
	asked := make(chan struct{}, 1)
	first := atomic.Bool{}
	address, end := start(t, &fake{answer: func(ctx context.Context) (verdict.Outcome, bool) {
		if !first.Swap(true) {
			return verdict.Pass, true
		}
		asked <- struct{}{}
		<-ctx.Done()
		return verdict.Fail, true
	}}, agentcheck.Options{Wait: patience})
	lingers := dial(t, address)
	if got, _ := bufio.NewReader(lingers).ReadString('\n'); got != "ready up\n" {
		t.Errorf("got %q", got)
	}
	waits := dial(t, address)
	<-asked
	if err := end(); err != nil {
		t.Error(err)
	}
	if got, _ := io.ReadAll(waits); len(got) > 0 {
		t.Errorf("got %q, want nothing", got)
	}
	if c, err := net.Dial("tcp", address); err == nil {
		c.Close()
		t.Error("it still listens")
	}
}

// A listener that others close is an error, which names it.
func TestClosedByOthers(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	err = agentcheck.Serve(t.Context(), l, new(fake), agentcheck.Options{})
	if err == nil || !strings.Contains(err.Error(), l.Addr().String()) {
		t.Errorf("got %v", err)
	}
}
