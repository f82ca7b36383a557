package execcheck

import (
	"context"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// markVariable is the environment variable that marks a run's processes where
// a resource limit can't.
const markVariable = "HALE_RUN"

// thisHost returns what this process knows of the processes it started. There
// is one because the kernel knows one: the children, and whether orphans come
// here, belong to a process as a whole.
var thisHost = sync.OnceValue(newHost)

// A host starts programs and finds what they left. Its methods may be called
// at the same time.
//
// Whatever a program starts is either its descendant or, when what was between
// them ended, a child of hale's that hale did not start: an orphan. Such a
// child is a run's if it has the run's mark.
type host struct {
	// proc reads the process table; proc.usable is false when that is of no
	// use, and then only a run's process group is killed.
	proc procfs
	// kill is [syscall.Kill] but for tests.
	kill func(pid int, signal syscall.Signal) error
	// noLimit is true when the mark is an environment variable.
	noLimit bool
	// locks is hale's own limit whose soft value marks runs.
	locks unix.Rlimit

	// starting is held while a program is started: hale's own limit is then the
	// program's mark.
	starting sync.Mutex

	// mu guards what follows. Children are reaped and listed under it only:
	// the kernel's list misses one when another is reaped meanwhile.
	mu       sync.Mutex
	lastMark uint64
	runs     map[uint64]*run // under way, by mark
	orphans  map[int]orphan  // by process id
}

// An orphan is a child of hale's that hale did not start.
type orphan struct {
	mark   uint64 // 0 if it has none
	known  bool   // its mark is
	looks  int    // how often its mark was looked for
	zombie bool   // it was one when last looked at, and nobody's
}

// looksForVariable is how often to look for a mark in the environment, which
// can't be read at the moment at which a process becomes another program.
const looksForVariable = 5

func newHost() *host {
	h := &host{
		proc: newProcfs(),
		kill: syscall.Kill,
		runs: map[uint64]*run{},
		// A quarter of the numbers leaves room to count, and is neither a
		// limit that anybody sets nor that of a hale that started this one.
		lastMark: 1<<62 + rand.Uint64N(1<<62),
	}
	err := unix.Prlimit(0, unix.RLIMIT_LOCKS, nil, &h.locks)
	h.noLimit = err != nil || !h.setLimit(h.lastMark)
	if !h.noLimit {
		h.setLimit(h.locks.Cur)
	}
	return h
}

// setLimit sets hale's own limit. That fails where a sandbox forbids it.
func (h *host) setLimit(soft uint64) bool {
	return unix.Prlimit(0, unix.RLIMIT_LOCKS, &unix.Rlimit{Cur: soft, Max: h.locks.Max}, nil) == nil
}

// launch starts the program of a run and gives the run its mark and its
// program's process id.
func (h *host) launch(r *run, cmd command, attr *syscall.ProcAttr) error {
	h.mu.Lock()
	h.lastMark++
	r.mark = h.lastMark
	h.runs[r.mark] = r
	if len(h.runs) == 1 {
		_ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
	}
	h.mu.Unlock()

	if h.noLimit {
		attr.Env = setEnv(attr.Env, map[string]string{markVariable: strconv.FormatUint(r.mark, 16)})
	}
	pid, err := h.fork(r.mark, cmd, attr)
	if err != nil {
		h.forget(r)
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	r.pid = pid
	return nil
}

func (h *host) fork(mark uint64, cmd command, attr *syscall.ProcAttr) (int, error) {
	h.starting.Lock()
	defer h.starting.Unlock()
	if !h.noLimit {
		h.setLimit(mark)
		defer h.setLimit(h.locks.Cur)
	}
	return syscall.ForkExec(cmd.path, cmd.argv, attr)
}

// forget ends a run. Orphans of the last one go to init again.
func (h *host) forget(r *run) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.runs, r.mark)
	if len(h.runs) == 0 {
		_ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
	}
}

// await blocks until the run's program has ended, and does not reap it.
func (r *run) await() {
	for unix.Waitid(unix.P_PID, r.pid, nil, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
	}
}

// sweep kills what there is of a run, reaps what has died of it, and returns
// what it found. Nothing is left when it found nothing and is sure of that.
func (r *run) sweep() (found []victim, sure bool) {
	h := r.host
	if !h.proc.usable {
		return r.sweepGroup()
	}
	var roots []int
	h.mu.Lock()
	if h.reapProgram(r); !r.reaped {
		roots = append(roots, r.pid)
	}
	orphans, sure := h.orphansOf(r)
	h.mu.Unlock()
	roots = append(roots, orphans...) // the program perhaps once more
	if len(roots) == 0 {
		return nil, sure
	}

	victims := h.family(roots)
	for i, v := range victims {
		victims[i].err = h.kill(v.pid, syscall.SIGKILL)
		r.hunted[v.pid] = true
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, v := range victims {
		if v.pid == r.pid {
			h.reapProgram(r)
		} else if pid, _ := h.reapChild(v.pid); pid == v.pid { // not if its parent lives
			delete(r.hunted, pid)
		}
	}
	return victims, sure
}

// sweepGroup is sweep where the process table can't be read.
func (r *run) sweepGroup() (found []victim, sure bool) {
	h := r.host
	h.mu.Lock()
	defer h.mu.Unlock()
	var err error
	if !r.reaped {
		// As long as its leader is not reaped no other group has its number.
		err = h.kill(-r.pid, syscall.SIGKILL)
		h.reapProgram(r)
	}
	for r.reaped {
		switch pid, _ := h.reapChild(-r.pid); pid {
		case -1:
			return nil, true
		case 0:
			return []victim{{r.pid, err}}, true
		}
	}
	return []victim{{r.pid, err}}, true
}

// reapProgram reaps the program of a run if it has ended; mu is held.
func (h *host) reapProgram(r *run) {
	if r.reaped {
		return
	}
	switch pid, status := h.reapChild(r.pid); pid {
	case r.pid:
		r.status, r.reaped = status, true
	case -1:
		r.lost, r.reaped = true, true
	}
}

// reapChild reaps a child, or one of a process group, if it has ended. It
// returns 0 when it has not and -1 when there is no such child; mu is held.
func (h *host) reapChild(pid int) (int, syscall.WaitStatus) {
	for {
		var status syscall.WaitStatus
		reaped, err := syscall.Wait4(pid, &status, syscall.WNOHANG, nil)
		switch {
		case err == syscall.EINTR:
			continue
		case err != nil:
			return -1, 0
		}
		delete(h.orphans, reaped)
		return reaped, status
	}
}

// family returns the roots and their descendants. Each is stopped before its
// children are listed, so that it neither starts more of them nor reaps any,
// whose number could then come to mean another process.
func (h *host) family(roots []int) []victim {
	var family []victim
	seen := map[int]bool{}
	for todo := roots; len(todo) > 0; todo = todo[1:] {
		pid := todo[0]
		if seen[pid] || pid <= 1 || pid == h.proc.self {
			continue
		}
		seen[pid] = true
		family = append(family, victim{pid: pid})
		_ = h.kill(pid, syscall.SIGSTOP)
		todo = append(todo, h.proc.children(pid)...)
	}
	return family
}

// orphansOf returns the orphans that the run left, and whether it is sure that
// there are no others; mu is held.
func (h *host) orphansOf(r *run) (pids []int, sure bool) {
	sure = h.refresh()
	for pid, o := range h.orphans {
		if o.mark == r.mark || r.hunted[pid] {
			pids = append(pids, pid)
		}
		sure = sure && !h.unknown(o)
	}
	return pids, sure
}

// unknown reports whether an orphan's mark is still to be found.
func (h *host) unknown(o orphan) bool {
	return !o.known && (!h.noLimit || o.looks < looksForVariable)
}

// refresh brings the orphans up to date, and reports whether it could; mu is
// held. The programs of runs may be among them. A process id does not come to
// mean another process unseen: a child keeps it until it is reaped, which is
// here.
func (h *host) refresh() bool {
	pids, ok := h.proc.adopted()
	if !ok {
		return false
	}
	if len(pids) == 0 {
		h.orphans = nil
		return true
	}
	orphans := make(map[int]orphan, len(pids))
	for _, pid := range pids {
		o := h.orphans[pid]
		if h.unknown(o) {
			o.mark, o.known = h.markOf(pid)
			o.looks++
		}
		orphans[pid] = o
	}
	h.orphans = orphans
	return true
}

// markOf returns a process's mark, or 0 when it has none; known is false if
// another look may find one.
func (h *host) markOf(pid int) (mark uint64, known bool) {
	if !h.noLimit {
		return h.proc.limit(pid)
	}
	if mark := h.proc.variable(pid, markVariable); mark != 0 {
		return mark, true
	}
	session := h.proc.session(pid)
	for mark, r := range h.runs {
		if r.pid != 0 && r.pid == session {
			return mark, true
		}
	}
	return 0, false
}

// Reap reaps processes that became hale's children although no check started
// them, until ctx ends: those that a container's processes leave to its
// process 1, and those of a program that was replaced by hale. It lets them
// live and reaps the dead a second or two after their death. An agent runs it
// for as long as it lives; a process that ends soon needs none.
func Reap(ctx context.Context) { thisHost().reap(ctx, time.Second) }

func (h *host) reap(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			h.reapStrangers()
		}
	}
}

// reapStrangers reaps orphans that are no run's and were dead already when it
// last looked. Whoever in hale started a process waits for it and has reaped it
// by then.
func (h *host) reapStrangers() {
	if !h.proc.usable {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.refresh()
	for pid, o := range h.orphans {
		if h.runs[o.mark] != nil {
			continue
		}
		zombie := h.proc.zombie(pid)
		if zombie && o.zombie {
			h.reapChild(pid)
			continue
		}
		o.zombie = zombie
		h.orphans[pid] = o
	}
}

// usableProc reports whether /proc shows the processes as hale sees them,
// which it does not when it is another container's.
func usableProc() bool {
	self, err := os.Readlink("/proc/self")
	return err == nil && self == strconv.Itoa(os.Getpid())
}
