package check_test

import (
	"net/url"
	"strings"
	"testing"

	"hale/internal/check"
)

// targetOf is the target of a URL without options.
func targetOf(t *testing.T, raw string) check.Target {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return check.Target{Scheme: u.Scheme, URL: u}
}

func TestTargetHost(t *testing.T) {
	for _, test := range []struct {
		url      string
		fallback int
		host     string
		port     int
		want     string // the error
	}{
		{"db://h:1", 0, "h", 1, ""},
		{"db://h:65535", 0, "h", 65535, ""},
		{"db://h", 80, "h", 80, ""},
		{"db://h:", 80, "h", 80, ""},
		{"db://:", 80, "", 80, ""},
		{"db://:1", 80, "", 1, ""},
		{"db://5432", 80, "", 5432, ""},
		{"db://u@5432", 80, "5432", 80, ""},
		{"db://[::1]:1", 0, "::1", 1, ""},
		{"db://[fe80::1%25eth0]:1", 0, "fe80::1%eth0", 1, ""},
		{"db://h", 0, "", 0, "url: db://h has no port; write db://h:PORT"},
		{"db://[::1]", 0, "", 0, "url: db://[::1] has no port; write db://[::1]:PORT"},
		{"db://", 80, "", 0, "url: db:// has no host; write db://HOST:PORT, or db://:PORT for this host"},
		{"db:", 80, "", 0, "url: db:// has no host; write db://HOST:PORT, or db://:PORT for this host"},
		{"db:///path", 80, "", 0, "url: db:///path has no host; write db://HOST:PORT, or db://:PORT for this host"},
		{"db:h:1", 80, "", 0, "url: db:h:1 has no host; write db://HOST:PORT, or db://:PORT for this host"},
		{"db:u:hunter2@h:1", 80, "", 0, "url: db:*** has no host; write db://HOST:PORT, or db://:PORT for this host"},
		{"db://u:hunter2@:1", 80, "", 1, ""},
		{"db://h:0", 80, "", 0, "url: port 0 is out of range; a port is a number from 1 to 65535"},
		{"db://h:65536", 80, "", 0, "url: port 65536 is out of range; a port is a number from 1 to 65535"},
		{"db://h:99999999999999999999", 80, "", 0, "url: port 99999999999999999999 is out of range; a port is a number from 1 to 65535"},
	} {
		host, port, err := targetOf(t, test.url).Host(test.fallback)
		if host != test.host || port != test.port || errText(err) != test.want {
			t.Errorf("%s\n got %q, %d, %v\nwant %q, %d, %s", test.url, host, port, err, test.host, test.port, test.want)
		}
	}
	if got := check.Address("::1", 80); got != "[::1]:80" {
		t.Errorf("got %s", got)
	}
}

func TestTargetMasked(t *testing.T) {
	for raw, want := range map[string]string{
		"db://h:1/app":         "db://h:1/app",
		"db://u@h":             "db://u@h",
		"db://u:p@h":           "db://u:***@h",
		"db://u:@h":            "db://u:***@h",
		"db://:p@h":            "db://:***@h",
		"db://u%40x:p@h/a%2Fb": "db://u%40x:***@h/a%2Fb",
		"db:u:p@h":             "db:***",
		"db://h?p@x&mail=a@b":  "db://h?***@x&mail=a@b",
		"db://h:?p=q@x":        "db://h:?***@x",
		"db://h:1?p=q@x":       "db://h:1?***@x",
		"db://h:1/?mail=a@x":   "db://h:1/?mail=a@x",
		"db:u:p":               "db:u:***",
		"db:h:80":              "db:h:80",
		"db:a/b":               "db:a/b",
		"db://:/p@h":           "db://:/***@h",
		"db://[::1]/p@h":       "db://[::1]/p@h",
		"db://h?a=b&token=t&c": "db://h?a=b&token=***&c",
		"db://h?%74oken=t":     "db://h?%74oken=***",
		"db://h?to=http%3A%2F%2Fu%3Ap%40h&next=/x": "db://h?to=***&next=/x",
		"db://h?password=":                         "db://h?password=",
		"db://:12/34@h":                            "db://:12/***@h",
		"db://u:p@h:1/x@y?a@b":                     "db://u:***@h:1/x@y?***@b",
		"db://h/@me":                               "db://h/@me",
		"file:///run/x@y":                          "file:///run/x@y",
	} {
		if got := targetOf(t, raw).Masked(); got != want {
			t.Errorf("%s\n got %s\nwant %s", raw, got, want)
		}
	}
}

func TestCommandMasked(t *testing.T) {
	for command, want := range map[string]string{
		"x":                             "x",
		"x --port 1 -v":                 "x --port 1 -v",
		"x --password p --port 1":       "x --password *** --port 1",
		"x --password=p --port=1":       "x --password=*** --port=1",
		`x --password "p q" r`:          `x --password "***" r`,
		`x --password='p q' r`:          `x --password='***' r`,
		`x '--password=p q' r`:          `x '--password=***' r`,
		"TOKEN=t x":                     "TOKEN=*** x",
		"x -u name:p":                   "x -u name:***",
		"x -u name":                     "x -u name",
		"x --user=name:p":               "x --user=name:***",
		"psql postgres://u:p@h/db -c 1": "psql postgres://u:***@h/db -c 1",
		"psql postgres://u@h/db":        "psql postgres://u@h/db",
		"psql postgres://u:p/q@h/db":    "psql postgres://u:***@h/db",
		"psql postgres://u:p#q?r@h/db http://a:b@c": "psql postgres://u:***@h/db http://a:***@c",
		"URL=postgres://u:p@h x":                    "URL=postgres://u:***@h x",
		`sh -c "x --password p; y"`:                 `sh -c "x --password ***; y"`,
		`sh -c 'A=1 x --token=t "http://u:p@h"'`:    `sh -c 'A=1 x --token=*** "http://u:***@h"'`,
		`x "a b"'c d' --password p`:                 `x "a b"'c d' --password ***`,
		`x --password`:                              `x --password`,
		`x --password ""`:                           `x --password ""`,
		`x "unclosed --password p`:                  `x "unclosed --password ***`,
	} {
		got := check.Target{Scheme: "cmd", Opaque: command}.Masked()
		// A space and semicolon belong to what is masked or not: either is fine.
		if got = strings.TrimPrefix(got, "cmd:"); got != want && got != strings.Replace(want, "***;", "***", 1) {
			t.Errorf("%s\n got %s\nwant %s", command, got, want)
		}
	}
}

func FuzzTargetMasked(f *testing.F) {
	f.Add("user", "password", "host:80", "/path", "a=b")
	f.Add("", "p@ss/word#?", "h", "", "")
	f.Add("a:b", "::", "[::1]:5", "//x", "token=1&x")
	f.Fuzz(func(t *testing.T, user, password, host, path, query string) {
		const mark = "hunter2"
		for _, s := range []string{user, host, path, query} {
			if strings.Contains(s, mark) {
				t.Skip()
			}
		}
		password = mark + password + mark
		u := &url.URL{Scheme: "db", User: url.UserPassword(user, password), Host: host, Path: path, RawQuery: query}
		parsed, err := url.Parse(u.String())
		if err != nil {
			t.Skip()
		}
		for _, u := range []*url.URL{u, parsed} {
			if got := (check.Target{Scheme: "db", URL: u}).Masked(); strings.Contains(got, mark) {
				t.Errorf("%q shows the password %q", got, password)
			}
		}
	})
}

func FuzzCommandMasked(f *testing.F) {
	f.Add("x -a", "--password", "y z")
	f.Add(`"a b"'c`, "--api-key", `"`)
	f.Fuzz(func(t *testing.T, before, flag, after string) {
		const mark = "hunter2"
		if strings.ContainsAny(before+flag, `"'`) || strings.ContainsAny(flag, " \t\r\n\f=") ||
			!check.SecretName(strings.TrimLeft(flag, "-")) || strings.Contains(before+flag+after, mark) {
			t.Skip()
		}
		if words := strings.Fields(before); len(words) > 0 && check.SecretName(words[len(words)-1]) {
			t.Skip() // the flag is the value of the one before
		}
		for _, line := range []string{
			before + " --" + flag + " " + mark + " " + after,
			before + " --" + flag + "=" + mark + " " + after,
			before + " " + strings.TrimLeft(flag, "-") + "='" + mark + " x' " + after,
		} {
			if got := (check.Target{Scheme: "cmd", Opaque: line}).Masked(); strings.Contains(got, mark) {
				t.Errorf("%q is shown as %q", line, got)
			}
		}
	})
}

func TestSplitScheme(t *testing.T) {
	for _, test := range []struct {
		raw, scheme, rest string
		ok                bool
	}{
		{"db://h", "db", "//h", true},
		{"DB://h", "db", "//h", true},
		{"celery+redis://h", "celery+redis", "//h", true},
		{"cmd:/x y", "cmd", "/x y", true},
		{"", "", "", false},
		{"h", "", "h", false},
		{":80", "", ":80", false},
		{"1.2.3.4:80", "", "1.2.3.4:80", false},
		{"a b:c", "", "a b:c", false},
	} {
		scheme, rest, ok := check.SplitScheme(test.raw)
		if scheme != test.scheme || rest != test.rest || ok != test.ok {
			t.Errorf("%q: got %q, %q, %v", test.raw, scheme, rest, ok)
		}
	}
}
