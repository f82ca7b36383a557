package processcheck_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"hale/internal/check"
	"hale/internal/kinds/kindtest"
	"hale/internal/kinds/processcheck"
)

// patience is how long a test waits for what comes at once.
const patience = 60 * time.Second

// A watching is a call of Watch.
type watching struct {
	t       *testing.T
	changed chan struct{}
	ended   chan error
	cancel  context.CancelFunc
}

// watch watches until the test ends, and returns once watching has begun.
func watch(t *testing.T, url string) *watching {
	t.Helper()
	c := kindtest.Build(t, processcheck.Kind(), url)
	ctx, cancel := context.WithCancel(context.Background())
	w := &watching{t: t, changed: make(chan struct{}, 1000), ended: make(chan error, 1), cancel: cancel}
	go func() { w.ended <- c.Checker.(check.Watcher).Watch(ctx, func() { w.changed <- struct{}{} }) }()
	t.Cleanup(func() { w.stop() })
	w.expectChange("to begin")
	return w
}

// stop ends the watching, waits for its end and returns why it ended.
func (w *watching) stop() error {
	w.cancel()
	return w.end()
}

func (w *watching) end() error {
	select {
	case err := <-w.ended:
		w.ended <- err
		return err
	case <-time.After(patience):
		w.t.Fatal("Watch goes on")
		return nil
	}
}

func (w *watching) expectChange(what string) {
	w.t.Helper()
	select {
	case <-w.changed:
	case <-time.After(patience):
		w.t.Fatalf("%s: no change was noticed", what)
	}
}

// descriptors lists the open files of this process by what they are.
func descriptors(t *testing.T) []string {
	t.Helper()
	entries, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		if to, err := os.Readlink(e); err == nil && (to == "anon_inode:[pidfd]" || to == "anon_inode:[eventpoll]" || filepath.Base(to) == "[pidfd]") {
			all = append(all, to)
		}
	}
	slices.Sort(all)
	return all
}

func TestWatchNoticesTheEnd(t *testing.T) {
	kindtest.ExpectLeavesNothing(t)
	p := newProgram(t, "w")
	path := filepath.Join(t.TempDir(), "pid")
	for _, url := range []string{fileURL(path), "process:" + p.name} {
		cmd := p.start()
		write(t, path, strconv.Itoa(cmd.Process.Pid))
		w := watch(t, url)
		p.kill(cmd)
		w.expectChange(url)
		expectFailing(t, url)
		// With nothing left to watch it ends, for the monitor to try again.
		if err := w.end(); check.ReasonOf(err) != check.ReasonMissing {
			t.Errorf("%s: Watch ended with %v", url, err)
		}
		p.end(cmd)
	}
}

func expectFailing(t *testing.T, url string) {
	t.Helper()
	if r := run(t, url); r.Reason() != check.ReasonMissing {
		t.Errorf("%s: %s: %s", url, r.Reason(), r.Text())
	}
}

// A process that comes back under another number is watched again.
func TestWatchGoesOnWithTheNextProcess(t *testing.T) {
	kindtest.ExpectLeavesNothing(t)
	p := newProgram(t, "r")
	path := filepath.Join(t.TempDir(), "pid")
	cmd := p.start()
	write(t, path, strconv.Itoa(cmd.Process.Pid))
	byFile, byName := watch(t, fileURL(path)), watch(t, "process:"+p.name)
	for i := range 2 {
		next := p.start()
		write(t, path, strconv.Itoa(next.Process.Pid))
		p.end(cmd)
		for _, w := range []*watching{byFile, byName} {
			w.expectChange(fmt.Sprintf("end %d", i))
			w.expectChange(fmt.Sprintf("watching the next after end %d", i))
		}
		cmd = next
	}
}

func TestWatchOfManyLeavesNothing(t *testing.T) {
	kindtest.ExpectLeavesNothing(t)
	before := descriptors(t)
	p := newProgram(t, "m")
	var all []*exec.Cmd
	for range processcheck.MaxWatched + 2 {
		all = append(all, p.start())
	}
	started := descriptors(t) // os/exec has a pidfd of each
	w := watch(t, "process:"+p.name)
	if n := len(descriptors(t)) - len(started); n != processcheck.MaxWatched+1 {
		t.Errorf("%d descriptors are used to watch, want %d", n, processcheck.MaxWatched+1)
	}
	// The first 64 are watched, in the order of their numbers.
	p.end(slices.MinFunc(all, func(a, b *exec.Cmd) int { return a.Process.Pid - b.Process.Pid }))
	w.expectChange("one of many")
	if err := w.stop(); !errors.Is(err, context.Canceled) {
		t.Errorf("Watch ended with %v", err)
	}
	for _, cmd := range all {
		p.end(cmd)
	}
	if after := descriptors(t); !slices.Equal(after, before) {
		t.Errorf("descriptors are left: %v, before: %v", after, before)
	}
}

func TestWatchOfNothing(t *testing.T) {
	kindtest.ExpectLeavesNothing(t)
	for _, url := range []string{"process:hale-no-such", fileURL(filepath.Join(t.TempDir(), "pid"))} {
		c := kindtest.Build(t, processcheck.Kind(), url)
		err := c.Checker.(check.Watcher).Watch(t.Context(), func() { t.Error("changed is called") })
		if check.ReasonOf(err) != check.ReasonMissing {
			t.Errorf("%s: %v", url, err)
		}
	}
}
