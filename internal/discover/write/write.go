// Package write writes checks that were found as a configuration for people:
// commented, with the reason behind each check and the options that are most
// often wanted. What it writes passes `hale config check` and makes the same
// checks; where it can't, as when a secret is not shown, the check is commented out
// and says so.
package write

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"hale/internal/check"
)

// A Document is what is to be written.
type Document struct {
	// What says what was looked at: "this host's listening TCP ports".
	What string
	// Command is the command that writes it, for its first line.
	Command string
	// File is where it is going to be, for its examples; "" for hale.yaml.
	File string
	// Caveat is what to know of such checks, a comment of its own; "" for none.
	Caveat string
	// Checks are those found.
	Checks []*check.Check
	// Off are checks that are to be commented out, by their names, each with the
	// reason: what can be written of them would not be what was found.
	Off map[string]string
	// Notes are what was told of them; nil for nothing.
	Notes *Notes
	// Registry has the kinds. A check of another kind is left out: it tells of
	// the search.
	Registry *check.Registry
}

// Written returns how many of the checks the document holds, and how many of
// these are commented out.
func (d Document) Written() (all, commented int) {
	for _, c := range d.Checks {
		if _, known := d.Registry.Kind(c.Kind); !known {
			continue
		}
		all++
		if hidden(c) || d.Off[c.Name] != "" {
			commented++
		}
	}
	return all, commented
}

// Write writes the document.
func (d Document) Write(w io.Writer) error {
	var b bytes.Buffer
	file := d.File
	if file == "" {
		file = "hale.yaml"
	}
	fmt.Fprintf(&b, header, check.CleanText(d.Command), check.CleanText(d.What), check.CleanText(file))
	if d.Caveat != "" {
		b.WriteString("\n")
		comment(&b, "", d.Caveat)
	}
	all, commented := d.Written()
	b.WriteString("\nchecks:")
	if all == commented {
		b.WriteString(" {} # without the {} once there is one")
	}
	b.WriteString("\n")
	first := true
	for _, c := range d.Checks {
		if kind, known := d.Registry.Kind(c.Kind); known {
			if !first {
				b.WriteString("\n")
			}
			first = false
			if err := d.one(&b, c, kind); err != nil {
				return err
			}
		}
	}
	if rest := d.Notes.Rest(); len(rest) > 0 {
		b.WriteString("\n")
		for _, line := range rest {
			comment(&b, "", line)
		}
	}
	_, err := w.Write(b.Bytes())
	return err
}

const header = `# hale's configuration, written by %s, which looked at
# %s.
#
# These checks decide whether this instance gets traffic. Take out those that
# should not, or give them "impact: warn"; name the pages and roles that matter.
# A line that begins with # and has no space after it is an option to turn on.
#
#   hale config check --config %[3]s    is it right?
#   hale serve --config %[3]s           run it (it is found by itself as /etc/hale/hale.yaml)
#   curl -i http://127.0.0.1:5000/readyz     what a balancer gets

#listen: :5000             # where balancers ask
#admin: 127.0.0.1:5001     # where hale status and metrics answer
#drain_delay: 10s          # how long to say "no traffic" before ending
#defaults: {interval: 5s, timeout: 3s, fall: 2, rise: 2}
`

// one writes one check.
func (d Document) one(b *bytes.Buffer, c *check.Check, kind check.Kind) error {
	if why := d.Notes.About(c.Name); why != "" {
		comment(b, "  ", why)
	}
	lines, same := d.lines(c, kind)
	prefix := "  "
	switch off := d.Off[c.Name]; {
	case off != "":
		comment(b, "  ", "This check is commented out. "+off)
		prefix = "  #"
	case hidden(c):
		comment(b, "  ", check.Masked+" stands for a secret that is not written: put ${env:NAME} or ${file:/PATH} there, and take the # away.")
		prefix = "  #"
	case !same:
		comment(b, "  ", "What was found has more to it than could be written; compare it with hale config show.")
	}
	name, err := quoted(c.Name, false)
	if err != nil {
		return err
	}
	fmt.Fprintf(b, "%s%s:\n", prefix, name)
	for _, l := range lines {
		value, err := l.text()
		if err != nil {
			return err
		}
		fmt.Fprintf(b, "%s  %s: %s\n", prefix, l.name, value)
	}
	if prefix != "  " {
		return nil
	}
	for _, s := range suggestions(c, lines, kind) {
		text := fmt.Sprintf("    #%s: %s", s.name, s.value)
		fmt.Fprintf(b, "%-34s # %s\n", text, s.help)
	}
	return nil
}

// line is one line of a check: its URL, or an option.
type line struct {
	name   string
	values []string // one, or a list
	list   bool
	pairs  [][2]string // instead: a map
}

// lines returns what is to be written of a check, and whether that makes the
// same check.
func (d Document) lines(c *check.Check, kind check.Kind) (lines []line, same bool) {
	base := []line{{name: "url", values: []string{c.Target}}}
	base = append(base, policyLines(c)...)
	own := d.ownOptions(c, kind)
	// An option's value is known as one text. It may have been a list or a map.
	for _, form := range []func(string) line{asText, asList, asMap} {
		lines = slices.Clone(base)
		for _, o := range own {
			l := form(o.Value)
			l.name = o.Name
			lines = append(lines, l)
		}
		if built, err := d.build(c.Name, lines); err == nil && built.ID == c.ID && alike(built, c) {
			return lines, true
		}
	}
	lines = base
	for _, o := range own {
		l := asText(o.Value)
		l.name = o.Name
		lines = append(lines, l)
	}
	built, err := d.build(c.Name, lines)
	return lines, err == nil && alike(built, c) && !slices.ContainsFunc(own, func(o check.Setting) bool { return strings.Contains(o.Value, ",") })
}

// ownOptions returns the options of the check's kind that its URL does not give
// already.
func (d Document) ownOptions(c *check.Check, kind check.Kind) []check.Setting {
	var given []check.Setting
	for _, o := range kind.Options() {
		given = append(given, check.Setting{Name: o.Name, Value: o.Default})
	}
	if plain, err := d.build(c.Name, []line{{name: "url", values: []string{c.Target}}}); err == nil {
		given = plain.Options
	}
	return slices.DeleteFunc(slices.Clone(c.Options), func(s check.Setting) bool { return slices.Contains(given, s) })
}

// policyLines returns the options that every kind has, where they are not the
// defaults.
func policyLines(c *check.Check) []line {
	var lines []line
	d := check.DefaultPolicy()
	add := func(differs bool, name, value string) {
		if differs {
			lines = append(lines, line{name: name, values: []string{value}})
		}
	}
	p := c.Policy
	add(p.Interval != d.Interval, "interval", p.Interval.String())
	add(p.Timeout != d.Timeout, "timeout", p.Timeout.String())
	add(p.Recheck != d.Recheck, "recheck", p.Recheck.String())
	add(p.Fall != d.Fall, "fall", strconv.Itoa(p.Fall))
	add(p.Rise != d.Rise, "rise", strconv.Itoa(p.Rise))
	add(c.Impact != check.ImpactFail, "impact", string(c.Impact))
	if !slices.Equal(c.Groups, []string{check.GroupReady}) {
		lines = append(lines, line{name: "groups", values: c.Groups, list: true})
	}
	return lines
}

func asText(value string) line { return line{values: []string{value}} }

func asList(value string) line {
	if !strings.Contains(value, ",") {
		return asText(value)
	}
	return line{values: strings.Split(value, ","), list: true}
}

func asMap(value string) line {
	var l line
	for pair := range strings.SplitSeq(value, ",") {
		name, text, ok := strings.Cut(pair, "=")
		if !ok && len(l.pairs) > 0 {
			l.pairs[len(l.pairs)-1][1] += "," + pair // the value before has a comma
			continue
		}
		if !ok {
			return asText(value)
		}
		l.pairs = append(l.pairs, [2]string{name, text})
	}
	return l
}

// build makes the check that lines describe, as the configuration will.
func (d Document) build(name string, lines []line) (*check.Check, error) {
	spec := check.Spec{Name: name, URL: lines[0].values[0], Policy: check.DefaultPolicy()}
	for _, l := range lines[1:] {
		spec.Options = append(spec.Options, check.Option{Name: l.name, Values: l.values, Pairs: l.pairs, IsMap: l.pairs != nil})
	}
	return d.Registry.Build(spec)
}

// alike reports whether a check shows like the one that was found, which may not
// tell its options.
func alike(a, b *check.Check) bool {
	return a.Kind == b.Kind && a.Target == b.Target && a.Policy == b.Policy && a.Impact == b.Impact &&
		slices.Equal(a.Groups, b.Groups) && (b.Options == nil || slices.Equal(a.Options, b.Options))
}

// hidden reports whether something of a check is masked.
func hidden(c *check.Check) bool {
	return strings.Contains(c.Target, check.Masked) ||
		slices.ContainsFunc(c.Options, func(s check.Setting) bool { return strings.Contains(s.Value, check.Masked) })
}

// text writes a line's value.
func (l line) text() (string, error) {
	if !l.list && l.pairs == nil {
		return quoted(l.values[0], false)
	}
	var parts []string
	for _, v := range l.values {
		text, err := quoted(v, true)
		if err != nil {
			return "", err
		}
		parts = append(parts, text)
	}
	for _, p := range l.pairs {
		name, err := quoted(p[0], true)
		if err != nil {
			return "", err
		}
		text, err := quoted(p[1], true)
		if err != nil {
			return "", err
		}
		parts = append(parts, name+": "+text)
	}
	if l.pairs != nil {
		return "{" + strings.Join(parts, ", ") + "}", nil
	}
	return "[" + strings.Join(parts, ", ") + "]", nil
}

// quoted writes a text for YAML, in quotes where it needs them, on one line. A
// text between braces or brackets always has them.
func quoted(text string, within bool) (string, error) {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: strings.ReplaceAll(text, "${", "$${")}
	switch {
	case strings.ContainsAny(text, "\n\r\t") || len(text) > 60 && strings.Contains(text, " "):
		n.Style = yaml.DoubleQuotedStyle // anything else may be folded
	case within:
		n.Style = yaml.SingleQuotedStyle
	}
	if plain(text) {
		return text, nil
	}
	data, err := yaml.Dump(n, yaml.WithLineWidth(-1))
	return strings.TrimSpace(string(data)), err
}

// plain reports whether a text means itself to hale without quotes, though YAML
// may take it for something else.
func plain(text string) bool {
	return text != "" && strings.Trim(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == "" && !strings.EqualFold(text, "null")
}

// comment writes a text as a comment, in lines of about 80 characters.
func comment(b *bytes.Buffer, indent, text string) {
	width := 0
	for word := range strings.FieldsSeq(check.CleanText(text)) {
		switch {
		case width == 0:
			fmt.Fprintf(b, "%s# %s", indent, word)
			width = len(indent) + 2 + len(word)
		case width+1+len(word) > 80:
			fmt.Fprintf(b, "\n%s# %s", indent, word)
			width = len(indent) + 2 + len(word)
		default:
			b.WriteString(" " + word)
			width += 1 + len(word)
		}
	}
	b.WriteString("\n")
}
