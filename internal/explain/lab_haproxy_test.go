package explain_test

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"hale/internal/servertest"
)

const haproxyDefaults = "defaults\n mode http\n timeout client 10s\n timeout server 10s\n timeout connect 10s\n timeout check 2s\n"

// Headers that are malformed.
const (
	twoLengths = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!"
	noColon    = "HTTP/1.1 200 OK\r\nfoo bar\r\nContent-Length: 2\r\n\r\nok"
)

// TestTheRealHAProxyAgrees: Debian's HAProxy calls up and down what hale explain
// says that HAProxy would.
func TestTheRealHAProxyAgrees(t *testing.T) {
	t.Parallel()
	lab := newLaboratory(t)
	expired := servertest.NewCerts(t, -30*time.Minute, "127.0.0.1")
	keyed := selfSigned(t, "127.0.0.1", "subjectAltName=IP:127.0.0.1")
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
		{"endless", answered(t, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", true), true, nil},
		{"short-body", answered(t, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello", false), true, nil},
		{"bad-chunk", answered(t, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n", false), false, nil},
		{"two-lengths", answered(t, twoLengths, false), false, nil},
		{"no-colon", answered(t, noColon, false), false, nil},
		{"continue", answered(t, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false), false, nil},
		{"old-ciphers", secured(t, keyed, "ssl_protocols TLSv1.2; ssl_ciphers AES128-SHA:AES256-SHA:AES128-GCM-SHA256;"), true, keyed},
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

// answered is a server that answers every request with the same bytes, and then
// closes, or holds the connection.
func answered(t *testing.T, text string, holds bool) place {
	t.Helper()
	return place{url: "http://" + speaker(t, func(ctx context.Context, conn net.Conn) {
		_, _ = io.WriteString(conn, text)
		if holds {
			<-ctx.Done()
		}
	}) + "/"}
}

// selfSigned is a certificate with a key of RSA, for ciphers that need one, and
// with no more than a common name unless extensions say so.
func selfSigned(t *testing.T, name string, extensions ...string) *servertest.Certs {
	t.Helper()
	dir := t.TempDir()
	certs := &servertest.Certs{CA: filepath.Join(dir, "cert.pem"), Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}
	args := []string{"req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=" + name, "-keyout", certs.Key, "-out", certs.Cert}
	for _, e := range extensions {
		args = append(args, "-addext", e)
	}
	out, err := exec.Command(servertest.Program(t, "openssl", "openssl"), args...).CombinedOutput()
	if err != nil {
		t.Fatalf("openssl: %v\n%s", err, out)
	}
	return certs
}

// TestTheRealCaddyAgrees: Debian's Caddy takes for up and down what hale explain
// says that Caddy would. A request through it tells: 503 is Caddy's own, for an
// upstream that is down.
func TestTheRealCaddyAgrees(t *testing.T) {
	t.Parallel()
	for _, setup := range []struct {
		name, text string
		holds, up  bool
	}{
		{"well", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", false, true},
		{"endless", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", true, true},
		{"short-body", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello", false, true},
		{"bad-chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n", false, true},
		{"two-lengths", twoLengths, false, false},
		{"no-colon", noColon, false, false},
		{"continue", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false, true},
		{"failing", "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n", false, false},
	} {
		t.Run(setup.name, func(t *testing.T) {
			t.Parallel()
			var came atomic.Int64
			addr := speaker(t, func(ctx context.Context, conn net.Conn) {
				came.Add(1)
				_, _ = io.WriteString(conn, setup.text)
				if setup.holds {
					<-ctx.Done()
				}
			})
			caddy := servertest.Caddy(t, "http://:$PORT {\nreverse_proxy "+addr+" {\nhealth_uri /\nhealth_interval 200ms\nhealth_timeout 1s\n}\n}")
			servertest.Wait(t, "Caddy's health checks", func() error {
				if n := came.Load(); n < 5 {
					return fmt.Errorf("%d came", n)
				}
				return nil
			})
			up := func() bool { return status(t, caddy.Addr) != http.StatusServiceUnavailable }
			if !setup.up {
				servertest.Wait(t, "Caddy's judgement", func() error {
					if up() {
						return errors.New("it is up")
					}
					return nil
				})
			} else if !up() {
				t.Errorf("Caddy calls it down:\n%s", caddy.Log())
			}
			if result := play(t, "caddy", place{url: "http://" + addr + "/"}); result.OK != setup.up {
				t.Errorf("Caddy takes it for up: %v, and it is explained as\n%s", setup.up, story(result))
			}
		})
	}
}

// status is the status of an answer, whose body is not read.
func status(t *testing.T, addr string) int {
	t.Helper()
	client := http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Get("http://" + addr + "/")
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	return answer.StatusCode
}
