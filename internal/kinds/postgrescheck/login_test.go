package postgrescheck_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"hale/internal/check"
	"hale/internal/servertest"
)

// login is the URL of a check that logs in as a superuser.
func login(s *servertest.PostgresServer, options ...string) string {
	values := make([]string, len(options))
	for i, o := range options {
		name, value, _ := strings.Cut(o, "=")
		values[i] = name + "=" + url.PathEscape(value)
	}
	return fmt.Sprintf("postgres://%s:%s@%s/postgres?%s", servertest.PostgresUser, servertest.PostgresPassword, s.Addr, strings.Join(values, "&"))
}

func TestLogin(t *testing.T) {
	s := servertest.Postgres(t, "log_min_messages = debug1")
	s.SQL("create role app login password 'p@ss/word#'", "create database shop owner app",
		"create role limited login password 'no-rights'", "create table secrets (n int)",
		"create table many as select generate_series(1, 100000)")
	before := s.Log()

	t.Run("healthy", func(t *testing.T) {
		tests := []struct {
			name, url string
			options   []check.Option
			want      string
		}{
			{"password in the URL", login(s), nil, "logged in"},
			{"encoded", "postgres://app:p%40ss%2Fword%23@" + s.Addr + "/shop", nil, "logged in"},
			{"options", "postgres://" + s.Addr + "/shop", []check.Option{option("username", "app"), option("password", "p@ss/word#")}, "logged in"},
			{"this host", fmt.Sprintf("postgres://app:p%%40ss%%2Fword%%23@:%d/shop", s.Port), nil, "logged in"},
			{"socket, no password", fmt.Sprintf("postgres://app@:%d/shop?host=%s&query=select%%20current_user", s.Port, s.Dir), nil, `the query gives "app"`},
			{"query", login(s, "query=select 6 * 7, 'more'"), nil, `the query gives "42"`},
			{"semicolon", login(s, "query=select 1;"), nil, `the query gives "1"`},
			{"no row", login(s, "query=select 1 where false"), nil, "the query gives no row"},
			{"null", login(s, "query=select null"), nil, `the query gives ""`},
			{"no result", login(s, "query=set search_path to public"), nil, "the query gives no row"},
			{"long value", login(s, "query=select repeat('ä', 1000)"), nil, `the query gives "` + strings.Repeat("ä", 50) + `"…`},
			{"many rows", login(s, "query=select * from many"), nil, `the query gives "1"`},
			{"expected", login(s, "query=select 'yes'", "expect=yes"), nil, `the query gives "yes"`},
			{"role", login(s, "role=primary"), nil, "primary"},
			{"role and query", login(s, "role=primary", "query=show application_name"), nil, `primary, the query gives "hale"`},
		}
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				expectNote(t, run(t, test.url, test.options...), test.want)
			})
		}
		expectNoClients(t, s)
		expectQuiet(t, s, before)
	})
	t.Run("asked for a password that was not given", func(t *testing.T) {
		expectFailure(t, run(t, "postgres://app@"+s.Addr+"/shop?role=primary"), check.ReasonAuth, "asks app for a password, and none was given")
		expectNoClients(t, s)
		expectQuiet(t, s, before)
	})
	t.Run("failing", func(t *testing.T) {
		limited := "postgres://limited:no-rights@" + s.Addr + "/postgres"
		tests := []struct {
			name, url string
			reason    check.Reason
			parts     []string
		}{
			{"wrong password", "postgres://app:wrong-password@" + s.Addr + "/shop", check.ReasonAuth, []string{"postgres://" + s.Addr + ": refuses the user name or password", `password authentication failed for user "app" (SQLSTATE 28P01)`}},
			{"wrong user", "postgres://apple:wrong-password@" + s.Addr + "/shop", check.ReasonAuth, []string{"28P01"}},
			{"unknown role without a password", fmt.Sprintf("postgres://apple@:%d/shop?host=%s&role=primary", s.Port, s.Dir), check.ReasonAuth, []string{`role "apple" does not exist (SQLSTATE 28000)`}},
			{"no database", "postgres://app:p%40ss%2Fword%23@" + s.Addr + "/stop", check.ReasonMissing, []string{`has no such database: database "stop" does not exist (SQLSTATE 3D000)`}},
			{"no right", limited + "?query=select%20*%20from%20secrets", check.ReasonPermission, []string{"permission denied for table secrets (SQLSTATE 42501)"}},
			{"syntax", login(s, "query=selct 1"), check.ReasonStatus, []string{`answers with an error: syntax error at or near "selct" (SQLSTATE 42601)`}},
			{"two statements", login(s, "query=select 1; select 2"), check.ReasonStatus, []string{"multiple commands"}},
			{"not what was expected", login(s, "query=select 'no'", "expect=yes"), check.ReasonBody, []string{`the query gives "no", want "yes"`}},
			{"no row was expected", login(s, "query=select 1 where false", "expect=1"), check.ReasonBody, []string{`the query gives no row, want "1"`}},
			{"huge row", login(s, "query=select repeat('x', 300000)"), check.ReasonSize, []string{"the query's first row is larger than 256 KiB"}},
			{"role", login(s, "role=standby"), check.ReasonRole, []string{"is a primary, and a standby is wanted"}},
			{"no TLS", login(s, "sslmode=require"), check.ReasonTLS, []string{"has no TLS, and sslmode is require"}},
		}
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				result := run(t, test.url)
				expectFailure(t, result, test.reason, test.parts...)
				for _, secret := range []string{"wrong-password", "p@ss", "p%40ss", "no-rights", servertest.PostgresPassword} {
					if strings.Contains(result.Text(), secret) {
						t.Errorf("the secret %q is in %q", secret, result.Text())
					}
				}
			})
		}
		expectNoClients(t, s)
	})
	t.Run("query that takes too long", func(t *testing.T) {
		before := s.Log()
		result := run(t, login(s, "query=select pg_sleep(600)", "timeout=1s"))
		expectFailure(t, result, check.ReasonTimeout, "no answer within 1s", "no result of the query")
		// The server would sleep on if it had not been told.
		expectNoClients(t, s)
		expectOnlyCancellation(t, strings.TrimPrefix(s.Log(), before))
	})
	t.Run("a COPY that waits for data", func(t *testing.T) {
		begin := time.Now()
		result := run(t, login(s, "query=copy many from stdin", "timeout=10s"))
		expectFailure(t, result, check.ReasonConfig, "the query waits for data to copy, and a check has none; give a statement that only asks")
		if took := time.Since(begin); took > 5*time.Second {
			t.Errorf("that took %v", took)
		}
		expectNoClients(t, s)
	})
	t.Run("terminated", func(t *testing.T) {
		result := run(t, login(s, "query=select pg_terminate_backend(pg_backend_pid())"))
		expectFailure(t, result, check.ReasonLoading, "terminating connection due to administrator command (SQLSTATE 57P01)")
	})
}

// expectOnlyCancellation asserts that what a server logged is one cancelled
// query and nothing about broken connections.
func expectOnlyCancellation(t *testing.T, log string) {
	t.Helper()
	lines := slices.DeleteFunc(strings.Split(strings.TrimSpace(log), "\n"), func(line string) bool {
		return strings.Contains(line, " DEBUG: ") && !strings.Contains(line, "EOF")
	})
	if len(lines) != 2 || !strings.HasSuffix(lines[0], "ERROR:  canceling statement due to user request") || !strings.Contains(lines[1], "STATEMENT:") {
		t.Errorf("the server's log:\n%s\nwant one cancelled statement", log)
	}
}

func TestStandby(t *testing.T) {
	primary := servertest.Postgres(t)
	standby := servertest.PostgresStandby(t, primary)
	expectNote(t, run(t, login(standby, "role=standby")), "standby")
	expectFailure(t, run(t, login(standby, "role=primary")), check.ReasonRole, "is a standby, and a primary is wanted")
	primary.Kill()
	standby.SQL("select pg_promote()")
	expectNote(t, run(t, login(standby, "role=primary")), "primary")
}

// Other programs' settings must not change what a check does.
func TestEnvironmentHasNoSay(t *testing.T) {
	s := servertest.Postgres(t)
	home := t.TempDir()
	for name, value := range map[string]string{
		"HOME": home, "PGHOST": "/nowhere", "PGPORT": "1", "PGUSER": "nobody", "PGPASSWORD": "wrong-password", "PGDATABASE": "nothing",
		"PGSSLMODE": "verify-full", "PGSSLROOTCERT": "/nowhere", "PGSSLCERTMODE": "require", "PGSSLNEGOTIATION": "direct",
		"PGAPPNAME": "other", "PGOPTIONS": "-c statement_timeout=1", "PGTARGETSESSIONATTRS": "standby", "PGCONNECT_TIMEOUT": "x",
		"PGMINPROTOCOLVERSION": "3.2", "PGMAXPROTOCOLVERSION": "3.2", "PGREQUIREAUTH": "md5", "PGCHANNELBINDING": "require", "PGPASSFILE": "/nowhere", "PGTZ": "Mars",
	} {
		t.Setenv(name, value)
	}
	expectNote(t, run(t, "postgres://"+s.Addr), "accepting connections")
	expectNote(t, run(t, login(s, "query=show application_name")), `the query gives "hale"`)
	expectNote(t, run(t, login(s, "query=show statement_timeout")), `the query gives "0"`)
}
