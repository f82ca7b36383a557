package config_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hale/internal/config"
)

// ownIP finds an address and counts how often it is asked.
func ownIP(asked *int, address, warning string, err error) config.OwnIP {
	return config.OwnIP{
		Sources: []string{"auto", "ec2", "route"},
		Find: func(source string) (string, string, error) {
			*asked++
			if source == "route" {
				return "[fd00::5]", "", nil
			}
			return address, warning, err
		},
	}
}

func TestOwnIP(t *testing.T) {
	asked := 0
	c := load(t, config.Sources{
		File: write(t, `listen: "${own_ip}:5000"
checks:
  web: {url: "http://127.0.0.1:8000/", host: "${own_ip}"}
  own: tcp://${own_ip}:5432
`),
		Args: []string{"tcp://${own_ip}:6379"}, Getenv: env("HALE_CHECKS", "redis://${own_ip}:6379"),
		OwnIP: ownIP(&asked, "10.0.1.85", "it hangs", nil),
	})
	if c.OwnIP.Address != "10.0.1.85" || c.Listen != "10.0.1.85:5000" || asked != 1 {
		t.Errorf("%+v, listens on %s, asked %d times", c.OwnIP, c.Listen, asked)
	}
	if diff := cmp.Diff([]string{"it hangs"}, c.Warnings); diff != "" {
		t.Errorf("warnings (-want +got)\n%s", diff)
	}
	for _, o := range c.Checks[0].Options {
		if o.Name == "host" && o.Value != "10.0.1.85" {
			t.Errorf("the option host is %s", o.Value)
		}
	}
	var targets []string
	for _, one := range c.Checks {
		targets = append(targets, one.Target)
	}
	if got, want := strings.Join(targets, " "), "http://127.0.0.1:8000/ tcp://10.0.1.85:5432 redis://10.0.1.85:6379 tcp://10.0.1.85:6379"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// Nobody is asked for what nothing stands for.
func TestOwnIPUnused(t *testing.T) {
	asked := 0
	c := load(t, config.Sources{File: write(t, "own_ip: ec2\nchecks: {a: \"tcp://:1#name=a\", b: \"exec:/bin/echo $${own_ip}\"}\n"), OwnIP: ownIP(&asked, "10.0.1.85", "", nil)})
	if asked != 0 || c.OwnIP.Address != "" || c.OwnIP.Source != "ec2" {
		t.Errorf("asked %d times; %+v", asked, c.OwnIP)
	}
}

func TestOwnIPSource(t *testing.T) {
	for _, text := range []string{"own_ip: route", "own_ip: {source: route}", "own_ip:\n  source: ${env:WHERE}"} {
		asked := 0
		// The key may stand anywhere.
		c := load(t, config.Sources{
			File: write(t, "listen: \"${own_ip}:5000\"\n"+text+"\nchecks: {own: \"tcp://${own_ip}:1\"}\n"), Getenv: env("WHERE", "route"), OwnIP: ownIP(&asked, "10.0.1.85", "", nil),
		})
		if c.Checks[0].Target != "tcp://[fd00::5]:1" || c.Listen != "[fd00::5]:5000" || c.OwnIP.Source != "route" {
			t.Errorf("%s: %s, %s, %+v", text, c.Checks[0].Target, c.Listen, c.OwnIP)
		}
	}
}

func TestOwnIPFaults(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"own_ip: rout", `hale.yaml:1:9: own_ip: "rout" is no source of the own address; did you mean "route"? (known: auto, ec2, route)`},
		{"own_ip: {source: ec3}", `hale.yaml:1:18: own_ip.source: "ec3" is no source of the own address; did you mean "ec2"? (known: auto, ec2, route)`},
		{"own_ip: {sorce: ec2, source: ec2}", `hale.yaml:1:10: own_ip.sorce: unknown key; did you mean "source"? (known: source)`},
		{"own_ip: {}", `hale.yaml:1:9: own_ip: has no source; write {source: ec2}`},
		{"own_ip: [ec2]", `hale.yaml:1:9: own_ip: is a list; give a text`},
		{"own_ip:", `hale.yaml:1:8: own_ip: is empty; give a value or leave the key out ("" is an empty text)`},
		{"checks: {a: \"tcp://${own_ip:ec2}:1\"}", `hale.yaml:1:20: checks.a: ${own_ip:ec2} takes nothing after it; write ${own_ip}, and own_ip: {source: ec2} at the top of the file`},
		{"checks: {a: \"tcp://${own_ip}:1\", b: \"tcp://${own_ip}:2\"}", `hale.yaml:1:20: checks.a: ${own_ip} can't be found out: it hangs
hale.yaml:1:44: checks.b: ${own_ip} can't be found out: it hangs`},
	} {
		asked := 0
		got := loadErr(t, config.Sources{File: write(t, c.text), OwnIP: ownIP(&asked, "", "", errors.New("it hangs"))})
		if diff := cmp.Diff(c.want, got); diff != "" || asked > 1 {
			t.Errorf("%s: asked %d times (-want +got)\n%s", c.text, asked, diff)
		}
	}
}
