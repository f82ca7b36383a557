package execcheck_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hale/internal/check"
	"hale/internal/kinds/execcheck"
	"hale/internal/kinds/kindtest"
)

// insideVariable names the test that this test binary, started by itself
// somewhere special, is to go on with.
const insideVariable = "EXECCHECK_INSIDE"

// rerun runs the calling test once more in a process of its own that is started
// with attr. Inside it returns false; outside, once the test has passed there,
// true.
func rerun(t *testing.T, attr *syscall.SysProcAttr) (outside bool) {
	t.Helper()
	if os.Getenv(insideVariable) == t.Name() {
		return false
	}
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=60s")
	cmd.Env = append(os.Environ(), insideVariable+"="+t.Name(), "TMPDIR="+os.TempDir())
	cmd.SysProcAttr = attr
	cmd.Dir = "/"
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("inside: %v\n%s", err, out)
	}
	if !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Fatalf("inside it did not pass:\n%s", out)
	}
	return true
}

// TestAsProcess1 runs checks as process 1 of a process namespace, as an agent
// does in a container.
func TestAsProcess1(t *testing.T) {
	attr := &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS}
	if os.Geteuid() != 0 {
		attr.Cloneflags |= unix.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	if rerun(t, attr) {
		return
	}
	if os.Getpid() != 1 {
		t.Fatalf("got process id %d, want 1", os.Getpid())
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		t.Fatal(err)
	}
	t.Run("nothing is left", func(t *testing.T) {
		for _, f := range families {
			pids := newPidFile(t)
			path := script(t, prelude(t, pids)+f.script+"\nsleep 0.01 & sleep 10000\n")
			c := kindtest.Build(t, execcheck.Kind(), "exec:"+path)
			kindtest.ExpectReason(t, c.Run(t.Context(), nil), check.ReasonTimeout)
			expectNoChildren(t)
		}
		expectAlone(t)
	})
	t.Run("strangers", strangersInside)
	t.Run("exit statuses", exitStatusesInside)
}

// strangersInside has processes that no check started become ours.
func strangersInside(t *testing.T) {
	out, err := exec.Command("/bin/sh", "-c", `
sleep 10000 >/dev/null 2>&1 & echo $!
sleep 0.01 >/dev/null 2>&1 & echo $!`).Output()
	if err != nil {
		t.Fatal(err)
	}
	pids := strings.Fields(string(out))
	lives, dies := pids[0], pids[1]
	ctx, cancel := context.WithCancel(t.Context())
	var reaper sync.WaitGroup
	reaper.Go(func() { execcheck.Reap(ctx) })
	for range 3 {
		c := kindtest.Build(t, execcheck.Kind(), "exec:"+script(t, "#!/bin/sh\n(setsid sleep 10000 &)\n")+" #"+patience)
		expectNote(t, c.Run(t.Context(), nil), "exit status 0")
	}
	waitUntil(t, "a dead stranger to be reaped", func() bool { return !exists(dies) })
	if !exists(lives) {
		t.Errorf("a stranger was killed")
	}
	pid, err := strconv.Atoi(lives)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "the other to be reaped", func() bool { return !exists(lives) })
	cancel()
	reaper.Wait()
	expectAlone(t)
}

// exitStatusesInside asserts that the reaper leaves the processes alone that
// somebody else in hale started and waits for.
func exitStatusesInside(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	var reaper sync.WaitGroup
	reaper.Go(func() { execcheck.Reap(ctx) })
	for i := 0; ctx.Err() == nil; i = (i + 1) % 100 {
		err := exec.Command("/bin/sh", "-c", fmt.Sprintf("exit %d", i)).Run()
		if i == 0 && err != nil || i > 0 && (err == nil || err.Error() != fmt.Sprintf("exit status %d", i)) {
			t.Errorf("got %v, want exit status %d", err, i)
		}
	}
	reaper.Wait()
}

func exists(pid string) bool {
	_, err := os.Stat("/proc/" + pid)
	return err == nil
}

// expectAlone fails the test if there is any other process in the namespace.
func expectAlone(t *testing.T) {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name()); err == nil && e.Name() != "1" {
			stat, _ := os.ReadFile("/proc/" + e.Name() + "/stat")
			t.Errorf("process %s is left: %s", e.Name(), stat)
		}
	}
}
