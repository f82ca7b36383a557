package config_test

import (
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"hale/internal/check"
	"hale/internal/config"
)

// write writes a configuration file and returns its path.
func write(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "hale.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// env makes a Getenv of names and values.
func env(pairs ...string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1], true
			}
		}
		return "", false
	}
}

// load loads what must be right.
func load(t *testing.T, s config.Sources) *config.Config {
	t.Helper()
	if s.Getenv == nil {
		s.Getenv = unset
	}
	c, err := config.Load(s, registry(t))
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	return c
}

// loadErr loads what must be wrong and returns the message, with the file's
// directory left out.
func loadErr(t *testing.T, s config.Sources) string {
	t.Helper()
	if s.Getenv == nil {
		s.Getenv = unset
	}
	c, err := config.Load(s, registry(t))
	if err == nil || c != nil {
		t.Fatalf("got %+v, %v; want an error and no config", c, err)
	}
	if s.File != "" {
		return strings.ReplaceAll(err.Error(), filepath.Dir(s.File)+"/", "")
	}
	return err.Error()
}

func names(c *config.Config) string {
	var all []string
	for _, ck := range c.Checks {
		all = append(all, ck.Name)
	}
	return strings.Join(all, " ")
}

func find(t *testing.T, c *config.Config, name string) *check.Check {
	t.Helper()
	for _, ck := range c.Checks {
		if ck.Name == name {
			return ck
		}
	}
	t.Fatalf("no check %q among: %s", name, names(c))
	return nil
}

func option(c *check.Check, name string) string {
	for _, s := range c.Options {
		if s.Name == name {
			return s.Value
		}
	}
	return "no such option"
}

// note runs the check once; the checkers of these tests tell what they were
// made of.
func note(t *testing.T, c *check.Check) string {
	t.Helper()
	text, err := c.Checker.Check(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// A file that says nothing gives the defaults, and so does no file.
func TestEmptyIsDefaults(t *testing.T) {
	want := &config.Config{
		Listen: ":5000", Admin: "127.0.0.1:5001", FailStatus: 503, Grace: 10 * time.Second,
		DegradedStatus: 200, MaxConnections: 4096, TLS: true, AgentCheck: "off",
		LogLevel: slog.LevelInfo, LogFormat: "text",
		Pools: map[string]int{"exec": 64}, Policy: check.DefaultPolicy(),
	}
	for name, s := range map[string]config.Sources{
		"no file":              {},
		"missing default file": {DefaultFile: "/nonexistent/hale.yaml"},
		"{}":                   {File: write(t, "{}\n")},
		"empty maps":           {File: write(t, "checks: {}\ndefaults: {}\npools: {}\n")},
	} {
		t.Run(name, func(t *testing.T) {
			got := load(t, s)
			want := *want
			if s.File != "" {
				want.Sources = []string{s.File}
			}
			if diff := cmp.Diff(&want, got, cmpopts.IgnoreUnexported(config.Discovery{})); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestFullFile(t *testing.T) {
	c := load(t, config.Sources{
		File:     "testdata/good/full.yaml",
		Hostname: func() (string, error) { return "web-1", nil },
	})
	got := *c
	got.Checks = nil
	want := config.Config{
		Listen: "127.0.0.1:8080", Admin: "unix:/run/hale/admin.sock", FailStatus: 500,
		DrainDelay: 15 * time.Second, Grace: 30 * time.Second, MaxConnections: 100, OnDemand: true,
		DegradedStatus: 429, AgentCheck: ":5002", DegradedWeight: 50,
		ProxyProtocol: []netip.Prefix{
			netip.MustParsePrefix("10.0.0.5/32"), netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("10.0.0.6/32"),
			netip.MustParsePrefix("fd00::/8"), netip.MustParsePrefix("192.0.2.1/32"),
		},
		TLS: true, TLSCert: "/etc/hale/tls.pem", TLSKey: "/etc/hale/tls.pem", TLSClientCA: "/etc/hale/clients.pem",
		LogLevel: slog.LevelDebug, LogFormat: "json", Pools: map[string]int{"exec": 8},
		Policy:   check.Policy{Interval: 10 * time.Second, Timeout: 3 * time.Second, Recheck: time.Second, Fall: 2, Rise: 3},
		Defaults: []check.Option{{Name: "impact", Values: []string{"warn"}}, {Name: "groups", Values: []string{"ready", "web"}}},
		Sources:  []string{"testdata/good/full.yaml"},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(config.Discovery{}), cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
		t.Errorf("settings (-want +got)\n%s", diff)
	}
	if got, want := names(c), "web db worker"; got != want {
		t.Errorf("names %q, want %q", got, want)
	}

	web := find(t, c, "web")
	if got, want := web.Policy.String(), "every 5s, timeout 3s, recheck 1s, fall 2, rise 3"; got != want {
		t.Errorf("web: policy %q, want %q: its own interval wins over the defaults'", got, want)
	}
	if got, want := web.Target, "http://127.0.0.1:8000/health?full=1"; got != want {
		t.Errorf("web: target %q, want %q", got, want)
	}
	if got, want := option(web, "status"), "200,201-204"; got != want {
		t.Errorf("web: status %q, want %q: beside wins over the URL", got, want)
	}
	if got, want := option(web, "host"), "web-1.example"; got != want {
		t.Errorf("web: host %q, want %q", got, want)
	}
	if got, want := option(web, "headers"), "X-Check=hale"; got != want {
		t.Errorf("web: headers %q, want %q", got, want)
	}
	if web.Impact != check.ImpactWarn || strings.Join(web.Groups, ",") != "ready,web" {
		t.Errorf("web: impact %s, groups %v; want the defaults'", web.Impact, web.Groups)
	}

	db := find(t, c, "db")
	if got, want := note(t, db), "app:0123"; got != want {
		t.Errorf("db: login %q, want %q", got, want)
	}
	if db.Impact != check.ImpactFail || strings.Join(db.Groups, ",") != "live" {
		t.Errorf("db: impact %s, groups %v; want the URL's", db.Impact, db.Groups)
	}
	if got, want := db.Policy.Interval, 10*time.Second; got != want {
		t.Errorf("db: interval %v, want %v", got, want)
	}
	if got, want := note(t, find(t, c, "worker")), "/usr/local/bin/zk.sh|--port|21 81"; got != want {
		t.Errorf("worker: words %q, want %q", got, want)
	}
}

// Anchors, aliases and merge keys mean what they mean in YAML: a map's own keys
// win over merged ones, and earlier merged ones over later ones.
func TestAliases(t *testing.T) {
	c := load(t, config.Sources{File: "testdata/good/aliases.yaml"})
	var got []string
	for _, ck := range c.Checks {
		got = append(got, fmt.Sprintf("%s %s %v %v %s", ck.Name, ck.Target, ck.Policy.Interval, ck.Policy.Timeout, option(ck, "status")))
	}
	want := []string{
		"a http://127.0.0.1:8000/a 10s 3s 200,404",
		"b http://127.0.0.1:8000/b 10s 3s 200,404",
		"c http://127.0.0.1:8000/c 7s 1s 200,404",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// Scalars are taken as they are written, whatever type YAML sees in them.
func TestScalarsAsWritten(t *testing.T) {
	for _, text := range []string{
		"0123", "0x1F", "1_000", "1e3", "007", "yes", "on", "True", "2026-01-01", "12:30:45", ".inf", "1.10",
		"'null'", `"~"`, "!!str 5", "a b", "é", `"a\tb"`,
	} {
		t.Run(text, func(t *testing.T) {
			c := load(t, config.Sources{File: write(t, "checks:\n  a: {url: 'redis://h', password: "+text+"}\n")})
			want := strings.Trim(strings.TrimPrefix(text, "!!str "), `'"`)
			want = strings.ReplaceAll(want, `\t`, "\t")
			if got := note(t, c.Checks[0]); got != ":"+want {
				t.Errorf("got %q, want %q", got, ":"+want)
			}
		})
	}
}

// A defaults section with an interval alone leaves the timeout to each check.
func TestDefaultsKeepWhatTheyDoNotGive(t *testing.T) {
	c := load(t, config.Sources{File: write(t, `
defaults: {interval: 500ms}
checks:
  fast: tcp://:80
  slow: {url: "tcp://:81", interval: 10s}
`)})
	if got, want := find(t, c, "fast").Policy.String(), "every 500ms, timeout 500ms, recheck 500ms, fall 2, rise 2"; got != want {
		t.Errorf("fast: %q, want %q", got, want)
	}
	if got, want := find(t, c, "slow").Policy.String(), "every 10s, timeout 3s, recheck 1s, fall 2, rise 2"; got != want {
		t.Errorf("slow: %q, want %q", got, want)
	}
}

// What looks like an option in the query of an http URL is none.
func TestDefaultsAndQuery(t *testing.T) {
	c := load(t, config.Sources{File: write(t, `
defaults: {impact: warn, groups: [live]}
checks:
  http: http://h/?impact=fail&groups=x
  tcp: tcp://:80?impact=fail&groups=x
  exec: "exec:/x.sh impact=fail #groups=x"
`)})
	var got []string
	for _, ck := range c.Checks {
		got = append(got, fmt.Sprintf("%s %s %v", ck.Name, ck.Impact, ck.Groups))
	}
	want := []string{"http warn [live]", "tcp fail [x]", "exec warn [x]"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// The file's own encoding does not matter as long as it is UTF-8.
func TestTextForms(t *testing.T) {
	for name, text := range map[string]string{
		"BOM":          "\ufefflisten: :5005\nchecks:\n  a: tcp://:80\n",
		"CRLF":         "listen: :5005\r\nchecks:\r\n  a: tcp://:80\r\n",
		"no line end":  "listen: :5005\nchecks:\n  a: tcp://:80",
		"---":          "---\nlisten: :5005\nchecks:\n  a: tcp://:80\n...\n",
		"JSON":         `{"listen": ":5005", "checks": {"a": "tcp://:80"}}`,
		"block scalar": "listen: :5005\nchecks:\n  a: >\n    tcp://:80\n",
	} {
		t.Run(name, func(t *testing.T) {
			c := load(t, config.Sources{File: write(t, text)})
			if c.Listen != ":5005" || names(c) != "a" || c.Checks[0].Target != "tcp://:80" {
				t.Errorf("got %s %s %s", c.Listen, names(c), c.Checks[0].Target)
			}
		})
	}
}

// A byte order mark is not a character of the first line.
func TestColumnAfterBOM(t *testing.T) {
	got := loadErr(t, config.Sources{File: write(t, "\ufefflisten: ':${env:NOPE}'\n")})
	if want := "hale.yaml:1:11: listen: ${env:NOPE} is not set in the environment"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestFileOrDefaultFile(t *testing.T) {
	given, standard := write(t, "listen: :1\n"), write(t, "listen: :2\n")
	for _, tt := range []struct {
		file, standard, want string
		sources              []string
	}{
		{given, standard, ":1", []string{given}},
		{"", standard, ":2", []string{standard}},
		{"", standard + "x", ":5000", nil},
		{"", "", ":5000", nil},
	} {
		c := load(t, config.Sources{File: tt.file, DefaultFile: tt.standard})
		if c.Listen != tt.want || !cmp.Equal(c.Sources, tt.sources) {
			t.Errorf("File %q, DefaultFile %q: listen %s, sources %v; want %s, %v", tt.file, tt.standard, c.Listen, c.Sources, tt.want, tt.sources)
		}
	}
	// A default file that is there is not optional any more.
	got := loadErr(t, config.Sources{DefaultFile: t.TempDir()})
	if !strings.HasSuffix(got, ": is a directory; give a file") {
		t.Errorf("got %q", got)
	}
}

func TestSourcesAreAdded(t *testing.T) {
	file := write(t, "checks:\n  a: tcp://:80\n")
	c := load(t, config.Sources{
		File: file, Getenv: env("HALE_CHECKS", "tcp://:81"), Args: []string{"tcp://:82"},
	})
	if got, want := names(c), "a tcp-81 tcp-82"; got != want {
		t.Errorf("names %q, want %q", got, want)
	}
	if got, want := c.Sources, []string{file, "HALE_CHECKS", "arguments"}; !cmp.Equal(got, want) {
		t.Errorf("sources %q, want %q", got, want)
	}
}

func TestTwoListenersOnOneAddress(t *testing.T) {
	for _, tt := range []struct{ listen, admin, want string }{
		{":5001", "", "hale.yaml:1:9: listen: the public listener (:5001) and the admin listener (127.0.0.1:5001) can't share a port; give one of them another"},
		{":7", "127.0.0.1:7", "hale.yaml:2:8: admin: the public listener (:7) and the admin listener (127.0.0.1:7) can't share a port; give one of them another"},
		{"127.0.0.1:7", "127.0.0.1:7", "hale.yaml:2:8: admin: the public listener (127.0.0.1:7) and the admin listener (127.0.0.1:7) can't share a port; give one of them another"},
		{"127.0.0.2:7", "127.0.0.1:7", ""}, {":7", "127.0.0.1:8", ""}, {":0", "127.0.0.1:0", ""}, {":5001", "off", ""}, {":5001", "unix:/x", ""},
	} {
		text := "listen: " + tt.listen + "\n"
		if tt.admin != "" {
			text += "admin: " + tt.admin + "\n"
		}
		file := write(t, text)
		if tt.want == "" {
			load(t, config.Sources{File: file})
			continue
		}
		if got := loadErr(t, config.Sources{File: file}); got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
	}
	for _, tt := range []struct{ text, want string }{
		{"agent_check: :5000", "hale.yaml:1:14: agent_check: the public listener (:5000) and the agent-check's listener (:5000) can't share a port; give one of them another"},
		{"agent_check: :5001", "hale.yaml:1:14: agent_check: the admin listener (127.0.0.1:5001) and the agent-check's listener (:5001) can't share a port; give one of them another"},
		{"listen: 127.0.0.1:7\nagent_check: 127.0.0.1:7", "hale.yaml:2:14: agent_check: the public listener (127.0.0.1:7) and the agent-check's listener (127.0.0.1:7) can't share a port; give one of them another"},
	} {
		if got := loadErr(t, config.Sources{File: write(t, tt.text)}); got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
	}
	got := loadErr(t, config.Sources{Flags: map[string]string{"listen": ":5001"}})
	if want := "--listen: the public listener (:5001) and the admin listener (127.0.0.1:5001) can't share a port; give one of them another"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestFlags(t *testing.T) {
	file := write(t, "listen: :1\nfail_status: 500\n")
	c := load(t, config.Sources{File: file, Flags: map[string]string{"listen": ":2", "on_demand": "true"}})
	if c.Listen != ":2" || c.FailStatus != 500 || !c.OnDemand {
		t.Errorf("got %s %d %v", c.Listen, c.FailStatus, c.OnDemand)
	}
	got := loadErr(t, config.Sources{Flags: map[string]string{"fail_status": "200", "nope": "1", "checks": "x", "admin": ":5001"}})
	want := `--admin: ":5001" is not a loopback address; use 127.0.0.1, [::1] or localhost, or unix:/PATH
--fail-status: 200 is out of range; give a number from 400 to 599
--checks: is not a setting that a flag can give
--nope: is not a setting that a flag can give`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// Flags give what files give, in texts, and contradictions in them are theirs.
func TestListenerFlags(t *testing.T) {
	file := write(t, "proxy_protocol: [10.0.0.1]\ndegraded_weight: 30%\nagent_check: :5002\n")
	c := load(t, config.Sources{File: file, Flags: map[string]string{"proxy_protocol": "10.0.0.2, ::1", "agent_check": "127.0.0.1:0"}})
	if got, want := fmt.Sprintf("%v %s %d", c.ProxyProtocol, c.AgentCheck, c.DegradedWeight), "[10.0.0.2/32 ::1/128] 127.0.0.1:0 30"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	c = load(t, config.Sources{File: file, Flags: map[string]string{"proxy_protocol": "off", "degraded_weight": "off", "agent_check": "off"}})
	if len(c.ProxyProtocol) > 0 || c.AgentCheck != "off" || c.DegradedWeight != 0 {
		t.Errorf("got %v %s %d, want nothing", c.ProxyProtocol, c.AgentCheck, c.DegradedWeight)
	}
	c = load(t, config.Sources{File: write(t, `agent_check: " off "`), Flags: map[string]string{"admin": "off ", "tls": " off"}})
	if c.Admin != "off" || c.AgentCheck != "off" || c.TLS {
		t.Errorf("blanks count: admin %q, agent_check %q, TLS %t", c.Admin, c.AgentCheck, c.TLS)
	}
	got := loadErr(t, config.Sources{Flags: map[string]string{"tls": "off", "tls_cert": "a", "degraded_weight": "50", "proxy_protocol": "off,10.0.0.1"}})
	want := `--proxy-protocol: "off" is no address and no network; write 10.0.0.5, 10.1.0.0/16 or fd00::/8, or off
--tls-cert: is given, but tls is off; leave one of them out
--degraded-weight: is told to HAProxy's agent-check, which is off; give its address too, such as agent_check: :5002`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// The admin listener is for this host alone; the public one is for everybody.
func TestAddresses(t *testing.T) {
	for _, good := range []string{":5000", "127.0.0.1:0", "[::1]:5000", "[::]:80", "host.example:65535", "localhost:1"} {
		load(t, config.Sources{Flags: map[string]string{"listen": good}})
	}
	for _, bad := range []string{"", "5000", "host", "::1:5000", "http://:5000", ":http", ":-1", ":65536", "a b:80", ":"} {
		loadErr(t, config.Sources{Flags: map[string]string{"listen": bad}})
	}
	for _, good := range []string{"off", "unix:/run/x.sock", "127.0.0.1:5001", "127.9.9.9:1", "[::1]:5001", "localhost:5001"} {
		load(t, config.Sources{Flags: map[string]string{"admin": good}})
	}
	for _, bad := range []string{"", "on", "unix:", "unix:x", ":5001", "0.0.0.0:5001", "[::]:5001", "10.0.0.1:5001", "localhost.example:5001"} {
		loadErr(t, config.Sources{Flags: map[string]string{"admin": bad}})
	}
}
