package write_test

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"hale/internal/check"
	"hale/internal/config"
	"hale/internal/discover/write"
	"hale/internal/kinds"
)

func registry(t *testing.T) *check.Registry {
	t.Helper()
	r, err := check.NewRegistry(check.Env{}, kinds.All()...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func build(t *testing.T, r *check.Registry, name, url string, options ...check.Option) *check.Check {
	t.Helper()
	c, err := r.Build(check.Spec{Name: name, URL: url, Options: options, Policy: check.DefaultPolicy()})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func option(name string, values ...string) check.Option {
	return check.Option{Name: name, Values: values}
}

// env has every variable but hale's own.
func env(name string) (string, bool) {
	if name == config.EnvChecks {
		return "", false
	}
	return "hunter2", true
}

// load writes the text into a file and loads that as hale does.
func load(t *testing.T, r *check.Registry, text string) *config.Config {
	t.Helper()
	file := filepath.Join(t.TempDir(), "hale.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(config.Sources{File: file, Getenv: env}, r)
	if err != nil {
		t.Fatalf("%v\nin\n%s", err, text)
	}
	return c
}

func written(t *testing.T, d write.Document) string {
	t.Helper()
	var b bytes.Buffer
	if err := d.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// What is written makes the same checks.
func TestTheSameChecks(t *testing.T) {
	r := registry(t)
	headers := check.Option{Name: "headers", Pairs: [][2]string{{"X-A", "1, 2"}, {"Y", "${not filled}"}}, IsMap: true}
	checks := []*check.Check{
		build(t, r, "redis-6379", "redis://:6379"),
		build(t, r, "web", "http://:80/a?b=c&d=%20", option("status", "200-499"), option("groups", "live", "web"), option("impact", "warn")),
		build(t, r, "list", "http://:80/", option("status", "200", "204")),
		build(t, r, "map", "http://10.0.0.1:81/", headers),
		build(t, r, "ssh", "tcp://:22", option("expect", "SSH-"), option("interval", "1m")),
		build(t, r, "noauth", "tcp://:6379", option("send", `PING\r\n`), option("expect_regexp", `^-(NOAUTH|NOPERM): #x "'`)),
		build(t, r, "fast", "tcp://[::1]:1", option("interval", "500ms")),
		build(t, r, "all", "tcp://127.0.0.1:1", option("interval", "9s"), option("timeout", "8s"), option("recheck", "7s"), option("fall", "6"), option("rise", "5")),
		build(t, r, "none", "tcp://127.0.0.1:2", check.Option{Name: "groups"}),
		build(t, r, "1234", "tcp://127.0.0.1:3"),
		build(t, r, "null", "tcp://127.0.0.1:4", option("expect", "null")),
		build(t, r, "lines", "tcp://127.0.0.1:5", option("expect", "a\nb "+strings.Repeat("long ", 40))),
		build(t, r, "tls", "tls://:443", option("insecure", "true")),
		build(t, r, "db", "postgres://app@db/shop?sslmode=require&insecure"),
		build(t, r, "cmd", "exec:/x.sh --port 1 'a b' # codes=nagios"),
		build(t, r, "zk", "zookeeper://:2181?mode=leader,follower"),
	}
	text := written(t, write.Document{What: "this\nhost", Command: "hale init", Checks: checks, Registry: r})
	got := load(t, r, text).Checks
	if len(got) != len(checks) {
		t.Fatalf("%d checks, want %d, in\n%s", len(got), len(checks), text)
	}
	for i, c := range checks {
		g := got[i]
		if g.Name != c.Name || g.ID != c.ID && c.Name != "list" || g.Target != c.Target || g.Policy != c.Policy || g.Impact != c.Impact ||
			!slices.Equal(g.Groups, c.Groups) || !slices.Equal(g.Options, c.Options) {
			t.Errorf("got\n%+v\nwant\n%+v", g, c)
		}
	}
	if strings.Contains(text, "more to it") {
		t.Errorf("it says that something could not be written:\n%s", text)
	}
}

// All that is commented out can be turned on.
func TestSuggestionsAreRight(t *testing.T) {
	r := registry(t)
	var checks []*check.Check
	for _, k := range kinds.All() {
		url := k.Scheme + "://127.0.0.1:1234"
		if c, err := r.Build(check.Spec{Name: strings.ReplaceAll(k.Scheme, "+", "-"), URL: url, Policy: check.DefaultPolicy()}); err == nil {
			checks = append(checks, c)
		}
	}
	if len(checks) < 12 {
		t.Fatalf("only %d kinds", len(checks))
	}
	text := written(t, write.Document{What: "this host", Command: "hale init", Checks: checks, Registry: r})
	on := regexp.MustCompile(`(?m)^( *)#([a-z_]+:)`).ReplaceAllString(text, "$1$2")
	if on == text || !strings.Contains(on, "\n    role: master") {
		t.Fatalf("nothing is commented out in\n%s", text)
	}
	if c := load(t, r, on); c.Checks[0].Impact != check.ImpactWarn || c.DrainDelay == 0 {
		t.Error("turning on did nothing")
	}
}

// A secret is not written, and its check is commented out.
func TestSecrets(t *testing.T) {
	r := registry(t)
	d := write.Document{What: "containers", Command: "hale init --docker", Registry: r, Checks: []*check.Check{
		build(t, r, "a", "redis://:hunter2secret@h:6379"),
		build(t, r, "b", "postgres://h", option("username", "app"), option("password", "hunter2secret")),
	}}
	text := written(t, d)
	if strings.Contains(text, "hunter2secret") || !strings.Contains(text, "\n  #  password: '***'\n") {
		t.Errorf("wrote\n%s", text)
	}
	if c := load(t, r, text); len(c.Checks) != 0 {
		t.Errorf("%d checks are on", len(c.Checks))
	}
	if all, commented := d.Written(); all != 2 || commented != 2 {
		t.Errorf("got %d, %d", all, commented)
	}
	d.Checks = append(d.Checks, build(t, r, "c", "tcp://h:1"))
	if c := load(t, r, written(t, d)); len(c.Checks) != 1 {
		t.Errorf("%d checks are on", len(c.Checks))
	}
}

// What can't be written as it was found is commented out, with the reason.
func TestOff(t *testing.T) {
	r := registry(t)
	d := write.Document{What: "containers", Command: "hale init --docker", Registry: r, Off: map[string]string{"bad": "A label is\nwrong."},
		Checks: []*check.Check{build(t, r, "bad", "docker://bad"), build(t, r, "good", "docker://good")}}
	text := written(t, d)
	if want := "\n  # This check is commented out. A label is wrong.\n  #bad:\n  #  url: docker://bad\n"; !strings.Contains(text, want) {
		t.Errorf("want %q in\n%s", want, text)
	}
	if c := load(t, r, text); len(c.Checks) != 1 || c.Checks[0].Name != "good" {
		t.Errorf("got %v", c.Checks)
	}
	if all, commented := d.Written(); all != 2 || commented != 1 {
		t.Errorf("got %d, %d", all, commented)
	}
}

// The reason stands above the check, what was left out at the end, and nothing
// that a process or container is called breaks out of a comment.
func TestNotes(t *testing.T) {
	r := registry(t)
	notes := write.NewNotes()
	log := slog.New(notes)
	log.Debug("unheard")
	log.Info("found", "check", "a", "url", "tcp://:1", "why", "evil\nchecks: {}\n\x1b[31m listens")
	log.With("check", "b").Info("a linked container is checked", "link", "B", "target", "tcp://:2")
	log.Info("checking a container", "container", "shop", "checks", "http://10.0.0.2:80/", "address", "10.0.0.2", "why", "its network is a bridge", "remark", "port 81 is not published")
	log.Info("checking a container", "container", "job", "checks", "that it runs", "address", "", "why", "it has no network")
	log.Info("checking a container", "container", "gone", "address", "10.0.0.3", "why", "its network is a bridge")
	log.Info("following the engine", "host", "unix:///x.sock")
	log.Info("left out", "port", 40001, "why", "it is for a while")
	log.Info("left out", "port", 40002, "why", "it is for a while")
	log.Warn("no permission")
	unknown := *build(t, r, "source", "tcp://:9")
	unknown.Kind = "listeners"
	text := written(t, write.Document{What: "this host", Command: "hale init", Notes: notes, Registry: r, Checks: []*check.Check{
		&unknown, build(t, r, "a", "tcp://:1"), build(t, r, "b", "tcp://:2"), build(t, r, "shop-81", "tcp://:81"), build(t, r, "job", "docker://job"),
	}})
	for _, want := range []string{
		"\n  # evil checks: {} listens\n  a:\n    url: tcp://:1\n",
		"\n  # a linked container is checked (link B)\n  b:\n",
		"\n  # The container shop, at 10.0.0.2: its network is a bridge; port 81 is not\n  # published\n  shop-81:\n",
		"\n  # The container job: it has no network\n  job:\n",
		"\n# port 40001, 40002 left out: it is for a while\n# no permission\n# The container gone, at 10.0.0.3: its network is a bridge\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("want %q in\n%s", want, text)
		}
	}
	if c := load(t, r, text); len(c.Checks) != 4 || strings.Contains(text, "unheard") || strings.Contains(text, "following") {
		t.Errorf("%d checks from\n%s", len(c.Checks), text)
	}
}
