package postgrescheck_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"hale/internal/check"
	"hale/internal/servertest"
)

// The exit codes of pg_isready.
const (
	isAccepting  = 0
	isRejecting  = 1
	isNoResponse = 2
)

// expectAsIsReady runs pg_isready and the check, with the same user and
// database, against a server and asserts that both decide alike.
func expectAsIsReady(t *testing.T, s *servertest.PostgresServer, want int) check.Result {
	t.Helper()
	isReady := servertest.Program(t, "pg_isready", "postgresql-client")
	for _, who := range []struct{ user, database string }{{"postgres", "postgres"}, {"nobody-at-all", "nothing"}} {
		cmd := exec.Command(isReady, "-h", s.Host, "-p", strconv.Itoa(s.Port), "-U", who.user, "-d", who.database, "-t", "1")
		out, _ := cmd.CombinedOutput()
		if got := cmd.ProcessState.ExitCode(); got != want {
			t.Fatalf("pg_isready exits with %d, want %d: %s", got, want, out)
		}
		result := run(t, "postgres://"+who.user+"@"+s.Addr+"/"+who.database+"?timeout=1s")
		got := isNoResponse
		switch {
		case result.Healthy():
			got = isAccepting
		case result.Reason() == check.ReasonLoading:
			got = isRejecting
		}
		if got != want {
			t.Errorf("as %s: got %d (%v), pg_isready decides %d", who.user, got, result.Err, want)
		}
	}
	return run(t, "postgres://"+s.Addr+"?timeout=1s")
}

func TestDecidesAsPgIsReady(t *testing.T) {
	primary := servertest.Postgres(t, "max_connections = 5", "max_wal_senders = 2")
	expectNote(t, expectAsIsReady(t, primary, isAccepting), "accepting connections")

	t.Run("a standby that takes no connections", func(t *testing.T) {
		standby := servertest.PostgresStandby(t, primary, "hot_standby = off", "max_connections = 5", "max_wal_senders = 2")
		expectFailure(t, expectAsIsReady(t, standby, isRejecting), check.ReasonLoading,
			"postgres://"+standby.Addr+": is rejecting connections: the database system is not", "Hot standby mode is disabled", "(SQLSTATE 57P03)")
		result := run(t, "postgres://postgres:"+servertest.PostgresPassword+"@"+standby.Addr)
		expectFailure(t, result, check.ReasonLoading, "is rejecting connections", "(SQLSTATE 57P03)")
	})
	t.Run("no place left", func(t *testing.T) {
		fill(t, primary)
		expectNote(t, expectAsIsReady(t, primary, isAccepting), "accepting connections")
		result := run(t, "postgres://postgres:"+servertest.PostgresPassword+"@"+primary.Addr)
		expectFailure(t, result, check.ReasonStatus, "has as many connections as it accepts", "too many clients already (SQLSTATE 53300)")
	})
	t.Run("paused", func(t *testing.T) {
		primary.Pause()
		defer primary.Resume()
		expectFailure(t, expectAsIsReady(t, primary, isNoResponse), check.ReasonTimeout, "no answer to the request for TLS")
	})
	t.Run("shutting down", func(t *testing.T) {
		// A smart shutdown waits for its last client, and takes no other.
		conn := connect(t, primary)
		if err := signal(primary, "TERM"); err != nil {
			t.Fatal(err)
		}
		url := "postgres://" + primary.Addr
		servertest.Wait(t, "the server to shut down", func() error {
			if result := run(t, url); result.Reason() != check.ReasonLoading {
				return fmt.Errorf("got %v", result.Err)
			}
			return nil
		})
		expectFailure(t, expectAsIsReady(t, primary, isRejecting), check.ReasonLoading, "the database system is shutting down")
		_ = conn.Close(context.Background())
	})
	t.Run("stopped", func(t *testing.T) {
		primary.Stop()
		expectFailure(t, expectAsIsReady(t, primary, isNoResponse), check.ReasonRefused, "postgres://"+primary.Addr)
	})
}

// signal sends a signal to the server itself.
func signal(s *servertest.PostgresServer, name string) error {
	return exec.Command("kill", "-"+name, strconv.Itoa(s.PID())).Run()
}

// connect opens a connection that lasts.
func connect(t *testing.T, s *servertest.PostgresServer) *pgconn.PgConn {
	t.Helper()
	conn, err := tryConnect(s)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

func tryConnect(s *servertest.PostgresServer) (*pgconn.PgConn, error) {
	return pgconn.Connect(context.Background(), fmt.Sprintf("host=%s port=%d user=%s dbname=postgres sslmode=disable", s.Dir, s.Port, servertest.PostgresUser))
}

// fill takes all connections that the server has until the test ends.
func fill(t *testing.T, s *servertest.PostgresServer) {
	t.Helper()
	var held []*pgconn.PgConn
	t.Cleanup(func() {
		for _, conn := range held {
			_ = conn.Close(context.Background())
		}
		servertest.Wait(t, "a place to be free", func() error {
			conn, err := tryConnect(s)
			if err == nil {
				err = conn.Close(context.Background())
			}
			return err
		})
	})
	for len(held) < 100 {
		conn, err := tryConnect(s)
		if err != nil {
			if !strings.Contains(err.Error(), "53300") {
				t.Fatal(err)
			}
			return
		}
		held = append(held, conn)
	}
	t.Fatal("the server never becomes full")
}

func TestPingNeedsNoAccountAndLeavesNoTrace(t *testing.T) {
	s := servertest.Postgres(t, "log_min_messages = debug1")
	before := s.Log()
	for _, url := range []string{
		"postgres://" + s.Addr,
		"postgresql://" + s.Addr,
		"postgres://nobody-at-all@" + s.Addr + "/nothing",
		fmt.Sprintf("postgres://:%d", s.Port),
		"postgres://" + s.Addr + "?sslmode=disable",
		// The socket's authentication is trust, so the server lets it in.
		fmt.Sprintf("postgres://:%d?host=%s", s.Port, s.Dir),
		fmt.Sprintf("postgres:///postgres?host=%s#timeout=5s", socketOn5432(t, s)),
	} {
		for range 3 {
			expectNote(t, run(t, url), "accepting connections")
		}
	}
	expectNoClients(t, s)
	expectQuiet(t, s, before)

	// The same where the server lets everybody in over TCP.
	s.Own("pg_hba.conf", "local all all trust\nhost all all all trust\n")
	s.Reload()
	before = s.Log()
	for range 20 {
		expectNote(t, run(t, "postgres://"+s.Addr), "accepting connections")
	}
	expectNoClients(t, s)
	expectQuiet(t, s, before)
}

// expectQuiet asserts that a server that logs debug1 messages has not logged a
// problem since its log was as before: nothing that it logs otherwise, and no
// client that hung up without a goodbye.
func expectQuiet(t *testing.T, s *servertest.PostgresServer, before string) {
	t.Helper()
	for line := range strings.Lines(strings.TrimPrefix(s.Log(), before)) {
		if !strings.Contains(line, " DEBUG: ") || strings.Contains(line, "EOF") {
			t.Errorf("the server logs %s", line)
		}
	}
}

// socketOn5432 makes a directory in which the server's socket has the name of
// the default port.
func socketOn5432(t *testing.T, s *servertest.PostgresServer) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "hale-pg-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(s.Dir, fmt.Sprintf(".s.PGSQL.%d", s.Port))
	if err := os.Symlink(socket, filepath.Join(dir, ".s.PGSQL.5432")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// expectNoClients waits until nobody but the question itself is connected.
func expectNoClients(t *testing.T, s *servertest.PostgresServer) {
	t.Helper()
	servertest.Wait(t, "no client to be connected", func() error {
		if got := s.SQL("select count(*) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()"); got != "0" {
			return fmt.Errorf("%s clients are", got)
		}
		return nil
	})
}

func TestSocketThatIsNotThere(t *testing.T) {
	dir := t.TempDir()
	expectFailure(t, run(t, "postgres://?host="+dir), check.ReasonMissing, filepath.Join(dir, ".s.PGSQL.5432"))
}

func TestNotPostgres(t *testing.T) {
	web := servertest.Nginx(t, "return 200;")
	expectFailure(t, run(t, "postgres://"+web.Addr), check.ReasonProtocol, `is not PostgreSQL: it answers the request for TLS with "H"`)
	expectFailure(t, run(t, "postgres://"+web.Addr+"?sslmode=disable"), check.ReasonProtocol, "no answer to the startup packet")
	redis := servertest.Redis(t)
	expectFailure(t, run(t, "postgres://"+redis.Addr+"?timeout=300ms"), check.ReasonTimeout)
}

// Peers that speak the protocol, but too much of it.
func TestBounds(t *testing.T) {
	notice := append([]byte{'N', 0, 0, 0x10, 4}, make([]byte, 0x1000)...)
	tests := []struct {
		name, part string
		send       func(net.Conn)
	}{
		{"a message of 768 MB is announced", "invalid body length", func(c net.Conn) {
			_, _ = c.Write([]byte{'R', 0x30, 0, 0, 0})
			_, _ = c.Read(make([]byte, 1))
		}},
		{"notices without end", "more than 256 KiB of answer", func(c net.Conn) {
			for {
				if _, err := c.Write(notice); err != nil {
					return
				}
			}
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for _, user := range []string{"app", "app:pass-word"} {
				address := servertest.Peer(t, func(conn net.Conn) {
					_, _ = conn.Read(make([]byte, 1024))
					test.send(conn)
				})
				result := run(t, "postgres://"+user+"@"+address+"?sslmode=disable")
				expectFailure(t, result, check.ReasonProtocol, test.part)
			}
		})
	}
}
