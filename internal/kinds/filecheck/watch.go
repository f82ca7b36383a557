package filecheck

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"syscall"

	"github.com/fsnotify/fsnotify"

	"hale/internal/check"
	"hale/internal/mounts"
)

// watched is what the checkers of this kind have in common: a path whose
// changes they can notice.
type watched struct {
	path    string
	content bool // whether a change of content or time matters too
	watch   *watch
}

// Watch calls changed when something happens to the path: that it is made,
// replaced, removed and, if the check has limits, written. It watches the
// path's directory, for the path may not exist yet. What happens to the target
// of a symbolic link is not noticed.
//
// It returns an error when there is no such directory (any more), when it is on
// a network file system, and when the kernel's bounds on inotify are reached.
func (w watched) Watch(ctx context.Context, changed func()) error {
	dir, err := resolve(ctx, filepath.Dir(w.path))
	if err != nil {
		return err
	}
	s, err := w.watch.subscribe(dir, filepath.Base(w.path), w.content)
	if err != nil {
		return err
	}
	defer w.watch.leave(s)
	changed() // what happened before the watch began went unnoticed
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.gone:
			changed()
			return check.Failf(check.ReasonMissing, "the directory %s is gone", dir)
		case <-s.events:
			changed()
		}
	}
}

// resolve follows the symbolic links in a directory's path, so that a directory
// has one name only. It returns when ctx ends even if the file system hangs.
func resolve(ctx context.Context, dir string) (string, error) {
	if err := watchable(dir); err != nil {
		return "", err
	}
	type answer struct {
		dir string
		err error
	}
	resolved := make(chan answer, 1)
	go func() {
		dir, err := filepath.EvalSymlinks(dir)
		resolved <- answer{dir, err}
	}()
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case a := <-resolved:
		if a.err != nil {
			return "", fmt.Errorf("watching %s: %w", dir, a.err)
		}
		return a.dir, watchable(a.dir)
	}
}

// A watch is one inotify instance for any number of paths. It exists while
// there are subscriptions.
type watch struct {
	mu     sync.Mutex
	notify *fsnotify.Watcher // nil without subscriptions
	pumped chan struct{}     // closed when the pump of notify has ended
	users  int
	dirs   map[string]*directory
}

// A directory is one that is watched.
type directory struct {
	byName map[string][]*subscription
}

// A subscription is to what happens to one name in a directory.
type subscription struct {
	dir     *directory
	path    string // of the directory
	name    string
	content bool
	events  chan struct{} // holds a token when something happened
	gone    chan struct{} // closed when the directory is gone
}

func newWatch() *watch { return &watch{dirs: map[string]*directory{}} }

// subscribe begins to watch a name in a directory on a local file system.
func (w *watch) subscribe(dir, name string, content bool) (*subscription, error) {
	w.mu.Lock()
	w.users++
	s, err := w.add(dir, name, content)
	end := func() {}
	if err != nil {
		end = w.release()
	}
	w.mu.Unlock()
	end()
	return s, err
}

// add makes a subscription; the lock is held.
func (w *watch) add(dir, name string, content bool) (*subscription, error) {
	if w.notify == nil {
		if err := w.open(); err != nil {
			return nil, err
		}
	}
	d, ok := w.dirs[dir]
	if !ok {
		if err := w.notify.Add(dir); err != nil {
			return nil, explainAdd(dir, err)
		}
		d = &directory{byName: map[string][]*subscription{}}
		w.dirs[dir] = d
	}
	s := &subscription{
		dir: d, path: dir, name: name, content: content,
		events: make(chan struct{}, 1), gone: make(chan struct{}),
	}
	d.byName[name] = append(d.byName[name], s)
	return s, nil
}

// leave ends a subscription. The last one waits until nothing is left of the
// watch.
func (w *watch) leave(s *subscription) {
	w.mu.Lock()
	d := s.dir
	d.byName[s.name] = slices.DeleteFunc(d.byName[s.name], func(o *subscription) bool { return o == s })
	if len(d.byName[s.name]) == 0 {
		delete(d.byName, s.name)
	}
	if len(d.byName) == 0 && w.dirs[s.path] == d {
		delete(w.dirs, s.path)
		_ = w.notify.Remove(s.path) // an error is that it is gone already
	}
	end := w.release()
	w.mu.Unlock()
	end()
}

// open makes the inotify instance and starts its pump.
func (w *watch) open() error {
	notify, err := fsnotify.NewWatcher()
	if errors.Is(err, syscall.EMFILE) {
		return fmt.Errorf("no inotify instance is free; raise fs.inotify.max_user_instances or the limit of open files: %w", err)
	}
	if err != nil {
		return fmt.Errorf("inotify: %w", err)
	}
	w.notify, w.pumped = notify, make(chan struct{})
	go w.pump(notify, w.pumped)
	return nil
}

// release counts a user less; the lock is held. The function that it returns
// is to be called without the lock: after the last user it closes the instance
// and waits until its pump has ended.
func (w *watch) release() (end func()) {
	w.users--
	if w.users > 0 || w.notify == nil {
		return func() {}
	}
	notify, pumped := w.notify, w.pumped
	w.notify, w.pumped = nil, nil
	return func() {
		_ = notify.Close()
		<-pumped
	}
}

func explainAdd(dir string, err error) error {
	if errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("watching %s: no inotify watch is free; raise fs.inotify.max_user_watches: %w", dir, err)
	}
	return fmt.Errorf("watching %s: %w", dir, err)
}

// pump passes on what happens until the instance is closed.
func (w *watch) pump(notify *fsnotify.Watcher, pumped chan struct{}) {
	defer close(pumped)
	events, faults := notify.Events, notify.Errors
	for events != nil || faults != nil {
		select {
		case e, ok := <-events:
			if !ok {
				events = nil
				continue
			}
			w.happened(e)
		case _, ok := <-faults:
			if !ok {
				faults = nil
				continue
			}
			w.lostTrack()
		}
	}
}

// happened tells those whom an event concerns.
func (w *watch) happened(e fsnotify.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	comesOrGoes := e.Has(fsnotify.Create) || e.Has(fsnotify.Remove) || e.Has(fsnotify.Rename)
	if d, ok := w.dirs[filepath.Dir(e.Name)]; ok {
		for _, s := range d.byName[filepath.Base(e.Name)] {
			if comesOrGoes || s.content {
				s.tell()
			}
		}
	}
	// The directory itself is gone when it is removed or renamed.
	if d, ok := w.dirs[e.Name]; ok && (e.Has(fsnotify.Remove) || e.Has(fsnotify.Rename)) {
		delete(w.dirs, e.Name)
		for _, named := range d.byName {
			for _, s := range named {
				close(s.gone)
			}
		}
	}
}

// lostTrack tells everybody, for the kernel had more to tell than there was
// room for.
func (w *watch) lostTrack() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, d := range w.dirs {
		for _, named := range d.byName {
			for _, s := range named {
				s.tell()
			}
		}
	}
}

// tell never blocks: one token is as good as many.
func (s *subscription) tell() {
	select {
	case s.events <- struct{}{}:
	default:
	}
}

// watchable returns an error when dir is on a network file system: the kernel
// does not tell of changes that others make there, and asking it to may hang.
func watchable(dir string) error {
	if kind, network := mounts.Network(dir); network {
		return fmt.Errorf("%s is on a file system of type %s, which does not tell of changes", dir, kind)
	}
	return nil
}

// MayHang reports whether the path is on a network file system.
func (w watched) MayHang() bool {
	_, network := mounts.Network(w.path)
	return network
}
