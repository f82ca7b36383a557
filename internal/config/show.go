package config

import (
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"hale/internal/check"
)

// Show writes what is in force as YAML: every setting, and every check with its
// policy and all its options, defaults included and secrets masked.
func (c *Config) Show(w io.Writer) error {
	root := &yaml.Node{Kind: yaml.MappingNode}
	if len(c.Sources) > 0 {
		root.HeadComment = "# in force, from " + check.CleanText(strings.Join(c.Sources, ", "))
	}
	for _, k := range keys() {
		if k.show != nil {
			put(root, k.name, text(k.show(c)))
		}
	}
	pools := &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}
	for _, name := range slices.Sorted(maps.Keys(c.Pools)) {
		put(pools, name, text(strconv.Itoa(c.Pools[name])))
	}
	put(root, "pools", pools)
	if c.Discover != nil {
		put(root, "discover", c.shownDiscover())
	}
	checks := &yaml.Node{Kind: yaml.MappingNode}
	if len(c.Checks) == 0 {
		checks.Style = yaml.FlowStyle
	}
	for _, ck := range c.Checks {
		put(checks, ck.Name, shownCheck(ck))
	}
	put(root, "checks", checks)
	data, err := yaml.Dump(root)
	if err != nil {
		return err
	}
	_, err = w.Write(data)
	return err
}

func shownCheck(c *check.Check) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	put(n, "url", text(c.Target))
	for _, s := range []check.Setting{
		{Name: "interval", Value: c.Policy.Interval.String()},
		{Name: "timeout", Value: c.Policy.Timeout.String()},
		{Name: "recheck", Value: c.Policy.Recheck.String()},
		{Name: "fall", Value: strconv.Itoa(c.Policy.Fall)},
		{Name: "rise", Value: strconv.Itoa(c.Policy.Rise)},
		{Name: "impact", Value: string(c.Impact)},
	} {
		put(n, s.Name, text(s.Value))
	}
	groups := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
	for _, g := range c.Groups {
		groups.Content = append(groups.Content, text(g))
	}
	put(n, "groups", groups)
	for _, o := range c.Options {
		put(n, o.Name, text(o.Value))
	}
	return n
}

func put(m *yaml.Node, key string, value *yaml.Node) {
	m.Content = append(m.Content, text(key), value)
}

// bare is a text that means the same to YAML with and without quotes.
var bare = lazily(`^(true|false|0|[1-9][0-9]{0,9})$`)

func text(s string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
	if bare().MatchString(s) {
		n.Tag = ""
	}
	return n
}
