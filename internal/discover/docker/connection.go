package docker

import (
	"context"
	"fmt"
	"sync/atomic"

	"hale/internal/check"
)

// A connection is what is known of the engine itself. It is the checker of the
// check that tells of it.
type connection struct {
	host  string
	bell  bell
	state atomic.Pointer[connected] // nil until the first try has ended
}

// connected is how the last try to follow the engine goes, or has ended.
type connected struct {
	err     error // why it is lost; nil when it is not
	warning error // what can't be seen although it is not
	note    string
}

// lost is why the engine can't be followed; nil when it is followed.
func (c *connection) lost() error {
	if s := c.state.Load(); s != nil {
		return s.err
	}
	return nil
}

func (c *connection) tell(s connected) {
	c.state.Store(&s)
	c.bell.ring()
}

// Check tells whether the engine's containers are seen. At first it waits for
// the first look at them.
func (c *connection) Check(ctx context.Context) (string, error) {
	if s := c.state.Load(); s != nil {
		return s.result()
	}
	told := make(chan struct{}, 1)
	stop := c.bell.listen(func() {
		select {
		case told <- struct{}{}:
		default:
		}
	})
	defer stop()
	for {
		if s := c.state.Load(); s != nil {
			return s.result()
		}
		select {
		case <-told:
		case <-ctx.Done():
			return "", check.Failf(check.ReasonLoading, "the containers of the engine at %s are not known yet: it does not answer", c.host)
		}
	}
}

// same reports whether two say the same to a person.
func (s *connected) same(as connected) bool {
	_, oldErr := s.result()
	note, newErr := as.result()
	return s.note == note && fmt.Sprint(oldErr) == fmt.Sprint(newErr)
}

func (s *connected) result() (string, error) {
	switch {
	case s.err != nil:
		return "", s.err
	case s.warning != nil:
		return "", s.warning
	}
	return s.note, nil
}

// Watch calls changed when the engine is lost or found again.
func (c *connection) Watch(ctx context.Context, changed func()) error {
	return c.bell.watch(ctx, changed)
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
