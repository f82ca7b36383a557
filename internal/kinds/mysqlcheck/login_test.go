package mysqlcheck_test

import (
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"hale/internal/check"
	"hale/internal/servertest"
)

// login is the URL of a check that logs in as app.
func login(s *servertest.MariaDBServer, options ...string) string {
	values := make([]string, len(options))
	for i, o := range options {
		name, value, _ := strings.Cut(o, "=")
		values[i] = name + "=" + url.PathEscape(value)
	}
	return fmt.Sprintf("mysql://app:p%%40ss%%2Fword%%23@%s/shop?%s", s.Addr, strings.Join(values, "&"))
}

func TestLogin(t *testing.T) {
	s := servertest.MariaDB(t)
	s.SQL("create database shop", "create database secret", "create user app identified by 'p@ss/word#'", "grant all on shop.* to app",
		"create user locked identified by 'lock-word' account lock", "create user late identified by 'late-word' password expire",
		"install soname 'auth_ed25519'", "create user modern identified via ed25519 using password('modern-word')",
		"create table shop.many as select seq from mysql.help_topic, (select 1 seq) one",
		"create table shop.big as select repeat('x', 400000) x")
	before := s.Log()

	t.Run("healthy", func(t *testing.T) {
		for _, test := range []struct {
			name, url string
			options   []check.Option
			want      string
		}{
			{"password in the URL", login(s), nil, "logged in, 10."},
			{"options", "mysql://" + s.Addr, []check.Option{option("username", "app"), option("password", "p@ss/word#")}, "logged in"},
			{"password in both", login(s), []check.Option{option("password", "p@ss/word#")}, "logged in"},
			{"this host", fmt.Sprintf("mysql://app:p%%40ss%%2Fword%%23@:%d", s.Port), nil, "logged in"},
			{"socket", "mysql://app:p%40ss%2Fword%23@/shop?unix=" + s.Socket(), nil, "logged in"},
			{"socket, no password", "mysql://root@/?query=select%20user()&unix=" + s.Socket(), nil, `the query gives "root@localhost"`},
			{"query", login(s, "query=select 6 * 7, 'more'"), nil, `the query gives "42"`},
			{"no row", login(s, "query=select 1 from dual where 1 = 0"), nil, "the query gives no row"},
			{"null", login(s, "query=select null"), nil, "the query gives NULL"},
			{"empty", login(s, "query=select ''"), nil, `the query gives ""`},
			{"no result", login(s, "query=set @x = 1"), nil, "the query gives no row"},
			{"long value", login(s, "query=select repeat('ä', 1000)"), nil, `the query gives "` + strings.Repeat("ä", 50) + `"…`},
			{"longer value", login(s, "query=select repeat('x', 100000)"), nil, `the query gives "` + strings.Repeat("x", 100) + `"…`},
			{"many rows", login(s, "query=select * from many"), nil, `the query gives "1"`},
			{"expected", login(s, "query=select 'yes'", "expect=yes"), nil, `the query gives "yes"`},
			{"number as text", login(s, "query=select 1e20, 1", "expect=1e20"), nil, `the query gives "1e20"`},
			{"database", login(s, "query=select database()"), nil, `the query gives "shop"`},
			{"takes writes", login(s, "read_only=false"), nil, "takes writes"},
			{"both", login(s, "read_only=false", "query=select 1"), nil, `takes writes, the query gives "1"`},
		} {
			t.Run(test.name, func(t *testing.T) { expectNote(t, run(t, test.url, test.options...), test.want) })
		}
		// Every one of them said goodbye.
		expectQuiet(t, s, before)
		if got := s.SQL("show global status like 'Aborted_c%'"); !strings.HasPrefix(got, "Aborted_clients\t0\nAborted_connects\t0") {
			t.Errorf("%s, want none", got)
		}
	})
	t.Run("failing", func(t *testing.T) {
		for _, test := range []struct {
			name, url string
			reason    check.Reason
			part      string
		}{
			{"wrong password", "mysql://app:wrong-word@" + s.Addr, check.ReasonAuth, "Access denied for user 'app'"},
			{"wrong user", "mysql://nobody:wrong-word@" + s.Addr, check.ReasonAuth, "(error 1045); see the user name"},
			{"no password", "mysql://app@" + s.Addr + "?query=select%201", check.ReasonAuth, "(using password: NO)"},
			{"locked", "mysql://locked:lock-word@" + s.Addr, check.ReasonAuth, "this account is locked"},
			{"method", "mysql://modern:modern-word@" + s.Addr, check.ReasonAuth, "wants the password in the way of client_ed25519, and hale knows mysql_native_password and caching_sha2_password"},
			{"missing database", "mysql://root@" + s.Addr + "/nowhere?query=select%201", check.ReasonMissing, "Unknown database 'nowhere'"},
			{"forbidden database", strings.Replace(login(s), "/shop?", "/secret?", 1), check.ReasonPermission, "Access denied for user 'app'@'%' to database 'secret'"},
			{"forbidden table", login(s, "query=select * from mysql.user"), check.ReasonPermission, "command denied"},
			{"missing table", login(s, "query=select * from nothing"), check.ReasonMissing, "Table 'shop.nothing' doesn't exist"},
			{"nonsense", login(s, "query=selekt 1"), check.ReasonStatus, "(error 1064)"},
			{"unexpected", login(s, "query=select 1", "expect=2"), check.ReasonBody, `the query gives "1", want "2"`},
			{"no row", login(s, "query=select 1 from dual where 1 = 0", "expect=1"), check.ReasonBody, `the query gives no row, want "1"`},
			{"too large", login(s, "query=select * from big"), check.ReasonSize, "the query's answer is larger than 256 KiB; ask for less"},
			{"file", login(s, "query=load data local infile '/etc/passwd' into table many"), check.ReasonStatus, "(error 4166)"},
			{"not read-only", login(s, "read_only=true"), check.ReasonRole, "takes writes, and a read-only server is wanted; its read_only is 0"},
		} {
			t.Run(test.name, func(t *testing.T) {
				result := run(t, test.url)
				expectFailure(t, result, test.reason, test.part)
				for _, secret := range []string{"p@ss", "wrong-word", "lock-word", "modern-word"} {
					if strings.Contains(result.Text(), secret) {
						t.Errorf("the secret %q is in %q", secret, result.Text())
					}
				}
			})
		}
	})
	t.Run("read-only", func(t *testing.T) {
		s.SQL("set global read_only = on")
		expectNote(t, run(t, login(s, "read_only=true")), "read-only")
		expectFailure(t, run(t, login(s, "read_only=false")), check.ReasonRole, "is read-only, and a server that takes writes is wanted; its read_only is 1")
	})
	t.Run("limit of the account", func(t *testing.T) {
		s.SQL("create user busy identified by 'busy-word' with max_connections_per_hour 1")
		url := "mysql://busy:busy-word@" + s.Addr
		expectNote(t, run(t, url), "logged in")
		expectFailure(t, run(t, url), check.ReasonStatus, "max_connections_per_hour", "the account's own limit is reached")
	})
}

// A query that takes longer than the run may is not left running.
func TestSlowQuery(t *testing.T) {
	s := servertest.MariaDB(t)
	s.SQL("create database shop", "create user app identified by 'p@ss/word#'", "grant all on shop.* to app")
	before := s.Log()
	start := time.Now()
	expectFailure(t, run(t, login(s, "query=select sleep(600)", "timeout=500ms")), check.ReasonTimeout, "no answer within 500ms")
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("took %v", took)
	}
	servertest.Wait(t, "the query to be gone", func() error {
		if got := s.SQL("select id, info from information_schema.processlist where user = 'app'"); got != "" {
			return fmt.Errorf("it runs: %s", got)
		}
		return nil
	})
	expectQuiet(t, s, before)
}

const encrypted = "query=select variable_value <> '' from information_schema.session_status where variable_name = 'ssl_cipher'"

func TestTLS(t *testing.T) {
	certs := servertest.NewCerts(t, 72*time.Hour, "127.0.0.1", "db.test")
	s := servertest.MariaDB(t)
	s.SQL("create database shop", "create user app identified by 'p@ss/word#'", "grant all on shop.* to app",
		"create user careful identified by 'care-word' require x509")
	expectFailure(t, run(t, "mysql://"+s.Addr+"?tls=require"), check.ReasonTLS, "is without TLS, and tls=require wants it")
	expectNote(t, run(t, login(s, encrypted)), `the query gives "0"`)

	s.Stop()
	useCerts(t, s, certs)
	s.Start()
	before := s.Log()
	ca := "ca=" + certs.CA
	for _, test := range []struct {
		options []string
		want    string
	}{
		{[]string{"tls=disable"}, "0"}, {[]string{"tls=prefer"}, "1"}, {nil, "1"},
		{[]string{"tls=require", ca}, "1"}, {[]string{"tls=require", "insecure=true"}, "1"},
		{[]string{"tls=require", ca, "server_name=db.test", "min_days=2"}, "1"},
	} {
		t.Run(strings.Join(test.options, " "), func(t *testing.T) {
			expectNote(t, run(t, login(s, append(test.options, encrypted)...)), `the query gives "`+test.want+`"`)
			expectNote(t, run(t, "mysql://"+s.Addr+"?"+strings.Join(test.options, "&")), "accepts connections")
		})
	}
	t.Run("client certificate", func(t *testing.T) {
		url := "mysql://careful:care-word@" + s.Addr + "?tls=require&" + ca
		expectNote(t, run(t, url+"&cert="+certs.Cert+"&key="+certs.Key), "logged in")
		expectQuiet(t, s, before)
		expectFailure(t, run(t, url), check.ReasonAuth, "Access denied")
	})
	expectFailure(t, run(t, login(s, "tls=require")), check.ReasonTLS, "unknown authority")
	expectFailure(t, run(t, login(s, "tls=require", ca, "server_name=other.test")), check.ReasonTLS, "other.test")
	expectFailure(t, run(t, login(s, "tls=require", ca, "min_days=4")), check.ReasonTLS, "expires on", "at least 4 are wanted")

	s.SQL("set global require_secure_transport = on")
	expectNote(t, run(t, "mysql://"+s.Addr), "accepts connections")
	expectFailure(t, run(t, login(s, "tls=disable")), check.ReasonAuth, "whether only with TLS")
}

// useCerts makes a stopped server speak TLS when it starts again.
func useCerts(t *testing.T, s *servertest.MariaDBServer, certs *servertest.Certs) {
	t.Helper()
	authority, err := os.ReadFile(certs.CA)
	if err != nil {
		t.Fatal(err)
	}
	s.Configure("ssl-ca="+s.Own("ca.pem", string(authority)), "ssl-cert="+s.Own("cert.pem", string(certs.CertPEM)),
		"ssl-key="+s.Own("key.pem", string(certs.KeyPEM)))
}
