package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os/signal"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"hale/internal/capture"
	"hale/internal/oneshot"
	"hale/internal/server"
)

// A captureCommand is what the command line of hale capture says.
type captureCommand struct {
	listen, format string
	timeout        time.Duration
	options        capture.Options
}

func newCapture(s streams) *cobra.Command {
	var c captureCommand
	cmd := &cobra.Command{
		Use:   "capture",
		Short: "Show what a balancer sends, and who sent it",
		Long: `capture listens on a port, in place of nc -l, and shows everything that arrives
as it came: a request's head, the TLS hello, a PROXY protocol header, HTTP/2's
frames, or a connection without a byte. It says who it was and how sure that is,
how often it comes, and what an application would object to; and it answers.

Give the port to the balancer as its health check's. Credentials in what arrives
are not shown. It is for a while, and not for production: its TLS certificate is
self-signed, and every path is answered alike.`,
		Example: `  hale capture --listen :8080
  hale capture --listen :8080 --respond 503 --count 4
  hale capture --format json --timeout 2m`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := c.validate(); err != nil {
				return err
			}
			return c.run(cmd.Context(), s)
		},
	}
	f := cmd.Flags()
	f.StringVar(&c.listen, "listen", ":8080", "`ADDRESS` to listen on: HOST:PORT, :PORT or PORT")
	f.IntVar(&c.options.Code, "respond", 200, "status `CODE` to answer with, 200 to 599; of gRPC's health check, SERVING below 300")
	f.IntVar(&c.options.Count, "count", 0, "end after `N` arrivals; 0 for never")
	f.DurationVar(&c.timeout, "timeout", 0, "end after this `TIME`; 0 for never. Exit 1 if nothing came, or less than --count")
	f.StringVar(&c.format, "format", "text", "`FORMAT` of the output: text, or json with an object a line")
	return cmd
}

// validate returns every mistake of the command line.
func (c *captureCommand) validate() error {
	var wrong []error
	if c.options.Code < 200 || c.options.Code > 599 {
		wrong = append(wrong, fmt.Errorf("--respond: %d is not a status that ends a request; give one from 200 to 599", c.options.Code))
	}
	if c.options.Count < 0 {
		wrong = append(wrong, fmt.Errorf("--count: %d is less than 0; give 0 to go on until Ctrl-C", c.options.Count))
	}
	if c.timeout < 0 {
		wrong = append(wrong, fmt.Errorf("--timeout: %v is less than 0; give 0 to go on until Ctrl-C", c.timeout))
	}
	if c.format != "text" && c.format != "json" {
		wrong = append(wrong, fmt.Errorf("--format: %q is not a format; give text or json", c.format))
	}
	return errors.Join(wrong...)
}

// open listens. An address that can't be one is a mistake of the command line,
// and one that can't be had is not.
func (c *captureCommand) open() (net.Listener, error) {
	l, err := server.Listen(c.listen)
	if err == nil {
		return l, nil
	}
	code := exitFail
	name, isName := errors.AsType[*net.DNSError](err)
	if _, ok := errors.AsType[*net.OpError](err); !ok || isName && name.IsNotFound {
		code = exitUsage
	}
	return nil, &exitError{code, fmt.Errorf("--listen: %w", err)}
}

func (c *captureCommand) run(ctx context.Context, s streams) error {
	l, err := c.open()
	if err != nil {
		return err
	}
	// Whatever is blocked after the first signal, a second one ends hale.
	defer context.AfterFunc(ctx, func() { signal.Reset(oneshot.EndSignals()...) })()
	if c.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.timeout)
		defer cancel()
	}
	fmt.Fprintf(s.err, "hale: listening on %s, answering %d; Ctrl-C ends\n", l.Addr(), c.options.Code)
	summary, err := capture.Run(ctx, l, c.options, func(a *capture.Arrival) error {
		if c.format == "json" {
			return a.WriteJSON(s.out)
		}
		return a.WriteText(s.out)
	})
	c.sum(s, summary, err)
	if err != nil || summary.Arrivals == 0 || summary.Arrivals < c.options.Count {
		return &exitError{code: exitFail}
	}
	return nil
}

// sum writes what came altogether, or why nothing may have, and what went wrong.
// If standard error takes nothing, as it may be the pipe that is full, it gives
// up after a second.
func (c *captureCommand) sum(s streams, summary capture.Summary, failed error) {
	var b strings.Builder
	took := summary.Took.Round(100 * time.Millisecond)
	if summary.Arrivals == 0 && failed == nil {
		fmt.Fprintf(&b, "hale: nothing arrived at %s in %v: a firewall or a security group may drop it; the balancer may ask another port or address, or rarely; and a check that breaks off while connecting, such as HAProxy's bare check, is seen by the kernel alone (tcpdump shows it)\n", c.listen, took)
	} else {
		fmt.Fprintf(&b, "hale: %d arrived in %v\n", summary.Arrivals, took)
	}
	for _, name := range slices.Sorted(maps.Keys(summary.Senders)) {
		fmt.Fprintf(&b, "hale:   %d from %s\n", summary.Senders[name], name)
	}
	if summary.Dropped > 0 {
		fmt.Fprintf(&b, "hale: %d connections were closed unseen, as %d were open\n", summary.Dropped, capture.MaxConnections)
	}
	if failed != nil {
		fmt.Fprintf(&b, "hale: %v\n", failed)
	}
	written := make(chan struct{})
	go func() {
		defer close(written)
		_, _ = io.WriteString(s.err, b.String())
	}()
	select {
	case <-written:
	case <-time.After(time.Second):
	}
}
