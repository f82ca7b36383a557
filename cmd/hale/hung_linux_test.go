package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"hale/internal/servertest"
)

// The program ends although a thread of it is stuck in the kernel, which no
// signal can end.
func TestCheckOfADeadMountEnds(t *testing.T) {
	hale := filepath.Join(t.TempDir(), "hale")
	if out, err := exec.Command("go", "build", "-o", hale, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	hung := servertest.Hung(t)
	for _, url := range []string{"disk://" + hung.Dir, "mount://" + hung.Dir, "file://" + hung.Dir + "/x"} {
		begin := time.Now()
		cmd := exec.Command(hale, "check", url, "--timeout", "500ms")
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, os.Stderr
		ended := make(chan error, 1)
		go func() { ended <- cmd.Run() }()
		select {
		case err := <-ended:
			if cmd.ProcessState.ExitCode() != 1 || !bytes.Contains(out.Bytes(), []byte(" timeout: ")) {
				t.Errorf("%v: %s", err, out.Bytes())
			}
			t.Logf("after %v: %s", time.Since(begin), out.Bytes())
		case <-time.After(20 * time.Second):
			t.Errorf("%s: hale has not ended", url)
			hung.Revive()
			<-ended
		}
	}
	// Where nothing hangs the command gets its turn, and no child is left to it.
	hung.Revive()
	out, err := exec.Command(hale, "wait", "disk://"+hung.Dir, "--min-free", "1B", "--min-free-inodes", "0", "--timeout", "20s", "--", "sh", "-c", "echo $0; grep -c . /proc/$$/task/$$/children", "ran").CombinedOutput()
	if got := string(out); got != "ran\n0\n" && got != "ran\n1\n" {
		t.Errorf("%v: %q", err, got)
	}
}
