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

// A selection is the checks that a command line asks for.
type selection struct {
	checks []*check.Check
	// fromURL tells of each whether the command line has its URL, and not its
	// name.
	fromURL []bool
}

func (s *selection) add(c *check.Check, fromURL bool) {
	s.checks, s.fromURL = append(s.checks, c), append(s.fromURL, fromURL)
}

// mistaken reports whether the result of the check with the index says that the
// command line is wrong: that a URL in it leads to something of another type,
// such as a directory in place of a file. What a configuration names may change.
func (s *selection) mistaken(i int, r check.Result) bool {
	return s.fromURL[i] && r.Reason() == check.ReasonType && s.checks[i].Impact != check.ImpactWarn
}

// isURL reports whether a target is a URL; otherwise it is a check's name.
func isURL(target string) bool { return strings.Contains(target, ":") }

// selected makes the checks that the command line asks for, in its order: of its
// URLs, and of the configuration those that it names, or all when it has nothing
// else.
func (p *Program) selected(command string, a *arguments) (*selection, error) {
	var urls []string
	for _, target := range a.targets {
		if isURL(target) {
			urls = append(urls, target)
		}
	}
	if err := a.flagFaults(len(urls)); err != nil {
		return nil, err
	}
	given, err := p.fromURLs(command, urls, a.options)
	if err != nil {
		return nil, err
	}
	onlyURLs := len(urls) > 0 && len(urls) == len(a.targets)
	if onlyURLs && a.own["config"] != "" {
		return nil, errors.New("--config is for checks that are named; give names, or URLs alone")
	}
	var configured []*check.Check
	if !onlyURLs {
		if configured, err = p.fromConfig(command, a); err != nil {
			return nil, err
		}
	}
	if err := setTimeout(configured, a.options); err != nil {
		return nil, err
	}
	s := &selection{}
	for _, target := range a.targets {
		if isURL(target) {
			s.add(given[0], true)
			given = given[1:]
		} else {
			s.add(configured[0], false)
			configured = configured[1:]
		}
	}
	for _, c := range configured { // all, as none is named
		s.add(c, false)
	}
	return s, nil
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
func (p *Program) fromConfig(command string, a *arguments) ([]*check.Check, error) {
	c, err := config.Load(config.Sources{File: a.own["config"], DefaultFile: p.ConfigFile, OwnIP: p.OwnIP}, p.Registry)
	if err != nil {
		return nil, &codedError{exitConfig, err}
	}
	for _, warning := range c.Warnings {
		fmt.Fprintf(p.Err, "%s %s: warning: %s\n", p.Name, command, warning)
	}
	switch {
	case len(a.targets) > 0:
		return p.named(command, a, c.Checks)
	case len(c.Checks) == 0:
		return nil, fmt.Errorf("nothing to check: give URLs, such as `%s %s redis://127.0.0.1:6379`, or a configuration with --config FILE (%s)",
			p.Name, command, p.noChecks(a))
	}
	return c.Checks, nil
}

// named returns those of the configured checks that the command line names.
func (p *Program) named(command string, a *arguments, configured []*check.Check) ([]*check.Check, error) {
	var checks []*check.Check
	var errs []error
	for i, name := range a.targets {
		if isURL(name) {
			continue
		}
		if n := slices.IndexFunc(configured, func(c *check.Check) bool { return c.Name == name }); n >= 0 {
			checks = append(checks, configured[n])
			continue
		}
		hint := ""
		forgot := command == "wait" && name != "" && i > 0 && isURL(a.targets[i-1]) && !a.dashes
		if forgot {
			// What follows the word may be a URL with a password.
			hint = fmt.Sprintf("; a command to run then stands after --: %s wait URL… -- %s …", p.Name, clean(name))
		}
		errs = append(errs, fmt.Errorf("%s%s", p.unknown(name, configured, a), hint))
		if forgot {
			break // the words that follow are the command's
		}
	}
	return checks, errors.Join(errs...)
}

// noChecks says where no configuration was found.
func (p *Program) noChecks(a *arguments) string {
	if file := a.own["config"]; file != "" {
		return clean(file) + " has no checks, and " + config.EnvChecks + " is empty"
	}
	return p.ConfigFile + " does not exist or has no checks, and " + config.EnvChecks + " is empty"
}

// unknown says what is wrong with a word that is neither a URL nor the name of a
// check.
func (p *Program) unknown(name string, configured []*check.Check, a *arguments) string {
	if name == "" {
		return "an argument is empty, want a URL or the name of a check; a variable may not be set"
	}
	var known []string
	for _, c := range configured {
		known = append(known, c.Name)
	}
	there := "there are: " + strings.Join(known, ", ")
	if len(known) == 0 {
		there = "there is no configuration: " + p.noChecks(a)
	}
	url := "tcp://" + name + ":PORT"
	if strings.HasPrefix(name, "/") {
		url = "file://" + name
	}
	text := fmt.Sprintf("no check is named %q%s (%s; a URL has a colon, such as %s)", clean(name), check.DidYouMean(name, known), there, clean(url))
	if slices.Contains([]string{"true", "false", "yes", "no", "on", "off"}, name) {
		text += "; the value of a flag that needs none follows =, as in --writable=false"
	}
	return text
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
