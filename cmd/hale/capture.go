package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"hale/internal/capture"
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
		Args: cobra.NoArgs,
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

func (c *captureCommand) run(ctx context.Context, s streams) error {
	l, err := server.Listen(c.listen)
	if err != nil {
		return &exitError{exitFail, err}
	}
	if c.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.timeout)
		defer cancel()
	}
	fmt.Fprintf(s.err, "hale: listening on %s, answering %d; Ctrl-C ends\n", l.Addr(), c.options.Code)
	senders := map[string]int{}
	summary, err := capture.Run(ctx, l, c.options, func(a *capture.Arrival) error {
		senders[best(a)]++
		if c.format == "json" {
			return a.WriteJSON(s.out)
		}
		return a.WriteText(s.out)
	})
	if err != nil {
		return &exitError{exitFail, err}
	}
	c.sum(s, summary, senders)
	if summary.Arrivals == 0 || summary.Arrivals < c.options.Count {
		return &exitError{code: exitFail}
	}
	return nil
}

// best names who most likely sent an arrival, in a word or two.
func best(a *capture.Arrival) string {
	if len(a.Who) == 0 {
		return "not recognised"
	}
	name := a.Who[0].Name + " (" + string(a.Who[0].Sure) + ")"
	if len(a.Who) > 1 && a.Who[1].Sure == a.Who[0].Sure {
		name = "several possible (" + string(a.Who[0].Sure) + ")"
	}
	return name
}

// sum writes what came altogether, or why nothing may have.
func (c *captureCommand) sum(s streams, summary capture.Summary, senders map[string]int) {
	took := summary.Took.Round(100 * time.Millisecond)
	if summary.Arrivals == 0 {
		fmt.Fprintf(s.err, "hale: nothing arrived at %s in %v: a firewall or a security group may drop it; the balancer may ask another port or address, or rarely; and a check that breaks off while connecting, such as HAProxy's bare check, is seen by the kernel alone (tcpdump shows it)\n", c.listen, took)
		return
	}
	fmt.Fprintf(s.err, "hale: %d arrived in %v\n", summary.Arrivals, took)
	for _, name := range slices.Sorted(maps.Keys(senders)) {
		fmt.Fprintf(s.err, "hale:   %d from %s\n", senders[name], name)
	}
	if summary.Dropped > 0 {
		fmt.Fprintf(s.err, "hale: %d connections were closed unseen, as %d were open\n", summary.Dropped, capture.MaxConnections)
	}
}
