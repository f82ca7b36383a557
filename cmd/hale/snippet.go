package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"hale/internal/check"
	"hale/internal/config"
	"hale/internal/ownip"
	snippets "hale/internal/snippet"
)

func newSnippet(s streams) *cobra.Command {
	var file string
	var given snippets.Setup
	cmd := &cobra.Command{
		Use:   "snippet [NAME]",
		Short: "Print configuration for nginx, HAProxy, Kubernetes, Django and others",
		Long: `snippet prints configuration for the software around hale, which fits a
configuration of hale: its listeners, and as the application the first http
check of this host. Flags say what the configuration does not, and win.

` + snippetTable(),
		Example: `  hale snippet nginx --path /health_check --server-name www.example.org
  hale snippet haproxy --config /etc/hale/hale.yaml --instance 10.0.1.85`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				_, err := io.WriteString(s.out, snippetTable())
				return err
			}
			chosen, err := snippetNamed(args)
			if err != nil {
				return &exitError{exitUsage, err}
			}
			setup, err := snippetSetup(cmd.Context(), file, given, cmd.Flags())
			if err != nil {
				return err
			}
			text, err := chosen.Text(setup)
			if err != nil {
				return &exitError{exitUsage, err}
			}
			_, err = io.WriteString(s.out, text)
			return err
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&file, "config", "", "hale's configuration `FILE` (default "+defaultConfig+" if it exists)")
	flags.StringVar(&given.Listen, "listen", "", "`ADDRESS` of hale's public listener (default the configuration's)")
	flags.StringVar(&given.AgentCheck, "agent-check", "", "`ADDRESS` of hale's agent-check (default the configuration's)")
	flags.StringVar(&given.App, "app", "", "`ADDRESS` of the application on this host (default the first http check's, else 127.0.0.1:8000)")
	flags.StringVar(&given.AppPath, "app-path", "", "`PATH` of the application's health page (default that check's, else /health_check)")
	flags.StringVar(&given.Path, "path", "", "`PATH` that the balancer asks for (default the application's unless that is /, else /health_check)")
	flags.StringVar(&given.ServerName, "server-name", "", "`NAME` of the site (default example.org)")
	flags.StringVar(&given.Instance, "instance", "", "`IP` address by which the balancer reaches this host (default the default route's)")
	return cmd
}

// snippetTable lists the snippets.
func snippetTable() string {
	var text strings.Builder
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NAME\tWHAT IT PRINTS")
	for _, one := range snippets.All() {
		fmt.Fprintf(table, "%s\t%s\n", one.Name, one.Help)
	}
	_ = table.Flush() // a Builder takes everything
	return text.String()
}

func snippetNamed(args []string) (snippets.Snippet, error) {
	if len(args) > 1 {
		return snippets.Snippet{}, fmt.Errorf("one name is enough, %d are given; write hale snippet nginx", len(args))
	}
	var known []string
	for _, one := range snippets.All() {
		if one.Name == args[0] {
			return one, nil
		}
		known = append(known, one.Name)
	}
	return snippets.Snippet{}, fmt.Errorf("there is no snippet %q%s (there are: %s)", check.CleanText(args[0]), check.DidYouMean(args[0], known), strings.Join(known, ", "))
}

// snippetSetup takes what is given, of the rest what the configuration says, and
// of the rest of that the defaults.
func snippetSetup(ctx context.Context, file string, given snippets.Setup, flags *pflag.FlagSet) (snippets.Setup, error) {
	// A snippet may be printed anywhere, so nobody is asked for an address; the
	// application is on this host.
	own := config.OwnIP{Sources: ownip.Sources(), Find: func(string) (string, string, error) { return "127.0.0.1", "", nil }}
	c, _, err := loadConfig(file, nil, nil, own)
	if err != nil {
		return given, err
	}
	setup := snippets.Defaults()
	setup.Listen, setup.Degraded, setup.Stop = c.Listen, c.DegradedStatus, c.DrainDelay+c.Grace
	if c.AgentCheck != "off" {
		setup.AgentCheck = c.AgentCheck
	}
	if file != "" {
		if setup.Config, err = filepath.Abs(file); err != nil {
			return given, &exitError{exitFail, err}
		}
	}
	if address, path, ok := applicationIn(c.Checks); ok {
		setup.App, setup.AppPath = address, path
		if path != "/" {
			setup.Path = path
		}
	}
	if a, err := ownip.Find(ctx, ownip.Options{Source: ownip.Route}); err == nil {
		setup.Instance = a.Addr.String()
	}
	if given.AppPath != "" && given.AppPath != "/" {
		setup.Path = given.AppPath
	}
	flags.Visit(func(f *pflag.Flag) {
		switch f.Name {
		case "listen":
			setup.Listen = given.Listen
		case "agent-check":
			setup.AgentCheck = given.AgentCheck
		case "app":
			setup.App = given.App
		case "app-path":
			setup.AppPath = given.AppPath
		case "path":
			setup.Path = given.Path
		case "server-name":
			setup.ServerName = given.ServerName
		case "instance":
			setup.Instance = given.Instance
		}
	})
	return setup, nil
}

// applicationIn returns where the first http check of this host asks, if that is
// plain enough for a snippet.
func applicationIn(checks []*check.Check) (address, path string, ok bool) {
	for _, c := range checks {
		u, err := url.Parse(c.Target)
		if err != nil || c.Kind != "http" || u.RawQuery != "" {
			continue
		}
		host, port := u.Hostname(), u.Port()
		if addr, err := netip.ParseAddr(host); host != "localhost" && host != "" && (err != nil || !addr.IsLoopback()) {
			continue
		}
		if host == "" || host == "localhost" {
			host = "127.0.0.1"
		}
		if port == "" {
			port = "80"
		}
		setup := snippets.Defaults()
		setup.App, setup.AppPath = net.JoinHostPort(host, port), cmp.Or(u.EscapedPath(), "/")
		if setup.Validate() == nil {
			return setup.App, setup.AppPath, true
		}
	}
	return "", "", false
}
