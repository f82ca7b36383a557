package check

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"
)

// A Config is the configuration of one check of one kind: a struct whose
// fields tagged `option:"name"` are its options. It is the kind's constructor:
// defaults, validation and checker stand side by side.
type Config interface {
	// SetTarget takes what the check's URL says besides options. It is called
	// once, after the options are set, and reports faults in the URL.
	SetTarget(t Target) error
	// Validate reports every fault in the options as [*OptionError]s, joined.
	Validate() error
	// Checker makes the checker of a valid config. It does no I/O but for
	// reading files that the options name, such as certificates.
	Checker(env Env) (Checker, error)
}

// A Deriver is a Config that sends its secrets in other forms than they were
// given in, such as the base64 of basic authentication. A peer may send them
// back, so that they must be masked as well.
type Deriver interface {
	// Derived returns those forms. It is called once, after SetTarget and
	// Validate, also when these found faults.
	Derived() []string
}

// A Timed is a Config with options that make sense within the timeout only.
type Timed interface {
	// ValidateTimeout reports those that don't, as [*OptionError]s, joined. It is
	// called of a config in which nothing else is at fault.
	ValidateTimeout(timeout time.Duration) error
}

// A Kind is a kind of check as [Define] makes it.
type Kind struct {
	// Scheme is its name and the scheme of its URLs.
	Scheme string
	// Pool names the bounded pool that runs of this kind share; "" is none.
	Pool string
	// Opaque is true when all after the scheme belongs to the target (exec).
	// Options then follow after " #".
	Opaque bool
	// KeepsQuery is true when the URL's query belongs to the target (http).
	// Options are then in the fragment only.
	KeepsQuery bool
	// Example is a URL that is right, for messages.
	Example string

	fields func() []field // read when first needed: a one-shot run uses one kind
	create func() Config
}

// Define makes a kind of a config type, given its scheme, a URL as an example
// and the config's defaults.
func Define[C any, P interface {
	*C
	Config
}](scheme, example string, defaults C) Kind {
	return Kind{
		Scheme:  scheme,
		Example: example,
		fields:  sync.OnceValue(func() []field { return fieldsOf(reflect.TypeFor[C]()) }),
		create: func() Config {
			c := defaults
			return P(&c)
		},
	}
}

// An OptionInfo describes one of a kind's options.
type OptionInfo struct{ Name, Help, Default string }

// Options describes the kind's own options in their order.
func (k Kind) Options() []OptionInfo {
	v := reflect.ValueOf(k.create()).Elem()
	infos := make([]OptionInfo, len(k.fields()))
	for i, f := range k.fields() {
		infos[i] = OptionInfo{Name: f.name, Help: f.help, Default: f.show(v.FieldByIndex(f.index))}
	}
	return infos
}

// Switch reports whether the kind has the option and it is true or false, so
// that its name alone turns it on.
func (k Kind) Switch(option string) bool {
	f, ok := k.field(option)
	return ok && f.typ.Kind() == reflect.Bool
}

// Defaults returns a config with the kind's defaults.
func (k Kind) Defaults() Config { return k.create() }

func (k Kind) field(name string) (field, bool) {
	i := slices.IndexFunc(k.fields(), func(f field) bool { return f.name == name })
	if i < 0 {
		return field{}, false
	}
	return k.fields()[i], true
}

// A Registry knows the kinds of check.
type Registry struct {
	env   Env
	kinds map[string]Kind
}

// NewRegistry makes a registry of kinds. Two of the same scheme are an error. A
// zero env is usable.
func NewRegistry(env Env, kinds ...Kind) (*Registry, error) {
	if env.Dial == nil {
		env.Dial = Dial
	}
	r := &Registry{env: env, kinds: make(map[string]Kind, len(kinds))}
	for _, k := range kinds {
		if _, ok := r.kinds[k.Scheme]; ok {
			return nil, fmt.Errorf("kind %q is registered twice", k.Scheme)
		}
		r.kinds[k.Scheme] = k
	}
	return r, nil
}

// Validate reports what would not work with the kind, whatever its options: a
// scheme or an option that can't be written. It is for tests of kinds.
func (k Kind) Validate() error {
	if scheme, rest, ok := SplitScheme(k.Scheme + ":"); !ok || rest != "" || scheme != k.Scheme {
		return k.wrong("the scheme is not that of a URL in lower case")
	}
	seen := map[string]bool{"url": true}
	for _, f := range commonFields {
		seen[f.name] = true
	}
	for _, f := range k.fields() {
		switch {
		case !isOptionName(f.name):
			return k.wrong("option %q: the name is not of a-z, 0-9 and _", f.name)
		case seen[f.name]:
			return k.wrong("option %q: there is another of that name", f.name)
		case !f.supported():
			return k.wrong("option %q: an option can't be of type %v", f.name, f.typ)
		}
		seen[f.name] = true
	}
	return nil
}

func (k Kind) wrong(format string, args ...any) error {
	return fmt.Errorf("kind %q: "+format, append([]any{k.Scheme}, args...)...)
}

// Kind returns the kind with the scheme.
func (r *Registry) Kind(scheme string) (Kind, bool) {
	k, ok := r.kinds[scheme]
	return k, ok
}

// Schemes returns the schemes of all kinds, sorted.
func (r *Registry) Schemes() []string {
	schemes := make([]string, 0, len(r.kinds))
	for s := range r.kinds {
		schemes = append(schemes, s)
	}
	slices.Sort(schemes)
	return schemes
}

// lookUp returns the kind of a URL, or an error that names the nearest.
func (r *Registry) lookUp(raw string) (k Kind, rest string, err error) {
	scheme, rest, ok := SplitScheme(raw)
	if !ok {
		return Kind{}, "", OptionErrorf("url", "%q is not a check's URL; write KIND://HOST:PORT, such as tcp://127.0.0.1:5432 or http://127.0.0.1:8000/health", CleanText(firstPart(raw)))
	}
	k, ok = r.kinds[scheme]
	if !ok {
		return Kind{}, "", OptionErrorf("url", "unknown kind of check %q%s (known: %s)", CleanText(scheme), DidYouMean(scheme, r.Schemes()), strings.Join(r.Schemes(), ", "))
	}
	return k, rest, nil
}

// firstPart returns as much of a text without a scheme as can't hold a secret:
// the first word, without what stands before an @ and after a ? or #.
func firstPart(raw string) string {
	word, _, _ := strings.Cut(raw, " ")
	at := strings.LastIndexByte(raw, '@')
	end := strings.IndexAny(word, "?#")
	switch {
	case at >= len(word) || end >= 0 && at > end:
		return Masked // what belongs to a password can't be told
	case end >= 0:
		word = word[:end]
	}
	if at >= 0 {
		return Masked + word[at:]
	}
	return maskWords(word)
}

// SetOptions stores options in a struct whose fields are tagged as those of a
// [Config], which it is given as a pointer. Its error joins every fault as an
// [*OptionError].
func SetOptions(into any, options []Option) error {
	v := reflect.ValueOf(into).Elem()
	fields := fieldsOf(v.Type())
	var errs errorList
	for _, o := range options {
		i := slices.IndexFunc(fields, func(f field) bool { return f.name == o.Name })
		if i >= 0 {
			errs.add(fields[i].setOption(v.FieldByIndex(fields[i].index), o))
			continue
		}
		var names []string
		for _, f := range fields {
			names = append(names, f.name)
		}
		slices.Sort(names)
		errs.option(CleanText(o.Name), "there is no such option%s (known: %s)", DidYouMean(o.Name, names), strings.Join(names, ", "))
	}
	return errs.join()
}

// DescribeOptions describes the options of such a struct, which it is given as a
// pointer to one with the defaults.
func DescribeOptions(defaults any) []OptionInfo {
	v := reflect.ValueOf(defaults).Elem()
	var infos []OptionInfo
	for _, f := range fieldsOf(v.Type()) {
		infos = append(infos, OptionInfo{Name: f.name, Help: f.help, Default: f.show(v.FieldByIndex(f.index))})
	}
	return infos
}
