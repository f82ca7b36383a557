package snippet

import (
	"fmt"
	"math"
	"net"
	"net/netip"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// fields are what the templates know.
type fields struct {
	Setup
	// Local is where this host's other programs reach hale.
	Local string
	// Port and AgentPort are the numbers in Listen and AgentCheck, and AppPort
	// that in App; AgentPort is "" without an agent-check.
	Port, AgentPort, AppPort string
	// OnlyHere are the settings of the listeners that no other host reaches, and
	// Opened what they would be for every address.
	OnlyHere, Opened []string
	// LocalOnly is true when the public listener is one of them.
	LocalOnly bool
	// Remote is true when the balancer is on another host.
	Remote bool
	// Seen is the application as the balancer reaches it.
	Seen string
	// Pattern is the path as a regular expression.
	Pattern string
	// Good are the statuses that mean traffic: 200, and that of a degraded
	// verdict unless it is that of a failing one.
	Good string
	// GoodALB are those of them that an ALB's matcher can hold; and ReadyALB and
	// ReadyKubelet are what to ask for so that a degraded instance keeps its
	// traffic in spite of a status that they can't take for a good one.
	GoodALB, ReadyALB, ReadyKubelet string
	// Intercepted are the statuses that nginx turns into its own answer, with
	// blanks; Passed is the one that it can't, or 0.
	Intercepted string
	Passed      int
	// StopSeconds is when a supervisor may lose patience with hale's end.
	StopSeconds int
	// WaitSeconds is how long to wait for hale's answer, whole seconds; Timeout
	// and Interval are so for an ALB, and Period and Periods are how often a
	// kubelet asks and how often in 5 minutes.
	WaitSeconds, Timeout, Interval, Period, Periods int
	// Flags are the arguments of hale serve that say what the configuration
	// does, as the rest of a list in JSON.
	Flags string
	// LowPort is true when hale needs a privilege for one of its ports.
	LowPort bool
	// RuntimeDirectory is the directory in /run of the admin listener's socket;
	// "" when it has none there, and then Socket tells whether it has one.
	RuntimeDirectory string
	Socket           bool
}

func (s Setup) fields() fields {
	f := fields{Setup: s, StopSeconds: int((s.DrainDelay+s.Grace)/time.Second) + 5, Flags: s.flags()}
	host, port, _ := net.SplitHostPort(s.Listen)
	f.Port, f.LocalOnly = port, isLoopback(host)
	if addr, err := netip.ParseAddr(host); host == "" || err == nil && addr.IsUnspecified() {
		host = "127.0.0.1"
	}
	f.Local = net.JoinHostPort(host, f.Port)
	if s.AgentCheck != "" {
		_, f.AgentPort, _ = net.SplitHostPort(s.AgentCheck)
	}
	_, f.AppPort, _ = net.SplitHostPort(s.App)
	f.Seen = net.JoinHostPort(s.Instance, f.AppPort)
	f.Remote = !isLoopback(s.Instance)
	f.onlyHere()
	f.Pattern = regexp.QuoteMeta(s.Path)
	f.statuses()
	f.times()
	f.LowPort = slices.ContainsFunc([]string{s.Listen, s.AgentCheck, s.Admin}, isLow)
	socket, found := strings.CutPrefix(s.Admin, "unix:")
	f.Socket = found
	if dir, ok := strings.CutPrefix(path.Dir(path.Clean(socket)), "/run/"); ok && isPath("/"+dir) {
		f.RuntimeDirectory = dir
	}
	return f
}

// statuses fills in what the status of each verdict means to whom.
func (f *fields) statuses() {
	f.Good, f.GoodALB, f.ReadyALB, f.ReadyKubelet = "200", "200", "/readyz", "/readyz"
	if f.Degraded != 200 && f.Degraded != f.FailStatus {
		f.Good += "," + strconv.Itoa(f.Degraded)
		// An ALB's matcher takes 200 to 499, a kubelet 200 to 399.
		if f.Degraded < 500 {
			f.GoodALB = f.Good
		} else {
			f.ReadyALB = "/readyz?degraded=200"
		}
		if f.Degraded >= 400 {
			f.ReadyKubelet = "/readyz?degraded=200"
		}
	}
	codes := []int{500, 502, 503, 504}
	for _, status := range []int{f.FailStatus, f.Degraded} {
		switch {
		case status == 499:
			f.Passed = status // nginx' own, which its error_page refuses
		case status >= 300: // the least that nginx intercepts
			codes = append(codes, status)
		}
	}
	slices.Sort(codes)
	f.Intercepted = strings.Trim(fmt.Sprint(slices.Compact(codes)), "[]")
}

// times fills in how long and how often the others ask.
func (f *fields) times() {
	f.WaitSeconds = max(1, int(math.Ceil(f.Wait.Seconds())))
	f.Timeout = min(max(5, f.WaitSeconds), 120) // an ALB's most
	f.Interval = 2 * f.Timeout
	f.Period = max(5, f.WaitSeconds+1)
	f.Periods = (300 + f.Period - 1) / f.Period
}

// flags returns the arguments that make hale serve without a configuration do
// as this one does, where that is not the default.
func (s Setup) flags() string {
	d := Defaults()
	var flags string
	add := func(differs bool, flag, value string) {
		if differs {
			flags += fmt.Sprintf(", %q, %q", flag, value)
		}
	}
	add(s.DrainDelay != d.DrainDelay, "--drain-delay", s.DrainDelay.String())
	add(s.Grace != d.Grace, "--grace", s.Grace.String())
	add(s.FailStatus != d.FailStatus, "--fail-status", strconv.Itoa(s.FailStatus))
	add(s.Degraded != d.Degraded, "--degraded-status", strconv.Itoa(s.Degraded))
	if s.OnDemand {
		flags += `, "--on-demand"`
	}
	return flags
}

// onlyHere fills in the listeners on loopback.
func (f *fields) onlyHere() {
	for _, l := range [][2]string{{"listen: ", f.Listen}, {"agent_check: ", f.AgentCheck}} {
		if host, port, err := net.SplitHostPort(l[1]); err == nil && isLoopback(host) {
			f.OnlyHere = append(f.OnlyHere, l[0]+l[1])
			f.Opened = append(f.Opened, l[0]+":"+port)
		}
	}
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback() || strings.EqualFold(host, "localhost")
}

func isLow(address string) bool {
	_, port, err := net.SplitHostPort(address)
	n, portErr := strconv.Atoi(port)
	return err == nil && portErr == nil && n > 0 && n < 1024
}
