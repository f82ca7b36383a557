package execcheck

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"hale/internal/check"
	"hale/internal/kinds/kindtest"
)

// newChecker makes a checker of a shell script on a host of its own.
func newChecker(t *testing.T, h *host, text string) *checker {
	t.Helper()
	return &checker{words: []string{"/bin/sh", "-c", text}, codes: codesExit, env: os.Environ(), host: h}
}

// TestLesserHosts has scripts leave daemons behind where the kernel, or a
// sandbox, does not offer what hale would like.
func TestLesserHosts(t *testing.T) {
	const (
		child  = "%s & sleep 10000"
		daemon = "(setsid sh -c '%s &' &) ; sleep 10000"
		bare   = "(env -i setsid sh -c '%s &' &) ; sleep 10000"
	)
	tests := []struct {
		name    string
		lesser  func(*host)
		scripts []string
	}{
		{"everything", func(*host) {}, []string{child, daemon, bare}},
		{"no lists of children", func(h *host) { h.proc.noLists = true }, []string{child, daemon, bare}},
		{"no limit to mark with", func(h *host) { h.noLimit = true }, []string{child, daemon, "env -i sh -c '(%s &)' & sleep 10000"}},
		{"no process table", func(h *host) { h.proc.usable = false }, []string{child, "(%s &) ; sleep 10000"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			kindtest.ExpectLeavesNothing(t)
			h := newHost()
			test.lesser(h)
			for _, text := range test.scripts {
				dir := t.TempDir()
				pidFile, hang := dir+"/pid", dir+"/hang"
				writeScript(t, hang, "echo $$ >"+pidFile+".new; mv "+pidFile+".new "+pidFile+"; exec sleep 10000\n")
				ctx, cancel := context.WithCancel(t.Context())
				started := make(chan int, 1)
				go func() {
					started <- waitForPid(t, pidFile)
					cancel()
				}()
				_, err := newChecker(t, h, fmt.Sprintf(text, "sh "+hang)).Check(ctx)
				if check.ReasonOf(err) != check.ReasonCanceled {
					t.Errorf("%s: got %v, want canceled", text, err)
				}
				pid := <-started
				gone := eventually(func() bool {
					if h.noLimit { // the dead can't be told by their environment
						h.reapStrangers()
					}
					return syscall.Kill(pid, 0) == syscall.ESRCH && len(kindtest.Children(t)) == 0
				})
				if !gone {
					t.Errorf("%s: process %d or one of %v is left", text, pid, kindtest.Children(t))
				}
			}
		})
	}
}

func writeScript(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// eventually reports whether the condition becomes true, which takes a moment
// on a machine too busy to let what was killed die.
func eventually(condition func() bool) bool {
	for deadline := time.Now().Add(20 * time.Second); !condition(); {
		if time.Now().After(deadline) {
			return false
		}
		<-time.After(2 * time.Millisecond)
	}
	return true
}

func waitForPid(t *testing.T, path string) int {
	deadline := time.Now().Add(30 * time.Second)
	for {
		text, err := os.ReadFile(path)
		if err == nil {
			pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
			if err != nil {
				t.Errorf("%s: %v", path, err)
			}
			return pid
		}
		if time.Now().After(deadline) {
			t.Errorf("waited in vain for %s", path)
			return -1
		}
		<-time.After(5 * time.Millisecond)
	}
}

// TestUnkillable has a process that SIGKILL does nothing to, as one that hangs
// in a dead network mount, and one that may not be killed.
func TestUnkillable(t *testing.T) {
	tests := []struct {
		name string
		err  error
		why  string
	}{
		{"hangs in the kernel", nil, "was killed but has not died yet, as in a dead network mount"},
		{"another user's", syscall.EPERM, "runs as another user and can't be killed; end it"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			kindtest.ExpectLeavesNothing(t)
			h := newHost()
			var killable atomic.Bool
			h.kill = func(pid int, signal syscall.Signal) error {
				if !killable.Load() {
					return test.err
				}
				return syscall.Kill(pid, signal)
			}
			c := newChecker(t, h, "echo begun; while :; do sleep 10000; done")
			timeout := func() (context.Context, context.CancelFunc) {
				return context.WithTimeout(t.Context(), kindtest.Timeout)
			}

			ctx, cancel := timeout()
			start := time.Now()
			_, err := c.Check(ctx)
			cancel()
			if d := time.Since(start); d > kindtest.Timeout+kindtest.Grace {
				t.Errorf("the run took %v, want at most %v", d, kindtest.Timeout+kindtest.Grace)
			}
			if check.ReasonOf(err) != check.ReasonTimeout || !strings.Contains(err.Error(), test.why) || !strings.HasSuffix(err.Error(), "; its output began: begun") {
				t.Errorf("got %v, want one that says %q", err, test.why)
			}

			children := len(kindtest.Children(t))
			ctx, cancel = timeout()
			_, err = c.Check(ctx)
			cancel()
			if check.ReasonOf(err) != check.ReasonExec || !strings.HasPrefix(err.Error(), "/bin/sh was not started: of an earlier run process ") || !strings.Contains(err.Error(), test.why) {
				t.Errorf("got %v, want one that says it was not started", err)
			}
			if now := len(kindtest.Children(t)); now != children {
				t.Errorf("got %d child processes, want %d as before", now, children)
			}

			killable.Store(true)
			<-c.stuck.gone
			ctx, cancel = timeout()
			_, err = c.Check(ctx)
			cancel()
			if check.ReasonOf(err) != check.ReasonTimeout || strings.Contains(err.Error(), test.why) {
				t.Errorf("got %v, want a run that is killed", err)
			}
		})
	}
}

// TestHeldOutput has somebody whom nothing kills hold the output of a program
// that has ended.
func TestHeldOutput(t *testing.T) {
	o, write, err := newOutput()
	if err != nil {
		t.Fatal(err)
	}
	defer write.Close()
	go o.collect()
	if _, err := write.WriteString("all good\n"); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	o.finish(start.Add(outputTime))
	if d := time.Since(start); d > kindtest.Grace {
		t.Errorf("it took %v to give the output up", d)
	}
	if got := o.line(); got != "all good" {
		t.Errorf("got %q", got)
	}
}

// TestOutputIsReadAfterTheDeadline has nobody read before it is over.
func TestOutputIsReadAfterTheDeadline(t *testing.T) {
	o, write, err := newOutput()
	if err != nil {
		t.Fatal(err)
	}
	defer write.Close()
	if _, err := write.WriteString("all good\n"); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(-time.Second)
	_ = o.read.SetReadDeadline(deadline)
	go o.collect()
	o.finish(deadline)
	if got := o.line(); got != "all good" {
		t.Errorf("got %q", got)
	}
}

func TestUnkilled(t *testing.T) {
	got := unkilled([]victim{{1, nil}, {2, syscall.EPERM}, {3, nil}, {4, nil}, {5, nil}})
	want := "process 1 was killed but has not died yet, as in a dead network mount; " +
		"process 2 runs as another user and can't be killed; end it; " +
		"process 3 was killed but has not died yet, as in a dead network mount; and 2 more"
	if got != want {
		t.Errorf("\ngot  %s\nwant %s", got, want)
	}
}

// TestReapLeavesTheLivingToWait asserts that a process is not reaped before
// whoever started it had time to.
func TestReapLeavesTheLivingToWait(t *testing.T) {
	h := newHost()
	h.proc.noLists = true // which has it see every child
	cmd := exec.Command("/bin/sh", "-c", "exit 7")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for !h.proc.zombie(cmd.Process.Pid) {
		<-time.After(time.Millisecond)
	}
	h.reapStrangers()
	if err := cmd.Wait(); err == nil || err.Error() != "exit status 7" {
		t.Errorf("got %v, want exit status 7", err)
	}
}

// TestEndsAtItsTimeout has a program end at the very moment of its timeout: what
// it said counts.
func TestEndsAtItsTimeout(t *testing.T) {
	r := &run{exited: make(chan struct{})}
	close(r.exited)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 100 {
		if !r.wait(ctx) {
			t.Fatal("the program has ended, and its run says that it has not")
		}
	}
}

// TestNotSure has the list of orphans be unreadable for a while, as when there is
// no descriptor left: something may be left then, and hale goes on looking.
func TestNotSure(t *testing.T) {
	kindtest.ExpectLeavesNothing(t)
	h := newHost()
	h.proc.self = 1 << 30 // which has no such list
	c := newChecker(t, h, "(setsid sleep 10000 &) ; echo all good")
	r, err := h.start(command{path: "/bin/sh", argv: c.words, env: c.env})
	if err != nil {
		t.Fatal(err)
	}
	if !r.wait(t.Context()) {
		t.Error("the run has not ended")
	}
	r.finish()
	if note, err := c.judge(r); note != "all good" || err != nil {
		t.Errorf("got %q, %v", note, err)
	}
	if len(kindtest.Children(t)) == 0 {
		t.Error("nothing is left, so that this test tests nothing")
	}
	h.mu.Lock()
	h.proc.self = os.Getpid()
	h.mu.Unlock()
	<-r.gone
	if left := kindtest.Children(t); len(left) > 0 {
		t.Errorf("child processes are left: %v", left)
	}
}

func TestLostStatus(t *testing.T) {
	kindtest.ExpectLeavesNothing(t)
	c := newChecker(t, newHost(), "")
	r, err := c.host.start(command{path: "/bin/true", argv: []string{"true"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := syscall.Wait4(r.pid, nil, 0, nil); err != nil {
		t.Fatal(err)
	}
	if !r.wait(t.Context()) {
		t.Error("the run has not ended")
	}
	r.finish()
	_, err = c.judge(r)
	want := "/bin/sh ended, but its exit status is lost: something else in hale took it"
	if check.ReasonOf(err) != check.ReasonExec || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// TestForksWhileKilled has a process start daemons as fast as it can while it is
// killed.
func TestForksWhileKilled(t *testing.T) {
	dir := t.TempDir()
	writeScript(t, dir+"/forks", `
echo $$ >`+dir+`/pid.new
mv `+dir+`/pid.new `+dir+`/pid
i=0
while [ $i -lt 3000 ]; do
	env -i setsid sleep 10000 >/dev/null 2>&1 &
	i=$((i+1))
done
`)
	for range 20 {
		_ = os.Remove(dir + "/pid")
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			waitForPid(t, dir+"/pid")
			cancel()
		}()
		_, _ = newChecker(t, newHost(), "sh "+dir+"/forks; sleep 10000").Check(ctx)
		if !eventually(func() bool { return len(kindtest.Children(t)) == 0 }) {
			t.Fatalf("child processes are left: %v", kindtest.Children(t))
		}
	}
}

// TestMarks asserts that a mark is read from a process as it was given.
func TestMarks(t *testing.T) {
	h := newHost()
	if h.noLimit || !h.proc.usable || h.proc.noLists {
		t.Fatalf("this host is a lesser one: %+v", h)
	}
	r, err := h.start(command{path: "/bin/sleep", argv: []string{"sleep", "10000"}})
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := h.markOf(r.pid); got != r.mark {
		t.Errorf("got mark %x, want %x", got, r.mark)
	}
	if got, _ := h.markOf(os.Getpid()); got != 0 {
		t.Errorf("hale itself has mark %x", got)
	}
	if err := syscall.Kill(r.pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-r.exited
	if !h.proc.zombie(r.pid) {
		t.Errorf("a process that ended is no zombie")
	}
	if got, _ := h.markOf(r.pid); got != r.mark {
		t.Errorf("dead it has mark %x, want %x", got, r.mark)
	}
	r.finish()
}
