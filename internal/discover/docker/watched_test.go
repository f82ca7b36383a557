package docker_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"hale/internal/check"
	"hale/internal/discover"
	"hale/internal/discover/docker"
	"hale/internal/kinds"
	"hale/internal/monitor"
	"hale/internal/servertest"
	"hale/internal/verdict"
)

// A watched is a source and the monitor of the checks that it finds.
type watched struct {
	t       *testing.T
	monitor *monitor.Monitor
	log     *lockedBuffer
	mu      sync.Mutex
	sets    int
	stop    func()
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func environment(t *testing.T, log *lockedBuffer) discover.Env {
	t.Helper()
	registry, err := check.NewRegistry(check.Env{}, kinds.All()...)
	if err != nil {
		t.Fatal(err)
	}
	policy := check.DefaultPolicy()
	policy.Interval = 3 * time.Second
	return discover.Env{
		Registry: registry, Policy: policy, Log: slog.New(slog.NewTextHandler(log, nil)),
		Getenv: func(string) (string, bool) { return "", false }, Environ: func() []string { return nil },
	}
}

// option makes an option of name=value.
func option(text string) check.Option {
	name, value, _ := strings.Cut(text, "=")
	return check.Option{Name: name, Values: []string{value}}
}

// watch runs a source of an engine until the test ends. It looks at the
// containers with the label mine alone, as others use the engine too.
func watch(t *testing.T, host string, mine string, options ...string) *watched {
	t.Helper()
	log := &lockedBuffer{}
	w := &watched{t: t, monitor: monitor.New(monitor.Options{Log: slog.New(slog.NewTextHandler(log, nil))}), log: log}
	all := []check.Option{option("host=" + host), option("labels=" + mine)}
	for _, o := range options {
		all = append(all, option(o))
	}
	source, err := docker.Method().New(all, environment(t, w.log))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { w.monitor.Run(ctx) })
	running.Go(func() {
		source.Run(ctx, func(checks []*check.Check) {
			w.mu.Lock()
			w.sets++
			w.mu.Unlock()
			w.monitor.Set(checks)
		})
	})
	w.stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
	})
	t.Cleanup(w.stop)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("checks:\n%slog:\n%s", w.describe(), w.log)
		}
	})
	return w
}

func (w *watched) describe() string {
	var b strings.Builder
	for _, v := range w.monitor.Views() {
		fmt.Fprintf(&b, "%s %s %s %s: %s %s\n", v.Check.Name, v.Check.Kind, v.Check.Target, v.State.Status, v.State.Last.Reason(), v.State.Last.Text())
	}
	return b.String()
}

func (w *watched) view(name string) (monitor.View, bool) {
	for _, v := range w.monitor.Views() {
		if v.Check.Name == name {
			return v, true
		}
	}
	return monitor.View{}, false
}

// expect waits until a check has a status and its text, or its reason, the
// words.
func (w *watched) expect(name string, status check.Status, words ...string) monitor.View {
	w.t.Helper()
	var found monitor.View
	servertest.Wait(w.t, name+" "+status.String(), func() error {
		v, ok := w.view(name)
		if !ok {
			return errors.New("there is no check " + name)
		}
		told := string(v.State.Last.Reason()) + " " + v.State.Last.Text()
		for _, word := range words {
			if !strings.Contains(told, word) {
				return fmt.Errorf("%s: %s, want %q in it", v.State.Status, told, word)
			}
		}
		if v.State.Status != status {
			return fmt.Errorf("%s: %s", v.State.Status, told)
		}
		found = v
		return nil
	})
	return found
}

// expectNames waits until there are the checks of these names, besides the
// engine's own.
func (w *watched) expectNames(names ...string) {
	w.t.Helper()
	slices.Sort(names)
	servertest.Wait(w.t, "checks "+strings.Join(names, ", "), func() error {
		var got []string
		for _, v := range w.monitor.Views() {
			if v.Check.Name != docker.Name {
				got = append(got, v.Check.Name)
			}
		}
		if !slices.Equal(got, names) {
			return fmt.Errorf("got %v", got)
		}
		return nil
	})
}

// outcome is the verdict of the group ready.
func (w *watched) outcome() verdict.Verdict {
	return verdict.Judge(check.GroupReady, w.monitor.All(), verdict.Conditions{}, time.Now())
}

func (w *watched) expectOutcome(want verdict.Outcome) {
	w.t.Helper()
	servertest.Wait(w.t, "verdict "+want.String(), func() error {
		if v := w.outcome(); v.Outcome != want {
			return fmt.Errorf("got %v: %v", v.Outcome, v.Causes)
		}
		return nil
	})
}

func (w *watched) expectLog(words ...string) {
	w.t.Helper()
	servertest.Wait(w.t, "a line of the log", func() error {
		for line := range strings.Lines(w.log.String()) {
			if !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(line, word) }) {
				return nil
			}
		}
		return fmt.Errorf("no line has %q in it", words)
	})
}

// mark is a label that the containers of one test have, as docker run takes it.
func mark(d *servertest.DockerEngine) (label string) { return "test-of=" + d.Name() }

var errNotYet = errors.New("not yet")

// isState returns nil when the engine says that a container has the status.
func isState(d *servertest.DockerEngine, name, want string) error {
	if got := d.Inspect(name, "{{.State.Status}}"); got != want {
		return errors.New("it is " + got)
	}
	return nil
}
