package docker

import (
	"context"
	"crypto/rand"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"hale/internal/check"
	"hale/internal/engine"
)

// The times of a source.
const (
	// settle is how long news is gathered before the checks are set anew. That
	// a container has ended does not wait for it.
	settle = 20 * time.Millisecond
	// patience is how long the engine may take to answer one question.
	patience = 5 * time.Second
	// pulse is how often it is asked whether it is still there: a hung engine
	// sends no events, and neither does a healthy one where nothing happens.
	pulse = 5 * time.Second
	// minPause and maxPause are between two tries to reach it.
	minPause = 100 * time.Millisecond
	maxPause = 5 * time.Second
)

// inspectors is how many containers the engine is asked about at a time.
const inspectors = 4

// A source follows the containers of an engine. All but what connection and
// tracked say of themselves belongs to Run's goroutine.
type source struct {
	client *engine.Client
	rules  *rules
	ids    ownIDs
	nonce  string // makes the checks' IDs those of this source

	own     *connection
	seen    bool // the containers were all asked about once
	whole   bool // and all questions were answered
	tracked map[string]*tracked
	self    string // the id of hale's own container
	vantage vantage
	known   map[string]bool // networks that were there when vantage's bridges were listed

	set  func([]*check.Check)
	last []*check.Check
	left int // how many checks there was no room for
}

func open(client *engine.Client, r *rules) *source {
	return &source{
		client: client, rules: r, ids: processIDs(), nonce: rand.Text(),
		own:     &connection{host: client.Host()},
		tracked: map[string]*tracked{},
		vantage: vantage{remote: remoteHost(client.Host())},
	}
}

// Run follows the engine until ctx ends. It keeps what was found while the
// engine is lost, and looks at all of it anew after that.
//
// The checks' states belong to this source: one that is made anew finds its
// checks as new ones.
func (s *source) Run(ctx context.Context, set func([]*check.Check)) {
	s.set = set
	s.publish()
	pause := minPause
	for ctx.Err() == nil {
		began := time.Now()
		err := s.follow(ctx)
		if ctx.Err() != nil {
			return
		}
		if s.own.lost() == nil {
			s.rules.env.Log.Warn("the engine can't be followed; what was found is kept, and checked as far as that goes without it", "host", s.client.Host(), "error", err.Error())
		}
		s.own.tell(connected{err: err})
		s.publish()
		if time.Since(began) > pulse {
			pause = minPause
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, maxPause)
	}
}

// bounded asks the engine something that must not take long.
func bounded[T any](ctx context.Context, ask func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return ask(ctx)
}

// look finds out from where hale looks, given all containers.
func (s *source) look(ctx context.Context, list []engine.Container) {
	s.self = ""
	v := vantage{remote: s.vantage.remote}
	if own := s.ids.find(list, s.rules.env.OwnPorts); own != nil {
		s.self = own.ID
		if c, err := bounded(ctx, func(ctx context.Context) (*engine.Container, error) { return s.client.Inspect(ctx, own.ID) }); err == nil {
			own = c
		}
		v.self, v.selfNet = own, own
		if id, ok := strings.CutPrefix(own.NetworkMode, "container:"); ok {
			i := slices.IndexFunc(list, func(c engine.Container) bool { return c.ID == id })
			v.selfNet = nil
			if i >= 0 {
				v.selfNet = &list[i]
			}
		}
		v.gateway = defaultGateway(readSome("/proc/net/route"))
	}
	s.vantage, s.known = v, map[string]bool{}
}

// take takes what the engine told of a container. A container that was seen to
// start is taken also when it has ended since.
func (s *source) take(c *engine.Container, j joint, started bool) {
	t := s.tracked[c.ID]
	alive := c.State.Running || c.State.Paused || c.State.Restarting
	if c.ID == s.self || !s.rules.wants(c) || !s.rules.connected(j, t != nil) || t == nil && !alive && !started {
		s.drop(c.ID)
		return
	}
	if t == nil {
		t = &tracked{id: c.ID, checkers: map[string]*checker{}}
		s.tracked[c.ID] = t
	}
	if old := t.container; old != nil && !old.State.StartedAt.Equal(c.State.StartedAt) {
		t.asked = false // that was before it was started again
	}
	t.container, t.joint = c, j
	if t.plan == nil || c.State.Running && !c.State.Restarting {
		s.replan(t)
	}
	now := facts{name: c.Name, state: c.State, restarts: c.RestartCount}
	if t.finished() { // before its checks are told, which would call it a fault
		s.rules.env.Log.Info("a container has done its work, and is no longer checked", "container", c.Name)
		now.gone = true
		t.facts.Store(&now)
		delete(s.tracked, c.ID)
		return
	}
	t.tell(now)
}

// finished reports whether the container was one that does something and ends:
// it succeeded, by itself, is not to be started again, and serves nothing.
func (t *tracked) finished() bool {
	state := t.container.State
	return !state.Running && !state.Paused && !state.Restarting && state.Status == "exited" && state.ExitCode == 0 && !state.OOMKilled && t.mayFinish()
}

// mayFinish reports whether it is no fault when the container ends with success.
func (t *tracked) mayFinish() bool {
	again := t.container.RestartPolicy == "always" || t.container.RestartPolicy == "unless-stopped"
	return t.plan.fault == nil && !t.plan.serves && !again && !t.asked
}

// drop forgets a container that is no longer there, or not to be checked.
func (s *source) drop(id string) {
	t := s.tracked[id]
	if t == nil {
		return
	}
	delete(s.tracked, id)
	f := *t.facts.Load()
	f.gone = true
	t.facts.Store(&f)
}

// trackedIDs are the ids of all containers that are checked.
func (s *source) trackedIDs() []string { return slices.Collect(maps.Keys(s.tracked)) }

// errEnded is why events end when nobody says why.
var errEnded = errors.New("the engine's events ended")
