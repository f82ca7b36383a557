package config

import (
	"fmt"
	"slices"

	"hale/internal/check"
)

// build makes the checks of the drafts, and reports what is wrong with them.
func (l *loader) build() {
	for _, d := range l.drafts {
		c, faults := l.buildOne(d)
		for _, f := range faults {
			at, path := l.where(d, f.Option)
			l.fail(at, path, "%s", hide(f.Msg, d.secrets))
		}
		if len(faults) == 0 {
			d.built = c
		}
	}
	l.name()
	for _, d := range l.drafts {
		if d.built != nil {
			l.config.Checks = append(l.config.Checks, d.built)
		}
	}
}

// buildOne makes the check of a draft. It is nil when there is a fault,
// reported before or returned.
func (l *loader) buildOne(d *draft) (*check.Check, []*check.OptionError) {
	if d.url == "" {
		return nil, l.besides(d)
	}
	c, err := l.registry.Build(check.Spec{
		Name: d.name, URL: d.url, Options: d.specOptions(l.defaults.options),
		Policy: d.policy(l.defaults.policy), Secrets: d.secrets,
	})
	if err == nil {
		l.clearName(d, c)
		return c, nil
	}
	faults := check.OptionErrors(err)
	if len(d.flawed) > 0 {
		// That an option is missing may be because it was left out.
		faults = slices.DeleteFunc(faults, func(f *check.OptionError) bool {
			return f.Option != "url" && f.Option != "name" && !d.isBeside(f) && !slices.Contains(d.urlOptions, f.Option)
		})
	}
	return nil, faults
}

// clearName keeps secrets out of a name that is made of the URL.
func (l *loader) clearName(d *draft, c *check.Check) {
	if d.url == d.safeURL || d.named() {
		return
	}
	safe, err := l.registry.Build(check.Spec{URL: d.safeURL, Policy: l.defaults.policy})
	if err != nil {
		c.Name = c.Kind
		return
	}
	c.Name = safe.Name
}

// isBeside reports whether a fault is in an option beside the draft's URL.
func (d *draft) isBeside(f *check.OptionError) bool {
	_, beside := d.optionAt[f.Option]
	return beside
}

// besides returns the faults of the options beside a URL that is at fault.
func (l *loader) besides(d *draft) []*check.OptionError {
	if _, known := l.registry.Kind(d.scheme); !known || len(d.options) == 0 {
		return nil
	}
	// This can be parsed, and its port is refused: what the kind makes of the
	// options together with a target is not asked.
	_, err := l.registry.Build(check.Spec{
		Name: d.name, URL: d.scheme + "://:99999999", Options: d.options, Policy: d.policy(l.defaults.policy), Secrets: d.secrets,
	})
	return slices.DeleteFunc(check.OptionErrors(err), func(f *check.OptionError) bool { return !d.isBeside(f) })
}

// where returns the place and path of a fault in an option of the draft. The
// place is that of what is to be changed: the value beside the URL, or the name
// when there is no such option; the URL that holds it; else the check.
func (l *loader) where(d *draft, option string) (place, string) {
	at, beside := d.optionAt[option]
	path := join(d.path, oneLine(hide(option, d.secrets)))
	switch {
	case option == "url":
		return d.urlAt, d.urlPath
	case beside && l.known(d, option):
		return at.value, path
	case beside:
		return at.key, path
	case slices.Contains(d.urlOptions, option):
		return d.urlAt, path
	case option == "name":
		return d.at, d.path
	default:
		return d.at, path
	}
}

// known reports whether the draft's kind has the option.
func (l *loader) known(d *draft, option string) bool {
	kind, _ := l.registry.Kind(d.scheme)
	named := func(o check.OptionInfo) bool { return o.Name == option }
	return slices.ContainsFunc(check.CommonOptions(), named) || kind.Scheme != "" && slices.ContainsFunc(kind.Options(), named)
}

// name makes the checks' names unique: given ones must be, those made of URLs
// get a number.
func (l *loader) name() {
	taken := map[string]*draft{}
	for _, d := range l.drafts {
		if d.built == nil {
			continue
		}
		if d.name != "" && d.built.Name != d.name {
			at, path := l.where(d, "name")
			l.fail(at, path, "calls the check %q, but its key is its name; leave name out", hide(d.built.Name, d.secrets))
			continue
		}
		if !d.named() {
			continue
		}
		if other := taken[d.built.Name]; other != nil {
			l.fail(d.at, d.path, "the name %q is given twice; the other is at %s", d.built.Name, other.at)
			continue
		}
		taken[d.built.Name] = d
	}
	for _, d := range l.drafts {
		if d.built == nil || d.named() {
			continue
		}
		l.number(d, taken)
	}
}

// named reports whether somebody gave the check its name.
func (d *draft) named() bool {
	return d.name != "" || slices.Contains(d.urlOptions, "name")
}

// number makes the name that is made of the draft's URL unique. The same check
// twice is a mistake, and is reported.
func (l *loader) number(d *draft, taken map[string]*draft) {
	base := d.built.Name
	for n := 1; ; n++ {
		name := base
		if n > 1 {
			suffix := fmt.Sprintf("-%d", n)
			name = base[:min(len(base), maxName-len(suffix))] + suffix
		}
		other := taken[name]
		if other == nil {
			d.built.Name = name
			taken[name] = d
			return
		}
		if !other.named() && other.built.ID == d.built.ID {
			l.fail(d.at, d.path, "the same check is given twice; the other is at %s. Take one out, or name them with #name=NAME", other.at)
			return
		}
	}
}

// maxName is the greatest length of a check's name.
const maxName = 255
