package check

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
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
	known := Secrets(nil).Add(spec.Secrets...)
	kind, rest, err := r.lookUp(spec.URL)
	if err != nil {
		return nil, maskErrors(err, known, nil)
	}
	var errs errorList
	target, inURL, err := kind.split(rest)
	errs.add(err)
	options := override(inURL, spec.Options)
	config := kind.create()
	hidden, fault := kind.setOptions(config, options, hidesPassword(rest, inURL))
	errs.addNew(fault)
	if err == nil && !hidden {
		if err := config.SetTarget(target); err != nil {
			errs.add(err)
		} else {
			errs.addNew(config.Validate())
		}
	}
	shared, err := commonOptions(spec, options)
	errs.addNew(err)
	if timed, ok := config.(Timed); ok && len(errs) == 0 {
		errs.add(timed.ValidateTimeout(shared.Timeout))
	}
	secrets := kind.secretsOf(config, target, known, options)
	if len(errs) > 0 {
		return nil, maskErrors(errs.join(), secrets, options)
	}
	checker, err := config.Checker(r.env)
	if err != nil {
		return nil, maskErrors(err, secrets, options)
	}
	masked := secrets.Mask(target.Masked())
	c := &Check{
		Name:    shared.Name,
		Named:   shared.Name != "",
		Kind:    kind.Scheme,
		Target:  CleanText(masked + secrets.Mask(kind.whereabouts(config))),
		URL:     masked,
		Policy:  shared.policy(),
		Impact:  Impact(shared.Impact),
		Groups:  shared.Groups,
		Pool:    kind.Pool,
		Checker: checker,
		Secrets: secrets,
		Options: kind.settings(config, secrets),
		Lists:   kind.lists(config, secrets),
		ID:      identity(target, options),
	}
	if c.Name == "" {
		c.Name = cmp.Or(cleanName(known.Mask(target.defaultName())), kind.Scheme)
	}
	return c, nil
}

// hidesPassword reports whether what looks like options in a URL may be the end
// of a password that holds a ?, # or &: an @ follows, or one option is a secret.
func hidesPassword(rest string, inURL []Option) bool {
	i := strings.IndexAny(rest, "?#")
	return i >= 0 && strings.Contains(rest[i:], "@") ||
		slices.ContainsFunc(inURL, func(o Option) bool { return SecretName(o.Name) })
}

// split separates a URL's target from its options. After an error it returns
// what could be read.
func (k Kind) split(rest string) (Target, []Option, error) {
	if k.Opaque {
		opaque, text := cutOpaque(rest)
		options, err := ParseOptions(strings.TrimSpace(text))
		return Target{Scheme: k.Scheme, Opaque: opaque}, options, err
	}
	var errs errorList
	rest, fragment, _ := strings.Cut(rest, "#")
	options, err := ParseOptions(fragment)
	errs.add(err)
	if !k.KeepsQuery {
		var query string
		rest, query, _ = strings.Cut(rest, "?")
		fromQuery, err := ParseOptions(query)
		errs.add(err)
		options = override(fromQuery, options)
	}
	authority, path, _ := strings.Cut(strings.TrimPrefix(rest, "//"), "/")
	if !k.KeepsQuery && authority != "" && strings.Contains(path, "@") {
		// Perhaps a password that holds a slash: it must not be taken for a path.
		errs.add(notEncoded())
		return Target{Scheme: k.Scheme}, options, errs.join()
	}
	u, err := parseURL(k.Scheme + ":" + rest)
	errs.add(err)
	return Target{Scheme: k.Scheme, URL: u}, options, errs.join()
}

// cutOpaque separates a command from the options after " #", which has no
// meaning between quotes or after a backslash.
func cutOpaque(rest string) (opaque, options string) {
	var quote byte
	for i := 0; i < len(rest); i++ {
		c := rest[i]
		switch {
		case c == '\\' && quote != '\'':
			i++
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == ' ' && strings.HasPrefix(rest[i+1:], "#"):
			return rest[:i], rest[i+2:]
		}
	}
	return rest, ""
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
// the kind nor every check has is an error. It is not named if it may be a part
// of a password, which secretive says of those in the URL, and resembles no
// option; hidden is then true.
func (k Kind) setOptions(config Config, options []Option, secretive bool) (hidden bool, err error) {
	var errs errorList
	v := reflect.ValueOf(config).Elem()
	for _, o := range options {
		f, ok := k.field(o.Name)
		if ok {
			errs.add(f.setOption(v.FieldByIndex(f.index), o))
			continue
		}
		if slices.ContainsFunc(commonFields, func(f field) bool { return f.name == o.Name }) {
			continue
		}
		name := CleanText(o.Name)
		if name == "" {
			errs.option("url", "an option without a name; write NAME=VALUE")
			continue
		}
		names := k.optionNames()
		if secretive && Nearest(o.Name, names) == "" {
			hidden = true
			continue
		}
		errs.option(name, "%s has no such option%s (it has: %s)", k.Scheme, DidYouMean(o.Name, names), strings.Join(names, ", "))
	}
	if hidden {
		errs.option("url", "what follows the first ? or # has more than options of %s (it has: %s); in a user name, password or other value, write %%3F for ?, %%23 for # and %%26 for &", k.Scheme, strings.Join(k.optionNames(), ", "))
	}
	return hidden, errs.join()
}

func (k Kind) optionNames() []string {
	var names []string
	for _, f := range slices.Concat(k.fields(), commonFields) {
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
			if f.name != o.Name {
				continue
			}
			given[o.Name] = true
			err := f.setOption(v.FieldByIndex(f.index), o)
			errs.add(err)
			if err != nil && o.Name == "interval" {
				c.Interval = MaxInterval // what contradicts it is not known
			}
		}
	}
	// A short interval brings the defaults that it contradicts down with it.
	if !given["timeout"] && c.Interval >= MinInterval {
		c.Timeout = min(c.Timeout, c.Interval)
	}
	if !given["recheck"] && c.Interval >= MinInterval {
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
		case "":
			errs.option("groups", "the name of a group is empty; name some, such as %s,web, or in a file write groups: [] for none", GroupReady)
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

// secretsOf gathers what must not be shown of a check. What the URL and the
// kind's options hold is left out when it is also a part of the URL that is
// shown: masking the user name everywhere would tell that the password is the
// same.
func (k Kind) secretsOf(config Config, target Target, known Secrets, options []Option) Secrets {
	var own []string
	own = append(own, target.secrets()...)
	v := reflect.ValueOf(config).Elem()
	for _, f := range k.fields() {
		own = append(own, f.secretsIn(v.FieldByIndex(f.index))...)
	}
	if derives, ok := config.(Deriver); ok {
		own = append(own, derives.Derived()...)
	}
	own = slices.DeleteFunc(own, target.shows)
	secrets := known.Add(own...)
	for _, o := range options {
		if o.Secret {
			secrets = secrets.Add(o.Values...)
			for _, pair := range o.Pairs {
				secrets = secrets.Add(pair[1])
			}
		}
	}
	return secrets
}

// settings shows the kind's options in force.
func (k Kind) settings(config Config, secrets Secrets) []Setting {
	v := reflect.ValueOf(config).Elem()
	settings := make([]Setting, len(k.fields()))
	for i, f := range k.fields() {
		settings[i] = Setting{Name: f.name, Value: secrets.Mask(f.show(v.FieldByIndex(f.index)))}
	}
	return settings
}

// lists are the kind's options that are lists or maps.
func (k Kind) lists(config Config, secrets Secrets) []Option {
	v := reflect.ValueOf(config).Elem()
	var lists []Option
	for _, f := range k.fields() {
		if o, ok := f.written(v.FieldByIndex(f.index), secrets); ok {
			lists = append(lists, o)
		}
	}
	return lists
}

// whereabouts are the options that say where the target is, as they stand in a
// URL.
func (k Kind) whereabouts(config Config) string {
	separator := "?"
	if k.KeepsQuery {
		separator = "#"
	}
	v := reflect.ValueOf(config).Elem()
	var text strings.Builder
	for _, f := range k.fields() {
		if value := v.FieldByIndex(f.index).String(); f.where && value != "" {
			path := (&url.URL{Path: value}).EscapedPath()
			text.WriteString(separator + f.name + "=" + strings.ReplaceAll(path, "&", "%26"))
			separator = "&"
		}
	}
	return text.String()
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

// maskErrors masks secrets in err's option errors. A secret too short to be
// masked makes for a message of its own.
func maskErrors(err error, secrets Secrets, options []Option) error {
	var masked []error
	for _, e := range OptionErrors(err) {
		msg := secrets.Mask(e.Msg)
		for _, o := range options {
			if o.Secret && o.Name == e.Option && slices.ContainsFunc(o.Values, isShort) {
				msg = "its value, which is not shown, is not right"
			}
		}
		masked = append(masked, &OptionError{Option: secrets.Mask(e.Option), Msg: msg})
	}
	return errors.Join(masked...)
}

// isShort reports whether a secret may be shown in a form too short to be
// masked.
func isShort(secret string) bool { return secret != "" && len(CleanText(secret)) < minSecret }
