package config_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hale/internal/config"
)

// One faulty option does not hide the others of its check, nor does a faulty
// URL; and what may be wrong only because of it is not reported.
func TestFaultsInOneCheck(t *testing.T) {
	got := loadErr(t, config.Sources{File: write(t, `
checks:
  a: {url: "redis://h", password: "${env:NOPE}", role: x, fall: 0, nope: 1}
  b: {url: "redis://${env:NOPE}", role: x, fall: 0, nope: 1}
  c: {url: "redis://h:99999", role: x, fall: 0, nope: 1}
  d: {url: "tcp://:80", interval: ~, timeout: 8s, send: [a, ~]}
  "e e": {url: "tcp://:80", send: ~}
  f: {url: "tcp://:80", timeout: 8s}
  g: {url: "tcp://:80", send: ~, expect: x}
  h: {url: "tcp://:80", expect: x}
defaults: {interval: "${env:NOPE}", timeout: 8s, fall: ~, rise: 0}
`)})
	const options = `fall, groups, impact, interval, name, password, recheck, rise, role, timeout)`
	want := `hale.yaml:3:36: checks.a.password: ${env:NOPE} is not set in the environment
hale.yaml:3:56: checks.a.role: "x" is not a role; give primary or standby
hale.yaml:3:65: checks.a.fall: 0 is out of range; give a count from 1 to 1000
hale.yaml:3:68: checks.a.nope: redis has no such option; did you mean "name"? (it has: ` + options + `
hale.yaml:4:21: checks.b.url: ${env:NOPE} is not set in the environment
hale.yaml:4:50: checks.b.fall: 0 is out of range; give a count from 1 to 1000
hale.yaml:4:53: checks.b.nope: redis has no such option; did you mean "name"? (it has: ` + options + `
hale.yaml:5:12: checks.c.url: port 99999 is out of range; a port is a number from 1 to 65535
hale.yaml:5:46: checks.c.fall: 0 is out of range; give a count from 1 to 1000
hale.yaml:5:49: checks.c.nope: redis has no such option; did you mean "name"? (it has: ` + options + `
hale.yaml:6:35: checks.d.interval: is empty; give a value or leave the key out ("" is an empty text)
hale.yaml:6:61: checks.d.send: is empty; give a value or leave the key out ("" is an empty text)
hale.yaml:7:3: checks.e e: "e e" is not a name; use letters, digits, '.', '_' and '-', starting with a letter or digit
hale.yaml:7:35: checks.e e.send: is empty; give a value or leave the key out ("" is an empty text)
hale.yaml:9:31: checks.g.send: is empty; give a value or leave the key out ("" is an empty text)
hale.yaml:10:3: checks.h.send: is missing; expect needs it
hale.yaml:11:23: defaults.interval: ${env:NOPE} is not set in the environment
hale.yaml:11:56: defaults.fall: is empty; give a value or leave the key out ("" is an empty text)
hale.yaml:11:65: defaults.rise: 0 is out of range; give a count from 1 to 1000`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// Faults everywhere are reported together, in order of place, and the exit
// status can be told from them.
func TestAllFaultsAtOnce(t *testing.T) {
	s := config.Sources{
		File:   write(t, "lisen: :1\nchecks:\n  a: tcp://:0\n"),
		Getenv: env("HALE_CHECKS", "tcp://:80 what\nhtpp://x"),
		Args:   []string{"tcp://:81", "tcp://:82#interval=5", ""},
		Flags:  map[string]string{"grace": "5"},
	}
	got := loadErr(t, s)
	want := `hale.yaml:1:1: unknown key "lisen"; did you mean "listen"? (known: own_ip, listen, admin, fail_status, degraded_status, drain_delay, grace, max_connections, proxy_protocol, tls, tls_cert, tls_key, tls_client_ca, agent_check, degraded_weight, on_demand, log_level, log_format, pools, defaults, discover, checks)
hale.yaml:3:6: checks.a: port 0 is out of range; a port is a number from 1 to 65535
HALE_CHECKS:1:11: "what" does not begin a check, and there is no command before it on this line that it could belong to; write KIND://HOST:PORT, such as tcp://127.0.0.1:5432
HALE_CHECKS:2:1: unknown kind of check "htpp"; did you mean "http"? (known: exec, file, http, postgres, redis, tcp)
--grace: "5" has no unit; write 5s for seconds, 5ms for milliseconds
argument 2: interval: "5" has no unit; write 5s for seconds, 5ms for milliseconds
argument 3: is empty; give a URL such as tcp://127.0.0.1:5432`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}

	usage := func(s config.Sources) bool {
		if s.Getenv == nil {
			s.Getenv = unset
		}
		_, err := config.Load(s, registry(t))
		errs, ok := errors.AsType[config.Errors](err)
		if !ok {
			t.Fatalf("%T is not config.Errors", err)
		}
		return errs.Usage()
	}
	if usage(s) {
		t.Error("Usage with faults in a file is true")
	}
	if usage(config.Sources{Getenv: env("HALE_CHECKS", "x")}) {
		t.Error("Usage with a fault in HALE_CHECKS is true")
	}
	if usage(config.Sources{File: "argument 1"}) {
		t.Error("Usage with a missing file is true")
	}
	if !usage(config.Sources{Args: s.Args, Flags: s.Flags}) {
		t.Error("Usage with faults in arguments and flags alone is false")
	}
	if (config.Errors{}).Usage() {
		t.Error("Usage of no fault is true")
	}
}

// An error's fields are for those who show it in their own way.
func TestErrorFields(t *testing.T) {
	file := write(t, "checks:\n  é: {url: \"tcp://:80\", interval: 10}\n")
	_, err := config.Load(config.Sources{File: file, Getenv: unset}, registry(t))
	errs, _ := errors.AsType[config.Errors](err)
	if len(errs) != 2 {
		t.Fatalf("got %v", err)
	}
	got := errs[1]
	if got.Source != file || got.Line != 2 || got.Column != 35 || got.Path != "checks.é.interval" || !strings.HasPrefix(got.Msg, `"10" has no unit`) {
		t.Errorf("got %+v", got)
	}
}

// Very many faults are counted, not all spelled out.
func TestManyFaults(t *testing.T) {
	var b strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&b, "x%d: 1\n", i)
	}
	got := loadErr(t, config.Sources{File: write(t, b.String())})
	lines := strings.Split(got, "\n")
	if len(lines) != 201 || lines[200] != "… and 9800 more" {
		t.Errorf("%d lines, the last %q", len(lines), lines[len(lines)-1])
	}
}
