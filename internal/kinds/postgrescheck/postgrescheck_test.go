package postgrescheck_test

import (
	"fmt"
	"strings"
	"testing"

	"hale/internal/check"
	"hale/internal/kinds/kindtest"
	"hale/internal/kinds/postgrescheck"
)

var kinds = kindtest.Kinds{postgrescheck.Kind(), postgrescheck.KindLong()}

var (
	run           = kinds.Run
	build         = kinds.Build
	option        = kindtest.Option
	expectNote    = kindtest.ExpectNote
	expectFailure = kindtest.ExpectFailure
)

func TestContract(t *testing.T) {
	urls := map[string]string{
		"ping":             "postgres://%s",
		"ping without TLS": "postgres://%s?sslmode=disable",
		"login":            "postgres://app:secret@%s/db?query=select%%201&sslmode=verify-full",
		"login, no TLS":    "postgres://app:secret@%s/db?query=select%%201&sslmode=disable",
	}
	for name, url := range urls {
		t.Run(name, func(t *testing.T) {
			kindtest.Network{Kind: postgrescheck.Kind(), URL: func(a string) string { return fmt.Sprintf(url, a) }}.Run(t)
		})
	}
}

func TestOptions(t *testing.T) {
	tests := []struct {
		name, url string
		options   []check.Option
		want      string
	}{
		{"opaque", "postgres:5432", nil, "url: postgres:5432 has no host; write postgres://HOST:PORT, or postgres://:PORT for this host"},
		{"port", "postgres://h:0", nil, "url: port 0 is out of range; a port is a number from 1 to 65535"},
		{"two users", "postgres://a:pw@h", []check.Option{option("username", "b")}, `username: is "b", and the URL names another user; give it once`},
		{"two passwords", "postgres://a:first-pw@h", []check.Option{option("password", "second-pw")}, "password: is not the one in the URL; give it once"},
		{"password without user", "postgres://:pass-word@h", nil, "username: is missing, and a password, cert, query or role needs a login; write postgres://USER:PASSWORD@HOST/DATABASE"},
		{"query without user", "postgres://h?query=select%201", nil, "username: is missing, and a password, cert, query or role needs a login; write postgres://USER:PASSWORD@HOST/DATABASE"},
		{"blank query", "postgres://a@h?query=%20", nil, "query: is blank; give a statement such as select 1"},
		{"expect alone", "postgres://a@h?expect=1", nil, "expect: needs query, the statement that answers it"},
		{"role", "postgres://a@h?role=master", nil, `role: "master" is not a role; give primary or standby`},
		{"zero bytes", "postgres://%00:%00@h/%00?query=%00", nil, `username: has a zero byte, which PostgreSQL has no way to receive
password: has a zero byte, which PostgreSQL has no way to receive
query: has a zero byte, which PostgreSQL has no way to receive
url: has a zero byte, which PostgreSQL has no way to receive`},
		{"relative socket", "postgres://?host=db.internal", nil, `host: "db.internal" is not the absolute path of a directory; a name or address of a host goes into the URL`},
		{"socket and host", "postgres://h?host=/run/postgresql", nil, "host: is for a unix socket, and the URL names a host; give one of them"},
		{"socket and TLS", "postgres://?host=/run/postgresql&sslmode=verify-ca", nil, "sslmode: is verify-ca, and a unix socket is without TLS; leave it out"},
		{"sslmode", "postgres://h?sslmode=verify_full", nil, `sslmode: "verify_full" is not known; did you mean "verify-full"? (known: disable, prefer, require, verify-ca, verify-full)`},
		{"TLS options without TLS", "postgres://h?ca=/ca.pem", nil, "sslmode: is prefer, and ca, cert, key, server_name, insecure and min_days need TLS; give require, verify-ca or verify-full"},
		{"insecure verification", "postgres://h?sslmode=verify-full&insecure", nil, "insecure: contradicts sslmode=verify-full; leave one of them out"},
		{"relative file", "postgres://h?sslmode=require&ca=ca.pem", nil, `ca: "ca.pem" is a relative path; give an absolute one`},
		{"missing file", "postgres://h?sslmode=require&ca=/nowhere/ca.pem", nil, "ca: open /nowhere/ca.pem: no such file or directory"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := build(test.url, test.options...)
			if err == nil || err.Error() != test.want {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
		})
	}
}

func TestDefaults(t *testing.T) {
	for _, kind := range []check.Kind{postgrescheck.Kind(), postgrescheck.KindLong()} {
		c := kindtest.Build(t, kind, kind.Scheme+"://:1")
		want := []check.Setting{
			{Name: "username", Value: ""}, {Name: "password", Value: ""}, {Name: "host", Value: ""}, {Name: "query", Value: ""},
			{Name: "expect", Value: ""}, {Name: "role", Value: ""}, {Name: "sslmode", Value: "prefer"},
			{Name: "ca", Value: ""}, {Name: "cert", Value: ""}, {Name: "key", Value: ""}, {Name: "server_name", Value: ""},
			{Name: "insecure", Value: "false"}, {Name: "min_days", Value: "0"},
		}
		if got := fmt.Sprint(c.Options); got != fmt.Sprint(want) {
			t.Errorf("%s: got %s, want %v", kind.Scheme, got, want)
		}
	}
}

// What tells the checks of two sockets apart is in their targets, and not in
// their names.
func TestSocketIsShown(t *testing.T) {
	c, err := build("postgres:///shop", option("host", "/run/my postgres"))
	if err != nil {
		t.Fatal(err)
	}
	if c.Target != "postgres:///shop?host=/run/my%20postgres" || c.URL != "postgres:///shop" || c.Name != "postgres-shop" {
		t.Errorf("the target is %s, the URL %s, the name %s", c.Target, c.URL, c.Name)
	}
	if again, err := build(c.Target); err != nil || again.Target != c.Target {
		t.Errorf("%s is not a URL of the same check: %v", c.Target, err)
	}
}

func TestExamplesAreValid(t *testing.T) {
	for _, kind := range []check.Kind{postgrescheck.Kind(), postgrescheck.KindLong()} {
		if _, err := build(kind.Example); err != nil {
			t.Errorf("%s: %v", kind.Example, err)
		}
	}
}

// The environment and the home directory hold what other programs log in with;
// a check that took from there would not check what it says.
func TestServiceThatCannotBeReadIsNamed(t *testing.T) {
	t.Setenv("PGSERVICE", "nowhere")
	t.Setenv("PGSERVICEFILE", "/nowhere/pg_service.conf")
	if _, err := build("postgres://h"); err != nil {
		t.Errorf("without a login: %v", err)
	}
	_, err := build("postgres://app:pass-word@h")
	if err == nil || !strings.HasPrefix(err.Error(), "PGSERVICE in hale's environment names a service that can't be read; unset it: ") {
		t.Errorf("got %v", err)
	}
}
