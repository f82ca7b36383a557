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
// policy and all its options, defaults included and secrets masked. Where none is,
// it is a configuration that means the same.
func (c *Config) Show(w io.Writer) error {
	root := &yaml.Node{Kind: yaml.MappingNode}
	if len(c.Sources) > 0 {
		root.HeadComment = "# in force, from " + check.CleanText(strings.Join(c.Sources, ", "))
	}
	for _, k := range keys() {
		if k.show != nil {
			put(root, k.name, literal(k.show(c)))
		}
	}
	pools := &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}
	for _, name := range slices.Sorted(maps.Keys(c.Pools)) {
		put(pools, name, text(strconv.Itoa(c.Pools[name])))
	}
	put(root, "pools", pools)
	if defaults := c.shownDefaults(); len(defaults.Content) > 0 {
		put(root, "defaults", defaults)
	}
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

// shownDefaults are the defaults that are not hale's own. The checks have them
// already; those that are found will.
func (c *Config) shownDefaults() *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}
	own := policySettings(check.DefaultPolicy())
	for i, s := range policySettings(c.Policy) {
		if s != own[i] {
			put(n, s.Name, text(s.Value))
		}
	}
	for _, o := range c.Defaults {
		put(n, o.Name, shownOption(o, nil))
	}
	return n
}

func policySettings(p check.Policy) []check.Setting {
	return []check.Setting{
		{Name: "interval", Value: p.Interval.String()},
		{Name: "timeout", Value: p.Timeout.String()},
		{Name: "recheck", Value: p.Recheck.String()},
		{Name: "fall", Value: strconv.Itoa(p.Fall)},
		{Name: "rise", Value: strconv.Itoa(p.Rise)},
	}
}

func shownCheck(c *check.Check) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	put(n, "url", literal(c.URL))
	for _, s := range policySettings(c.Policy) {
		put(n, s.Name, text(s.Value))
	}
	put(n, "impact", text(string(c.Impact)))
	groups := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
	for _, g := range c.Groups {
		groups.Content = append(groups.Content, text(g))
	}
	put(n, "groups", groups)
	for _, o := range c.Options {
		value := literal(o.Value)
		if i := slices.IndexFunc(c.Lists, func(l check.Option) bool { return l.Name == o.Name }); i >= 0 {
			value = shownOption(c.Lists[i], nil)
		}
		put(n, o.Name, value)
	}
	return n
}

// shownOption shows an option as it is given: one text, a list or a map.
func shownOption(o check.Option, secrets check.Secrets) *yaml.Node {
	if o.IsMap {
		n := &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}
		for _, pair := range o.Pairs {
			put(n, pair[0], literal(secrets.Mask(pair[1])))
		}
		return n
	}
	if len(o.Values) == 1 {
		return literal(secrets.Mask(o.Values[0]))
	}
	n := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
	for _, value := range o.Values {
		n.Content = append(n.Content, literal(secrets.Mask(value)))
	}
	return n
}

// literal is a text in which nothing is to be filled in any more.
func literal(s string) *yaml.Node { return text(strings.ReplaceAll(s, "${", "$${")) }

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
