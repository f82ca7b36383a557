package oneshot

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"hale/internal/check"
)

// arguments are a command line, taken apart.
type arguments struct {
	targets []string          // URLs and names of checks
	options []check.Option    // of the kinds, given as flags
	own     map[string]string // the command's own flags
	command []string          // what stands after --
	dashes  bool              // there was a --
	help    bool
}

// An ownFlag is a flag of the command itself.
type ownFlag struct {
	name, value, help string // value is "" for a switch
}

// parse takes a command line apart. Flags may stand before, between and after
// targets, as --name value or --name=value. Those that are not the command's
// own are options of the kinds of check.
func parse(args []string, own []ownFlag, kinds []check.Kind) (*arguments, error) {
	a := &arguments{own: map[string]string{}}
	for i := 0; i < len(args); i++ {
		arg := args[i]
		switch {
		case arg == "--":
			a.dashes, a.command = true, args[i+1:]
			return a, nil
		case arg == "-h":
			a.help = true
			continue
		case !strings.HasPrefix(arg, "-") || arg == "-":
			a.targets = append(a.targets, arg)
			continue
		case !strings.HasPrefix(arg, "--"):
			return nil, fmt.Errorf("%s is not a flag; flags begin with two dashes", clean(arg))
		}
		name, value, assigned := strings.Cut(arg[2:], "=")
		if name == "help" {
			a.help = true
			continue
		}
		isOwn, isSwitch := describe(name, own, kinds)
		switch {
		case assigned:
		case isSwitch:
			value = "true"
		case i+1 < len(args):
			i++
			value = args[i]
		default:
			return nil, fmt.Errorf("--%s needs a value; write --%s VALUE", clean(name), clean(name))
		}
		if isOwn {
			if isSwitch && value != "true" && value != "false" {
				return nil, fmt.Errorf("--%s takes no value but true or false", name)
			}
			a.own[name] = value
			continue
		}
		a.add(strings.ReplaceAll(name, "-", "_"), value)
	}
	return a, nil
}

// describe tells whether a flag is the command's own, and whether it stands
// alone, without a value.
func describe(name string, own []ownFlag, kinds []check.Kind) (isOwn, isSwitch bool) {
	if i := slices.IndexFunc(own, func(f ownFlag) bool { return f.name == name }); i >= 0 {
		return true, own[i].value == ""
	}
	option := strings.ReplaceAll(name, "-", "_")
	return false, slices.ContainsFunc(kinds, func(k check.Kind) bool { return k.Switch(option) })
}

// add adds a value to the option, which may be given several times.
func (a *arguments) add(option, value string) {
	if i := slices.IndexFunc(a.options, func(o check.Option) bool { return o.Name == option }); i >= 0 {
		a.options[i].Values = append(a.options[i].Values, value)
		return
	}
	a.options = append(a.options, check.Option{Name: option, Values: []string{value}})
}

// on reports whether a switch is on.
func (a *arguments) on(name string) bool { return a.own[name] == "true" }

// kindsOf returns the kinds of the URLs among the words of a command line, as
// far as they are known.
func kindsOf(words []string, r *check.Registry) []check.Kind {
	var kinds []check.Kind
	for _, word := range words {
		if word == "--" {
			break
		}
		if scheme, _, ok := check.SplitScheme(word); ok {
			if k, ok := r.Kind(scheme); ok {
				kinds = append(kinds, k)
			}
		}
	}
	return kinds
}

// singleRun are the options of every check that mean something when it runs
// once.
var singleRun = []string{"name", "timeout", "impact"}

// flagFaults reports options that mean nothing to a single run.
func (a *arguments) flagFaults(urls int) error {
	var errs []error
	for _, o := range a.options {
		switch {
		case o.Name == "name" && urls > 1:
			errs = append(errs, errors.New("--name: there are several URLs; name each in its URL: URL#name=NAME"))
		case urls == 0 && tookURL(o):
			errs = append(errs, fmt.Errorf("--%s took the URL as its value; give it one of its own", flagName(o.Name)))
		case urls == 0 && o.Name != "timeout":
			errs = append(errs, fmt.Errorf("--%s is for checks that are given as URLs; those of a configuration have their options there", flagName(o.Name)))
		case slices.Contains(singleRun, o.Name):
		case slices.ContainsFunc(check.CommonOptions(), func(c check.OptionInfo) bool { return c.Name == o.Name }):
			errs = append(errs, fmt.Errorf("--%s is for checks that run again and again (hale serve)", flagName(o.Name)))
		}
	}
	return errors.Join(errs...)
}

// tookURL reports whether an option's value is rather the URL that is missing.
func tookURL(o check.Option) bool {
	return slices.ContainsFunc(o.Values, func(v string) bool { return strings.Contains(v, "://") })
}

func flagName(option string) string { return clean(strings.ReplaceAll(option, "_", "-")) }

func clean(text string) string { return check.CleanText(text) }
