package redischeck_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hale/internal/check"
	"hale/internal/servertest"
)

func TestLoading(t *testing.T) {
	source := servertest.Redis(t)
	servertest.RedisCLI(t, source, "eval", "for i = 1, 10000 do redis.call('set', 'key' .. i, 'value') end", "0")
	servertest.RedisCLI(t, source, "save")
	source.Stop()
	// 5 ms a key is 50 s of loading, with a look at clients every KiB.
	s := servertest.Redis(t, "dir "+source.Dir, "key-load-delay 5000", "loading-process-events-interval-bytes 1024")
	expectFailure(t, run(t, "redis://"+s.Addr), check.ReasonLoading, "redis://"+s.Addr+": is loading its data into memory", "LOADING")
	expectFailure(t, run(t, "redis://"+s.Addr+"/1"), check.ReasonLoading)
	s.Kill()
}

func TestReplica(t *testing.T) {
	master := servertest.Redis(t)
	replica := servertest.Redis(t, fmt.Sprintf("replicaof %s %d", master.Host, master.Port), "replica-serve-stale-data no",
		"repl-diskless-sync-delay 0")
	url := "redis://" + replica.Addr
	servertest.Wait(t, "the replica to follow", func() error { return run(t, url).Err })
	expectNote(t, run(t, url+"?role=replica"), "replica of "+master.Addr+", link connected")
	servertest.Wait(t, "the master to count its replica", func() error {
		if result := run(t, "redis://"+master.Addr+"?role=master"); result.Note != "master, replicas: 1" {
			return fmt.Errorf("got %q, %v", result.Note, result.Err)
		}
		return nil
	})
	expectFailure(t, run(t, url+"?role=master"), check.ReasonRole, "is a replica of "+master.Addr, "a master is wanted")

	master.Stop()
	servertest.Wait(t, "the replica to miss its master", func() error {
		if result := run(t, url); result.Reason() != check.ReasonLoading {
			return fmt.Errorf("got %v", result.Err)
		}
		return nil
	})
	expectFailure(t, run(t, url), check.ReasonLoading, "without a link to its master", "MASTERDOWN")
	expectFailure(t, run(t, url+"?role=replica"), check.ReasonLoading, "MASTERDOWN")

	servertest.RedisCLI(t, replica, "replicaof", "no", "one")
	expectNote(t, run(t, url+"?role=master"), "master, replicas: 0")
}

func TestFull(t *testing.T) {
	s := servertest.Redis(t, "maxclients 1")
	servertest.Wait(t, "the connection that found the server ready to be gone", func() error { return run(t, "redis://"+s.Addr).Err })
	var conn net.Conn
	servertest.Wait(t, "the only place", func() (err error) {
		if conn, err = net.Dial("tcp", s.Addr); err != nil {
			return err
		}
		reply := make([]byte, len("+PONG"))
		if _, err = conn.Write([]byte("PING\r\n")); err == nil {
			_, err = conn.Read(reply)
		}
		if err == nil && string(reply) != "+PONG" {
			err = fmt.Errorf("got %q", reply)
		}
		if err != nil {
			_ = conn.Close()
		}
		return err
	})
	for range 20 { // the server's hanging up races with the check's writing
		expectFailure(t, run(t, "redis://:pass-word@"+s.Addr), check.ReasonStatus, "as many clients as it accepts", "max number of clients reached")
	}
	_ = conn.Close()
	servertest.Wait(t, "the place to be free", func() error { return run(t, "redis://"+s.Addr).Err })
}

func TestCannotSave(t *testing.T) {
	s := servertest.Redis(t, "save 3600 1000")
	// A directory in the file's place can't be replaced by a file.
	if err := os.MkdirAll(filepath.Join(s.Dir, "dump.rdb", "full"), 0o755); err != nil {
		t.Fatal(err)
	}
	expectNote(t, run(t, "redis://"+s.Addr), "PONG")
	servertest.RedisCLI(t, s, "bgsave")
	servertest.Wait(t, "saving to fail", func() error {
		if got := servertest.RedisCLI(t, s, "info", "persistence"); !strings.Contains(got, "rdb_last_bgsave_status:err") {
			return fmt.Errorf("persistence:\n%s", got)
		}
		return nil
	})
	expectFailure(t, run(t, "redis://"+s.Addr), check.ReasonStatus, "can't save its data", "MISCONF")
	s.Kill() // it would not stop before it can save
}

func TestBusyWithAScript(t *testing.T) {
	s := servertest.Redis(t, "busy-reply-threshold 10")
	conn, err := net.Dial("tcp", s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("EVAL \"while true do end\" 0\r\n")); err != nil {
		t.Fatal(err)
	}
	servertest.Wait(t, "the script to run", func() error {
		if result := run(t, "redis://"+s.Addr); result.Reason() != check.ReasonStatus {
			return fmt.Errorf("got %v", result.Err)
		}
		return nil
	})
	expectFailure(t, run(t, "redis://"+s.Addr), check.ReasonStatus, "busy with a script", "BUSY")
	servertest.RedisCLI(t, s, "script", "kill")
	servertest.Wait(t, "the script to end", func() error { return run(t, "redis://"+s.Addr).Err })
}

func TestTLS(t *testing.T) {
	certs := servertest.NewCerts(t, 72*time.Hour, "redis.test", "127.0.0.1")
	s := servertest.RedisTLS(t, certs, "requirepass open-sesame")
	url := "rediss://:open-sesame@" + s.Addr
	ca := option("ca", certs.CA)
	expectNote(t, run(t, url, ca), "PONG")
	expectNote(t, run(t, url, option("insecure", "true")), "PONG")
	expectNote(t, run(t, url, ca, option("server_name", "redis.test")), "PONG")
	expectNote(t, run(t, url, ca, option("min_days", "2")), "PONG")
	thisHost := fmt.Sprintf("rediss://:open-sesame@:%d", s.Port)
	expectNote(t, run(t, thisHost, ca, option("server_name", "redis.test")), "PONG")

	expectFailure(t, run(t, thisHost, ca), check.ReasonTLS, "localhost")
	expectFailure(t, run(t, url), check.ReasonTLS, "unknown authority")
	expectFailure(t, run(t, url, ca, option("server_name", "other.test")), check.ReasonTLS, "other.test")
	expectFailure(t, run(t, url, ca, option("min_days", "4")), check.ReasonTLS, "the certificate of redis.test expires on", "at least 4 are wanted")
	expectFailure(t, run(t, "rediss://"+s.Addr, ca), check.ReasonAuth, "write rediss://:PASSWORD@HOST")
	expectFailure(t, run(t, "redis://:open-sesame@"+s.Addr), check.ReasonReset, "no reply to AUTH", "write rediss:// if it speaks TLS")
}

func TestTLSClientCertificate(t *testing.T) {
	certs := servertest.NewCerts(t, 72*time.Hour, "127.0.0.1")
	s := servertest.RedisTLS(t, certs, "tls-auth-clients yes")
	url := "rediss://" + s.Addr
	expectNote(t, run(t, url, option("ca", certs.CA), option("cert", certs.Cert), option("key", certs.Key)), "PONG")
	expectFailure(t, run(t, url, option("ca", certs.CA)), check.ReasonTLS, "certificate required")
}

func TestTLSToAServerWithout(t *testing.T) {
	s := servertest.Redis(t)
	expectFailure(t, run(t, "rediss://"+s.Addr+"?timeout=500ms"), check.ReasonTimeout, "no TLS handshake", "write redis:// if it is without TLS")
	web := servertest.Nginx(t, "return 200;")
	expectFailure(t, run(t, "rediss://"+web.Addr), check.ReasonTLS, "does not speak TLS", "write redis://")
}

func TestNotRedis(t *testing.T) {
	s := servertest.Nginx(t, "return 200;")
	expectFailure(t, run(t, "redis://"+s.Addr), check.ReasonProtocol, "the answer to PING is not of the Redis protocol", "HTTP/1.1 400")
}

// What a real server can't be made to answer: to clients of this host, or at
// all.
func TestAnswers(t *testing.T) {
	tests := []struct {
		name, url, answer string
		reason            check.Reason
		parts             []string
	}{
		{"protected mode", "redis://%s", "-DENIED Redis is running in protected mode because " + strings.Repeat("of many reasons ", 200) + "\r\n",
			check.ReasonPermission, []string{"is in protected mode", "DENIED Redis is running"}},
		{"repeats the password", "redis://:pass-word@%s", "-ERR unknown command 'AUTH', with args beginning with: 'pass-word'\r\n",
			check.ReasonAuth, []string{"refuses the login: ERR unknown command 'AUTH', with args beginning with: '***'"}},
		{"wrong status", "redis://%s", "+OK\r\n", check.ReasonProtocol, []string{`answers PING with "OK", want "PONG"`}},
		{"wrong line end", "redis://%s", "+PONG\n", check.ReasonProtocol, []string{"not of the Redis protocol"}},
		{"half a status", "redis://%s", "+PO", check.ReasonProtocol, []string{"not of the Redis protocol"}},
		{"long status", "redis://%s", "+" + strings.Repeat("P", 2000) + "\r\n", check.ReasonProtocol, []string{"not of the Redis protocol"}},
		{"no line", "redis://%s", "\n", check.ReasonProtocol, []string{"not of the Redis protocol"}},
		{"nothing", "redis://%s", "", check.ReasonClosed, []string{"no reply to PING"}},
		{"long role", "redis://%s?role=master", "+PONG\r\n*3\r\n$4096\r\n", check.ReasonProtocol, []string{"answer to ROLE", "at most 1024 bytes"}},
		{"negative role", "redis://%s?role=master", "+PONG\r\n*3\r\n$-1\r\n", check.ReasonProtocol, []string{"answer to ROLE"}},
		{"role that is no list", "redis://%s?role=master", "+PONG\r\n*x\r\n", check.ReasonProtocol, []string{"answer to ROLE"}},
		{"sentinel", "redis://%s?role=master", "+PONG\r\n*2\r\n$8\r\nsentinel\r\n*0\r\n", check.ReasonRole, []string{"is a sentinel, and a master is wanted"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			address := servertest.Peer(t, func(conn net.Conn) {
				_, _ = conn.Read(make([]byte, 1024))
				_, _ = conn.Write([]byte(test.answer))
			})
			c, err := build(fmt.Sprintf(test.url, address))
			if err != nil {
				t.Fatal(err)
			}
			// Without the masking of results, so that the kind's own shows.
			_, err = c.Checker.Check(t.Context())
			expectFailure(t, check.NewResult(time.Now(), 0, "", err, nil), test.reason, test.parts...)
		})
	}
}
