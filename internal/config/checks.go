package config

import (
	"slices"
	"strings"

	"hale/internal/check"
)

// A draft is a check as it is written, before it is built.
type draft struct {
	// name is the file's key for it; "" elsewhere.
	name string
	at   place
	path string

	scheme  string // of the URL as written; "" when it can't be told
	url     string // "" when it is at fault, which is reported
	safeURL string // the same without secrets
	urlAt   place
	urlPath string
	// urlOptions are the names of the options in the URL.
	urlOptions []string

	// options are those written beside the URL.
	options  []check.Option
	optionAt map[string]optionPlace
	secrets  []string
	// flawed are the options that are left out because they are at fault.
	flawed []string

	built *check.Check
}

// An optionPlace is where an option's name and value are written.
type optionPlace struct{ key, value place }

// readChecks reads the file's checks.
func (l *loader) readChecks(e entry) {
	if e.value.kind != mapping {
		l.fail(e.value.at, e.key, "is %s; give a map of NAME: URL, such as web: http://127.0.0.1:8000/", e.value.describe())
		return
	}
	for _, c := range e.value.entries {
		if c.key == "" {
			l.fail(c.at, e.key, "a check's name is empty; write NAME: URL")
			continue
		}
		path := join(e.key, oneLine(c.key))
		d := &draft{name: c.key, at: c.at, path: path}
		l.readCheck(d, c.value)
		l.drafts = append(l.drafts, d)
	}
}

// readCheck reads a check of the file: its URL alone, or a map.
func (l *loader) readCheck(d *draft, n *node) {
	switch {
	case n.kind == list || n.null:
		l.fail(n.at, d.path, "is %s; give the check's URL, or a map with url and options", n.describe())
		return
	case n.kind == scalar:
		l.url(d, n, d.path)
		return
	}
	given := false
	for _, e := range n.entries {
		path := join(d.path, oneLine(e.key))
		if e.key == "url" {
			given = true
			l.url(d, e.value, path)
		} else {
			l.option(d, e, path)
		}
	}
	if !given {
		l.fail(d.at, d.path, "has no url; give one, such as url: tcp://127.0.0.1:5432")
	}
}

// commentedOption is an option that YAML takes for a comment.
var commentedOption = lazily(`^#[a-z_]+=`)

// url takes the draft's URL.
func (l *loader) url(d *draft, n *node, path string) {
	d.urlAt, d.urlPath = n.at, path
	switch {
	case n.kind != scalar:
		l.fail(n.at, path, "is %s; give a URL such as tcp://127.0.0.1:5432", n.describe())
		return
	case n.null || strings.TrimSpace(n.text) == "":
		l.fail(n.at, path, "is empty; give a URL such as tcp://127.0.0.1:5432")
		return
	case commentedOption().MatchString(n.comment):
		l.fail(n.at, path, `what follows " #" is a comment in YAML; put the whole URL in quotes, or write the options beside it`)
		return
	}
	template := strings.TrimSpace(n.text)
	d.scheme, _, _ = check.SplitScheme(template)
	kind, _ := l.registry.Kind(d.scheme)
	f := l.filler.fill(template, !kind.Opaque)
	if !l.filled(f, n, path) {
		return
	}
	d.scheme, _, _ = check.SplitScheme(f.text)
	if _, known := l.registry.Kind(d.scheme); !known && len(f.secrets) > 0 {
		// Its beginning may be that of a secret: it is not for showing.
		l.fail(n.at, path, "is not a check's URL once ${…} is filled in; write KIND://HOST:PORT, such as tcp://127.0.0.1:5432")
		return
	}
	d.url, d.safeURL = f.text, f.safe
	d.secrets = append(d.secrets, f.secrets...)
	d.urlOptions = l.optionsIn(d.url)
}

// optionsIn returns the names of the options that a URL holds.
func (l *loader) optionsIn(url string) []string {
	scheme, rest, _ := check.SplitScheme(url)
	kind, _ := l.registry.Kind(scheme)
	var texts []string
	if kind.Opaque {
		_, after, _ := strings.Cut(rest, " #")
		texts = append(texts, strings.TrimSpace(after))
	} else {
		rest, fragment, _ := strings.Cut(rest, "#")
		texts = append(texts, fragment)
		if _, query, _ := strings.Cut(rest, "?"); !kind.KeepsQuery {
			texts = append(texts, query)
		}
	}
	var names []string
	for _, text := range texts {
		// What can't be parsed is reported when the check is built.
		options, _ := check.ParseOptions(text)
		for _, o := range options {
			names = append(names, o.Name)
		}
	}
	return names
}

// option takes an option written beside the URL. One that is at fault is
// reported and left out.
func (l *loader) option(d *draft, e entry, path string) {
	o := check.Option{Name: e.key}
	ok := true
	take := func(n *node, path string) string {
		text, secrets, good := l.text(n, path)
		ok = ok && good
		if len(secrets) > 0 {
			o.Secret = true
			d.secrets = append(d.secrets, secrets...)
		}
		return text
	}
	switch e.value.kind {
	case scalar:
		o.Values = []string{take(e.value, path)}
	case list:
		for _, item := range e.value.items {
			o.Values = append(o.Values, take(item, path))
		}
	case mapping:
		o.IsMap = true
		for _, p := range e.value.entries {
			o.Pairs = append(o.Pairs, [2]string{p.key, take(p.value, join(path, oneLine(p.key)))})
		}
	}
	if !ok {
		d.flawed = append(d.flawed, e.key)
		return
	}
	if d.optionAt == nil {
		d.optionAt = map[string]optionPlace{}
	}
	d.optionAt[e.key] = optionPlace{e.at, e.value.at}
	d.options = append(d.options, o)
}

// specOptions are the options beside the URL, and those defaults that neither
// they nor the URL give.
func (d *draft) specOptions(defaults []check.Option) []check.Option {
	options := slices.Clone(d.options)
	for _, o := range defaults {
		if _, beside := d.optionAt[o.Name]; !beside && !slices.Contains(d.urlOptions, o.Name) {
			options = append(options, o)
		}
	}
	return options
}

// policy returns what the draft's options are held against. An interval that is
// not known contradicts nothing.
func (d *draft) policy(defaults check.Policy) check.Policy {
	if slices.Contains(d.flawed, "interval") {
		defaults.Interval = check.MaxInterval
	}
	return defaults
}
