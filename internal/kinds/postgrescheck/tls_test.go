package postgrescheck_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"hale/internal/check"
	"hale/internal/servertest"
)

// postgresTLS starts a server with a certificate for the names.
func postgresTLS(t *testing.T, hba string, names ...string) (*servertest.PostgresServer, *servertest.Certs) {
	t.Helper()
	certs := servertest.NewCerts(t, 72*time.Hour, names...)
	s := servertest.Postgres(t)
	s.Own("server.crt", string(certs.CertPEM))
	s.Own("server.key", string(certs.KeyPEM))
	ca, err := os.ReadFile(certs.CA)
	if err != nil {
		t.Fatal(err)
	}
	s.Own("ca.crt", string(ca))
	s.Own("pg_hba.conf", "local all all trust\n"+hba+"\n")
	s.SQL("alter system set ssl = on", "alter system set ssl_ca_file = 'ca.crt'")
	s.Reload()
	return s, certs
}

const encrypted = "query=select ssl from pg_stat_ssl where pid = pg_backend_pid()"

func TestTLS(t *testing.T) {
	s, certs := postgresTLS(t, "host all all all scram-sha-256", "127.0.0.1", "db.test")
	before := s.Log()
	for _, test := range []struct{ options, want string }{
		{"sslmode=disable", "f"},
		{"sslmode=prefer", "t"},
		{"sslmode=require", "t"},
		{"sslmode=require ca=CA", "t"},
		{"sslmode=require ca=CA server_name=other.test", "t"},
		{"sslmode=verify-ca ca=CA server_name=other.test", "t"},
		{"sslmode=verify-full ca=CA", "t"},
		{"sslmode=verify-full ca=CA server_name=db.test min_days=2", "t"},
	} {
		t.Run(test.options, func(t *testing.T) {
			options := strings.Fields(strings.ReplaceAll(test.options, "CA", certs.CA))
			expectNote(t, run(t, login(s, append(options, encrypted)...)), `the query gives "`+test.want+`"`)
			expectNote(t, run(t, "postgres://"+s.Addr+"?"+strings.Join(options, "&")), "accepting connections")
		})
	}
	t.Run("expiry", func(t *testing.T) {
		expectFailure(t, run(t, login(s, "sslmode=require", "min_days=4")), check.ReasonTLS, "the certificate of 127.0.0.1 expires on", "at least 4 are wanted")
	})
	expectNoClients(t, s)
	if got := s.Log(); got != before {
		t.Errorf("the server's log grew by:\n%s", strings.TrimPrefix(got, before))
	}
	t.Run("query that takes too long", func(t *testing.T) {
		before := s.Log()
		expectFailure(t, run(t, login(s, "query=select pg_sleep(600)", "timeout=1s", "sslmode=require")), check.ReasonTimeout)
		expectNoClients(t, s)
		expectOnlyCancellation(t, strings.TrimPrefix(s.Log(), before))
	})
	for _, test := range []struct{ options, want string }{
		{"sslmode=verify-full ca=CA server_name=other.test", "other.test"},
		{"sslmode=verify-full", "unknown authority"},
		{"sslmode=verify-ca", "unknown authority"},
		{"sslmode=require ca=" + servertest.NewCerts(t, time.Hour, "stranger").CA, "unknown authority"},
	} {
		t.Run(test.options, func(t *testing.T) {
			options := strings.Fields(strings.ReplaceAll(test.options, "CA", certs.CA))
			expectFailure(t, run(t, login(s, options...)), check.ReasonTLS, "TLS handshake", test.want)
			expectFailure(t, run(t, "postgres://"+s.Addr+"?"+strings.Join(options, "&")), check.ReasonTLS, "TLS handshake", test.want)
		})
	}
}

// With sslmode prefer, a server that lets clients in only without TLS is asked
// again without.
func TestTLSNotAllowed(t *testing.T) {
	s, _ := postgresTLS(t, "hostnossl all all all scram-sha-256", "127.0.0.1")
	expectNote(t, run(t, login(s, encrypted)), `the query gives "f"`)
	expectNote(t, run(t, "postgres://"+s.Addr), "accepting connections")
	expectFailure(t, run(t, login(s, "sslmode=require")), check.ReasonAuth, "pg_hba.conf", "(SQLSTATE 28000)")
}

func TestClientCertificate(t *testing.T) {
	s, certs := postgresTLS(t, "hostssl all all all cert", "app", "127.0.0.1")
	s.SQL("create role app login", "create database app owner app")
	url := fmt.Sprintf("postgres://app@%s?sslmode=verify-full&ca=%s", s.Addr, certs.CA)
	withCert := url + "&cert=" + certs.Cert + "&key=" + certs.Key
	expectNote(t, run(t, withCert), "logged in")
	expectNote(t, run(t, withCert+"&query=select%20current_user"), `the query gives "app"`)
	expectNote(t, run(t, url), "accepting connections")
	expectFailure(t, run(t, url+"&role=primary"), check.ReasonAuth, "connection requires a valid client certificate")
}

func TestPasswordMethods(t *testing.T) {
	s := servertest.Postgres(t)
	s.SQL("set password_encryption = 'md5'", "create role old login password 'md5-password'")
	for _, method := range []string{"md5", "password", "scram-sha-256"} {
		t.Run(method, func(t *testing.T) {
			s.Own("pg_hba.conf", "local all all trust\nhost all all all "+method+"\n")
			s.Reload()
			expectNote(t, run(t, "postgres://"+s.Addr), "accepting connections")
			expectNote(t, run(t, login(s)), "logged in")
			if method != "scram-sha-256" {
				expectNote(t, run(t, "postgres://old:md5-password@"+s.Addr+"/postgres"), "logged in")
			}
		})
	}
}
