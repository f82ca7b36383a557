package check

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
)

// A Spec is a check as somebody wrote it.
type Spec struct {
	// Name is its name; "" for one made of the URL.
	Name string
	// URL is the check's URL, which may hold options in its fragment and, but
	// for kinds whose target it is, in its query.
	URL string
	// Options are the options written beside the URL. They win over those in
	// the URL.
	Options []Option
	// Policy holds the defaults for what the options leave open.
	Policy Policy
	// Secrets are texts in the spec that must not be shown.
	Secrets Secrets
}

// CommonOptions are the options that every kind has.
func CommonOptions() []OptionInfo {
	d := DefaultPolicy()
	return []OptionInfo{
		{"name", "what the check is called", "made of the URL"},
		{"interval", "time from one run's start to the next", d.Interval.String()},
		{"timeout", "how long one run may take", d.Timeout.String()},
		{"recheck", "the interval while a change awaits confirmation", d.Recheck.String()},
		{"fall", "failures in a row that take it down", fmt.Sprint(d.Fall)},
		{"rise", "healthy results in a row that bring it up", fmt.Sprint(d.Rise)},
		{"impact", "what its failure means: fail or warn", string(ImpactFail)},
		{"groups", "the groups it belongs to", GroupReady},
	}
}

// common is the config struct of the options that every kind has.
type common struct {
	Name     string        `option:"name"`
	Interval time.Duration `option:"interval"`
	Timeout  time.Duration `option:"timeout"`
	Recheck  time.Duration `option:"recheck"`
	Fall     int           `option:"fall"`
	Rise     int           `option:"rise"`
	Impact   string        `option:"impact"`
	Groups   []string      `option:"groups,comma"`
}

var commonFields = fieldsOf(reflect.TypeFor[common]())

// Build makes the check of a spec. Its error joins every fault as an
// [*OptionError] and never holds a secret. A name that the spec does not give
// is made of the URL and may be that of another check.
func (r *Registry) Build(spec Spec) (*Check, error) {
	kind, rest, err := r.lookUp(spec.URL)
	if err != nil {
		return nil, err
	}
	target, options, err := kind.split(rest)
	if err != nil {
		return nil, err
	}
	options = override(options, spec.Options)

	var errs errorList
	config := kind.create()
	errs.add(kind.setOptions(config, options))
	if err := config.SetTarget(target); err != nil {
		errs.add(err)
	} else {
		errs.addNew(config.Validate())
	}
	shared, err := commonOptions(spec, options)
	errs.add(err)
	secrets := kind.secretsOf(config, target, spec.Secrets, options)
	if len(errs) > 0 {
		return nil, maskErrors(errs.join(), secrets)
	}
	checker, err := config.Checker(r.env)
	if err != nil {
		return nil, maskErrors(err, secrets)
	}
	c := &Check{
		Name:    shared.Name,
		Kind:    kind.Scheme,
		Target:  secrets.Mask(target.Masked()),
		Policy:  shared.policy(),
		Impact:  Impact(shared.Impact),
		Groups:  shared.Groups,
		Pool:    kind.Pool,
		Checker: checker,
		Secrets: secrets,
		Options: kind.settings(config, secrets),
		ID:      identity(target, options),
	}
	if c.Name == "" {
		c.Name = target.defaultName()
	}
	return c, nil
}

// split separates a URL's target from its options.
func (k Kind) split(rest string) (Target, []Option, error) {
	if k.Opaque {
		opaque, opts, _ := strings.Cut(rest, " #")
		options, err := ParseOptions(opts)
		return Target{Scheme: k.Scheme, Opaque: opaque}, options, err
	}
	rest, fragment, _ := strings.Cut(rest, "#")
	options, err := ParseOptions(fragment)
	if err != nil {
		return Target{}, nil, err
	}
	if !k.KeepsQuery {
		var query string
		rest, query, _ = strings.Cut(rest, "?")
		fromQuery, err := ParseOptions(query)
		if err != nil {
			return Target{}, nil, err
		}
		options = override(fromQuery, options)
	}
	u, err := parseURL(k.Scheme + ":" + rest)
	return Target{Scheme: k.Scheme, URL: u}, options, err
}

// override returns base with the options of over in place of those of the same
// name.
func override(base, over []Option) []Option {
	kept := slices.DeleteFunc(slices.Clone(base), func(b Option) bool {
		return slices.ContainsFunc(over, func(o Option) bool { return o.Name == b.Name })
	})
	return append(kept, over...)
}

// setOptions stores the kind's own options in config. An option that neither
// the kind nor every check has is an error.
func (k Kind) setOptions(config Config, options []Option) error {
	var errs errorList
	v := reflect.ValueOf(config).Elem()
	for _, o := range options {
		f, ok := k.field(o.Name)
		if ok {
			errs.add(f.set(v.FieldByIndex(f.index), o))
			continue
		}
		if !slices.ContainsFunc(commonFields, func(f field) bool { return f.name == o.Name }) {
			names := k.optionNames()
			errs.option(o.Name, "%s has no such option%s (it has: %s)", k.Scheme, DidYouMean(o.Name, names), strings.Join(names, ", "))
		}
	}
	return errs.join()
}

func (k Kind) optionNames() []string {
	var names []string
	for _, f := range slices.Concat(k.fields, commonFields) {
		names = append(names, f.name)
	}
	slices.Sort(names)
	return names
}

// commonOptions reads the options that every kind has.
func commonOptions(spec Spec, options []Option) (common, error) {
	p := spec.Policy
	c := common{
		Name: spec.Name, Interval: p.Interval, Timeout: p.Timeout, Recheck: p.Recheck,
		Fall: p.Fall, Rise: p.Rise, Impact: string(ImpactFail), Groups: []string{GroupReady},
	}
	var errs errorList
	v := reflect.ValueOf(&c).Elem()
	given := map[string]bool{}
	for _, o := range options {
		for _, f := range commonFields {
			if f.name == o.Name {
				given[o.Name] = true
				errs.add(f.set(v.FieldByIndex(f.index), o))
			}
		}
	}
	// A short interval brings the defaults that it contradicts down with it.
	if !given["timeout"] && c.Interval > 0 {
		c.Timeout = min(c.Timeout, c.Interval)
	}
	if !given["recheck"] && c.Interval > 0 {
		c.Recheck = min(c.Recheck, c.Interval)
	}
	errs.addNew(c.policy().Validate())
	errs.add(c.validate(given["name"] || spec.Name != ""))
	return c, errs.join()
}

func (c common) policy() Policy {
	return Policy{Interval: c.Interval, Timeout: c.Timeout, Recheck: c.Recheck, Fall: c.Fall, Rise: c.Rise}
}

func (c common) validate(named bool) error {
	var errs errorList
	if named {
		errs.add(ValidateName("name", c.Name))
	}
	if i := Impact(c.Impact); i != ImpactFail && i != ImpactWarn {
		errs.option("impact", "%q is not an impact; give fail or warn", CleanText(c.Impact))
	}
	for _, g := range c.Groups {
		switch g {
		case GroupAll:
			errs.option("groups", "every check is in %q already; leave it out", g)
		case GroupStartup:
			errs.option("groups", "%q follows from %q and has no checks of its own; use %q", g, GroupReady, GroupReady)
		default:
			errs.add(ValidateName("groups", g))
		}
	}
	return errs.join()
}

// secretsOf gathers what must not be shown of a check.
func (k Kind) secretsOf(config Config, target Target, known Secrets, options []Option) Secrets {
	secrets := known.Add().Add(target.secrets()...)
	v := reflect.ValueOf(config).Elem()
	for _, f := range k.fields {
		secrets = secrets.Add(f.secretsIn(v.FieldByIndex(f.index))...)
	}
	for _, o := range options {
		if o.Secret {
			secrets = secrets.Add(o.Values...)
		}
	}
	return secrets
}

// settings shows the kind's options in force.
func (k Kind) settings(config Config, secrets Secrets) []Setting {
	v := reflect.ValueOf(config).Elem()
	settings := make([]Setting, len(k.fields))
	for i, f := range k.fields {
		settings[i] = Setting{Name: f.name, Value: secrets.Mask(f.show(v.FieldByIndex(f.index)))}
	}
	return settings
}

// identity is a hash of what a check verifies, leaving out how often, and what
// its failure means.
func identity(target Target, options []Option) string {
	// Never nil: to %#v below, nil and empty are not the same.
	own := slices.DeleteFunc(append([]Option{}, options...), func(o Option) bool {
		return slices.ContainsFunc(commonFields, func(f field) bool { return f.name == o.Name })
	})
	slices.SortStableFunc(own, func(a, b Option) int { return strings.Compare(a.Name, b.Name) })
	what := target.Opaque
	if target.URL != nil {
		what = target.URL.String()
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %#v", target.Scheme, what, own))
	return hex.EncodeToString(sum[:])
}

// maskErrors masks secrets in the messages of err's option errors.
func maskErrors(err error, secrets Secrets) error {
	var masked []error
	for _, e := range OptionErrors(err) {
		masked = append(masked, &OptionError{Option: e.Option, Msg: secrets.Mask(e.Msg)})
	}
	return errors.Join(masked...)
}
