package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
)

// outliveHangUps takes SIGHUP off the signals that end hale, until ctx ends,
// unless there is a terminal whose end it tells. Without one somebody sends it
// who wants a configuration read again, and that must not cost the instance its
// traffic.
func outliveHangUps(ctx context.Context, log *slog.Logger) {
	if signal.Ignored(syscall.SIGHUP) || hasTerminal() {
		return
	}
	signal.Reset(syscall.SIGHUP)
	hangUps := make(chan os.Signal, 1)
	signal.Notify(hangUps, syscall.SIGHUP)
	go func() {
		defer signal.Stop(hangUps)
		for {
			select {
			case <-hangUps:
				log.Warn("SIGHUP changes nothing; restart hale to have its configuration read again")
			case <-ctx.Done():
				return
			}
		}
	}()
}

// hasTerminal reports whether the process has a controlling terminal.
func hasTerminal() bool {
	terminal, err := os.Open("/dev/tty")
	if err != nil {
		return false
	}
	_ = terminal.Close()
	return true
}
