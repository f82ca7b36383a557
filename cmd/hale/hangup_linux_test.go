package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"hale/internal/servertest"
)

// TestHangUp: a terminal that goes away ends hale; without one SIGHUP is a
// mistake that must not take the instance out of traffic.
func TestHangUp(t *testing.T) {
	hale, err := exec.LookPath("hale")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name     string
		terminal bool
		want     string
	}{
		{"terminal", true, "hale has ended"},
		{"no terminal", false, "SIGHUP changes nothing; restart hale to have its configuration read again"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var log lockedBuffer
			cmd := exec.CommandContext(t.Context(), hale, "serve", "file:///etc/hostname",
				"--listen", servertest.FreeAddress(t), "--admin", "off")
			cmd.Stderr = &log
			cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: test.terminal, Pdeathsig: syscall.SIGKILL}
			hangUp := func() { _ = cmd.Process.Signal(syscall.SIGHUP) }
			if test.terminal {
				master, slave := terminal(t)
				cmd.Stdin = slave
				hangUp = func() { _ = slave.Close(); _ = master.Close() }
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				_ = cmd.Wait()
			}()
			expectLine(t, &log, "start-up is over")
			hangUp()
			expectLine(t, &log, test.want)
			if !test.terminal {
				_ = cmd.Process.Signal(syscall.SIGTERM)
				expectLine(t, &log, "hale has ended")
			}
			<-ended
			if code := cmd.ProcessState.ExitCode(); code != 0 {
				t.Errorf("exit %d\n%s", code, log.String())
			}
		})
	}
}

func expectLine(t *testing.T, log *lockedBuffer, part string) {
	t.Helper()
	servertest.Wait(t, part, func() error {
		if text := log.String(); !strings.Contains(text, part) {
			return fmt.Errorf("the log is\n%s", text)
		}
		return nil
	})
}

// terminal makes a pseudo terminal; see pty(7).
func terminal(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	fd := int(master.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = slave.Close(); _ = master.Close() })
	return master, slave
}
