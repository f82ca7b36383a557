package snippet

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Setup is what a snippet has to fit.
type Setup struct {
	// Listen is hale's public listener, HOST:PORT; no host is every address.
	Listen string
	// AgentCheck is where hale answers HAProxy's agent-check, HOST:PORT; "" is
	// nowhere.
	AgentCheck string
	// App is where the application answers on this host, HOST:PORT.
	App string
	// AppPath is the application's own health page.
	AppPath string
	// Path is the path that the balancer asks for, such as /health_check. It is
	// not /, which is the site's.
	Path string
	// ServerName is the site's name, such as example.org.
	ServerName string
	// Instance is the address by which the balancer reaches this host.
	Instance string
	// Config is the absolute path of hale's configuration file.
	Config string
	// Admin is hale's admin listener: HOST:PORT, unix:/PATH, or off.
	Admin string
	// FailStatus is the status of a failing verdict, from 400 to 599, and
	// Degraded that of a degraded one, from 200 to 599.
	FailStatus, Degraded int
	// DrainDelay and Grace are how long hale may take to end, one after the other.
	DrainDelay, Grace time.Duration
	// OnDemand is true when hale runs its checks when it is asked.
	OnDemand bool
	// Wait is how long hale's answer may take.
	Wait time.Duration
	// FromConfig are the names of the flags whose values come from hale's
	// configuration instead: a fault is told of that.
	FromConfig []string
}

// Defaults is the setup of which nothing is known.
func Defaults() Setup {
	return Setup{
		Listen: ":5000", App: "127.0.0.1:8000", AppPath: "/health_check", Path: "/health_check", ServerName: "example.org",
		Instance: "10.0.0.10", Config: "/etc/hale/hale.yaml", Admin: "127.0.0.1:5001",
		FailStatus: 503, Degraded: 200, Grace: 10 * time.Second, Wait: 2 * time.Second,
	}
}

// Validate returns every fault of the setup, each beginning with the name of
// the flag that gives it, or with what of the configuration. What it accepts
// holds no character that means anything to a shell, a template, or a
// configuration: letters, digits and . - _ ~ / : and the brackets of an IPv6
// address. Admin is not part of this: no snippet holds it unless it is as plain.
func (s Setup) Validate() error {
	var faults []error
	add := func(flag, value, want string, ok bool) {
		switch key := strings.ReplaceAll(flag, "-", "_"); {
		case ok:
		case slices.Contains(s.FromConfig, flag):
			faults = append(faults, fmt.Errorf("the configuration's %s: %s is %s, or give --%s", key, quoted(value), want, flag))
		default:
			faults = append(faults, fmt.Errorf("--%s: %s is %s", flag, quoted(value), want))
		}
	}
	const address = "not HOST:PORT, where HOST is a name or an IP address and PORT from 1 to 65535; write "
	add("listen", s.Listen, address+":5000, say", isAddress(s.Listen, true))
	add("agent-check", s.AgentCheck, address+":5002, say", s.AgentCheck == "" || isAddress(s.AgentCheck, true))
	add("app", s.App, address+"127.0.0.1:8000, say", isAddress(s.App, false))
	const path = "not a path of letters, digits and . _ ~ - after a /; write /health_check, say"
	add("app-path", s.AppPath, path, isPath(s.AppPath))
	switch s.Path {
	case "/":
		add("path", s.Path, "the site's own page; give the balancer one of its own, such as /health_check", false)
	case "/_healthz/", "/_healthz/livez/", "/_healthz/readyz/":
		add("path", s.Path, "what nginx answers for itself in its snippet; give the balancer a path of its own, such as /health_check", false)
	default:
		add("path", s.Path, path, isPath(s.Path))
	}
	add("server-name", s.ServerName, "not a host's name; write example.org, say", isName(s.ServerName))
	add("instance", s.Instance, "not an IP address; write 10.0.0.10, say", isInstance(s.Instance))
	add("config", s.Config, "not an absolute path of letters, digits and . _ ~ -; write /etc/hale/hale.yaml, say", isPath(s.Config))
	return errors.Join(append(faults, s.validStatuses())...)
}

func (s Setup) validStatuses() error {
	var faults []error
	if s.FailStatus < 400 || s.FailStatus > 599 {
		faults = append(faults, fmt.Errorf("the configuration's fail_status: %d is not a status from 400 to 599", s.FailStatus))
	}
	if s.Degraded < 200 || s.Degraded > 599 {
		faults = append(faults, fmt.Errorf("the configuration's degraded_status: %d is not a status from 200 to 599", s.Degraded))
	}
	return errors.Join(faults...)
}

// quoted shows what was given, its beginning at least.
func quoted(value string) string {
	const most = 100
	if len(value) > most {
		return strconv.QuoteToASCII(value[:most]) + " …"
	}
	return strconv.QuoteToASCII(value)
}

func isAddress(text string, noHost bool) bool {
	host, port, err := net.SplitHostPort(text)
	n, portErr := strconv.Atoi(port)
	if err != nil || portErr != nil || n < 1 || n > 65535 || strconv.Itoa(n) != port {
		return false
	}
	return host == "" && noHost || isInstance(host) || isName(host)
}

// isInstance takes an IP address without a zone: its name may hold anything.
func isInstance(text string) bool {
	addr, err := netip.ParseAddr(text)
	return err == nil && addr.Zone() == ""
}

func isName(text string) bool {
	return len(text) <= 253 && regexp.MustCompile(`\A[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*\z`).MatchString(text)
}

func isPath(text string) bool {
	return len(text) <= 200 && !strings.Contains(text, "//") && regexp.MustCompile(`\A/[A-Za-z0-9._~/-]*\z`).MatchString(text)
}
