package config

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"hale/internal/check"
)

// A loader gathers a config and its faults.
type loader struct {
	sources  Sources
	filler   filler
	registry *check.Registry
	config   *Config
	defaults defaults
	drafts   []*draft
	placed   map[string]place // where a setting in force was given
	errs     Errors

	ownIPAsked bool
	ownIPErr   error
}

// The order in which the faults of sources are reported.
const (
	rankFile = iota
	rankEnv
	rankFlags
	rankArgs
)

func newLoader(s Sources, r *check.Registry) *loader {
	l := &loader{sources: s, registry: r, config: defaultConfig(), placed: map[string]place{}}
	s.ownIP = l.ownIP
	l.filler = filler{s, maxFilled}
	l.defaults.policy = check.DefaultPolicy()
	l.config.Pools = map[string]int{}
	for _, pool := range poolsOf(r) {
		l.config.Pools[pool] = defaultPool
	}
	return l
}

// poolsOf returns the names of the pools that kinds have, sorted.
func poolsOf(r *check.Registry) []string {
	pools := map[string]bool{}
	for _, scheme := range r.Schemes() {
		if k, _ := r.Kind(scheme); k.Pool != "" {
			pools[k.Pool] = true
		}
	}
	return slices.Sorted(maps.Keys(pools))
}

func (l *loader) fail(at place, path, format string, args ...any) {
	l.errs.add(at, path, format, args...)
}

// readFile reads the configuration file, if there is one.
func (l *loader) readFile() {
	path, optional := l.sources.File, false
	if path == "" {
		path, optional = l.sources.DefaultFile, true
	}
	if path == "" {
		return
	}
	src := &source{name: path, rank: rankFile}
	data, err := readFile(path, maxFile)
	if optional && errors.Is(err, fs.ErrNotExist) {
		return
	}
	l.config.Sources = append(l.config.Sources, path)
	if err != nil {
		l.errs = append(l.errs, src.fault(0, 0, err.Error()))
		return
	}
	text, fault := src.textOf(data)
	if fault != nil {
		l.errs = append(l.errs, fault)
		return
	}
	root, errs := src.parse(text)
	l.errs = append(l.errs, errs...)
	switch {
	case len(errs) > 0 && root == nil:
	case root == nil || root.null:
		l.errs = append(l.errs, src.fault(1, 1, `is empty; write at least "checks:" and below it "  web: http://127.0.0.1:8000/", or {} for no checks`))
	case root.kind != mapping:
		l.fail(root.at, "", `is %s; give a map such as "checks:" and below it "  web: http://127.0.0.1:8000/"`, root.describe())
	default:
		l.readRoot(root)
	}
}

func (l *loader) readRoot(root *node) {
	var names []string
	for _, k := range keys() {
		names = append(names, k.name)
		if e, ok := root.get(k.name); ok {
			l.readKey(k, e)
		}
	}
	for _, e := range root.entries {
		if !slices.Contains(names, e.key) {
			l.fail(e.at, "", "unknown key %q%s (known: %s)", oneLine(e.key), check.DidYouMean(e.key, names), strings.Join(names, ", "))
		}
	}
}

func (l *loader) readKey(k key, e entry) {
	if k.read != nil {
		k.read(l, e)
		return
	}
	text, secrets, ok := l.text(e.value, k.name)
	if !ok {
		return
	}
	l.placed[k.name] = e.value.at
	if err := k.set(l.config, strings.TrimSpace(text)); err != nil {
		l.fail(e.value.at, k.name, "%s", hide(err.Error(), secrets))
	}
}

// readFlags reads the settings that are given as flags.
func (l *loader) readFlags() {
	left := maps.Clone(l.sources.Flags)
	for _, k := range keys() {
		text, ok := left[k.name]
		if !ok || k.set == nil {
			continue
		}
		delete(left, k.name)
		l.placed[k.name] = flagPlace(k.name)
		if err := k.set(l.config, strings.TrimSpace(text)); err != nil {
			l.fail(flagPlace(k.name), "", "%v", err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(left)) {
		l.fail(flagPlace(name), "", "is not a setting that a flag can give")
	}
}

func flagPlace(name string) place {
	return place{source: &source{name: "--" + strings.ReplaceAll(name, "_", "-"), rank: rankFlags, commandLine: true}}
}

// readEnvironment reads HALE_CHECKS.
func (l *loader) readEnvironment() {
	text, _ := l.sources.Getenv(EnvChecks)
	if strings.TrimSpace(text) == "" {
		return
	}
	l.config.Sources = append(l.config.Sources, EnvChecks)
	src := &source{name: EnvChecks, rank: rankEnv}
	units, faults := splitChecks(text, l.registry)
	for _, f := range faults {
		l.fail(place{src, f.line, f.column}, "", "%s", f.msg)
	}
	for _, u := range units {
		l.addURL(u.url, place{src, u.line, u.column})
	}
}

// readArgs reads the URL arguments.
func (l *loader) readArgs() {
	if len(l.sources.Args) > 0 {
		l.config.Sources = append(l.config.Sources, "arguments")
	}
	for i, arg := range l.sources.Args {
		l.addURL(arg, place{source: &source{name: fmt.Sprintf("argument %d", i+1), rank: rankArgs + i, commandLine: true}})
	}
}

// addURL adds a check that is just a URL, outside of the file.
func (l *loader) addURL(raw string, at place) {
	d := &draft{at: at}
	l.url(d, &node{at: at, text: raw}, "")
	l.drafts = append(l.drafts, d)
}

// text returns a scalar's text with ${…} filled in. ok is false when there is
// none, which is then reported.
func (l *loader) text(n *node, path string) (text string, secrets []string, ok bool) {
	if n.kind != scalar {
		l.fail(n.at, path, "is %s; give a text", n.describe())
		return "", nil, false
	}
	if n.null {
		l.fail(n.at, path, `is empty; give a value or leave the key out ("" is an empty text)`)
		return "", nil, false
	}
	f := l.filler.fill(n.text, false)
	return f.text, f.secrets, l.filled(f, n, path)
}

// filled reports what could not be filled in.
func (l *loader) filled(f filling, n *node, path string) bool {
	for _, fault := range f.faults {
		l.fail(n.at.of(fault.piece), path, "%s %s", oneLine(fault.piece), fault.msg)
	}
	return len(f.faults) == 0
}

// readPools reads the sizes of the pools.
func (l *loader) readPools(e entry) {
	if e.value.kind != mapping {
		l.fail(e.value.at, e.key, "is %s; give a map of pool to count, such as {exec: %d}", e.value.describe(), defaultPool)
		return
	}
	pools := poolsOf(l.registry)
	for _, p := range e.value.entries {
		path := join(e.key, oneLine(p.key))
		if !slices.Contains(pools, p.key) {
			l.fail(p.at, path, "no kind of check has such a pool%s (known: %s)", check.DidYouMean(p.key, pools), strings.Join(pools, ", "))
			continue
		}
		text, secrets, ok := l.text(p.value, path)
		if !ok {
			continue
		}
		var size int
		if err := setInt(&size, text, 1, maxPool); err != nil {
			l.fail(p.value.at, path, "%s", hide(err.Error(), secrets))
			continue
		}
		l.config.Pools[p.key] = size
	}
}
