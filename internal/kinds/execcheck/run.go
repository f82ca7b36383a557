//go:build unix

package execcheck

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
)

// How long after its end a run may take to kill and reap what it left, and
// then to see its output's end.
const (
	killTime   = 200 * time.Millisecond
	outputTime = 50 * time.Millisecond
)

// A run is one run of a program.
type run struct {
	host           *host
	mark           uint64
	pid            int
	stdout, stderr *output
	exited         chan struct{} // closed when the program ended
	gone           chan struct{} // closed when nothing is left of the run

	// reaped and status belong to whoever sweeps: first the run itself, then,
	// when it gave up, janitor.
	reaped bool
	lost   bool // reaped by somebody else, so that there is no status
	status syscall.WaitStatus
	// hunted holds what was killed by its process id. It is the run's also when
	// it became an orphan and does not have the run's mark.
	hunted map[int]bool

	mu      sync.Mutex
	victims []victim // what the last sweep found
}

// A victim is a process to be killed.
type victim struct {
	pid int
	err error // why it can't be killed
}

// start starts the command. Its error wraps the kernel's.
func (h *host) start(cmd command) (*run, error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	stdout, stdoutEnd, err := newOutput()
	if err != nil {
		return nil, err
	}
	defer stdoutEnd.Close()
	stderr, stderrEnd, err := newOutput()
	if err != nil {
		_ = stdout.read.Close()
		return nil, err
	}
	defer stderrEnd.Close()
	r := &run{host: h, stdout: stdout, stderr: stderr, exited: make(chan struct{}), gone: make(chan struct{}), hunted: map[int]bool{}}
	err = h.launch(r, cmd, &syscall.ProcAttr{
		Dir:   cmd.dir,
		Env:   cmd.env,
		Files: []uintptr{null.Fd(), stdoutEnd.Fd(), stderrEnd.Fd()},
		Sys:   &syscall.SysProcAttr{Setsid: true, Credential: cmd.credential},
	})
	if err != nil {
		_ = stdout.read.Close()
		_ = stderr.read.Close()
		return nil, err
	}
	go stdout.collect()
	go stderr.collect()
	go func() {
		r.await()
		close(r.exited)
	}()
	return r, nil
}

// wait waits for the program to end, and reports whether it did before ctx.
func (r *run) wait(ctx context.Context) bool {
	select {
	case <-r.exited:
		return true
	case <-ctx.Done():
	}
	select {
	case <-r.exited: // both at once: what it said counts
		return true
	default:
		return false
	}
}

// finish kills and reaps what is left of the run, and closes its outputs. It
// returns what could not be killed in time; then a goroutine goes on trying,
// and r.gone is closed once it succeeded. Afterwards the status and what was
// kept of the outputs may be read if the program ended.
func (r *run) finish() (left []victim) {
	sure := false
	deadline := time.Now().Add(killTime)
	for pause := 50 * time.Microsecond; ; pause = min(2*pause, 5*time.Millisecond) {
		left, sure = r.sweep()
		if len(left) == 0 && sure || time.Now().After(deadline) {
			break
		}
		time.Sleep(pause)
	}
	outputDeadline := time.Now().Add(outputTime)
	r.stdout.finish(outputDeadline)
	r.stderr.finish(outputDeadline)
	if len(left) > 0 || !sure {
		r.remember(left)
		go r.janitor()
		return left
	}
	r.forget()
	return nil
}

// janitor goes on sweeping until nothing is left, which is up to the kernel.
func (r *run) janitor() {
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		time.Sleep(pause)
		left, sure := r.sweep()
		r.remember(left)
		if len(left) == 0 && sure {
			r.forget()
			return
		}
	}
}

// forget ends a run of which nothing is left.
func (r *run) forget() {
	r.host.forget(r)
	<-r.exited
	close(r.gone)
}

func (r *run) remember(left []victim) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.victims = left
}

// left returns what the last sweep found.
func (r *run) left() []victim {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.victims
}

// unkilled says which processes could not be killed, and why.
func unkilled(left []victim) string {
	const most = 3
	var parts []string
	for _, v := range left[:min(len(left), most)] {
		switch {
		case errors.Is(v.err, syscall.EPERM):
			parts = append(parts, fmt.Sprintf("process %d runs as another user and can't be killed; end it", v.pid))
		default:
			parts = append(parts, fmt.Sprintf("process %d was killed but has not died yet, as in a dead network mount", v.pid))
		}
	}
	if len(left) > most {
		parts = append(parts, fmt.Sprintf("and %d more", len(left)-most))
	}
	return strings.Join(parts, "; ")
}
