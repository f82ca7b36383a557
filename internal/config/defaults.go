package config

import (
	"slices"
	"strings"

	"hale/internal/check"
)

// defaults is what checks have in common unless they say otherwise.
type defaults struct {
	policy check.Policy
	// options are impact and groups, which a policy does not hold.
	options []check.Option
}

// defaultable are the options that the file's defaults may hold.
var defaultable = []string{"interval", "timeout", "recheck", "fall", "rise", "impact", "groups"}

// readDefaults reads the file's defaults. They pass the very validation that
// the same options of a check pass.
func (l *loader) readDefaults(e entry) {
	if e.value.kind != mapping {
		l.fail(e.value.at, e.key, "is %s; give a map such as {interval: 5s, timeout: 3s}", e.value.describe())
		return
	}
	var probe draft
	faults := len(l.errs)
	for _, o := range e.value.entries {
		path := join(e.key, oneLine(o.key))
		if !slices.Contains(defaultable, o.key) {
			l.fail(o.at, path, "unknown key%s (known: %s)", check.DidYouMean(o.key, defaultable), strings.Join(defaultable, ", "))
			continue
		}
		l.option(&probe, o, path)
	}
	registry, err := check.NewRegistry(check.Env{}, check.Define("defaults", "defaults:", noOptions{}))
	if err != nil {
		l.fail(e.at, e.key, "%v", err)
		return
	}
	// A timeout or recheck that the file does not give follows the interval.
	c, err := registry.Build(check.Spec{URL: "defaults://", Options: probe.options, Policy: probe.policy(check.DefaultPolicy())})
	for _, fault := range check.OptionErrors(err) {
		at := e.at
		if beside, ok := probe.optionAt[fault.Option]; ok {
			at = beside.value
		}
		l.fail(at, join(e.key, fault.Option), "%s", hide(fault.Msg, probe.secrets))
	}
	if len(l.errs) > faults {
		// What these defaults would be is not known; they contradict nothing.
		l.defaults.policy.Interval = check.MaxInterval
		return
	}
	l.defaults.take(c, probe.options)
}

// take takes what the options gave, and no more: what the check has besides is
// made to fit these options, and not those of the checks to come.
func (d *defaults) take(c *check.Check, options []check.Option) {
	for _, o := range options {
		switch o.Name {
		case "interval":
			d.policy.Interval = c.Policy.Interval
		case "timeout":
			d.policy.Timeout = c.Policy.Timeout
		case "recheck":
			d.policy.Recheck = c.Policy.Recheck
		case "fall":
			d.policy.Fall = c.Policy.Fall
		case "rise":
			d.policy.Rise = c.Policy.Rise
		default:
			d.options = append(d.options, o)
		}
	}
}

// noOptions is the config of a kind without options of its own, for validating
// the defaults.
type noOptions struct{}

func (*noOptions) SetTarget(check.Target) error             { return nil }
func (*noOptions) Validate() error                          { return nil }
func (*noOptions) Checker(check.Env) (check.Checker, error) { return nil, nil }
