// Command hale answers one question truthfully and at once: should this
// instance get traffic?
//
// Each subcommand has a file of its own. Called by the name of one of the tools
// that hale replaces (through a symlink), it is that tool; see package
// internal/compat.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"hale/internal/oneshot"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), oneshot.EndSignals()...)
	code := run(ctx, os.Args, streams{out: os.Stdout, err: os.Stderr})
	stop()
	os.Exit(code)
}

// outlivePipes keeps an agent alive whose log's reader has gone: Go ends a
// program that writes to a broken standard output, unless it takes the signal.
func outlivePipes() { signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) }

// The exit codes, after sysexits.h where it has one. 2 is never used: Docker
// reserves it in health checks.
const (
	exitOK     = 0
	exitFail   = 1  // what was asked for is not so, or could not be done
	exitUsage  = 64 // the command line is wrong
	exitConfig = 78 // the configuration is wrong
)

// streams are where a command writes: results to out, everything else to err.
type streams struct{ out, err io.Writer }

// An output tells what could not be written from a mistake in the command line,
// for which cobra's own errors stand.
type output struct{ io.Writer }

func (o output) Write(p []byte) (int, error) {
	n, err := o.Writer.Write(p)
	if err != nil {
		err = &exitError{exitFail, err}
	}
	return n, err
}

// exitError is an error with the exit code it leads to.
type exitError struct {
	code int
	err  error // nil: all was said already
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// run is hale without the process: it returns the exit code.
func run(ctx context.Context, args []string, s streams) int {
	if face, ok := faces[strings.TrimSuffix(filepath.Base(args[0]), ".exe")]; ok {
		return face(ctx, args[1:], s)
	}
	err := runCommand(ctx, args[1:], s)
	if err == nil {
		return exitOK
	}
	code := exitUsage // what cobra itself complains about
	if e, ok := errors.AsType[*exitError](err); ok {
		if e.err == nil {
			return e.code
		}
		code, err = e.code, e.err
	}
	for line := range strings.Lines(err.Error()) {
		// An indented line is an example that belongs to the one before.
		if !strings.HasPrefix(line, " ") {
			line = "hale: " + line
		}
		fmt.Fprintln(s.err, strings.TrimRight(line, "\n"))
	}
	return code
}

// runCommand runs a subcommand. Those that run checks once need no tree of all
// commands, which takes as long to make as a check takes.
func runCommand(ctx context.Context, args []string, s streams) error {
	if len(args) > 0 && oneshots[args[0]] != nil {
		return runOneshot(ctx, args[0], args[1:], s)
	}
	s.out = output{s.out}
	root := newRoot(s)
	root.SetArgs(args)
	return root.ExecuteContext(ctx)
}
