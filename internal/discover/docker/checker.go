package docker

import (
	"context"
	"sync/atomic"
	"time"

	"hale/internal/check"
	"hale/internal/engine"
)

// A tracked is a container that is checked. What checkers read of it is safe
// for any goroutine; the rest belongs to the source's Run.
type tracked struct {
	id    string
	facts atomic.Pointer[facts]
	bell  bell

	container *engine.Container // the last that was told
	joint     joint             // whose network it uses
	plan      *plan
	said      string // what the log has of it
	saidOf    *plan  // the plan that was looked at for that
	asked     bool   // somebody stopped it or sent it a signal
	checkers  map[string]*checker
}

// tell replaces what is known of the container, and has its checks run.
func (t *tracked) tell(f facts) {
	t.facts.Store(&f)
	t.bell.ring()
}

// A checker is the check of a container: its state first, then what is asked of
// it. The monitor keeps a checker for as long as the container is there,
// whatever it is asked by then, so that what is believed of it stays.
type checker struct {
	container *tracked
	engine    *connection
	way       atomic.Pointer[way]
}

// A way is how a container is asked.
type way struct {
	own    ownCheck
	inner  check.Checker // for dialled
	remark string        // for the note
}

// Check fails when the container does not run, and else asks as it is to be
// asked. When the container's state becomes a failure meanwhile, that is the
// result, at once.
func (c *checker) Check(ctx context.Context) (string, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := c.container.bell.listen(func() {
		if c.failure() != nil {
			cancel()
		}
	})
	defer stop()
	if err := c.failure(); err != nil {
		return "", err
	}
	way := c.way.Load()
	note, err := c.ask(ctx, way)
	if failure := c.failure(); failure != nil {
		return "", failure
	}
	if way.remark != "" && note != "" {
		note += " (" + way.remark + ")"
	}
	return note, err
}

func (c *checker) failure() error { return c.container.facts.Load().failure() }

func (c *checker) ask(ctx context.Context, w *way) (note string, err error) {
	switch f := c.container.facts.Load(); w.own {
	case itsState:
		note, err = f.runs(time.Now())
	case itsCheck:
		note, err = f.health()
	default:
		// One that its engine has just started again may answer until it ends
		// the next time.
		if _, err := f.runs(time.Now()); err != nil {
			return "", err
		}
		return w.inner.Check(ctx)
	}
	if lost := c.engine.lost(); err == nil && lost != nil {
		return "", check.Warnf(check.ReasonStale, "the engine does not answer; the last that is known of container %s: %s", c.container.facts.Load().name, note)
	}
	return note, err
}

// Watch calls changed when the container's state changes.
func (c *checker) Watch(ctx context.Context, changed func()) error {
	return c.container.bell.watch(ctx, changed)
}

// nowhere is the check of a container that is to be asked, and has no network
// any more in which it could be. It is never asked where it was: that address
// may be another's by now.
type nowhere struct{ name, why string }

func (n nowhere) Check(context.Context) (string, error) {
	return "", check.Failf(check.ReasonUnreachable, "container %s can't be asked, as %s; connect it to its network again, or start it anew", n.name, n.why)
}

// fault is the check of a container whose labels can't be followed.
type fault struct{ err error }

func (f fault) Check(context.Context) (string, error) {
	return "", check.Certain(f.err)
}
