package snippet

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"regexp"
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
	// Degraded is the status of a degraded verdict, from 200 to 599.
	Degraded int
	// Stop is how long hale may take to end: its drain delay and grace.
	Stop time.Duration
}

// Defaults is the setup of which nothing is known.
func Defaults() Setup {
	return Setup{
		Listen: ":5000", App: "127.0.0.1:8000", AppPath: "/health_check", Path: "/health_check", ServerName: "example.org",
		Instance: "10.0.0.10", Config: "/etc/hale/hale.yaml", Degraded: 200, Stop: 10 * time.Second,
	}
}

// Validate returns every fault of the setup, each beginning with the name of
// the flag that gives it. What it accepts holds no character that means anything
// to a shell, a template, or a configuration: letters, digits and . - _ ~ / :
// and the brackets of an IPv6 address.
func (s Setup) Validate() error {
	var faults []error
	add := func(flag, value, want string, ok bool) {
		if !ok {
			faults = append(faults, fmt.Errorf("--%s: %s is %s", flag, quoted(value), want))
		}
	}
	const address = "not HOST:PORT, where HOST is a name or an IP address; write 127.0.0.1:8000, say"
	add("listen", s.Listen, address, isAddress(s.Listen, true))
	add("agent-check", s.AgentCheck, address, s.AgentCheck == "" || isAddress(s.AgentCheck, true))
	add("app", s.App, address, isAddress(s.App, false))
	const path = "not a path of letters, digits and . _ ~ - after a /; write /health_check, say"
	add("app-path", s.AppPath, path, isPath(s.AppPath))
	if s.Path == "/" {
		add("path", s.Path, "the site's own page; give the balancer one of its own, such as /health_check", false)
	} else {
		add("path", s.Path, path, isPath(s.Path))
	}
	add("server-name", s.ServerName, "not a host's name; write example.org, say", isName(s.ServerName))
	add("instance", s.Instance, "not an IP address; write 10.0.0.10, say", isInstance(s.Instance))
	add("config", s.Config, "not an absolute path of letters, digits and . _ ~ -; write /etc/hale/hale.yaml, say", isPath(s.Config))
	add("degraded", strconv.Itoa(s.Degraded), "not a status from 200 to 599", s.Degraded >= 200 && s.Degraded <= 599)
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

// fields are what the templates know.
type fields struct {
	Setup
	// Local is where this host's other programs reach hale.
	Local string
	// Port and AgentPort are the numbers in Listen and AgentCheck, and AppPort
	// that in App; AgentPort is "" without an agent-check.
	Port, AgentPort, AppPort string
	// Seen is the application as the balancer reaches it.
	Seen string
	// Pattern is the path as a regular expression.
	Pattern string
	// Good are the statuses that mean traffic: 200, and that of a degraded
	// verdict.
	Good string
	// StopSeconds is when a supervisor may lose patience with hale's end.
	StopSeconds int
}

func (s Setup) fields() fields {
	f := fields{Setup: s, Good: "200", StopSeconds: int(s.Stop/time.Second) + 5}
	var host string
	host, f.Port, _ = net.SplitHostPort(s.Listen)
	if addr, err := netip.ParseAddr(host); host == "" || err == nil && addr.IsUnspecified() {
		host = "127.0.0.1"
	}
	f.Local = net.JoinHostPort(host, f.Port)
	if s.AgentCheck != "" {
		_, f.AgentPort, _ = net.SplitHostPort(s.AgentCheck)
	}
	_, f.AppPort, _ = net.SplitHostPort(s.App)
	f.Seen = net.JoinHostPort(s.Instance, f.AppPort)
	f.Pattern = regexp.QuoteMeta(s.Path)
	if s.Degraded != 200 {
		f.Good += "," + strconv.Itoa(s.Degraded)
	}
	return f
}
