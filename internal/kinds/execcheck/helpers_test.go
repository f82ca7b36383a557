//go:build unix

package execcheck_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"hale/internal/check"
	"hale/internal/kinds/execcheck"
	"hale/internal/kinds/kindtest"
)

// patience is a timeout for runs that are to end by themselves, on the slowest
// of machines.
const patience = "timeout=60s&interval=60s"

// script writes an executable script and returns its path.
func script(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "script")
	writeProgram(t, path, text, 0o755)
	return path
}

// writeProgram writes a file that is to be executed. No process may start
// meanwhile: it would inherit the open file, and an open file can't be executed.
func writeProgram(t testing.TB, path, text string, mode os.FileMode) {
	t.Helper()
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

// sh returns the result of a patient run of a shell script.
func sh(t *testing.T, text, options string) check.Result {
	t.Helper()
	return runLine(t, script(t, "#!/bin/sh\n"+text+"\n"), options)
}

// runLine returns the result of a patient run of a command line.
func runLine(t *testing.T, line, options string) check.Result {
	t.Helper()
	kindtest.ExpectLeavesNothing(t)
	c := kindtest.Build(t, execcheck.Kind(), "exec:"+line+" #"+patience+"&"+options)
	r := c.Run(t.Context(), func(v any, stack []byte) { t.Errorf("panic: %v\n%s", v, stack) })
	expectNoChildren(t)
	return r
}

// expectNoChildren fails the test if there is a child process, dead or alive,
// that does not go away. A process that was killed is still there while a busy
// machine has not let it run into its death.
func expectNoChildren(t *testing.T) {
	t.Helper()
	if eventually(func() bool { return len(kindtest.Children(t)) == 0 }) {
		return
	}
	for _, pid := range kindtest.Children(t) {
		stat, _ := os.ReadFile("/proc/" + pid + "/stat")
		t.Errorf("a child process is left: %s", stat)
	}
}

func expectNote(t *testing.T, r check.Result, want string) {
	t.Helper()
	if r.Err != nil {
		t.Errorf("got error %v, want note %q", r.Err, want)
	} else if r.Note != want {
		t.Errorf("got note %q, want %q", r.Note, want)
	}
}

func expectError(t *testing.T, r check.Result, reason check.Reason, want string) {
	t.Helper()
	if r.Err == nil {
		t.Fatalf("got healthy with note %q, want %s", r.Note, want)
	}
	if got := r.Err.Error(); got != want {
		t.Errorf("\ngot  %s\nwant %s", got, want)
	}
	kindtest.ExpectReason(t, r, reason)
}

// A pidFile is a file to which a script's processes append their ids.
type pidFile string

func newPidFile(t testing.TB) pidFile { return pidFile(filepath.Join(t.TempDir(), "pids")) }

// pids returns the ids that are complete.
func (f pidFile) pids(t testing.TB) []int {
	t.Helper()
	text, err := os.ReadFile(string(f))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(text), "\n")
	var pids []int
	for _, line := range lines[:len(lines)-1] {
		pid, err := strconv.Atoi(strings.TrimSpace(line))
		if err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		pids = append(pids, pid)
	}
	return pids
}

// expectGone fails the test unless the processes told their ids, at least so
// many of them, and are gone now.
func (f pidFile) expectGone(t *testing.T, atLeast int) {
	t.Helper()
	pids := f.pids(t)
	if len(pids) < atLeast {
		t.Errorf("%d processes told their id, want at least %d; the test tests too little", len(pids), atLeast)
	}
	for _, pid := range pids {
		if !eventually(func() bool { return syscall.Kill(pid, 0) == syscall.ESRCH }) {
			stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
			t.Errorf("process %d is left: %s", pid, stat)
		}
	}
}

// waitUntil fails the test if the condition does not become true.
func waitUntil(t testing.TB, what string, condition func() bool) {
	t.Helper()
	if !eventually(condition) {
		t.Errorf("waited in vain for %s", what)
	}
}

// eventually reports whether the condition becomes true.
func eventually(condition func() bool) bool {
	for deadline := time.Now().Add(20 * time.Second); !condition(); {
		if time.Now().After(deadline) {
			return false
		}
		<-time.After(2 * time.Millisecond)
	}
	return true
}
