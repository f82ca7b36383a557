//go:build unix && !linux

package execcheck

import (
	"context"
	"sync"
	"syscall"
)

// thisHost returns the one host.
var thisHost = sync.OnceValue(func() *host { return &host{} })

// A host starts programs and kills their process groups.
type host struct{}

func (h *host) launch(r *run, cmd command, attr *syscall.ProcAttr) error {
	pid, err := syscall.ForkExec(cmd.path, cmd.argv, attr)
	r.pid = pid
	return err
}

func (h *host) forget(*run) {}

// await blocks until the run's program has ended, and reaps it: systems differ
// in how to wait without that.
func (r *run) await() {
	for {
		_, err := syscall.Wait4(r.pid, &r.status, 0, nil)
		if err != syscall.EINTR {
			return
		}
	}
}

// sweep kills the run's process group and returns its program unless that has
// ended.
func (r *run) sweep() (found []victim, sure bool) {
	err := syscall.Kill(-r.pid, syscall.SIGKILL)
	select {
	case <-r.exited:
		r.reaped = true
		return nil, true
	default:
		return []victim{{r.pid, err}}, true
	}
}

// Reap does nothing but wait for the end of ctx; see its Linux form.
func Reap(ctx context.Context) { <-ctx.Done() }
