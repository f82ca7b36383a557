package write

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
)

// Notes is a log handler that keeps what a method tells of the checks it finds,
// so that it can stand beside them. A record with the attribute "check" is about
// the check of that name; its reason is the attribute "why", or else all it
// says. One with the attribute "container" is about the checks that are named
// after it; its reason is why it is asked at its address. Other records are about
// what was left out, and those that are not, or are below info, are not kept.
type Notes struct {
	kept  *kept
	attrs []slog.Attr
}

type kept struct {
	mu    sync.Mutex
	about map[string]string
	used  map[string]bool     // whose checks were asked about
	rest  map[string][]string // by what they say, the ports or names of which
	order []string
}

// maxNotes is how many notes are kept of each sort.
const maxNotes = 1000

// NewNotes makes empty notes.
func NewNotes() *Notes {
	return &Notes{kept: &kept{about: map[string]string{}, used: map[string]bool{}, rest: map[string][]string{}}}
}

// Enabled keeps info and above.
func (*Notes) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }

// WithAttrs keeps the attributes for the notes to come.
func (n *Notes) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &Notes{n.kept, slices.Concat(n.attrs, attrs)}
}

// WithGroup leaves out the group.
func (n *Notes) WithGroup(string) slog.Handler { return n }

// Handle keeps a record.
func (n *Notes) Handle(_ context.Context, r slog.Record) error {
	attrs := slices.Clone(n.attrs)
	r.Attrs(func(a slog.Attr) bool {
		attrs = append(attrs, a)
		return true
	})
	var name, container, address, why, fault, remark, which string
	said := []string{}
	for _, a := range attrs {
		switch a.Key {
		case "check":
			name = a.Value.String()
		case "container":
			container = a.Value.String()
		case "address":
			address = a.Value.String()
		case "why":
			why = a.Value.String()
		case "error":
			fault = a.Value.String()
		case "remark":
			remark = a.Value.String()
		case "port":
			which = a.Value.String()
		case "url", "target", "checks": // the check itself says it
		default:
			said = append(said, fmt.Sprintf("%s %v", a.Key, a.Value))
		}
	}
	text := r.Message
	if len(said) > 0 {
		text += " (" + strings.Join(said, ", ") + ")"
	}
	switch {
	case name != "" && why != "":
		text = why
	case container != "" && why != "":
		text = aboutContainer(container, address, why)
	case why != "":
		text += ": " + why
	case fault != "":
		text += ": " + fault
	}
	if remark != "" {
		text += "; " + remark
	}
	n.kept.mu.Lock()
	defer n.kept.mu.Unlock()
	if about := cmp.Or(name, container); about != "" && len(n.kept.about) < maxNotes {
		n.kept.about[about] = text
		return nil
	}
	if r.Level < slog.LevelWarn && !strings.Contains(text, "left out") {
		return nil
	}
	if _, ok := n.kept.rest[text]; !ok && len(n.kept.rest) < maxNotes {
		n.kept.order = append(n.kept.order, text)
		n.kept.rest[text] = nil
	}
	if which != "" && len(n.kept.rest[text]) < maxNotes {
		n.kept.rest[text] = append(n.kept.rest[text], which)
	}
	return nil
}

const aContainer = "The container "

// aboutContainer says why a container is asked where it is.
func aboutContainer(name, address, why string) string {
	if address != "" {
		name += ", at " + address
	}
	return aContainer + name + ": " + why
}

// About returns what was told of a check, or of the container that it is named
// after, or "".
func (n *Notes) About(name string) string {
	if n == nil {
		return ""
	}
	n.kept.mu.Lock()
	defer n.kept.mu.Unlock()
	best := ""
	for about := range n.kept.about {
		if (about == name || strings.HasPrefix(name, about+"-")) && len(about) > len(best) {
			best = about
		}
	}
	n.kept.used[best] = true
	return n.kept.about[best]
}

// Rest returns what was told besides, one line each: what was told of several
// ports in the same words is one line. What was told of a check counts as well
// unless [Notes.About] has returned it.
func (n *Notes) Rest() []string {
	if n == nil {
		return nil
	}
	n.kept.mu.Lock()
	defer n.kept.mu.Unlock()
	var lines []string
	for _, text := range n.kept.order {
		if ports := n.kept.rest[text]; len(ports) > 0 {
			text = "port " + strings.Join(ports, ", ") + " " + text
		}
		lines = append(lines, text)
	}
	for _, about := range slices.Sorted(maps.Keys(n.kept.about)) {
		text := n.kept.about[about]
		if !strings.HasPrefix(text, aContainer) {
			text = about + ": " + text
		}
		if !n.kept.used[about] {
			lines = append(lines, text)
		}
	}
	return lines
}
