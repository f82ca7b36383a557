package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"hale/internal/balancer"
	"hale/internal/check"
	"hale/internal/explain"
	"hale/internal/oneshot"
)

// An explainCommand is what the command line of hale explain says.
type explainCommand struct {
	as               []string
	ca, from, format string
	options          explain.Options
}

func newExplain(s streams) *cobra.Command {
	var c explainCommand
	cmd := &cobra.Command{
		Use:   "explain URL [--as PROFILE] [--host NAME]",
		Short: "Say why a load balancer calls a site unhealthy, and what mends it",
		Long: `explain sends to a URL what a load balancer would send, and walks the balancer's
way step by step. At the first step that the balancer would not accept it finds
out why, with more requests that each differ in one thing, and says what mends
it. What is not established of a balancer is marked as assumed, and a guess as a
guess.

URL is http://HOST:PORT/PATH as the balancer would ask it, most often with the
instance's address; or https://, tcp://, tls://, grpc://, grpcs://. Without a
path each balancer asks its default one. Without --as every balancer that speaks
that protocol is played, with a line each and the details of the first that says
no.

PROFILE is one of ` + strings.Join(profiles(), ", ") + `.

Exit status: 0 if every balancer that was played would be satisfied, 1 if not.`,
		Example: `  hale explain http://10.0.1.85/health_check --as alb
  hale explain http://10.0.1.85:8000/ --site www.example.org
  hale explain https://10.0.1.85/ --as haproxy --format json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("explain takes one URL: hale explain http://HOST:PORT/PATH")
			}
			return c.run(cmd.Context(), s, args[0])
		},
	}
	f := cmd.Flags()
	f.StringSliceVar(&c.as, "as", nil, "`PROFILE` of the balancer to play; several with commas")
	f.StringVar(&c.options.Host, "host", "", "`NAME` to send as the Host, in place of what the balancer sends")
	f.StringVar(&c.options.Site, "site", "", "`NAME` by which visitors know the site, for the requests that look for the reason")
	f.BoolVar(&c.options.Proxy, "proxy-protocol", false, "send a PROXY protocol header first, as balancers do that are set so (nlb)")
	f.StringVar(&c.ca, "ca", "", "`FILE` with the certificates that the balancer trusts, in place of this system's")
	f.StringVar(&c.from, "from", "", "local `ADDRESS` to ask from")
	f.StringVar(&c.format, "format", "text", "`FORMAT` of the output: text or json")
	return cmd
}

// profiles are the names of the balancers that explain can play.
func profiles() []string {
	var names []string
	for _, b := range balancer.Explained() {
		names = append(names, b.Name)
	}
	return names
}

func (c *explainCommand) run(ctx context.Context, s streams, target string) error {
	var wrong []error
	chosen, err := c.balancers()
	wrong = append(wrong, err, c.fill())
	if c.format != "text" && c.format != "json" {
		wrong = append(wrong, fmt.Errorf("--format: %q is not a format; give text or json", c.format))
	}
	if err := errors.Join(wrong...); err != nil {
		return err
	}
	said, clear := newSaid(s.err)
	c.options.Progress = said
	report, err := explain.Run(ctx, target, chosen, c.options)
	clear()
	if e, ok := errors.AsType[*explain.SchemeError](err); ok {
		return fmt.Errorf("%w%s", err, check.DidYouMean(e.Scheme, explain.Schemes()))
	}
	interrupted := err != nil && ctx.Err() != nil
	if err != nil && !interrupted {
		return err
	}
	write := report.WriteText
	if c.format == "json" {
		write = report.WriteJSON
	}
	// What was played before it was interrupted is not thrown away.
	if !interrupted || len(report.Results) > 0 {
		if err := write(s.out); err != nil {
			return &exitError{exitFail, err}
		}
	}
	if interrupted {
		return &exitError{exitFail, errors.New("interrupted")}
	}
	if !report.OK() {
		return &exitError{code: exitFail}
	}
	return nil
}

// balancers are those that were named, or all.
func (c *explainCommand) balancers() ([]*balancer.Balancer, error) {
	if len(c.as) == 0 {
		return balancer.Explained(), nil
	}
	var chosen []*balancer.Balancer
	for _, name := range c.as {
		b := balancer.Find(name)
		switch {
		case b == nil:
			hint := check.DidYouMean(name, profiles())
			if hint == "" {
				hint = "; there are " + strings.Join(profiles(), ", ")
			}
			return nil, fmt.Errorf("--as: there is no profile %q%s", name, hint)
		case !b.Explained:
			return nil, fmt.Errorf("--as: %s sends nothing that could be played (%s); there are %s", name, b.Probes[0].Protocol, strings.Join(profiles(), ", "))
		}
		if !slices.ContainsFunc(chosen, func(c *balancer.Balancer) bool { return c.Name == b.Name }) {
			chosen = append(chosen, b)
		}
	}
	return chosen, nil
}

// fill reads what --ca and --from name.
func (c *explainCommand) fill() error {
	var wrong []error
	if c.from != "" {
		addr, err := netip.ParseAddr(c.from)
		if err != nil {
			wrong = append(wrong, fmt.Errorf("--from: %q is not an address", c.from))
		}
		c.options.From = addr
	}
	if c.ca != "" {
		text, err := os.ReadFile(c.ca)
		if err != nil {
			return errors.Join(append(wrong, fmt.Errorf("--ca: %w", err))...)
		}
		c.options.Roots = x509.NewCertPool()
		if !c.options.Roots.AppendCertsFromPEM(text) {
			wrong = append(wrong, fmt.Errorf("--ca: %s holds no certificate in PEM", c.ca))
		}
	}
	return errors.Join(wrong...)
}

// newSaid tells a person who waits at a terminal what is being done, on a line
// that clear takes away.
func newSaid(w io.Writer) (said func(name string), clear func()) {
	if !oneshot.IsTerminal(w) {
		return nil, func() {}
	}
	shown := false
	said = func(name string) {
		text := "asking as " + name
		if name == "" {
			text = "looking for the reasons"
		}
		fmt.Fprintf(w, "\r\x1b[Khale explain: %s …", text)
		shown = true
	}
	return said, func() {
		if shown {
			fmt.Fprint(w, "\r\x1b[K")
		}
	}
}
