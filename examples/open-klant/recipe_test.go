package openklant_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"hale/internal/servertest"
)

// TestRecipe runs the script: every check green, every component broken in
// turn, exactly its checks red, green again.
func TestRecipe(t *testing.T) {
	r := start(t, build(t, "hale"))
	output := r.rest()
	if code := r.end(); code != 0 {
		t.Fatalf("run exited with %d:\n%s", code, output)
	}
	for _, want := range []string{
		"UP, response status code: 200\nexit 0\n",
		"celery@open-klant: PONG.\nexit 0\n",
		"No reply to ping from 'celery@open-klant' after 3s.\nexit 2\n",
		"s ago.\nexit 0\n",
		"DOWN, response status code: 500\nexit 1\n",
		"DOWN (ConnectionError)\nexit 1\n",
		"All as expected: 17 checks, 10 faults.\n",
	} {
		if !strings.Contains(output, want) {
			t.Errorf("the output lacks %q", want)
		}
	}
	if n := strings.Count(output, "\nexit 4\n"); n != 1 {
		t.Errorf("%d checks exited with 4, want 1", n)
	}
	said := map[string]bool{}
	for line := range strings.Lines(output) {
		said[alike(line)] = true
	}
	for _, line := range shown(t) {
		if !said[alike(line)] {
			t.Errorf("docs/open-klant.md shows what the script does not: %s", line)
		}
	}
	if t.Failed() {
		t.Log(output)
	}
	r.leftNothing(output)
}

// shown returns the lines of the checks that the guide shows.
func shown(t *testing.T) (lines []string) {
	t.Helper()
	text := string(must(t, os.ReadFile, "../../docs/open-klant.md"))
	for _, block := range regexp.MustCompile("(?s)\n```console\n(\\$ (?:hale|maykin-common) .*?)```").FindAllStringSubmatch(text, -1) {
		lines = slices.AppendSeq(lines, strings.Lines(block[1]))
	}
	if len(lines) < 20 {
		t.Errorf("the guide shows %d lines", len(lines))
	}
	return lines
}

var differs = regexp.MustCompile(`:\d{5}\b|/tmp/open-klant-\w+|\b[\d.]+(?:ms|µs|s)\b`)

// alike makes lines of two runs the same: ports, the directory and durations
// differ.
func alike(line string) string { return differs.ReplaceAllString(strings.TrimSpace(line), "…") }

// TestRecipeFails: an expectation that does not hold makes the script fail,
// with what it saw, and it still cleans up.
func TestRecipeFails(t *testing.T) {
	hale := build(t, "hale")
	wrong := filepath.Join(t.TempDir(), "wrong")
	script := fmt.Sprintf(`#!/bin/sh
[ "$1" = beat-health-check ] && exit 9
case $0 in *maykin-common) exec %[1]s compat maykin-common "$@" ;; esac
exec %[1]s "$@"
`, hale)
	if err := os.WriteFile(wrong, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	r := start(t, wrong, "--patience", "5")
	output := r.rest()
	if code := r.end(); code != 1 || !strings.Contains(output, "FAILED: ") || !strings.Contains(output, "'beat': 9") {
		t.Errorf("run exited with %d, want 1 and to hear of beat's check:\n%s", code, output)
	}
	r.leftNothing(output)
}

// TestRecipeInterrupted: an interrupt in the middle leaves nothing behind
// either. Here hale-probe is the program.
func TestRecipeInterrupted(t *testing.T) {
	r := start(t, build(t, "hale-probe"), "nginx stops")
	output := r.until("== All is well\n")
	if err := r.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	output += r.rest()
	if code := r.end(); code != 130 || !strings.Contains(output, "SIGINT: stopping everything\n") {
		t.Errorf("run exited with %d, want 130:\n%s", code, output)
	}
	r.leftNothing(output)
}

// build builds one of hale's commands and returns its path.
func build(t *testing.T, command string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), command)
	if out, err := exec.Command("go", "build", "-o", path, "../../cmd/"+command).CombinedOutput(); err != nil {
		t.Fatalf("go build: %v: %s", err, out)
	}
	return path
}

// A running is the script, started.
type running struct {
	t      *testing.T
	cmd    *exec.Cmd
	output *bufio.Reader
}

func start(t *testing.T, hale string, args ...string) *running {
	t.Helper()
	if _, err := os.Stat("/usr/bin/python3"); err != nil {
		t.Fatalf("%v, and this test needs it: apt-get install python3", err)
	}
	cmd := exec.CommandContext(t.Context(), "./run", append([]string{"--hale", hale}, args...)...)
	// It stops what it has started when it is told to end.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 2 * time.Minute
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r := &running{t, cmd, bufio.NewReader(out)}
	t.Cleanup(func() {
		if cmd.ProcessState == nil { // the test gave up
			_ = cmd.Cancel()
			_ = cmd.Wait()
		}
	})
	return r
}

// rest reads the output to its end.
func (r *running) rest() string {
	r.t.Helper()
	text, err := io.ReadAll(r.output)
	if err != nil {
		r.t.Fatal(err)
	}
	return string(text)
}

// until reads the output to the end of that line.
func (r *running) until(line string) string {
	r.t.Helper()
	var read strings.Builder
	for {
		next, err := r.output.ReadString('\n')
		read.WriteString(next)
		if next == line {
			return read.String()
		}
		if err != nil {
			r.t.Fatalf("the output ends without %q:\n%s", line, read.String())
		}
	}
}

// end waits for the script and returns its exit code.
func (r *running) end() int {
	r.t.Helper()
	err := r.cmd.Wait()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		r.t.Fatal(err)
	}
	return r.cmd.ProcessState.ExitCode()
}

var directoryLine = regexp.MustCompile(`(?m)^All files are in (/.+)$`)

// leftNothing fails the test when the script's directory or a process that has
// to do with it is still there.
func (r *running) leftNothing(output string) {
	r.t.Helper()
	found := directoryLine.FindStringSubmatch(output)
	if found == nil {
		r.t.Fatalf("the script does not say where its files are:\n%s", output)
	}
	if _, err := os.Stat(found[1]); !errors.Is(err, fs.ErrNotExist) {
		r.t.Errorf("%s is still there (%v)", found[1], err)
	}
	// Every process was started in the directory, which none of them leaves but
	// PostgreSQL, for its own directory in there. What was killed may take a
	// moment to be gone.
	servertest.Wait(r.t, "the processes in "+found[1]+" to be gone", func() error {
		for _, cwd := range must(r.t, filepath.Glob, "/proc/[0-9]*/cwd") {
			if dir, err := os.Readlink(cwd); err == nil && strings.HasPrefix(dir, found[1]) {
				cmdline, _ := os.ReadFile(filepath.Join(filepath.Dir(cwd), "cmdline"))
				return fmt.Errorf("%s still runs: %.200q", filepath.Dir(cwd), cmdline)
			}
		}
		return nil
	})
}

func must[A, B any](t *testing.T, f func(A) (B, error), a A) B {
	t.Helper()
	b, err := f(a)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
