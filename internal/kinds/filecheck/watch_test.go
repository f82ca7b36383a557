package filecheck_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"hale/internal/check"
	"hale/internal/kinds/filecheck"
	"hale/internal/kinds/kindtest"
)

// patience is how long a test waits for what comes at once.
const patience = 30 * time.Second

// A watching is a call of Watch.
type watching struct {
	t       *testing.T
	changed chan struct{}
	ended   chan error
	cancel  context.CancelFunc
}

// watch watches the check of the URL until the test ends, and returns once
// watching has begun.
func watch(t *testing.T, r *check.Registry, url string) *watching {
	t.Helper()
	c, err := r.Build(check.Spec{URL: url, Policy: check.DefaultPolicy()})
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	w := &watching{t: t, changed: make(chan struct{}, 1000), ended: make(chan error, 1), cancel: cancel}
	go func() { w.ended <- c.Checker.(check.Watcher).Watch(ctx, func() { w.changed <- struct{}{} }) }()
	t.Cleanup(w.stop)
	w.expectChange("to begin")
	return w
}

// stop ends the watching and waits for its end.
func (w *watching) stop() {
	w.cancel()
	select {
	case err := <-w.ended:
		w.ended <- err
	case <-time.After(patience):
		w.t.Error("Watch goes on after its context ended")
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

// quiet takes the changes that were noticed so far. What is to come must be
// told apart by the order of events.
func (w *watching) quiet() int {
	n := 0
	for {
		select {
		case <-w.changed:
			n++
		default:
			return n
		}
	}
}

func newRegistry(t *testing.T) *check.Registry {
	t.Helper()
	r, err := check.NewRegistry(check.Env{}, filecheck.Kind())
	must(t, err)
	return r
}

func TestWatchNoticesWhatHappensToAPath(t *testing.T) {
	kindtest.ExpectLeavesNothing(t)
	dir := t.TempDir()
	path, other := filepath.Join(dir, "file"), filepath.Join(dir, "other")
	r := newRegistry(t)
	bare := watch(t, r, fileURL(path))
	limited := watch(t, r, fileURL(path)+"?max_age=1h")
	gone := watch(t, r, fileURL(path)+"?absent")
	for _, step := range []struct {
		what string
		do   func() error
		bare bool // whether a check without limits is told too
	}{
		{"made", func() error { return os.WriteFile(path, nil, 0o600) }, true},
		{"written", func() error { return os.WriteFile(path, []byte("x"), 0o600) }, false},
		{"touched", func() error { return os.Chtimes(path, time.Now(), time.Now()) }, false},
		{"replaced", func() error {
			return errors.Join(os.WriteFile(other, nil, 0o600), os.Rename(other, path))
		}, true},
		{"renamed", func() error { return os.Rename(path, other) }, true},
		{"linked", func() error { return os.Symlink(other, path) }, true},
		{"removed", func() error { return os.Remove(path) }, true},
	} {
		must(t, step.do())
		limited.expectChange(step.what)
		if step.bare {
			bare.expectChange(step.what)
			gone.expectChange(step.what)
		}
		// Events come in their order, so that when this one is noticed all
		// before it were.
		marker := watch(t, r, fileURL(filepath.Join(dir, step.what)))
		write(t, filepath.Join(dir, step.what), "")
		marker.expectChange("the end of " + step.what)
		marker.stop()
		if n := bare.quiet() + gone.quiet(); !step.bare && n > 0 {
			t.Errorf("%s: a check that does not mind was told %d times", step.what, n)
		}
		limited.quiet()
	}
}

func TestWatchNeedsADirectory(t *testing.T) {
	kindtest.ExpectLeavesNothing(t)
	dir := filepath.Join(t.TempDir(), "app")
	c := kindtest.Build(t, filecheck.Kind(), fileURL(filepath.Join(dir, "live")))
	err := c.Checker.(check.Watcher).Watch(t.Context(), func() { t.Error("changed is called without a watch") })
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want that the directory does not exist", err)
	}
}

func TestWatchEndsWithItsDirectory(t *testing.T) {
	kindtest.ExpectLeavesNothing(t)
	top := t.TempDir()
	r := newRegistry(t)
	for _, test := range []struct {
		what string
		do   func(dir string) error
	}{
		{"removed", os.Remove},
		{"renamed", func(dir string) error { return os.Rename(dir, dir+".old") }},
	} {
		dir := filepath.Join(top, test.what)
		must(t, os.Mkdir(dir, 0o700))
		w := watch(t, r, fileURL(filepath.Join(dir, "live")))
		parent := watch(t, r, fileURL(filepath.Join(top, "live")))
		must(t, test.do(dir))
		w.expectChange(test.what)
		select {
		case err := <-w.ended:
			w.ended <- err
			if got, want := errText(err), "the directory "+dir+" is gone"; got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		case <-time.After(patience):
			t.Errorf("%s: watching goes on", test.what)
		}
		parent.stop()
		// It can be watched again once it is back.
		must(t, os.Mkdir(dir, 0o700))
		w = watch(t, r, fileURL(filepath.Join(dir, "live")))
		write(t, filepath.Join(dir, "live"), "")
		w.expectChange(test.what + " and made again")
		w.stop()
	}
}

func TestWatchEndsWithItsContext(t *testing.T) {
	kindtest.ExpectLeavesNothing(t)
	w := watch(t, newRegistry(t), fileURL(filepath.Join(t.TempDir(), "live")))
	w.cancel()
	select {
	case err := <-w.ended:
		w.ended <- err
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want %v", err, context.Canceled)
		}
	case <-time.After(patience):
		t.Error("watching goes on")
	}
}

// Two names of one directory, as /run and /var/run, are both watched.
func TestWatchThroughALinkedDirectory(t *testing.T) {
	top := t.TempDir()
	must(t, os.Mkdir(filepath.Join(top, "run"), 0o700))
	must(t, os.Symlink("run", filepath.Join(top, "old")))
	r := newRegistry(t)
	a := watch(t, r, fileURL(filepath.Join(top, "run", "live")))
	b := watch(t, r, fileURL(filepath.Join(top, "old", "live")))
	write(t, filepath.Join(top, "run", "live"), "")
	a.expectChange("by its own name")
	b.expectChange("by its link")
}

// However many checks there are, they share an inotify instance, and it is
// given back at the end.
func TestWatchesShareAnInstance(t *testing.T) {
	kindtest.ExpectLeavesNothing(t)
	before := instances(t)
	top := t.TempDir()
	r := newRegistry(t)
	var all []*watching
	for i := range 300 {
		dir := filepath.Join(top, fmt.Sprint(i/2))
		must(t, os.MkdirAll(dir, 0o700))
		all = append(all, watch(t, r, fileURL(filepath.Join(dir, fmt.Sprint(i)))))
	}
	if n := instances(t) - before; n != 1 {
		t.Errorf("300 checks use %d inotify instances, want 1", n)
	}
	for i, w := range all {
		write(t, filepath.Join(top, fmt.Sprint(i/2), fmt.Sprint(i)), "")
		w.expectChange(fmt.Sprint(i))
	}
	for _, w := range all {
		if n := w.quiet(); n > 0 {
			t.Errorf("a check without limits was told %d times more than once", n)
		}
	}
	last := all[len(all)-1]
	for _, w := range all[:len(all)-1] {
		w.stop()
	}
	if n := watchedDirectories(t); n != 1 {
		t.Errorf("%d directories are watched for one check", n)
	}
	last.stop()
	if n := instances(t) - before; n != 0 {
		t.Errorf("%d inotify instances are left", n)
	}
}

// instances counts this process's inotify instances.
func instances(t *testing.T) int {
	t.Helper()
	return len(inotifyFDs(t))
}

// watchedDirectories counts what they watch: proc(5), fdinfo.
func watchedDirectories(t *testing.T) int {
	t.Helper()
	n := 0
	for _, fd := range inotifyFDs(t) {
		info, err := os.ReadFile("/proc/self/fdinfo/" + filepath.Base(fd))
		must(t, err)
		n += strings.Count(string(info), "inotify wd:")
	}
	return n
}

func inotifyFDs(t *testing.T) []string {
	t.Helper()
	fds, err := filepath.Glob("/proc/self/fd/*")
	must(t, err)
	return slices.DeleteFunc(fds, func(fd string) bool {
		to, err := os.Readlink(fd)
		return err != nil || !strings.HasSuffix(to, "inotify")
	})
}

// Subscriptions that come and go at the same time do not take each other's
// watch away.
func TestWatchesComeAndGo(t *testing.T) {
	kindtest.ExpectLeavesNothing(t)
	dir := t.TempDir()
	r := newRegistry(t)
	var coming sync.WaitGroup
	for i := range 8 {
		c, err := r.Build(check.Spec{URL: fileURL(filepath.Join(dir, fmt.Sprint(i%2))), Policy: check.DefaultPolicy()})
		must(t, err)
		coming.Go(func() {
			for range 100 {
				ctx, cancel := context.WithCancel(context.Background())
				if err := c.Checker.(check.Watcher).Watch(ctx, cancel); !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
			}
		})
	}
	coming.Wait()
	w := watch(t, r, fileURL(filepath.Join(dir, "0")))
	write(t, filepath.Join(dir, "0"), "")
	w.expectChange("after all")
}

func TestWatchWithoutInstances(t *testing.T) {
	kindtest.ExpectLeavesNothing(t)
	path := filepath.Join(t.TempDir(), "live")
	write(t, path, "")
	c := kindtest.Build(t, filecheck.Kind(), fileURL(path))
	var limit syscall.Rlimit
	must(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit))
	low := limit
	low.Cur = 0 // no descriptor is below it
	must(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &low))
	err := c.Checker.(check.Watcher).Watch(t.Context(), func() {})
	result := c.Run(t.Context(), nil)
	must(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit))
	want := "no inotify instance is free; raise fs.inotify.max_user_instances or the limit of open files: "
	if !strings.HasPrefix(errText(err), want) {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	if !result.Healthy() {
		t.Errorf("the check itself: got %v, want healthy", result.Err)
	}
}
