package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"hale/internal/check"
	"hale/internal/config"
	"hale/internal/kinds"
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
			setup, app, err := snippetSetup(cmd.Context(), file, given, cmd.Flags())
			if err != nil {
				return err
			}
			text, err := chosen.Text(setup)
			if err != nil {
				return &exitError{exitUsage, err}
			}
			if app.matters(chosen, setup, text, cmd.Flags()) {
				fmt.Fprintln(s.err, "hale: warning:", app.warning)
			}
			_, err = io.WriteString(s.out, text)
			return err
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&file, "config", "", "hale's configuration `FILE` (default "+defaultConfig+" if it exists)")
	flags.StringVar(&given.Listen, "listen", "", "`ADDRESS` of hale's public listener (default the configuration's)")
	flags.StringVar(&given.AgentCheck, "agent-check", "", "`ADDRESS` of hale's agent-check, or off (default the configuration's)")
	flags.StringVar(&given.App, "app", "", "`ADDRESS` of the application on this host (default the first http check's of this host, else 127.0.0.1:8000)")
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
func snippetSetup(ctx context.Context, file string, given snippets.Setup, flags *pflag.FlagSet) (snippets.Setup, application, error) {
	c, err := loadForSnippet(file)
	if err != nil {
		return given, application{}, err
	}
	setup, app := configuredSetup(c)
	if file != "" {
		if setup.Config, err = filepath.Abs(file); err != nil {
			return given, application{}, &exitError{exitFail, err}
		}
	}
	if a, err := ownip.Find(ctx, ownip.Options{Source: ownip.Route}); err == nil {
		setup.Instance = a.Addr.String()
	}
	if asPath(given.AppPath) {
		setup.Path = given.AppPath
	}
	flags.Visit(func(f *pflag.Flag) {
		setup.FromConfig = slices.DeleteFunc(setup.FromConfig, func(name string) bool { return name == f.Name })
		switch f.Name {
		case "listen":
			setup.Listen = given.Listen
		case "agent-check":
			setup.AgentCheck = given.AgentCheck
			if given.AgentCheck == "off" {
				setup.AgentCheck = ""
			}
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
	return setup, app, nil
}

// configuredSetup is what a configuration says.
func configuredSetup(c *config.Config) (snippets.Setup, application) {
	setup := snippets.Defaults()
	setup.FromConfig = []string{"listen", "agent-check"}
	setup.Listen, setup.Admin = c.Listen, c.Admin
	setup.FailStatus, setup.Degraded = c.FailStatus, c.DegradedStatus
	setup.DrainDelay, setup.Grace = c.DrainDelay, c.Grace
	if c.AgentCheck != "off" {
		setup.AgentCheck = c.AgentCheck
	}
	if c.OnDemand {
		setup.OnDemand = true
		// An answer takes as long as the slowest check and a little. Checks that
		// are found, and a sidecar's, have the default's timeout.
		slowest := max(check.DefaultPolicy().Timeout, c.Policy.Timeout)
		for _, one := range c.Checks {
			if one.In(check.GroupReady) {
				slowest = max(slowest, one.Policy.Timeout)
			}
		}
		setup.Wait = slowest + time.Second
	}
	app := applicationIn(c.Checks)
	if app.address != "" {
		setup.App = app.address
	}
	if app.path != "" {
		setup.AppPath = app.path
		if asPath(app.path) {
			setup.Path = app.path
		}
	}
	return setup, app
}

// asPath reports whether the application's path can be what the balancer asks.
func asPath(path string) bool {
	setup := snippets.Defaults()
	setup.Path = path
	return setup.Validate() == nil
}

// unset stands for what a ${env:NAME} does where it is not set. It is no number,
// so that no setting which a snippet holds can be made of it.
const unset = "not-set-for-hale-snippet"

// loadForSnippet reads the configuration. A snippet may be printed anywhere, so
// nobody is asked for an address, and variables of the environment, passwords
// above all, may be missing where nothing in a snippet is made of them.
func loadForSnippet(file string) (*config.Config, error) {
	own := config.OwnIP{Sources: ownip.Sources(), Find: func(string) (string, string, error) { return "127.0.0.1", "", nil }}
	c, _, err := loadConfig(file, nil, nil, own)
	if err == nil {
		return c, nil
	}
	registry, registryErr := check.NewRegistry(check.Env{}, kinds.All()...)
	if registryErr != nil {
		return nil, err
	}
	c, lenientErr := config.Load(config.Sources{
		File: file, DefaultFile: defaultConfig, Methods: methodFaults(registry), OwnIP: own, Getenv: getenvOrUnset,
	}, registry)
	if lenientErr != nil || strings.Contains(c.Listen+c.AgentCheck+c.Admin, unset) {
		return nil, err
	}
	return c, nil
}

func getenvOrUnset(name string) (string, bool) {
	value, ok := os.LookupEnv(name)
	if !ok && name != config.EnvChecks {
		return unset, true
	}
	return value, ok
}
