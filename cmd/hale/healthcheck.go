package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"hale/internal/check"
	"hale/internal/server"
)

// inImage reports whether hale runs in its own image, which says so.
func inImage() bool { return os.Getenv("HALE_IMAGE") != "" }

// alivePatience is less than the image's HEALTHCHECK gives.
const alivePatience = 2 * time.Second

// aliveAddress is where the hale of a container tells its HEALTHCHECK that it is
// alive, whatever it listens on besides: a socket without a file, as there may be
// nowhere to put one. Its name is that of the container's mounts, which no other
// container shares, though its network may be the host's.
func aliveAddress() (string, error) {
	mounts, err := os.Readlink("/proc/self/ns/mnt")
	if err != nil {
		return "", fmt.Errorf("can't tell this container from others: %w", err)
	}
	return "@hale " + mounts, nil
}

// answerAlive answers the image's HEALTHCHECK until ctx ends.
func answerAlive(ctx context.Context, handler server.Handler, log *slog.Logger) {
	address, err := aliveAddress()
	if err == nil {
		var listener net.Listener
		if listener, err = net.Listen("unix", address); err == nil {
			defer listener.Close()
			err = server.New(handler, server.Options{MaxConnections: 16, Log: log}).Serve(ctx, listener)
		}
	}
	if err != nil {
		log.Warn("the image's HEALTHCHECK is not answered", "error", err)
	}
}

// whileAlive runs one of the tools that hale replaces. In hale's image the
// HEALTHCHECK is told meanwhile that it is alive, whatever the tool answers: an
// app that is down is no reason to restart hale.
func whileAlive(ctx context.Context, s streams, tool func() int) int {
	if !inImage() {
		return tool()
	}
	ok := server.NewResponse(http.StatusOK, "text/plain; charset=utf-8", "OK", "Cache-Control: no-store")
	handler := server.HandlerFunc(func(context.Context, *server.Request) *server.Response { return ok })
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	var answering sync.WaitGroup
	answering.Go(func() { answerAlive(running, handler, slog.New(slog.NewTextHandler(s.err, nil))) })
	code := tool()
	stop()
	answering.Wait()
	return code
}

func newHealthcheck(s streams) *cobra.Command {
	return &cobra.Command{
		Use:   "healthcheck",
		Short: "Ask the hale of this container whether it is alive",
		Long: `healthcheck is what the HEALTHCHECK of hale's image runs. It asks the hale that
runs in the same container, wherever that listens, for the verdict of the group
live, and exits 0 when it passes, 1 when not.`,
		Hidden: true, // of use in the image alone
		Args:   noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := askAlive(cmd.Context(), s.out); err != nil {
				return &exitError{exitFail, err}
			}
			return nil
		},
	}
}

// askAlive prints what the hale of this container answers; its error is that it
// is not alive.
func askAlive(ctx context.Context, out io.Writer) error {
	address, err := aliveAddress()
	if err != nil {
		return err
	}
	client := &http.Client{Timeout: alivePatience, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", address)
		},
	}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/livez", nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("no hale that runs in its own image (HALE_IMAGE is set there) answers in this container: %w", err)
	}
	defer response.Body.Close()
	const most = 1 << 10
	body, err := io.ReadAll(io.LimitReader(response.Body, most))
	switch text := check.CleanText(strings.TrimSpace(string(body))); {
	case err != nil:
		return fmt.Errorf("hale's answer broke off: %w", err)
	case response.StatusCode != http.StatusOK:
		return fmt.Errorf("hale runs, but the group live does not pass: %s: %s", response.Status, text)
	default:
		_, err = fmt.Fprintln(out, text)
		return err
	}
}
