package check

import (
	"context"
	"net"
	"time"
)

// A Checker runs one check once. It returns a short note for people ("200 in
// 3ms", "role master") and a nil error when the target is healthy. An error
// made with [Warnf] means healthy with a reservation; any other error means
// that the target failed.
//
// Check returns soon after ctx ends and leaves nothing behind: no goroutine,
// connection or process. It is never called twice at the same time. It does
// not log, retry, schedule or know its name; its errors name the target and
// carry a [Reason], by [Failf] or by being of a kind that [ReasonOf] knows.
type Checker interface {
	Check(ctx context.Context) (note string, err error)
}

// A Hanger is a Checker whose run may get stuck in the kernel, so that not even
// the process can end: one that looks at a network file system. A program that
// runs it once does so in a child.
type Hanger interface {
	Checker
	// MayHang reports whether that may be so of this target. It does not hang.
	MayHang() bool
}

// A Watcher is a Checker that can notice by itself that its target may have
// changed (inotify, a pidfd, an event stream). Watch blocks until ctx ends or
// watching becomes impossible, and calls changed whenever the check should run
// at once. Calling changed is cheap, never blocks, and needs no debouncing.
// After an error the monitor calls Watch again later; until then the check
// runs at its interval alone.
type Watcher interface {
	Watch(ctx context.Context, changed func()) error
}

// Impact says what a failing check means for the verdict of its groups.
type Impact string

const (
	// ImpactFail makes the group's verdict fail. It is the default.
	ImpactFail Impact = "fail"
	// ImpactWarn makes the group's verdict degraded, which still answers 200.
	ImpactWarn Impact = "warn"
)

// The groups that always exist. Any other group is made by a check naming it.
const (
	// GroupLive holds nothing but hale itself unless a check asks for it.
	GroupLive = "live"
	// GroupReady holds every check that does not name its groups.
	GroupReady = "ready"
	// GroupStartup passes for good once ready has passed.
	GroupStartup = "startup"
	// GroupAll holds every check.
	GroupAll = "all"
)

// A Check is a named thing to verify, ready to be run. Its fields are not
// changed after it is made.
type Check struct {
	// Name is unique among the checks of an agent.
	Name string
	// Named is true when somebody gave it its name; else it is made of the URL.
	Named bool
	// Kind is the URL's scheme: tcp, http, redis …
	Kind string
	// Target is the URL as people may see it: secrets masked, and options left
	// out but for those that say where the target is, such as a socket.
	Target string
	// URL is the URL as a configuration has it: secrets masked, all options left
	// out, and neither cut nor cleaned.
	URL string
	// Succeeds is the ID of the check of the same name that this one replaces: it
	// verifies the same thing, which is to be asked in another way now. If that
	// one was up, so is this one until its own results say otherwise. "" is none.
	Succeeds string
	// ID is the same for two checks that verify the same thing in the same
	// way. It is a hash, and so reveals nothing.
	ID string
	// Options are all options in force, defaults included and secrets masked,
	// in the kind's order.
	Options []Setting
	// Lists are those of Options that are lists and maps, as a configuration
	// gives them: the text of such a one may have been several.
	Lists []Option
	// Policy says when the check runs and how its results are believed.
	Policy Policy
	// Impact says what its failure means.
	Impact Impact
	// Groups are the groups it belongs to besides [GroupAll].
	Groups []string
	// StartBy is until when the check has time to be up for the first time.
	// Until then a verdict does not fail for it if there is another member that
	// tells something. Zero is no such time.
	StartBy time.Time
	// Pool names the bounded pool that its runs share; "" is none.
	Pool string
	// Checker runs it.
	Checker Checker
	// Secrets are texts that must not appear in what people see.
	Secrets Secrets
}

// Starting reports whether the check still has time to be up for the first time.
func (c *Check) Starting(s State, now time.Time) bool {
	return !s.WasUp && now.Before(c.StartBy)
}

// Setting is one option in force, as text.
type Setting struct{ Name, Value string }

// Forget drops what only who reads a configuration wants to know: Options, Lists
// and URL. They are a seventh of the memory of an agent with 10,000 checks.
func (c *Check) Forget() { c.Options, c.Lists, c.URL = nil, nil, "" }

// In reports whether the check belongs to the group.
func (c *Check) In(group string) bool {
	if group == GroupAll {
		return true
	}
	for _, g := range c.Groups {
		if g == group {
			return true
		}
	}
	return false
}

// DialFunc opens a connection; see [Dial].
type DialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// Env is what a checker may use of the process it runs in.
type Env struct {
	// Dial opens network connections. A nil Dial means [Dial].
	Dial DialFunc
}
