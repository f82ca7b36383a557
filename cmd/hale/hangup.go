package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
)

// outliveHangUps takes SIGHUP off the signals that end hale, until stop is called,
// unless there is a terminal whose end it tells. Without one somebody sends it
// who wants a configuration read again, and that must not cost the instance its
// traffic.
func outliveHangUps(log *slog.Logger) (stop func()) {
	if signal.Ignored(syscall.SIGHUP) || hasTerminal() {
		return func() {}
	}
	ctx, stop := context.WithCancel(context.Background())
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
	return stop
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
