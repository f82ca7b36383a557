package explain_test

import (
	"encoding/csv"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hale/internal/servertest"
)

const haproxyDefaults = "defaults\n mode http\n timeout client 10s\n timeout server 10s\n timeout connect 10s\n timeout check 2s\n"

// TestTheRealHAProxyAgrees: Debian's HAProxy calls up and down what hale explain
// says that HAProxy would.
func TestTheRealHAProxyAgrees(t *testing.T) {
	t.Parallel()
	lab := newLaboratory(t)
	expired := servertest.NewCerts(t, -30*time.Minute, "127.0.0.1")
	other := servertest.NewCerts(t, time.Hour, "other.example")
	setups := []struct {
		name  string
		where place
		up    bool
		// trusts is whose authority HAProxy trusts, if it is not the laboratory's.
		trusts *servertest.Certs
	}{
		{"well", at(servertest.Nginx(t, `return 200;`), "/"), true, nil},
		{"no-content", at(servertest.Nginx(t, `return 204;`), "/"), true, nil},
		{"redirect", at(servertest.Nginx(t, `return 301 https://$host$request_uri;`), "/"), true, nil},
		{"options", nginxAt("/", `root $DIR; location = / { try_files /nginx.conf =404; }`)(t, lab), false, nil},
		{"not-found", at(lab.open, "/none"), false, nil},
		{"no-host", at(lab.strict, "/health_check"), false, nil},
		{"slow", at(lab.open, "/slow/3/"), false, nil},
		{"preceded", at(preceded(t, ""), "/"), false, nil},
		{"plain-to-tls", plain(secured(t, lab.certs, "")), false, nil},
		{"tls", secured(t, lab.certs, ""), true, nil},
		{"tls-to-plain", atTLS(servertest.Nginx(t, `return 200;`), "/"), false, nil},
		{"expired", secured(t, expired, ""), false, expired},
		{"other-name", secured(t, other, ""), true, other},
		{"client-certificate", secured(t, lab.certs, "ssl_verify_client on; ssl_client_certificate "+lab.certs.CA+";"), false, nil},
		{"no-sni", rejecting(t, lab, "shop.example"), false, nil},
		{"http2", plain(atTLS(servertest.NginxHTTP(t, `server { listen 127.0.0.1:$PORT http2; return 200; }`), "/")), false, nil},
	}
	config := haproxyDefaults + "global\n stats socket $DIR/stats mode 600 level user\nfrontend f\n bind 127.0.0.1:$PORT\n"
	for _, s := range setups {
		scheme, rest, _ := strings.Cut(s.where.url, "://")
		addr, path, _ := strings.Cut(rest, "/")
		config += fmt.Sprintf("backend %s\n option httpchk OPTIONS /%s\n server one %s check inter 300ms fall 1 rise 1", s.name, path, addr)
		if scheme == "https" {
			trusts := s.trusts
			if trusts == nil {
				trusts = lab.certs
			}
			config += " check-ssl verify required ca-file " + trusts.CA
		}
		config += "\n"
	}
	haproxy := servertest.HAProxy(t, config)
	for _, s := range setups {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			var status, check string
			servertest.Wait(t, "HAProxy's judgement of "+s.name, func() error {
				status, check = judged(t, haproxy, s.name)
				// It begins with UP, and says INI until it has asked; a check
				// that runs is marked with a star.
				if check == "" || check == "INI" || strings.HasPrefix(check, "* ") {
					return fmt.Errorf("status %s, check %q", status, check)
				}
				return nil
			})
			if up := status == "UP"; up != s.up {
				t.Errorf("HAProxy calls it %s (%s), want up %v\n%s", status, check, s.up, haproxy.Log())
			}
			if result := play(t, "haproxy", s.where); result.OK != s.up {
				t.Errorf("HAProxy calls it %s (%s), and it is explained as\n%s", status, check, story(result))
			}
		})
	}
}

// judged asks HAProxy for a backend's server: its status and how the last check
// ended (HAProxy's Management Guide, 9.1: fields 18 and 37).
func judged(t *testing.T, s *servertest.Server, backend string) (status, check string) {
	t.Helper()
	conn, err := net.Dial("unix", filepath.Join(s.Dir, "stats"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	if _, err := io.WriteString(conn, "show stat\n"); err != nil {
		t.Fatal(err)
	}
	table := csv.NewReader(conn)
	table.FieldsPerRecord = -1
	rows, err := table.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		if len(row) > 36 && row[0] == backend && row[1] == "one" {
			return row[17], row[36]
		}
	}
	t.Fatalf("HAProxy has no %s/one:\n%v", backend, rows)
	return "", ""
}
