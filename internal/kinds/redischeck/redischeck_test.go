package redischeck_test

import (
	"fmt"
	"strings"
	"testing"

	"hale/internal/check"
	"hale/internal/kinds/kindtest"
	"hale/internal/kinds/redischeck"
	"hale/internal/servertest"
)

var kinds = kindtest.Kinds{redischeck.Kind(), redischeck.KindTLS()}

var (
	run           = kinds.Run
	build         = kinds.Build
	option        = kindtest.Option
	expectNote    = kindtest.ExpectNote
	expectFailure = kindtest.ExpectFailure
)

func TestContract(t *testing.T) {
	t.Run("redis", func(t *testing.T) {
		kindtest.Network{Kind: redischeck.Kind(), URL: func(a string) string { return "redis://" + a }}.Run(t)
	})
	t.Run("redis with login and role", func(t *testing.T) {
		kindtest.Network{Kind: redischeck.Kind(), URL: func(a string) string { return "redis://app:secret@" + a + "/3?role=master" }}.Run(t)
	})
	t.Run("rediss", func(t *testing.T) {
		kindtest.Network{Kind: redischeck.KindTLS(), URL: func(a string) string { return "rediss://" + a }}.Run(t)
	})
}

func TestServing(t *testing.T) {
	s := servertest.Redis(t)
	expectNote(t, run(t, "redis://"+s.Addr), "PONG")
	expectNote(t, run(t, "redis://"+s.Addr+"/"), "PONG")
	expectNote(t, run(t, "redis://"+s.Addr+"/3"), "PONG")
	expectNote(t, run(t, fmt.Sprintf("redis://:%d", s.Port)), "PONG")
	expectNote(t, run(t, fmt.Sprintf("redis://%d/15", s.Port)), "PONG")
	expectNote(t, run(t, "redis://"+s.Addr+"?role=master"), "master, replicas: 0")

	expectFailure(t, run(t, "redis://"+s.Addr+"/16"), check.ReasonMissing, "no such database", "redis://"+s.Addr)
	expectFailure(t, run(t, "redis://"+s.Addr+"?role=replica"), check.ReasonRole, "is a master", "a replica is wanted")
	expectFailure(t, run(t, "redis://:needless@"+s.Addr), check.ReasonAuth, "without any password configured")
	s.Stop()
	expectFailure(t, run(t, "redis://"+s.Addr), check.ReasonRefused, "redis://"+s.Addr)
}

// A run makes one connection, leaves none, and sends no command that the check
// does not need, so that the server's statistics and an ACL user's rights are
// what the configuration suggests.
func TestOneConnectionAndNoCommandTooMany(t *testing.T) {
	s := servertest.Redis(t)
	expectNote(t, run(t, "redis://"+s.Addr), "PONG")
	stats := servertest.RedisCLI(t, s, "info", "commandstats")
	if got := strings.Count(stats, "cmdstat_"); got != 1 || !strings.Contains(stats, "cmdstat_ping:calls=1,") {
		t.Errorf("commands seen by the server:\n%s\nwant one ping only", stats)
	}
	// One is redis-cli's for this question, one was for the last, one is from
	// waiting until the server was ready.
	if got := servertest.RedisCLI(t, s, "info", "stats"); !strings.Contains(got, "total_connections_received:4\r") {
		t.Errorf("statistics:\n%s\nwant 4 connections", got)
	}
	servertest.Wait(t, "the check's connection to be gone", func() error {
		if got := servertest.RedisCLI(t, s, "info", "clients"); !strings.Contains(got, "connected_clients:1\r") {
			return fmt.Errorf("clients:\n%s", got)
		}
		return nil
	})
}

func TestLogin(t *testing.T) {
	s := servertest.Redis(t, "requirepass open-sesame",
		"user app on >p@ss/word# +ping +select ~*", "user nothing on >nothing-much -@all", "user watcher on >watch-this +ping +role")
	healthy := []struct {
		name, url string
		options   []check.Option
	}{
		{"password in the URL", "redis://:open-sesame@" + s.Addr, nil},
		{"password as an option", "redis://" + s.Addr, []check.Option{option("password", "open-sesame")}},
		{"password in both", "redis://:open-sesame@" + s.Addr, []check.Option{option("password", "open-sesame")}},
		{"user in the URL", "redis://app:p%40ss%2Fword%23@" + s.Addr + "/2", nil},
		{"user as options", "redis://" + s.Addr, []check.Option{option("username", "app"), option("password", "p@ss/word#")}},
		{"user in the URL, password as an option", "redis://app@" + s.Addr, []check.Option{option("password", "p@ss/word#")}},
		{"role", "redis://watcher:watch-this@" + s.Addr + "?role=master", nil},
	}
	for _, test := range healthy {
		t.Run(test.name, func(t *testing.T) {
			if result := run(t, test.url, test.options...); result.Err != nil {
				t.Error(result.Err)
			}
		})
	}
	failing := []struct {
		name, url string
		reason    check.Reason
		part      string
	}{
		{"no password", "redis://" + s.Addr, check.ReasonAuth, "asks for a password, and none was given; write redis://:PASSWORD@HOST"},
		{"wrong password", "redis://:open-barley@" + s.Addr, check.ReasonAuth, "refuses the user name or password: WRONGPASS"},
		{"wrong user", "redis://apple:open-sesame@" + s.Addr, check.ReasonAuth, "refuses the user name or password: WRONGPASS"},
		{"may not ping", "redis://nothing:nothing-much@" + s.Addr, check.ReasonPermission, "allow it with ACL SETUSER NAME +ping: NOPERM"},
		{"may not select", "redis://watcher:watch-this@" + s.Addr + "/1", check.ReasonPermission, "ACL SETUSER NAME +select"},
		{"may not ask for the role", "redis://app:p%40ss%2Fword%23@" + s.Addr + "?role=master", check.ReasonPermission, "ACL SETUSER NAME +role"},
	}
	for _, test := range failing {
		t.Run(test.name, func(t *testing.T) {
			result := run(t, test.url)
			expectFailure(t, result, test.reason, test.part)
			for _, secret := range []string{"open-sesame", "open-barley", "p@ss", "nothing-much", "watch-this"} {
				if strings.Contains(result.Text(), secret) {
					t.Errorf("the secret %q is in %q", secret, result.Text())
				}
			}
		})
	}
}

func TestOptions(t *testing.T) {
	tests := []struct {
		name, url string
		options   []check.Option
		want      string
	}{
		{"opaque", "redis:6379", nil, "url: redis:6379 has no host; write redis://HOST:PORT, or redis://:PORT for this host"},
		{"port", "redis://h:65536", nil, "url: port 65536 is out of range; a port is a number from 1 to 65535"},
		{"path", "redis://h/cache", nil, `url: the path "/cache" is not the number of a database; write redis://HOST:PORT/3 for database 3`},
		{"user alone", "redis://forgotten-colon@h", nil, "username: needs a password; write redis://USER:PASSWORD@HOST, or redis://:PASSWORD@HOST for a password alone"},
		{"two users", "redis://a:pw@h", []check.Option{option("username", "b")}, `username: is "b", and the URL names another user; give it once`},
		{"two passwords", "redis://:first-pw@h", []check.Option{option("password", "second-pw")}, "password: is not the one in the URL; give it once"},
		{"two databases", "redis://h/3", []check.Option{option("db", "4")}, "db: is 4, and the URL says 3; give it once"},
		{"negative database", "redis://h?db=-1", nil, "db: -1 is negative; databases are numbered from 0"},
		{"database in words", "redis://h?db=one", nil, `db: "one" is not a whole number`},
		{"role", "redis://h?role=primary", nil, `role: "primary" is not a role; give master or replica`},
		{"TLS options without TLS", "redis://h?ca=/ca.pem&cert=/c.pem&key=/k.pem&server_name=n&insecure&min_days=3", nil,
			`ca: is for TLS, and this URL is without; write rediss://
cert: is for TLS, and this URL is without; write rediss://
key: is for TLS, and this URL is without; write rediss://
server_name: is for TLS, and this URL is without; write rediss://
insecure: is for TLS, and this URL is without; write rediss://
min_days: is for TLS, and this URL is without; write rediss://`},
		{"relative file", "rediss://h?ca=ca.pem", nil, `ca: "ca.pem" is a relative path; give an absolute one`},
		{"missing file", "rediss://h?ca=/nowhere/ca.pem", nil, "ca: open /nowhere/ca.pem: no such file or directory"},
		{"unknown", "redis://h?rôle=master", nil, `rôle: redis has no such option; did you mean "role"? (it has: ca, cert, db, fall, groups, impact, insecure, interval, key, min_days, name, password, recheck, rise, role, server_name, timeout, username)`},
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
	for _, kind := range []check.Kind{redischeck.Kind(), redischeck.KindTLS()} {
		c := kindtest.Build(t, kind, kind.Scheme+"://:1")
		want := []check.Setting{
			{Name: "username", Value: ""}, {Name: "password", Value: ""}, {Name: "db", Value: "0"}, {Name: "role", Value: ""},
			{Name: "ca", Value: ""}, {Name: "cert", Value: ""}, {Name: "key", Value: ""}, {Name: "server_name", Value: ""},
			{Name: "insecure", Value: "false"}, {Name: "min_days", Value: "0"},
		}
		if got := fmt.Sprint(c.Options); got != fmt.Sprint(want) {
			t.Errorf("%s: got %s, want %v", kind.Scheme, got, want)
		}
	}
}

func TestExamplesAreValid(t *testing.T) {
	for _, kind := range []check.Kind{redischeck.Kind(), redischeck.KindTLS()} {
		if _, err := build(kind.Example); err != nil {
			t.Errorf("%s: %v", kind.Example, err)
		}
	}
}
