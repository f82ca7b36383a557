package config

import (
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"hale/internal/check"
)

// A Discovery is a way to find checks, as it was asked for.
type Discovery struct {
	// Method is its name.
	Method string
	// Options are those that were given.
	Options []check.Option

	probe draft // where they are
}

// discoverOff is what --discover says to find nothing.
const discoverOff = "off"

// readDiscover reads the file's ways to find checks: a map of method to options.
func (l *loader) readDiscover(e entry) {
	if e.value.kind != mapping {
		l.fail(e.value.at, e.key, "is %s; give a map of method to options, such as {docker: {}}", e.value.describe())
		return
	}
	l.config.Discover = []Discovery{}
	for _, m := range e.value.entries {
		d := Discovery{Method: m.key}
		d.probe.at, d.probe.path = m.at, join(e.key, oneLine(m.key))
		switch {
		case m.value.kind == mapping:
			for _, o := range m.value.entries {
				l.option(&d.probe, o, join(d.probe.path, oneLine(o.key)))
			}
		case !m.value.null:
			l.fail(m.value.at, d.probe.path, "is %s; give a map of options, such as {}", m.value.describe())
		}
		d.Options = d.probe.options
		l.config.Discover = append(l.config.Discover, d)
	}
}

// setDiscover takes methods given as a flag, with commas.
func setDiscover(c *Config, text string) error {
	c.Discover = []Discovery{}
	if text == discoverOff {
		return nil
	}
	for name := range strings.SplitSeq(text, ",") {
		d := Discovery{Method: strings.TrimSpace(name)}
		d.probe.at = flagPlace("discover")
		c.Discover = append(c.Discover, d)
	}
	return nil
}

// checkDiscover reports methods that there are not, and options that they do not
// take.
func (l *loader) checkDiscover() {
	known := slices.Sorted(maps.Keys(l.sources.Methods))
	for _, d := range l.config.Discover {
		validate, ok := l.sources.Methods[d.Method]
		if !ok {
			l.fail(d.probe.at, "", "%q is no way to find checks%s (known: %s)", oneLine(d.Method), check.DidYouMean(d.Method, known), strings.Join(known, ", "))
			continue
		}
		for _, fault := range check.OptionErrors(validate(d.Options)) {
			at, path := d.probe.at, d.probe.path
			if beside, ok := d.probe.optionAt[fault.Option]; ok {
				at, path = beside.value, join(path, fault.Option)
			}
			l.fail(at, path, "%s", hide(fault.Msg, d.probe.secrets))
		}
	}
}

// shownDiscover shows the ways to find checks.
func (c *Config) shownDiscover() *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	if len(c.Discover) == 0 {
		n.Style = yaml.FlowStyle
	}
	for _, d := range c.Discover {
		options := &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}
		secrets := check.Secrets(nil).Add(d.probe.secrets...)
		for _, o := range d.Options {
			put(options, o.Name, shownOption(o, secrets))
		}
		put(n, d.Method, options)
	}
	return n
}
