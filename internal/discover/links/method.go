package links

import (
	"context"
	"errors"
	"slices"
	"strings"

	"hale/internal/check"
	"hale/internal/discover"
)

// okStatuses are the statuses that docker-status takes for a healthy app. It
// does not follow redirects.
const okStatuses = "200,301,302"

// Checks makes the http checks of targets, in the same order and each called by
// its link's alias. The error joins every fault as a [*check.OptionError] that
// names a variable.
func Checks(registry *check.Registry, targets []Target, policy check.Policy, defaults []check.Option) ([]*check.Check, error) {
	var checks []*check.Check
	var errs []error
	taken := map[string]bool{}
	for _, t := range targets {
		name := check.FreeName(checkName(t), func(name string) bool { return taken[name] })
		taken[name] = true
		own := []check.Option{{Name: "status", Values: []string{okStatuses}}, {Name: "follow", Values: []string{"0"}}}
		for _, o := range defaults {
			if !slices.ContainsFunc(own, func(other check.Option) bool { return other.Name == o.Name }) {
				own = append(own, o)
			}
		}
		c, err := registry.Build(check.Spec{Name: name, URL: t.URL, Options: own, Policy: policy})
		for _, fault := range check.OptionErrors(err) {
			errs = append(errs, check.OptionErrorf(t.blame, "%s", fault.Msg))
		}
		checks = append(checks, c)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return checks, nil
}

// maxName leaves a number room after a check's name.
const maxName = 240

// checkName makes a check's name of a link's: one begins with a letter or digit.
func checkName(t Target) string {
	name := strings.TrimLeft(t.alias, "_.-")
	return name[:min(len(name), maxName)]
}

// Method finds the linked web containers and checks them with hale's own
// intervals. They are what the environment says when hale starts, for ever.
//
// Kubernetes sets variables of the same form for every service of a namespace.
// Those are left out: that another service is well is not for an instance to
// answer for.
func Method() discover.Method {
	return discover.Method{
		Name:    "links",
		Help:    "web containers linked with docker run --link",
		New:     newSource,
		Applies: applies,
	}
}

func applies(env discover.Env) bool {
	found, err := Find(env.Environ())
	return err != nil || len(containers(found.Targets)) > 0
}

// containers leaves out what is not one.
func containers(targets []Target) []Target {
	return slices.DeleteFunc(slices.Clone(targets), func(t Target) bool { return t.Service })
}

// source has the checks of the links.
type source struct{ checks []*check.Check }

func newSource(options []check.Option, env discover.Env) (discover.Source, error) {
	var errs []error
	for _, o := range options {
		errs = append(errs, check.OptionErrorf(check.CleanText(o.Name), "links has no options; what it finds is in the environment"))
	}
	if len(errs) > 0 || env.Environ == nil { // without an environment, options are all that can be wrong
		return source{}, errors.Join(errs...)
	}
	found, err := Find(env.Environ())
	if err != nil {
		return nil, notOfOptions(err)
	}
	targets := containers(found.Targets)
	checks, err := Checks(env.Registry, targets, env.Policy, env.Defaults)
	if err != nil {
		return nil, notOfOptions(err)
	}
	for _, remark := range found.Remarks {
		env.Log.Warn(remark)
	}
	for _, t := range found.Targets {
		if t.Service {
			env.Log.Info("a service of Kubernetes is left out", "service", t.Name)
		}
	}
	for i, c := range checks {
		env.Log.Info("a linked container is checked", "check", c.Name, "link", targets[i].Name, "target", c.Target)
	}
	return source{checks}, nil
}

// notOfOptions makes faults of variables ones that are of no option, but still
// name the variable.
func notOfOptions(err error) error {
	var errs []error
	for _, fault := range check.OptionErrors(err) {
		errs = append(errs, check.OptionErrorf("", "%v", fault))
	}
	return errors.Join(errs...)
}

// Run gives the checks once, as links do not change.
func (s source) Run(ctx context.Context, set func(checks []*check.Check)) {
	set(s.checks)
	<-ctx.Done()
}
