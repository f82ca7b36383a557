package oneshot

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"hale/internal/check"
)

// The words for what came of a check.
const (
	wordOK   = "ok"
	wordWarn = "warn" // healthy with a reservation, or a failure that only warns
	wordFail = "FAIL"
)

func wordOf(c *check.Check, r check.Result) string {
	switch {
	case r.Err == nil:
		return wordOK
	case r.Healthy(), c.Impact == check.ImpactWarn:
		return wordWarn
	default:
		return wordFail
	}
}

// printLines prints a line for each check.
func printLines(w io.Writer, checks []*check.Check, results []check.Result) {
	var b strings.Builder
	for i, c := range checks {
		b.WriteString(line(c, results[i]))
		b.WriteByte('\n')
	}
	_, _ = io.WriteString(w, b.String())
}

// line tells in one line what came of a check.
func line(c *check.Check, r check.Result) string {
	text := strings.Join([]string{wordOf(c, r), nameOf(c), c.Target}, " ")
	if r.Err != nil {
		return text + " " + string(r.Reason()) + ": " + withoutTarget(r.Err.Error(), c.Target)
	}
	if r.Note != "" {
		text += " " + r.Note
	}
	if !strings.Contains(r.Note, " in ") { // an HTTP answer's note has its time
		text += " in " + round(r.Took).String()
	}
	return text
}

// nameOf is what a check is called on its line: the name that somebody gave it,
// else its kind.
func nameOf(c *check.Check) string {
	if c.Named {
		return c.Name
	}
	return c.Kind
}

// withoutTarget cuts the target off a message's beginning, which is on the line
// already.
func withoutTarget(message, target string) string {
	if i := strings.Index(message, target+": "); i >= 0 && i < len("OPTIONS ")+1 {
		return message[i+len(target)+2:]
	}
	return message
}

// round leaves of a duration what is worth reading.
func round(d time.Duration) time.Duration {
	switch {
	case d >= time.Second:
		return d.Round(10 * time.Millisecond)
	case d >= 10*time.Millisecond:
		return d.Round(time.Millisecond)
	case d >= time.Millisecond:
		return d.Round(100 * time.Microsecond)
	default:
		return d.Round(10 * time.Microsecond)
	}
}

// report is the JSON form.
type report struct {
	Healthy bool          `json:"healthy"`
	Checks  []checkReport `json:"checks"`
}

// checkReport is what came of one check. It has the names that the agent's
// status has.
type checkReport struct {
	Name    string  `json:"name"`
	Kind    string  `json:"kind"`
	Target  string  `json:"target"` // secrets masked
	Impact  string  `json:"impact"`
	Healthy bool    `json:"healthy"`
	Status  string  `json:"status"` // ok, warn or fail
	Reason  string  `json:"reason,omitempty"`
	Text    string  `json:"text,omitempty"`
	Took    float64 `json:"took"` // seconds
}

func printJSON(w io.Writer, checks []*check.Check, results []check.Result, healthy bool) {
	all := report{Healthy: healthy, Checks: []checkReport{}}
	for i, c := range checks {
		r := results[i]
		all.Checks = append(all.Checks, checkReport{
			Name: c.Name, Kind: c.Kind, Target: c.Target, Impact: string(c.Impact),
			Healthy: r.Healthy(), Status: strings.ToLower(wordOf(c, r)),
			Reason: string(r.Reason()), Text: r.Text(), Took: r.Took.Seconds(),
		})
	}
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(all)
}

// help prints the help of a command, or the options of the kind that is named.
func (p *Program) help(a *arguments, text string, own []ownFlag) int {
	if len(a.targets) == 0 {
		var b strings.Builder
		fmt.Fprintf(&b, text, p.Name)
		b.WriteString("\nFlags:\n")
		for _, f := range own {
			fmt.Fprintf(&b, "  %-18s %s\n", strings.TrimSpace("--"+f.name+" "+f.value), f.help)
		}
		fmt.Fprintf(&b, "\nKinds: %s\n", strings.Join(p.Registry.Schemes(), ", "))
		_, _ = io.WriteString(p.Out, b.String())
		return exitOK
	}
	scheme, _, found := check.SplitScheme(a.targets[0])
	if !found {
		scheme = a.targets[0]
	}
	k, ok := p.Registry.Kind(scheme)
	if !ok {
		return p.fail(exitUsage, "check", fmt.Errorf("no kind of check is called %q%s (there are: %s)",
			clean(scheme), check.DidYouMean(scheme, p.Registry.Schemes()), strings.Join(p.Registry.Schemes(), ", ")))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s, for example: %s\n\nOptions:\n", k.Scheme, k.Example)
	common := check.CommonOptions()
	for _, o := range append(k.Options(), common...) {
		name := o.Name
		isCommon := slices.ContainsFunc(common, func(c check.OptionInfo) bool { return c.Name == name })
		isOwn := slices.ContainsFunc(own, func(f ownFlag) bool { return f.name == name })
		if isOwn || isCommon && !slices.Contains(singleRun, name) {
			continue
		}
		fmt.Fprintf(&b, "  --%-20s %s", strings.ReplaceAll(name, "_", "-"), o.Help)
		if o.Default != "" {
			fmt.Fprintf(&b, " (default %s)", o.Default)
		}
		b.WriteByte('\n')
	}
	_, _ = io.WriteString(p.Out, b.String())
	return exitOK
}
