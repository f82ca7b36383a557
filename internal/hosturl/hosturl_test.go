package hosturl_test

import (
	"net/url"
	"testing"

	"hale/internal/check"
	"hale/internal/hosturl"
)

func target(t *testing.T, scheme, raw string) check.Target {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return check.Target{Scheme: scheme, URL: u}
}

func TestPath(t *testing.T) {
	for _, test := range []struct{ url, want string }{
		{"disk:///var/lib", "/var/lib"},
		{"disk:/var/lib", "/var/lib"},
		{"disk://localhost/var/lib", "/var/lib"},
		{"disk:///", "/"},
		{"disk:///var/lib/", "/var/lib"},
		{"disk:///var//lib/../lib", "/var/lib"},
		{"disk:///a%20b%25", "/a b%"},
		{"disk:var/lib", `url: "var/lib" is a relative path; give an absolute one, such as disk:///data`},
		{"disk:a%20b", `url: "a b" is a relative path; give an absolute one, such as disk:///data`},
		{"disk:a%zz", `url: "a%zz" is a relative path; give an absolute one, such as disk:///data`},
		{"disk://./lib", `url: "./lib" is a relative path; give an absolute one, such as disk:///data`},
		{"disk://~/lib", `url: "~/lib" is a relative path; give an absolute one, such as disk:///data`},
		{"disk://var/lib", `url: "var" would be a host name; write three slashes for a path of this host: disk:///var/lib`},
		{"disk://var", `url: "var" would be a host name; write three slashes for a path of this host: disk:///var`},
		{"disk://a:hunter2@b/c", "url: a path of this host has no user; write disk:///PATH, and %40 for an @ in the path"},
		{"disk:", "url: has no path; write one such as disk:///data"},
		{"disk://", "url: has no path; write one such as disk:///data"},
		{"disk:///a%00b", `url: "/a b" holds a NUL character, which no path can`},
	} {
		got, err := hosturl.Path(target(t, "disk", test.url), "/data")
		if err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%s\n got %s\nwant %s", test.url, got, test.want)
		}
	}
}

func TestNothing(t *testing.T) {
	const more = "url: has more than the scheme, and the load is that of this host; write load: and options after ? or #"
	for _, test := range []struct{ url, want string }{
		{"load:", ""}, {"load://", ""}, {"load://localhost", ""},
		{"load:x", more}, {"load:///", more}, {"load:///x", more}, {"load://web", more}, {"load://:80", more}, {"load://a:hunter2@", more},
		{"load://a@localhost", more}, {"load://localhost/x", more},
	} {
		got := ""
		if err := hosturl.Nothing(target(t, "load", test.url), "the load"); err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%s\n got %s\nwant %s", test.url, got, test.want)
		}
	}
}
