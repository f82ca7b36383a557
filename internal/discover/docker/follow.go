package docker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"hale/internal/check"
	"hale/internal/engine"
)

// A following is one time of following the engine's events, from the first look
// at its containers until the events end.
type following struct {
	*source
	version   engine.Version
	events    chan engine.Event
	jobs      chan job
	inspected chan inspection
	alive     chan struct{} // the engine has answered
	broken    chan error

	seq     int             // counts events
	latest  map[string]int  // the last event of each container that is asked about
	started map[string]bool // containers that were seen to start
	dirty   map[string]bool // containers to be asked about
	queue   []string        // those whose turn it is
	asking  int             // how many are being asked about
	news    bool            // something is to be published
	trouble map[string]error
	flush   *time.Timer
	armed   bool
}

// A job is to ask about a container; seq is the last event before.
type job struct {
	id  string
	seq int
}

type inspection struct {
	job
	container *engine.Container
	joint     joint
	err       error
}

// follow follows the engine until it is lost or ctx ends, and says why. Nothing
// of it is left when it returns.
func (s *source) follow(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var workers sync.WaitGroup
	defer workers.Wait()
	defer cancel()
	version, err := bounded(ctx, s.client.Version)
	if err != nil {
		return err
	}
	// First the events, then the list: what happens in between is in both.
	stream, err := bounded(ctx, func(ctx context.Context) (*engine.Stream, error) { return s.client.Events(ctx, time.Time{}) })
	if err != nil {
		return err
	}
	defer stream.Close()
	list, err := bounded(ctx, s.client.Containers)
	if err != nil {
		return err
	}
	f := &following{
		source: s, version: version,
		events: make(chan engine.Event, 64), jobs: make(chan job), inspected: make(chan inspection), alive: make(chan struct{}), broken: make(chan error, 2),
		latest: map[string]int{}, started: map[string]bool{}, dirty: map[string]bool{}, trouble: map[string]error{},
		flush: time.NewTimer(time.Hour),
	}
	defer f.flush.Stop()
	workers.Go(func() { f.listen(ctx, stream) })
	workers.Go(func() { f.feel(ctx) })
	for range inspectors {
		workers.Go(func() { f.inspect(ctx) })
	}
	s.look(ctx, list)
	f.sync(list)
	return f.loop(ctx)
}

// listen hands on the events.
func (f *following) listen(ctx context.Context, stream *engine.Stream) {
	for {
		e, err := stream.Next(ctx)
		if err != nil {
			f.broken <- err
			return
		}
		select {
		case f.events <- e:
		case <-ctx.Done():
			return
		}
	}
}

// feel asks the engine now and then whether it is still there.
func (f *following) feel(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pulse):
		}
		if _, err := bounded(ctx, f.client.Version); err != nil {
			f.broken <- err
			return
		}
		select {
		case f.alive <- struct{}{}:
		case <-ctx.Done():
			return
		}
	}
}

// inspect asks about one container after another.
func (f *following) inspect(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case j := <-f.jobs:
			i := inspection{job: j}
			i.container, i.err = bounded(ctx, func(ctx context.Context) (*engine.Container, error) { return f.client.Inspect(ctx, j.id) })
			if i.err == nil {
				i.joint, i.err = networkOf(ctx, f.client, i.container)
			}
			select {
			case f.inspected <- i:
			case <-ctx.Done():
				return
			}
		}
	}
}

// sync compares what is tracked with the list of all containers.
func (f *following) sync(list []engine.Container) {
	there := map[string]bool{}
	for i := range list {
		c := &list[i]
		there[c.ID] = true
		alive := slices.Contains([]string{"running", "paused", "restarting"}, c.State.Status)
		if t := f.tracked[c.ID]; t != nil && !alive {
			t.asked = true // nobody saw how it ended: perhaps it was stopped
		}
		if f.tracked[c.ID] != nil || alive && f.rules.wants(c) && c.ID != f.self {
			f.mark(c.ID)
		}
	}
	for _, id := range f.trackedIDs() {
		if !there[id] {
			f.drop(id)
		}
	}
	f.news = true
	f.arm(0)
}

// loop takes news until the engine is lost.
func (f *following) loop(ctx context.Context) error {
	for {
		var jobs chan job
		var next job
		if len(f.queue) > 0 {
			jobs, next = f.jobs, job{f.queue[0], f.seq}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-f.broken:
			if err == nil {
				err = errEnded
			}
			return err
		case jobs <- next:
			f.queue = f.queue[1:]
			f.asking++
		case e := <-f.events:
			f.seq++
			f.happened(e)
		case i := <-f.inspected:
			f.learn(i)
			if f.asking--; f.asking == 0 {
				clear(f.latest)
			}
		case <-f.alive:
			for id := range f.trouble {
				f.mark(id)
			}
		case <-f.flush.C:
			f.armed = false
			f.settled()
		}
	}
}

// mark has a container asked about soon.
func (f *following) mark(id string) {
	f.dirty[id] = true
	f.arm(settle)
}

// arm has what was gathered dealt with after a time, if that is not so already.
func (f *following) arm(after time.Duration) {
	if !f.armed {
		f.armed = true
		f.flush.Reset(after)
	}
}

// settled deals with what was gathered.
func (f *following) settled() {
	for id := range f.dirty {
		if !slices.Contains(f.queue, id) {
			f.queue = append(f.queue, id)
		}
	}
	clear(f.dirty)
	f.caughtUp()
	if f.news && f.seen {
		f.news = false
		f.publish()
		f.report()
	}
}

// caughtUp notes that all containers have been asked about.
func (f *following) caughtUp() {
	if len(f.queue)+f.asking+len(f.dirty) > 0 {
		return
	}
	clear(f.started)
	if !f.seen {
		f.seen, f.news = true, true
	}
	if len(f.trouble) == 0 && !f.whole {
		f.whole, f.news = true, true
	}
	if f.own.state.Load() == nil || f.own.lost() != nil {
		f.report()
		f.rules.env.Log.Info("following the engine", "host", f.client.Host(), "engine", f.version.Name, "version", f.version.Version, "api", f.version.API, "containers", len(f.tracked))
	}
}

// report tells of the engine itself.
func (f *following) report() {
	now := connected{note: f.version.Name + " " + f.version.Version + " at " + f.client.Host() + ", API " + f.version.API + ", " + plural(len(f.tracked), "container")}
	for id, err := range f.trouble {
		now.warning = check.Failf(check.ReasonOf(err), "%s can't be seen, among them %.12s: %w", plural(len(f.trouble), "container"), id, err)
	}
	if now.warning == nil && f.left > 0 {
		now.warning = check.Warnf(check.ReasonSize, "%d checks of containers are left out, as there may be %d; take fewer containers with the options networks, projects or labels", f.left, maxChecks)
	}
	if old := f.own.state.Load(); old == nil || !old.same(now) {
		f.own.tell(now)
	}
}

// learn takes the answer to a question about a container.
func (f *following) learn(i inspection) {
	f.news = true
	defer f.arm(settle)
	old := func(id string) bool { return f.latest[id] > i.seq }
	switch {
	case old(i.id) || slices.ContainsFunc(i.joint.via, old):
		f.mark(i.id) // something happened while it was asked about
		return
	case errors.Is(i.err, engine.ErrNotFound):
		f.drop(i.id)
	case i.err != nil:
		if f.trouble[i.id] == nil {
			what := "a container can't be asked about, and is not checked"
			if f.tracked[i.id] != nil {
				what = "a container can't be asked about, and is checked by what was known of it"
			}
			f.rules.env.Log.Warn(what, "container", fmt.Sprintf("%.12s", i.id), "error", i.err)
		}
		f.trouble[i.id] = i.err
		f.report()
		return // it is asked about again with the next pulse
	case i.id == f.self:
		if f.vantage.selfNet != nil && f.vantage.selfNet.ID == f.self {
			f.vantage.selfNet = i.container
		}
		f.vantage.self = i.container
		for _, t := range f.tracked {
			f.replan(t)
		}
	default:
		f.take(i.container, i.joint, f.started[i.container.ID])
	}
	if f.trouble[i.id] != nil {
		delete(f.trouble, i.id)
		f.report()
	}
}
