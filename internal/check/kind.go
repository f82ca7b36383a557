package check

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
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

	fields []field
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
		fields:  fieldsOf(reflect.TypeFor[C]()),
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
	infos := make([]OptionInfo, len(k.fields))
	for i, f := range k.fields {
		infos[i] = OptionInfo{Name: f.name, Help: f.help, Default: f.show(v.FieldByIndex(f.index))}
	}
	return infos
}

// Defaults returns a config with the kind's defaults.
func (k Kind) Defaults() Config { return k.create() }

func (k Kind) field(name string) (field, bool) {
	i := slices.IndexFunc(k.fields, func(f field) bool { return f.name == name })
	if i < 0 {
		return field{}, false
	}
	return k.fields[i], true
}

// A Registry knows the kinds of check.
type Registry struct {
	env   Env
	kinds map[string]Kind
}

// NewRegistry makes a registry of kinds. Two of the same scheme are an error.
// A zero env is usable.
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
		return Kind{}, "", OptionErrorf("url", "unknown kind of check %q%s (known: %s)", scheme, DidYouMean(scheme, r.Schemes()), strings.Join(r.Schemes(), ", "))
	}
	return k, rest, nil
}

// firstPart returns as much of a text as can't hold a password.
func firstPart(raw string) string {
	if i := strings.LastIndexByte(raw, '@'); i >= 0 {
		return Masked + raw[i:]
	}
	return raw
}
