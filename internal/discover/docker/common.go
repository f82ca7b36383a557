package docker

import (
	"slices"

	"hale/internal/check"
)

// statement is the config of checks of what the engine says. It has no options
// of its own, and the source gives the checker.
type statement struct{}

func (*statement) SetTarget(check.Target) error { return nil }

func (*statement) Validate() error { return nil }

func (*statement) Checker(check.Env) (check.Checker, error) { return nil, nil }

// statementOf makes a check of options that every kind has.
func (r *rules) statementOf(options []check.Option) (*check.Check, error) {
	registry, err := check.NewRegistry(check.Env{}, check.Define(Name, Name+"://web", statement{}))
	if err != nil {
		return nil, err
	}
	all := slices.Clone(options)
	for _, o := range r.env.Defaults {
		if !slices.ContainsFunc(all, func(other check.Option) bool { return other.Name == o.Name }) {
			all = append(all, o)
		}
	}
	return registry.Build(check.Spec{URL: Name + "://web", Options: all, Policy: r.env.Policy})
}

// tryOptions returns the faults of a container's labels that every check has.
func (r *rules) tryOptions(options []check.Option) error {
	_, err := r.statementOf(options)
	if err != nil {
		return oneLine(err, "label "+prefix)
	}
	return nil
}

// common gives a check the policy, impact and groups of its container.
func (r *rules) common(c *check.Check, options []check.Option) {
	if made, err := r.statementOf(options); err == nil {
		c.Policy, c.Impact, c.Groups = made.Policy, made.Impact, made.Groups
	}
}
