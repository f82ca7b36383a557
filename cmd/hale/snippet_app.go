package main

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"hale/internal/check"
	snippets "hale/internal/snippet"
)

// An application is where the first http check of this host asks, as far as a
// snippet can hold it.
type application struct {
	address, path string // "" is what no check tells
	// warning says what of the configuration's check a snippet does without; ""
	// is nothing.
	warning string
}

// matters reports whether the warning is worth reading: no flag says what the
// check can't, and the snippet holds what it is about.
func (a application) matters(chosen snippets.Snippet, setup snippets.Setup, text string, flags *pflag.FlagSet) bool {
	if a.warning == "" || a.address == "" && flags.Changed("app") {
		return false
	}
	other := setup
	if a.address == "" {
		other.App = "127.0.0.1:1"
	}
	if !flags.Changed("app-path") {
		other.AppPath = "/other"
		if !flags.Changed("path") {
			other.Path = "/other"
		}
	}
	changed, err := chosen.Text(other)
	return err == nil && changed != text
}

// applicationIn returns the application that the checks tell of.
func applicationIn(checks []*check.Check) application {
	var left application // the first check that says nothing for a snippet
	for _, c := range checks {
		u, err := url.Parse(c.Target)
		if err != nil || c.Kind != "http" && c.Kind != "https" || !throughSocket(c) && !ofThisHost(u.Hostname()) {
			continue
		}
		app, why := applicationOf(c, u)
		if why == "" {
			return app
		}
		left.warning = cmp.Or(left.warning, fmt.Sprintf("the check %s, %s, %s: nothing of it is in the snippet; say with --app and --app-path where the application answers",
			c.Name, shownTarget(c), why))
	}
	return left
}

// applicationOf returns what a check of this host tells of the application, or
// why it tells nothing.
func applicationOf(c *check.Check, u *url.URL) (app application, why string) {
	switch {
	case throughSocket(c):
		return app, "asks through a unix socket, which has no port"
	case c.Kind == "https":
		return app, "speaks TLS, and a snippet asks the application without"
	}
	host := u.Hostname()
	if host == "" || host == "localhost" {
		host = "127.0.0.1"
	}
	setup := snippets.Defaults()
	setup.App, setup.AppPath = net.JoinHostPort(host, cmp.Or(u.Port(), "80")), cmp.Or(u.EscapedPath(), "/")
	plain := setup.Validate() == nil && !strings.Contains(c.Target, unset)
	app.address = setup.App
	if plain {
		app.path = setup.AppPath
	}
	if plain && u.RawQuery == "" {
		return app, ""
	}
	app.warning = fmt.Sprintf("the check %s asks %s, and a path in a snippet has only letters, digits and . _ ~ - /: the snippet has %s in its place; say with --app-path, and --path for the balancer, what to ask",
		c.Name, shownTarget(c), cmp.Or(app.path, snippets.Defaults().AppPath))
	return app, ""
}

func throughSocket(c *check.Check) bool {
	return slices.ContainsFunc(c.Options, func(o check.Setting) bool { return o.Name == "unix" && o.Value != "" })
}

// shownTarget is a check's target without what stands for a variable that is
// not set.
func shownTarget(c *check.Check) string { return strings.ReplaceAll(c.Target, unset, "${…}") }

// ofThisHost reports whether a URL's host is this one: by no name, by localhost,
// or by an address that it has.
func ofThisHost(host string) bool {
	if host == "" || host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && check.OwnAddress(addr)
}
