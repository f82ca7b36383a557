package check_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"hale/internal/check"
)

const dbOptions = "(it has: ca, count, fall, groups, headers, impact, interval, level, list, max_age, name, on, password, ratio, recheck, rise, roles, small, text, timeout)"

func TestBuildDefaults(t *testing.T) {
	c := mustBuild(t, "db://app@db.internal/app")
	if c.Name != "db-db.internal-app" || c.Kind != "db" || c.Target != "db://app@db.internal/app" || c.Pool != "" {
		t.Errorf("got name %s, kind %s, target %s, pool %q", c.Name, c.Kind, c.Target, c.Pool)
	}
	if c.Policy != check.DefaultPolicy() || c.Impact != check.ImpactFail || !slices.Equal(c.Groups, []string{check.GroupReady}) {
		t.Errorf("got %v, impact %s, groups %v", c.Policy, c.Impact, c.Groups)
	}
	want := []check.Setting{
		{"password", ""}, {"text", ""}, {"on", "false"}, {"count", "7"}, {"small", "0"}, {"ratio", "0"}, {"max_age", "1m0s"},
		{"list", ""}, {"roles", "a"}, {"headers", ""}, {"level", "level 0"}, {"ca", ""},
	}
	if diff := cmp.Diff(want, c.Options); diff != "" {
		t.Errorf("options (-want +got):\n%s", diff)
	}
	if c.String() != "db-db.internal-app (db://app@db.internal/app)" {
		t.Errorf("got %v", c)
	}
	for group, want := range map[string]bool{check.GroupReady: true, check.GroupAll: true, check.GroupLive: false} {
		if c.In(group) != want {
			t.Errorf("in %s is %v", group, c.In(group))
		}
	}
}

func TestBuildOptions(t *testing.T) {
	c := mustBuild(t, "db://h?count=1&text=a%26b+c&on&interval=10s#roles=x,%20y&name=web&fall=3",
		option("count", "2"), option("impact", "warn"), check.Option{Name: "groups", Values: []string{"live", "own, other"}})
	if c.Name != "web" || c.Impact != check.ImpactWarn || !slices.Equal(c.Groups, []string{"live", "own", "other"}) {
		t.Errorf("got name %s, impact %s, groups %v", c.Name, c.Impact, c.Groups)
	}
	if want := (check.Policy{Interval: 10 * time.Second, Timeout: 3 * time.Second, Recheck: time.Second, Fall: 3, Rise: 2}); c.Policy != want {
		t.Errorf("got %v, want %v", c.Policy, want)
	}
	for _, want := range []check.Setting{{"count", "2"}, {"text", "a&b+c"}, {"on", "true"}, {"roles", "x,y"}} {
		if !slices.Contains(c.Options, want) {
			t.Errorf("options %v, want %v among them", c.Options, want)
		}
	}
	if c.Target != "db://h" {
		t.Errorf("the target is %s, want it without options", c.Target)
	}
}

func TestBuildKeepsTheQueryOrTheCommand(t *testing.T) {
	c := mustBuild(t, "web://h/x?a=b&token=hunter2&timeout=1s#timeout=2s&body=ok")
	if c.Target != "web://h/x?a=b&token=***&timeout=1s" || c.Policy.Timeout != 2*time.Second {
		t.Errorf("got %s, timeout %v", c.Target, c.Policy.Timeout)
	}
	c = mustBuild(t, `cmd:/usr/bin/x.sh --port 2181?a#b --password hunter2 # timeout=2s`)
	if c.Target != "cmd:/usr/bin/x.sh --port 2181?a#b --password ***" || c.Policy.Timeout != 2*time.Second || c.Name != "cmd-x.sh" || c.Pool != "cmd" {
		t.Errorf("got %s, timeout %v, name %s, pool %s", c.Target, c.Policy.Timeout, c.Name, c.Pool)
	}
}

// What is shown of a target is one line.
func TestBuildCleansTheTarget(t *testing.T) {
	c := mustBuild(t, "cmd:/bin/x\n\x1b[31m a "+strings.Repeat("b", 1000))
	if want := "cmd:/bin/x a " + strings.Repeat("b", 495) + "…"; c.Target != want {
		t.Errorf("got %q, want %q", c.Target, want)
	}
}

// A short interval brings the timeout and recheck that nobody gave down.
func TestBuildShortInterval(t *testing.T) {
	c := mustBuild(t, "db://h?interval=500ms")
	if c.Policy.Timeout != 500*time.Millisecond || c.Policy.Recheck != 500*time.Millisecond {
		t.Errorf("got %v", c.Policy)
	}
}

func TestBuildErrors(t *testing.T) {
	for _, test := range []struct {
		url     string
		options []check.Option
		want    string
	}{
		{"", nil, `url: "" is not a check's URL; write KIND://HOST:PORT, such as tcp://127.0.0.1:5432 or http://127.0.0.1:8000/health`},
		{"127.0.0.1:5432", nil, `url: "127.0.0.1:5432" is not a check's URL; write KIND://HOST:PORT, such as tcp://127.0.0.1:5432 or http://127.0.0.1:8000/health`},
		{"bd://h", nil, `url: unknown kind of check "bd"; did you mean "db"? (known: cmd, db, web)`},
		{"zookeeper://h", nil, `url: unknown kind of check "zookeeper" (known: cmd, db, web)`},
		{"db://h?cuont=1", nil, `cuont: db has no such option; did you mean "count"? ` + dbOptions},
		{"db://h?quite-different=1", nil, `quite-different: db has no such option ` + dbOptions},
		{"db://h?timeuot=1s", nil, `timeuot: db has no such option; did you mean "timeout"? ` + dbOptions},
		{"db://h?text=%zz", nil, `text: a % that is not followed by two hexadecimal digits; write %25 for %`},
		{"db://h:http", nil, `url: the port is not a number; a port is a number from 1 to 65535 (a special character in a password is written %XX, such as %40 for @)`},
		{"db://a b", nil, `url: not a URL: invalid character … in host name`},
		{"db://[::1", nil, `url: the host is not one; write a name, an IPv4 address, or an IPv6 address in brackets such as [::1]`},
		{"db://[1.2.3.4]:80", nil, `url: the host is not one; write a name, an IPv4 address, or an IPv6 address in brackets such as [::1]`},
		{"db://h/%zz", nil, `url: a special character in the user name, password or path is not encoded; write %40 for @, %23 for #, %2F for /, %3A for :, %25 for %`},
		{"db://:12/34@h", nil, `url: a special character in the user name, password or path is not encoded; write %40 for @, %23 for #, %2F for /, %3A for :, %25 for %`},
		{"db://u:p@q/r@h", nil, `url: a special character in the user name, password or path is not encoded; write %40 for @, %23 for #, %2F for /, %3A for :, %25 for %`},
		{"db://:p@ss#w%rd@host", nil, `url: what follows the first ? or # has more than options of db ` + dbOptions + `; in a user name, password or other value, write %3F for ?, %23 for # and %26 for &`},
		{"user:pw@host:5432", nil, `url: unknown kind of check "user" (known: cmd, db, web)`},
		{"//user:pw@host:5432", nil, `url: "***@host:5432" is not a check's URL; write KIND://HOST:PORT, such as tcp://127.0.0.1:5432 or http://127.0.0.1:8000/health`},
		{"host/app?password=hunter2", nil, `url: "host/app" is not a check's URL; write KIND://HOST:PORT, such as tcp://127.0.0.1:5432 or http://127.0.0.1:8000/health`},
		{"TOKEN=hunter2 x", nil, `url: "TOKEN=***" is not a check's URL; write KIND://HOST:PORT, such as tcp://127.0.0.1:5432 or http://127.0.0.1:8000/health`},
		{"/bin/x --password hunter2", nil, `url: "/bin/x" is not a check's URL; write KIND://HOST:PORT, such as tcp://127.0.0.1:5432 or http://127.0.0.1:8000/health`},
		{"//user:p w@host", nil, `url: "***" is not a check's URL; write KIND://HOST:PORT, such as tcp://127.0.0.1:5432 or http://127.0.0.1:8000/health`},
		{"db://h?=1", nil, `url: an option without a name; write NAME=VALUE`},
		{"db://h/\n", nil, `url: has a control character, such as a line break or a tab; take it out, or write it %XX`},
		{"db://h?name=a%20b", nil, `name: "a b" is not a name; use letters, digits, '.', '_' and '-', starting with a letter or digit`},
		{"db://h?name=", nil, `name: is empty`},
		{"db://h?name=" + strings.Repeat("x", 256), nil, `name: is longer than 255 characters`},
		{"db://h?impact=none", nil, `impact: "none" is not an impact; give fail or warn`},
		{"db://h?groups=all", nil, `groups: every check is in "all" already; leave it out`},
		{"db://h?groups=startup", nil, `groups: "startup" follows from "ready" and has no checks of its own; use "ready"`},
		{"db://h?groups=a%20b", nil, `groups: "a b" is not a name; use letters, digits, '.', '_' and '-', starting with a letter or digit`},
		{"db://h?interval=1ms", nil, `interval: 1ms is out of range; give a duration from 100ms to 24h0m0s`},
		{"db://h?interval=10&timeout=8s&recheck=7s", nil, `interval: "10" has no unit; write 10s for seconds, 10ms for milliseconds`},
		{"db://h?interval=10s&timeout=11s", nil, `timeout: 11s is longer than the interval 10s, so that runs would overlap; make it at most the interval`},
		{"db://h?fall=0&rise=x", nil, "rise: \"x\" is not a whole number\nfall: 0 is out of range; give a count from 1 to 1000"},
		{"db://h?count=-1&text=hunter2", []check.Option{option("password", "hunter2")}, `count: -1 is negative, ***`},
		// All at once.
		{"db://h:99999?count=x&nmae=y&interval=5", []check.Option{option("on", "maybe"), option("fall", "-1")},
			"count: \"x\" is not a whole number\n" +
				`nmae: db has no such option; did you mean "name"? ` + dbOptions + "\n" +
				"on: \"maybe\" is not true or false\n" +
				"url: port 99999 is out of range; a port is a number from 1 to 65535\n" +
				"interval: \"5\" has no unit; write 5s for seconds, 5ms for milliseconds\n" +
				"fall: -1 is out of range; give a count from 1 to 1000"},
		{"db://h:x?count=x&text=%zz#interval=5", nil,
			"text: a % that is not followed by two hexadecimal digits; write %25 for %\n" +
				"url: the port is not a number; a port is a number from 1 to 65535 (a special character in a password is written %XX, such as %40 for @)\n" +
				"count: \"x\" is not a whole number\n" +
				"interval: \"5\" has no unit; write 5s for seconds, 5ms for milliseconds"},
	} {
		_, err := build(t, test.url, test.options...)
		if got := errText(err); got != test.want {
			t.Errorf("%q\n got %s\nwant %s", test.url, got, test.want)
		}
		for _, e := range check.OptionErrors(err) {
			if e.Option == "" {
				t.Errorf("%q: %v names no option", test.url, e)
			}
		}
	}
}

func TestBuildUnwillingChecker(t *testing.T) {
	k := check.Define("db", "db://h", dbConfig{fails: check.OptionErrorf("ca", "/ca.pem: no such file, hunter2")})
	r, err := check.NewRegistry(check.Env{}, k)
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.Build(check.Spec{URL: "db://:hunter2@h", Policy: check.DefaultPolicy()})
	if got, want := errText(err), "ca: /ca.pem: no such file, ***"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if e, ok := errors.AsType[*check.OptionError](err); !ok || e.Option != "ca" {
		t.Errorf("got %#v, want an option error", err)
	}
}

func TestID(t *testing.T) {
	base := mustBuild(t, "db://u:hunter2@h/app?count=1&text=x")
	for _, test := range []struct {
		name, url string
		options   []check.Option
		same      bool
	}{
		{"itself", "db://u:hunter2@h/app?count=1&text=x", nil, true},
		{"another order", "db://u:hunter2@h/app?text=x&count=1", nil, true},
		{"in the fragment", "db://u:hunter2@h/app#text=x&count=1", nil, true},
		{"beside the URL", "db://u:hunter2@h/app", []check.Option{option("text", "x"), option("count", "1")}, true},
		{"another policy", "db://u:hunter2@h/app?count=1&text=x&interval=9s&timeout=1s&recheck=2s&fall=7&rise=8", nil, true},
		{"another name, impact and groups", "db://u:hunter2@h/app?count=1&text=x&name=z&impact=warn&groups=live", nil, true},
		{"another password", "db://u:hunter3@h/app?count=1&text=x", nil, false},
		{"another user", "db://v:hunter2@h/app?count=1&text=x", nil, false},
		{"another path", "db://u:hunter2@h/app2?count=1&text=x", nil, false},
		{"another option", "db://u:hunter2@h/app?count=2&text=x", nil, false},
		{"one option more", "db://u:hunter2@h/app?count=1&text=x&on", nil, false},
		{"options mixed up", "db://u:hunter2@h/app?count=1&text=x%22%20%22y", nil, false},
	} {
		c := mustBuild(t, test.url, test.options...)
		if (c.ID == base.ID) != test.same {
			t.Errorf("%s: the same ID is %v", test.name, c.ID == base.ID)
		}
	}
	if strings.Contains(base.ID, "hunter2") || len(base.ID) != 64 {
		t.Errorf("got ID %s", base.ID)
	}
	if web, db := mustBuild(t, "web://h"), mustBuild(t, "db://h"); web.ID == db.ID {
		t.Error("two kinds have the same ID")
	}
}

func TestDefaultName(t *testing.T) {
	for url, want := range map[string]string{
		"db://h":                             "db-h",
		"db://127.0.0.1:5432":                "db-5432",
		"db://[::1]:5432":                    "db-5432",
		"db://localhost":                     "db",
		"db://:5432":                         "db-5432",
		"db://h:1/a/b.c/":                    "db-h-1-a-b.c",
		"db://u:hunter2@h/a%20b":             "db-h-a-b",
		"db://[fe80::1%25eth0]:1":            "db-fe80-1-eth0-1",
		"db://h/" + strings.Repeat("x", 300): ("db-h-" + strings.Repeat("x", 300))[:255],
		"web://h/x?token=hunter2":            "web-h-x",
		"web://h:80/@me":                     "web-h-80--me",
		"cmd:/usr/bin/x.sh -a":               "cmd-x.sh",
		"cmd:x":                              "cmd-x",
		"cmd:TOKEN=hunter2 x":                "cmd-TOKEN",
		"cmd:":                               "cmd",
	} {
		if got := mustBuild(t, url).Name; got != want {
			t.Errorf("%s: got %q, want %q", url, got, want)
		}
		if err := check.ValidateName("name", mustBuild(t, url).Name); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
	c, err := registry(t).Build(check.Spec{URL: "db://hunter2/hunter2", Policy: check.DefaultPolicy(), Secrets: check.Secrets{"hunter2"}})
	if err != nil || c.Name != "db" || c.Target != "db://***/***" {
		t.Errorf("got %v, %v", c, err)
	}
}

// The options of a command begin at a # that a shell would take for a comment.
func TestOptionsAfterACommand(t *testing.T) {
	for url, want := range map[string]string{
		"cmd:/x a #name=n":          "cmd:/x a n",
		"cmd:/x 'a #b' #name=n":     "cmd:/x 'a #b' n",
		"cmd:/x \"a #b\" #name=n":   "cmd:/x \"a #b\" n",
		`cmd:/x "a\" #b" #name=n`:   `cmd:/x "a\" #b" n`,
		`cmd:/x 'a\' #name=n`:       `cmd:/x 'a\' n`,
		`cmd:/x a\ #b #name=n`:      `cmd:/x a\ #b n`,
		"cmd:/x a#b #name=n":        "cmd:/x a#b n",
		"cmd:/x 'a' #name=n":        "cmd:/x 'a' n",
		"cmd:/x 'not closed #name=": "cmd:/x 'not closed #name= cmd",
	} {
		c, err := registry(t).Build(check.Spec{URL: url, Policy: check.DefaultPolicy()})
		if err != nil {
			t.Errorf("%s: %v", url, err)
			continue
		}
		name := c.Name
		if name != "n" {
			name = "cmd"
		}
		if got := c.Target + " " + name; got != want {
			t.Errorf("%s: got %s, want %s", url, got, want)
		}
	}
}
