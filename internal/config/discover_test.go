package config_test

import (
	"strings"
	"testing"

	"hale/internal/check"
	"hale/internal/config"
)

// engineOptions stands for the options of a way to find checks.
type engineOptions struct {
	Host  string       `option:"host" help:"a host"`
	Token check.Secret `option:"token" help:"a secret"`
	Max   int          `option:"max" help:"a number"`
}

var methods = map[string]func([]check.Option) error{
	"docker": func(options []check.Option) error { return check.SetOptions(&engineOptions{}, options) },
	"links":  func(options []check.Option) error { return check.SetOptions(&struct{}{}, options) },
}

func discovered(c *config.Config) string {
	if c.Discover == nil {
		return "nil"
	}
	var parts []string
	for _, d := range c.Discover {
		part := d.Method
		for _, o := range d.Options {
			part += " " + o.Name + "=" + strings.Join(o.Values, ",")
		}
		parts = append(parts, part)
	}
	return "[" + strings.Join(parts, "; ") + "]"
}

func TestDiscover(t *testing.T) {
	for _, tt := range []struct{ name, file, flag, want string }{
		{"nothing said", "listen: :5000\n", "", "nil"},
		{"none", "discover: {}\n", "", "[]"},
		{"one", "discover: {docker: {}}\n", "", "[docker]"},
		{"without a value", "discover:\n  docker:\n  links:\n", "", "[docker; links]"},
		{"options", "discover:\n  docker: {host: unix:///x, max: 7}\n", "", "[docker host=unix:///x max=7]"},
		{"a flag", "listen: :5000\n", "docker,links", "[docker; links]"},
		{"the flag wins", "discover: {docker: {}}\n", "links", "[links]"},
		{"off", "discover: {docker: {}}\n", "off", "[]"},
	} {
		s := config.Sources{File: write(t, tt.file), Methods: methods}
		if tt.flag != "" {
			s.Flags = map[string]string{"discover": tt.flag}
		}
		if got := discovered(load(t, s)); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestDiscoverFaults(t *testing.T) {
	for _, tt := range []struct{ file, flag, want string }{
		{"discover: docker\n", "", "hale.yaml:1:11: discover: is a text; give a map of method to options, such as {docker: {}}"},
		{"discover: {dokcer: {}}\n", "", `hale.yaml:1:12: "dokcer" is no way to find checks; did you mean "docker"? (known: docker, links)`},
		{"discover:\n  docker: on\n", "", "hale.yaml:2:11: discover.docker: is a text; give a map of options, such as {}"},
		{"discover:\n  docker:\n    max: many\n", "", `hale.yaml:3:10: discover.docker.max: "many" is not a whole number`},
		{"discover:\n  docker:\n    hots: x\n", "", `hale.yaml:3:11: discover.docker.hots: there is no such option; did you mean "host"? (known: host, max, token)`},
		{"{}\n", "docker,nope", `--discover: "nope" is no way to find checks (known: docker, links)`},
	} {
		s := config.Sources{File: write(t, tt.file), Methods: methods}
		if tt.flag != "" {
			s.Flags = map[string]string{"discover": tt.flag}
		}
		if got := loadErr(t, s); got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
	}
}

func TestDiscoverIsShown(t *testing.T) {
	c := load(t, config.Sources{
		File:    write(t, "discover:\n  docker: {host: unix:///x, token: \"${env:ENGINE_TOKEN}\"}\n"),
		Methods: methods,
		Getenv: func(name string) (string, bool) {
			if name != "ENGINE_TOKEN" {
				return "", false
			}
			return "hunter2x", true
		},
	})
	var b strings.Builder
	if err := c.Show(&b); err != nil {
		t.Fatal(err)
	}
	if got := b.String(); !strings.Contains(got, "discover:\n  docker: {host: 'unix:///x', token: '***'}\n") || strings.Contains(got, "hunter2x") {
		t.Errorf("shown as\n%s", got)
	}
}
