package config_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.yaml.in/yaml/v4"

	"hale/internal/check"
	"hale/internal/config"
	"hale/internal/kinds"
)

// examples are checks whose options depend on each other, or whose URLs are odd.
var examples = []map[string]any{
	{"url": "http://127.0.0.1/a%20b?x=1&y=$${z}", "unix": "/run/a b&c.sock", "status": "200,301-302", "headers": map[string]string{"X-A": "b,c=d", "X-B": ""}, "body": "$${x} $$${y}"},
	{"url": "http://h/?", "body": "a,b", "body_regexp": `^\d{3}$`, "groups": []string{}, "timeout": "2s", "slow": "1500ms"},
	{"url": "http://[fe80::1%25eth0]:80/"},
	{"url": "https://h/", "follow": 3, "version": "2", "insecure": true, "keepalive": true},
	{"url": "dns://127.0.0.1/www.example.org", "type": "TXT", "expect": []string{"v=spf1, -all", "b"}, "exact": true},
	{"url": "dns://127.0.0.1/www.example.org", "expect": []string{"10.0.0.1,10.0.0.2"}},
	{"url": "exec:/bin/sh -c 'echo a\nexit 0 #x'", "env": map[string]string{"A": "b,c", "D": "$${E}"}, "codes": "nagios"},
	{"url": "exec:/bin/echo " + string(bytes.Repeat([]byte("word "), 200))},
	{"url": "postgres://app@/db", "host": "/run/postgresql"},
	{"url": "postgres://app@h/db", "query": "select 1", "expect": "1", "role": "standby", "sslmode": "require"},
	{"url": "mysql://app@/", "unix": "/run/mysqld.sock"},
	{"url": "memory:", "min_free": "12.5%", "max_swap": "0"},
	{"url": "memory:", "min_free": "1536MiB"},
	{"url": "mount:///data", "fstype": []string{"ext4", "xfs"}},
	{"url": "systemd://nginx.service", "state": []string{"active", "reloading"}},
	{"url": "tcp://127.0.0.1:25", "send": `QUIT\r\n`, "expect": "221 ", "interval": "1s"},
	{"url": "redis://h/3", "role": "master"},
}

// values are what an option may be given; of each kind's options those stay that
// the kind takes.
var values = []any{
	"", "0", "1", "7", "true", "2h", "15%", "3MB", "a", "a,b", "/x y/z", "$${q}", "GET", "200-204,304", "primary", "master", "exit", "http://p:3128",
	[]string{}, []string{"a"}, []string{"a", "b"}, map[string]string{}, map[string]string{"A": "b", "C": "d,e=f"},
}

// What is shown is a configuration that means the same, whatever the kinds and
// their options, as long as no secret had to be masked.
func TestShowRoundTrip(t *testing.T) {
	r, err := check.NewRegistry(check.Env{}, kinds.All()...)
	if err != nil {
		t.Fatal(err)
	}
	checks := map[string]any{}
	for i, e := range examples {
		checks[fmt.Sprintf("example-%d", i)] = e
	}
	for _, k := range kinds.All() {
		scheme := strings.ReplaceAll(k.Scheme, "+", "-")
		checks[scheme] = k.Example
		for _, o := range k.Options() {
			for i, v := range values {
				_, err := r.Build(check.Spec{URL: k.Example, Options: []check.Option{optionOf(o.Name, v)}, Policy: check.DefaultPolicy()})
				if err == nil && !check.SecretName(o.Name) {
					checks[fmt.Sprintf("%s-%s-%d", scheme, o.Name, i)] = map[string]any{"url": k.Example, o.Name: v}
				}
			}
		}
	}
	before, err := loadMap(t, r, map[string]any{
		"proxy_protocol": []string{"10.0.0.5", "10.1.0.0/16"}, "agent_check": ":5002", "degraded_weight": "50%", "checks": checks,
		"defaults": map[string]any{"interval": "2s", "groups": []string{"a", "b"}}, "discover": map[string]any{"list": map[string]any{"names": []string{"a", "b"}, "labels": map[string]string{"c": "d"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	text := shown(t, before)
	after, err := loadText(t, r, text)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	ignored := cmpopts.IgnoreFields(check.Check{}, "Checker", "ID")
	if diff := cmp.Diff(before.Checks, after.Checks, ignored, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("the checks are not the same (-before +after)\n%s", diff)
	}
	if diff := cmp.Diff(text, shown(t, after)); diff != "" {
		t.Errorf("what is shown is not the same (-before +after)\n%s", diff)
	}
	if before.Policy != after.Policy || !cmp.Equal(before.Defaults, after.Defaults) {
		t.Errorf("the defaults are %v %v, want %v %v", after.Policy, after.Defaults, before.Policy, before.Defaults)
	}
}

// optionOf is the option that a configuration's value gives.
func optionOf(name string, value any) check.Option {
	o := check.Option{Name: name}
	switch value := value.(type) {
	case string:
		o.Values = []string{value}
	case []string:
		o.Values = value
	case map[string]string:
		o.IsMap = true
		for name, text := range value {
			o.Pairs = append(o.Pairs, [2]string{name, text})
		}
	}
	return o
}

// shown is what is shown of a configuration, without where it is from.
func shown(t *testing.T, c *config.Config) string {
	t.Helper()
	var b bytes.Buffer
	if err := c.Show(&b); err != nil {
		t.Fatal(err)
	}
	_, rest, _ := bytes.Cut(b.Bytes(), []byte("\n"))
	return string(rest)
}

func loadMap(t *testing.T, r *check.Registry, m map[string]any) (*config.Config, error) {
	t.Helper()
	data, err := yaml.Dump(m)
	if err != nil {
		t.Fatal(err)
	}
	return loadText(t, r, string(data))
}

func loadText(t *testing.T, r *check.Registry, text string) (*config.Config, error) {
	t.Helper()
	file := write(t, text)
	return config.Load(config.Sources{
		File: file, Getenv: unset,
		Methods: map[string]func([]check.Option) error{"list": func([]check.Option) error { return nil }},
	}, r)
}
