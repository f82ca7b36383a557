package oneshot

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"hale/internal/check"
	"hale/internal/config"
)

// A codedError is an error with the exit code it leads to.
type codedError struct {
	code int
	error
}

func codeOf(err error) int {
	if e, ok := errors.AsType[*codedError](err); ok {
		return e.code
	}
	return exitUsage
}

// checks makes the checks that the command line asks for: of its URLs, and of
// the configuration those that it names, or all when it has nothing else.
func (p *Program) checks(command string, a *arguments) ([]*check.Check, error) {
	var urls, names []string
	for _, target := range a.targets {
		if strings.Contains(target, ":") {
			urls = append(urls, target)
		} else {
			names = append(names, target)
		}
	}
	if err := a.flagFaults(len(urls)); err != nil {
		return nil, err
	}
	checks, err := p.fromURLs(command, urls, a.options)
	if err != nil {
		return nil, err
	}
	if len(urls) > 0 && len(names) == 0 {
		if a.own["config"] != "" {
			return nil, errors.New("--config is for checks that are named; give names, or URLs alone")
		}
		return checks, nil
	}
	configured, err := p.fromConfig(command, a.own["config"], names)
	if err != nil {
		return nil, err
	}
	if err := setTimeout(configured, a.options); err != nil {
		return nil, err
	}
	return append(checks, configured...), nil
}

// policy is that of a check that runs once: nothing but the timeout counts, and
// no interval limits it.
func policy() check.Policy {
	p := check.DefaultPolicy()
	p.Interval = check.MaxInterval
	return p
}

// fromURLs makes a check of each URL, with the options for all of them.
func (p *Program) fromURLs(command string, urls []string, options []check.Option) ([]*check.Check, error) {
	var checks []*check.Check
	var errs []error
	for _, url := range urls {
		c, err := p.Registry.Build(check.Spec{URL: url, Options: options, Policy: policy()})
		for _, fault := range check.OptionErrors(err) {
			errs = append(errs, p.explain(command, url, options, fault))
		}
		checks = append(checks, c)
	}
	return checks, errors.Join(errs...)
}

// explain makes one line of a fault: what is wrong, and an example that is
// right.
func (p *Program) explain(command, url string, options []check.Option, fault *check.OptionError) error {
	text := fault.Msg
	switch given := slices.ContainsFunc(options, func(o check.Option) bool { return o.Name == fault.Option }); {
	case given:
		text = "--" + flagName(fault.Option) + ": " + text
	case fault.Option != "url" && fault.Option != "":
		text = fault.Option + ": " + text
	}
	return fmt.Errorf("%s (for example: %s %s %s)", text, p.Name, command, p.example(url))
}

// example is a URL that is right: of the URL's kind, or of the one whose name
// is nearest.
func (p *Program) example(url string) string {
	scheme, _, _ := check.SplitScheme(url)
	k, ok := p.Registry.Kind(scheme)
	if !ok {
		if k, ok = p.Registry.Kind(check.Nearest(scheme, p.Registry.Schemes())); !ok {
			return "http://127.0.0.1:8000/health"
		}
	}
	if strings.ContainsAny(k.Example, " &#?") {
		return "'" + k.Example + "'"
	}
	return k.Example
}

// fromConfig reads the configuration and returns the checks that are named, or
// all of them.
func (p *Program) fromConfig(command, file string, names []string) ([]*check.Check, error) {
	c, err := config.Load(config.Sources{File: file, DefaultFile: p.ConfigFile, OwnIP: p.OwnIP}, p.Registry)
	if err != nil {
		return nil, &codedError{exitConfig, err}
	}
	for _, warning := range c.Warnings {
		fmt.Fprintf(p.Err, "%s %s: warning: %s\n", p.Name, command, warning)
	}
	if len(c.Checks) == 0 {
		return nil, fmt.Errorf("nothing to check: give URLs, such as `%s %s redis://127.0.0.1:6379`, or a configuration with --config FILE (%s does not exist or has no checks, and %s is empty)",
			p.Name, command, p.ConfigFile, config.EnvChecks)
	}
	if len(names) == 0 {
		return c.Checks, nil
	}
	var known []string
	for _, one := range c.Checks {
		known = append(known, one.Name)
	}
	var checks []*check.Check
	var errs []error
	for _, name := range names {
		i := slices.Index(known, name)
		if i < 0 {
			errs = append(errs, fmt.Errorf("no check is named %q%s (there are: %s; a URL has a colon: http://127.0.0.1/)",
				clean(name), check.DidYouMean(name, known), strings.Join(known, ", ")))
			continue
		}
		checks = append(checks, c.Checks[i])
	}
	return checks, errors.Join(errs...)
}

// setTimeout gives the checks the timeout of the command line, if it has one.
func setTimeout(checks []*check.Check, options []check.Option) error {
	i := slices.IndexFunc(options, func(o check.Option) bool { return o.Name == "timeout" })
	if i < 0 {
		return nil
	}
	values := options[i].Values
	timeout, err := check.ParseDuration(values[len(values)-1])
	if err != nil {
		return fmt.Errorf("--timeout: %w", err)
	}
	limited := policy()
	limited.Timeout = timeout
	for _, fault := range check.OptionErrors(limited.Validate()) {
		return fmt.Errorf("--timeout: %s", fault.Msg)
	}
	for _, c := range checks {
		c.Policy.Timeout = timeout
	}
	return nil
}

// duration reads one of the command's own flags.
func (a *arguments) duration(name string, otherwise time.Duration) (time.Duration, error) {
	text, ok := a.own[name]
	if !ok {
		return otherwise, nil
	}
	d, err := check.ParseDuration(text)
	if err == nil && d < 0 {
		err = fmt.Errorf("%v is negative; give a duration such as %v", d, otherwise)
	}
	if err != nil {
		return 0, fmt.Errorf("--%s: %w", name, err)
	}
	return d, nil
}
