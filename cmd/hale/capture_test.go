package main

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestCaptureEndsWithAFullPipe: a signal ends hale capture at once though nobody
// reads its output any more, be it standard output alone or both; and a second
// signal does not wait for what is blocked.
func TestCaptureEndsWithAFullPipe(t *testing.T) {
	hale, err := exec.LookPath("hale")
	if err != nil {
		t.Fatal(err)
	}
	for _, both := range []bool{false, true} {
		for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
			cmd, ended, rest := captureFull(t, hale, both)
			_ = cmd.Process.Signal(signal)
			if exit := exited(t, cmd, ended); exit.ExitCode() != exitFail {
				t.Errorf("both %v, %v: %v", both, signal, exit)
			}
			if said := rest(); !both && !strings.Contains(said, "the output takes no more") {
				t.Errorf("standard error: %q", said)
			}
		}
	}
	cmd, ended, _ := captureFull(t, hale, true)
	go func() {
		for cmd.Process.Signal(syscall.SIGTERM) == nil {
			<-time.After(10 * time.Millisecond)
		}
	}()
	if status, ok := exited(t, cmd, ended).Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGTERM {
		t.Errorf("after more than one signal: %v", status)
	}
}

// exited waits until a program has ended, which it must do with a failure.
func exited(t *testing.T, cmd *exec.Cmd, ended <-chan error) *exec.ExitError {
	t.Helper()
	select {
	case err := <-ended:
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			t.Fatalf("it ended with %v", err)
		}
		return exit
	case <-time.After(30 * time.Second):
		_ = cmd.Process.Kill()
		<-ended
		t.Fatal("it has not ended")
		return nil
	}
}

// captureFull runs hale capture until nobody reads its output, or both of its
// outputs, which are full. rest returns what is said on standard error alone
// once it has ended.
func captureFull(t *testing.T, hale string, both bool) (cmd *exec.Cmd, ended <-chan error, rest func() string) {
	t.Helper()
	out, outEnd := pipe(t)
	errs, errEnd := pipe(t)
	if both {
		errs, errEnd = out, outEnd
	}
	cmd = exec.CommandContext(t.Context(), hale, "capture", "--listen", "127.0.0.1:0")
	cmd.Stdout, cmd.Stderr = outEnd, errEnd
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	waited := make(chan error, 1)
	go func() { waited <- cmd.Wait() }()
	line, err := bufio.NewReaderSize(errs, 16).ReadString('\n')
	_, after, _ := strings.Cut(line, "listening on ")
	addr, _, ok := strings.Cut(after, ",")
	if err != nil || !ok {
		t.Fatalf("%q, %v", line, err)
	}
	// Together that is more than ten times what a pipe holds.
	request := "GET / HTTP/1.0\r\n" + strings.Repeat("X: "+strings.Repeat("y", 300)+"\r\n", 10) + "\r\n"
	for range 200 {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(time.Minute))
		_, _ = io.WriteString(c, request)
		if answer, err := bufio.NewReader(c).ReadString('\n'); err != nil || !strings.Contains(answer, " 200 ") {
			t.Fatalf("answered %q, %v", answer, err)
		}
	}
	return cmd, waited, func() string {
		if both {
			return ""
		}
		_ = errEnd.Close()
		said, _ := io.ReadAll(errs)
		return string(said)
	}
}

// pipe is one that is closed when the test ends.
func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}
