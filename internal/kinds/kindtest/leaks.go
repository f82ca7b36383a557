package kindtest

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// ExpectLeavesNothing fails the test at its end if goroutines or child
// processes exist that did not when it was called.
func ExpectLeavesNothing(t *testing.T) {
	t.Helper()
	expectLeavesNothing(t)
}

func expectLeavesNothing(t *testing.T) {
	t.Helper()
	before := goroutines()
	children := Children(t)
	t.Cleanup(func() {
		var left []string
		gone := eventually(3*time.Second, func() bool {
			left = newGoroutines(before)
			return len(left) == 0
		})
		if !gone {
			t.Errorf("%d goroutines are left:\n%s", len(left), strings.Join(left, "\n\n"))
		}
		gone = eventually(time.Second, func() bool { return len(Children(t)) <= len(children) })
		if !gone {
			t.Errorf("child processes are left: %v, before: %v", Children(t), children)
		}
	})
}

// Children returns the process ids of this process's children, zombies
// included.
func Children(t *testing.T) []string {
	t.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", os.Getpid()))
	if err != nil {
		t.Fatal(err)
	}
	var pids []string
	for _, task := range tasks {
		text, err := os.ReadFile(task)
		if err == nil {
			pids = append(pids, strings.Fields(string(text))...)
		}
	}
	return pids
}

func goroutines() map[string]bool {
	ids := map[string]bool{}
	for _, stack := range stacks() {
		ids[goroutineID(stack)] = true
	}
	return ids
}

// newGoroutines returns the stacks of goroutines that are not in before, but
// for those of the test server and of the testing package.
func newGoroutines(before map[string]bool) []string {
	var left []string
	for _, stack := range stacks() {
		if before[goroutineID(stack)] || strings.Contains(stack, "kindtest.newServer") || strings.Contains(stack, "created by testing.") {
			continue
		}
		left = append(left, stack)
	}
	return left
}

func goroutineID(stack string) string {
	id, _, _ := strings.Cut(strings.TrimPrefix(stack, "goroutine "), " ")
	return id
}

func stacks() []string {
	buf := make([]byte, 1<<20)
	buf = buf[:runtime.Stack(buf, true)]
	return strings.Split(strings.TrimSpace(string(buf)), "\n\n")
}

// eventually reports whether the condition holds within the time.
func eventually(within time.Duration, condition func() bool) bool {
	deadline := time.Now().Add(within)
	for !condition() {
		if time.Now().After(deadline) {
			return false
		}
		runtime.Gosched()
		<-time.After(5 * time.Millisecond)
	}
	return true
}
