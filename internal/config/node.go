package config

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v4"

	"hale/internal/check"
)

// A node is a value in a file, aliases and merge keys resolved. A value of the
// command line or the environment is a scalar node.
type node struct {
	at      place
	kind    kind
	text    string // of a scalar, as written
	null    bool   // a scalar that is null or not there
	comment string // at the end of a plain scalar's line
	items   []*node
	entries []entry
	size    int // how many nodes it is, aliased ones counted each time
}

type kind uint8

const (
	scalar kind = iota
	list
	mapping
)

// describe says what a node is, as a person would.
func (n *node) describe() string {
	switch {
	case n.null:
		return "empty"
	case n.kind == list:
		return "a list"
	case n.kind == mapping:
		return "a map"
	}
	return "a text"
}

// An entry is a key of a map with its value.
type entry struct {
	key   string
	at    place
	value *node
}

// get returns the entry with the key.
func (n *node) get(key string) (entry, bool) {
	for _, e := range n.entries {
		if e.key == key {
			return e, true
		}
	}
	return entry{}, false
}

// maxAliased is how many values aliases may stand for in one file. Twenty
// thousand checks that share five options need half of it.
const maxAliased = 250_000

// maxDepth is how deep values may be nested; a configuration is five deep.
const maxDepth = 20

// A treeBuilder makes nodes of a parsed document.
type treeBuilder struct {
	source  *source
	done    map[*yaml.Node]*node // of anchors; nil while it is being made
	depth   int
	aliased int
	errs    Errors
}

func (b *treeBuilder) fail(at place, path, format string, args ...any) {
	b.errs.add(at, path, format, args...)
}

func (b *treeBuilder) place(y *yaml.Node) place {
	return place{b.source, y.Line, y.Column}
}

// node makes the node of y. It is never nil: what is at fault is empty.
func (b *treeBuilder) node(y *yaml.Node, path string) *node {
	if y.Kind == yaml.AliasNode {
		return b.alias(y, path)
	}
	n := &node{at: b.place(y), size: 1}
	if b.depth == maxDepth {
		b.fail(n.at, path, "is nested more than %d deep", maxDepth)
		return n
	}
	b.depth++
	defer func() { b.depth-- }()
	if y.Anchor != "" {
		b.done[y] = nil
	}
	switch y.Kind {
	case yaml.SequenceNode:
		n.kind = list
		for i, item := range y.Content {
			n.add(b.node(item, fmt.Sprintf("%s[%d]", path, i)))
		}
	case yaml.MappingNode:
		n.kind = mapping
		b.entries(n, y, path)
	default:
		n.text = y.Value
		n.null = y.Tag == "!!null"
		if y.Style == 0 {
			n.comment = y.LineComment
		}
	}
	if y.Style&yaml.TaggedStyle != 0 && !standardTag(y.Tag) {
		b.fail(n.at, path, "the tag %s means nothing here; leave it out", check.CleanText(y.Tag))
	}
	if y.Anchor != "" {
		b.done[y] = n
	}
	return n
}

func standardTag(tag string) bool {
	switch tag {
	case "!!str", "!!int", "!!float", "!!bool", "!!null", "!!seq", "!!map", "!!merge", "!":
		return true
	}
	return false
}

func (n *node) add(item *node) {
	n.items = append(n.items, item)
	n.size += item.size
}

// alias returns the node that an alias stands for. It is shared, so that
// aliases of aliases of aliases take no memory; the sizes are added up, so that
// walking them takes no time either.
func (b *treeBuilder) alias(y *yaml.Node, path string) *node {
	empty := &node{at: b.place(y), size: 1}
	if b.aliased > maxAliased {
		return empty
	}
	n, known := b.done[y.Alias]
	if n == nil {
		if known {
			b.fail(b.place(y), path, "the alias *%s refers to what it is a part of", check.CleanText(y.Value))
		}
		return empty
	}
	b.aliased += n.size
	if b.aliased > maxAliased {
		b.fail(b.place(y), path, "aliases make this file too big: with this one they stand for more than %d values", maxAliased)
		return empty
	}
	return n
}

// entries fills a map: first its own keys, then those merged by <<, which do
// not replace any.
func (b *treeBuilder) entries(n *node, y *yaml.Node, path string) {
	seen := map[string]place{}
	var merged []*node
	for i := 0; i+1 < len(y.Content); i += 2 {
		k, v := y.Content[i], y.Content[i+1]
		key := b.node(k, path)
		if key.kind != scalar {
			b.fail(b.place(k), path, "%s can't be a key; a key is a text", key.describe())
			continue
		}
		sub := join(path, oneLine(key.text))
		value := b.node(v, sub)
		if first, ok := seen[key.text]; ok {
			b.fail(b.place(k), sub, "is given twice; the first is at line %d", first.line)
			continue
		}
		seen[key.text] = b.place(k)
		if k.Tag == "!!merge" {
			merged = append(merged, b.merge(value, path)...)
			continue
		}
		n.addEntry(entry{key.text, b.place(k), value})
	}
	for _, m := range merged {
		for _, e := range m.entries {
			if _, ok := seen[e.key]; !ok {
				seen[e.key] = e.at
				n.addEntry(e)
			}
		}
	}
}

func (n *node) addEntry(e entry) {
	n.entries = append(n.entries, e)
	n.size += e.value.size
}

// merge returns the maps that the value of << names.
func (b *treeBuilder) merge(value *node, path string) []*node {
	maps := []*node{value}
	if value.kind == list {
		maps = value.items
	}
	for _, m := range maps {
		if m.kind != mapping {
			b.fail(m.at, join(path, "<<"), "is %s; give a map to merge, such as *name", m.describe())
		}
	}
	return maps
}

// oneLine makes a key or a value fit to be quoted in a message.
func oneLine(text string) string {
	const most = 60
	text = check.CleanText(text)
	if r := []rune(text); len(r) > most {
		text = strings.TrimSpace(string(r[:most])) + "…"
	}
	return text
}
