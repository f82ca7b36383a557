package ownip_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"hale/internal/ownip"
)

func answer(text string) ownip.Answer {
	return ownip.Answer{Addr: netip.MustParseAddr(text), Source: ownip.EC2}
}

func standIn(text string) ownip.Answer {
	return ownip.Answer{Addr: netip.MustParseAddr(text), Source: ownip.Route, Warning: "the service hangs"}
}

// A refresh is a Refresher whose world is the test's.
type refresh struct {
	// mu is the test's but for the time that it lets pass.
	mu     sync.Mutex
	found  ownip.Answer
	err    error
	refuse error
	asked  []time.Duration // since the start
	taken  []string
	hint   func()
	log    bytes.Buffer
}

// Write takes the log.
func (r *refresh) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.Write(p)
}

// run runs a Refresher in a bubble while the test does what it does.
func run(t *testing.T, now ownip.Answer, test func(r *refresh)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		r := &refresh{found: now}
		begin := time.Now()
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			ownip.Refresher{
				Find: func(context.Context) (ownip.Answer, error) {
					r.mu.Lock()
					defer r.mu.Unlock()
					r.asked = append(r.asked, time.Since(begin))
					return r.found, r.err
				},
				Watch: func(ctx context.Context, changed func()) error {
					r.mu.Lock()
					r.hint = changed
					r.mu.Unlock()
					<-ctx.Done()
					return nil
				},
				Changed: func(a ownip.Answer) error {
					r.mu.Lock()
					defer r.mu.Unlock()
					if r.refuse == nil {
						r.taken = append(r.taken, a.Addr.String())
					}
					return r.refuse
				},
				Log: slog.New(slog.NewTextHandler(r, nil)),
			}.Run(ctx, now)
		}()
		synctest.Wait()
		r.mu.Lock()
		test(r)
		r.mu.Unlock()
		cancel()
		<-ended
	})
}

// pass lets time pass.
func (r *refresh) pass(d time.Duration) {
	r.mu.Unlock()
	time.Sleep(d)
	synctest.Wait()
	r.mu.Lock()
}

func (r *refresh) expect(t *testing.T, asked int, taken ...string) {
	t.Helper()
	if len(r.asked) != asked || !slices.Equal(r.taken, taken) {
		t.Errorf("asked at %v, want %d times; took %q, want %q", r.asked, asked, r.taken, taken)
	}
}

func TestRefreshedNowAndThen(t *testing.T) {
	run(t, answer("10.0.0.1"), func(r *refresh) {
		r.pass(14 * time.Minute)
		r.expect(t, 2)
		r.found = answer("10.0.0.2")
		r.pass(2 * time.Minute)
		r.expect(t, 3, "10.0.0.2")
		r.pass(10 * time.Minute)
		r.expect(t, 5, "10.0.0.2")
	})
}

func TestRefreshedOnAHint(t *testing.T) {
	run(t, answer("10.0.0.1"), func(r *refresh) {
		r.found = answer("10.0.0.2")
		for range 100 { // one change has many messages
			r.hint()
			r.pass(time.Millisecond)
		}
		r.pass(2 * time.Second)
		r.expect(t, 1, "10.0.0.2")
		// They never stop: it is asked at a bounded rate.
		for range 1000 {
			r.hint()
			r.pass(10 * time.Millisecond)
		}
		if n := len(r.asked); n < 5 || n > 12 {
			t.Errorf("asked %d times in 10 s", n)
		}
	})
}

func TestAFailureKeepsTheOldAddress(t *testing.T) {
	run(t, answer("10.0.0.1"), func(r *refresh) {
		r.err = errors.New("the service hangs")
		r.hint()
		r.pass(10 * time.Minute)
		if n := len(r.asked); n < 15 || len(r.taken) > 0 {
			t.Errorf("asked %d times, took %q", n, r.taken)
		}
		if n := strings.Count(r.log.String(), "the old one stays"); n != 1 {
			t.Errorf("logged %d times:\n%s", n, &r.log)
		}
		r.err = nil
		r.pass(time.Minute)
		if !strings.Contains(r.log.String(), "is as it was") {
			t.Errorf("logged\n%s", &r.log)
		}
	})
}

// What stands in for a metadata service does not replace what that once said.
func TestAStandInReplacesNothingButAStandIn(t *testing.T) {
	run(t, answer("10.0.0.1"), func(r *refresh) {
		r.found = standIn("172.17.0.2")
		r.pass(time.Hour)
		if len(r.taken) > 0 {
			t.Errorf("took %q", r.taken)
		}
	})
	run(t, standIn("172.17.0.2"), func(r *refresh) {
		r.found = standIn("172.17.0.3")
		r.pass(time.Minute)
		r.found = answer("10.0.0.1")
		r.pass(time.Minute)
		r.expect(t, 3, "172.17.0.3", "10.0.0.1")
		r.pass(20 * time.Minute)
		r.expect(t, 7, "172.17.0.3", "10.0.0.1")
	})
}

func TestARefusedAddressIsTriedAgain(t *testing.T) {
	run(t, answer("10.0.0.1"), func(r *refresh) {
		r.found, r.refuse = answer("10.0.0.2"), errors.New("the file has a fault")
		r.pass(10 * time.Minute)
		if n := strings.Count(r.log.String(), "the file has a fault"); n != 1 {
			t.Errorf("logged %d times:\n%s", n, &r.log)
		}
		r.refuse = nil
		r.pass(time.Minute)
		if !slices.Equal(r.taken, []string{"10.0.0.2"}) {
			t.Errorf("took %q", r.taken)
		}
	})
}

// Without news of changes it goes on asking now and then.
func TestRefreshedWithoutWatching(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 11*time.Minute)
		defer cancel()
		asked := 0
		ownip.Refresher{
			Find:  func(context.Context) (ownip.Answer, error) { asked++; return answer("10.0.0.1"), nil },
			Watch: func(context.Context, func()) error { return errors.New("not permitted") },
			Log:   slog.New(slog.DiscardHandler),
		}.Run(ctx, answer("10.0.0.1"))
		if asked != 2 {
			t.Errorf("asked %d times", asked)
		}
	})
}
