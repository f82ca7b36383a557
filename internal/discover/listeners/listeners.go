// Package listeners finds checks by looking at the TCP ports on which something
// listens on this host.
//
// A look reads /proc/net/tcp and tcp6. A port is taken when it has been listened
// on since before hale started, or for a minute; not when it is hale's own, or one
// of those that the kernel hands out for a while. What is there is said hello to
// (see recognise.go) and becomes a check of its kind, or a tcp check. A check that was found stays, also when nothing
// listens on its port any more: that is what it is there to tell.
package listeners

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"hale/internal/check"
	"hale/internal/discover"
)

const (
	// lookEvery is the time from one look to the next.
	lookEvery = 30 * time.Second
	// settle is how long a port that appears must be listened on.
	settle = time.Minute
	// maxChecks is how many ports are checked at most.
	maxChecks = 200
	// maxHellos is how many ports are said hello to at once.
	maxHellos = 16
)

// Options are those of the method.
type Options struct {
	Ports   portSet `option:"ports" help:"look at these ports only: numbers and ranges, such as 80,8000-8100"`
	Exclude portSet `option:"exclude" help:"ports to leave out: numbers and ranges"`
	Hello   bool    `option:"hello" help:"find out by a hello what listens; without it every check is a tcp check"`
}

// Method is the method listeners.
func Method() discover.Method {
	return discover.Method{
		Name:    "listeners",
		Help:    "the TCP ports on which something listens on this host",
		Options: check.DescribeOptions(&Options{Hello: true}),
		New: func(options []check.Option, env discover.Env) (discover.Source, error) {
			return newSource(options, env, "/proc")
		},
		Applies: func(discover.Env) bool { return readable("/proc/net/tcp") },
	}
}

func readable(path string) bool {
	file, err := os.Open(path)
	if err != nil {
		return false
	}
	_ = file.Close()
	return true
}

// newSource makes a source that reads what the kernel tells below root.
func newSource(options []check.Option, env discover.Env, root string) (*source, error) {
	o := Options{Hello: true}
	if err := check.SetOptions(&o, options); err != nil {
		return nil, err
	}
	s := &source{
		options: o, env: env, root: root, self: os.Getpid(),
		since: map[uint64]time.Time{}, chosen: map[place]bool{}, told: map[string]bool{}, names: map[string]bool{},
		status: &status{changed: make(chan struct{}, 1)},
	}
	s.handedOut = handedOut(root)
	s.recognise = recogniser{env}.recognise
	own, err := s.status.check(env)
	if err != nil {
		return nil, fmt.Errorf("discover listeners: %w", err)
	}
	s.checks = append(s.checks, own)
	s.names[own.Name] = true
	return s, nil
}

// source is used by the goroutine of its Run alone, but for status.
type source struct {
	options Options
	env     discover.Env
	root    string
	self    int // hale's process
	// recognise says hello.
	recognise func(context.Context, listener) (found, error)
	// handedOut tells the ports that the kernel gives to who asks for any.
	handedOut func(port int) bool

	started bool                 // the first look is over
	since   map[uint64]time.Time // when a socket, by its inode, was first seen
	chosen  map[place]bool
	checks  []*check.Check // the source's own, and those found
	names   map[string]bool
	told    map[string]bool // what was logged as left out
	status  *status
}

// Run looks at once and then every 30 seconds, or when a port has been listened
// on for its minute.
func (s *source) Run(ctx context.Context, set func([]*check.Check)) {
	for {
		changed, next := s.look(ctx)
		if ctx.Err() != nil {
			return
		}
		if changed {
			set(append([]*check.Check(nil), s.checks...))
		}
		timer := time.NewTimer(next)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

// look takes what has become due. It reports whether there is something to set,
// and when to look again.
func (s *source) look(ctx context.Context) (changed bool, next time.Duration) {
	sockets, err := readSockets(s.root)
	if err != nil {
		s.env.Log.Warn("can't look at the ports of this host", "error", err)
		s.status.set(state{err: err, found: len(s.chosen)})
		return !s.started && s.begin(), lookEvery
	}
	now := time.Now()
	s.remember(sockets, now)
	due, waiting := s.due(ctx, sockets, now)
	s.take(ctx, due)
	changed = len(due) > 0
	if !s.started {
		changed = s.begin()
	}
	next = lookEvery
	var ports []string
	for _, w := range waiting {
		next = min(next, max(settle-now.Sub(s.firstSeen(w)), 0))
		ports = append(ports, strconv.Itoa(w.port))
	}
	s.status.set(state{found: len(s.chosen), waiting: strings.Join(ports, ", ")})
	return changed, next
}

// begin marks the first look as over.
func (s *source) begin() bool {
	s.started = true
	return true
}

// remember notes which sockets there are, and forgets those that are gone.
func (s *source) remember(sockets []socket, now time.Time) {
	since := make(map[uint64]time.Time, len(sockets))
	for _, k := range sockets {
		since[k.inode] = now
		if seen, ok := s.since[k.inode]; ok {
			since[k.inode] = seen
		}
	}
	s.since = since
}

// take makes checks of listeners.
func (s *source) take(ctx context.Context, due []listener) {
	results := s.hellos(ctx, due)
	if ctx.Err() != nil {
		return
	}
	for i, l := range due {
		s.chosen[l.place] = true
		c, why := results[i].check, results[i].why
		if results[i].err != nil {
			s.env.Log.Warn("left out", "port", l.port, "why", results[i].err)
			continue
		}
		named := *c
		named.Name = check.FreeName(l.name(c.Kind), func(name string) bool { return s.names[name] })
		s.names[named.Name] = true
		s.checks = append(s.checks, &named)
		s.env.Log.Info("found", "check", named.Name, "url", named.Target, "why", l.describe()+"; "+why)
	}
}

// outcome is what a hello led to.
type outcome struct {
	found
	err error
}

// hellos recognises listeners, a few at once.
func (s *source) hellos(ctx context.Context, due []listener) []outcome {
	results := make([]outcome, len(due))
	slots := make(chan struct{}, maxHellos)
	done := make(chan struct{})
	for i, l := range due {
		go func() {
			defer func() { done <- struct{}{} }()
			slots <- struct{}{}
			defer func() { <-slots }()
			if !s.options.Hello {
				l.mute = true
			}
			results[i].found, results[i].err = s.recognise(ctx, l)
		}()
	}
	for range due {
		<-done
	}
	return results
}

// startOf reads what /proc/PID/stat tells of a process: its name, and when it
// started in ticks since the machine did (fields 2 and 22, proc(5)).
func startOf(root string, pid int) (name string, start uint64, err error) {
	text, err := os.ReadFile(filepath.Join(root, strconv.Itoa(pid), "stat"))
	if err != nil {
		return "", 0, err
	}
	// The name is in parentheses and may hold any character.
	open, shut := strings.IndexByte(string(text), '('), strings.LastIndexByte(string(text), ')')
	if open < 0 || shut < open {
		return "", 0, errors.New("no name in stat")
	}
	fields := strings.Fields(string(text[shut+1:]))
	const startTime = 22 - 3 // the first field here is the third
	if len(fields) <= startTime {
		return "", 0, errors.New("too few fields in stat")
	}
	start, err = strconv.ParseUint(fields[startTime], 10, 64)
	return string(text[open+1 : shut]), start, err
}
