package servertest_test

import (
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"hale/internal/servertest"
)

func TestServersStartStopAndLeaveNothing(t *testing.T) {
	starters := map[string]func(*testing.T) *servertest.Server{
		"redis":     func(t *testing.T) *servertest.Server { return servertest.Redis(t) },
		"nginx":     func(t *testing.T) *servertest.Server { return servertest.Nginx(t, "return 200;") },
		"postgres":  func(t *testing.T) *servertest.Server { return servertest.Postgres(t).Server },
		"zookeeper": func(t *testing.T) *servertest.Server { return servertest.ZooKeeper(t) },
		"rabbitmq":  func(t *testing.T) *servertest.Server { return servertest.RabbitMQ(t).Server },
	}
	for name, start := range starters {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var pid int
			var dir string
			t.Run("life", func(t *testing.T) {
				s := start(t)
				expectAccepts(t, s, true)
				s.Stop()
				expectAccepts(t, s, false)
				s.Start()
				expectAccepts(t, s, true)
				s.Kill()
				expectAccepts(t, s, false)
				s.Start()
				s.Pause() // and it must be stoppable from there
				pid, dir = s.PID(), s.Dir
			})
			if err := syscall.Kill(pid, 0); err != syscall.ESRCH {
				t.Errorf("signalling %d after the test: %v, want no such process", pid, err)
			}
			if _, err := os.Stat(dir); !os.IsNotExist(err) {
				t.Errorf("%s is left: %v", dir, err)
			}
		})
	}
}

func TestRedisCLITalksToItsServer(t *testing.T) {
	s := servertest.Redis(t, "maxclients 7")
	if got, want := servertest.RedisCLI(t, s, "config", "get", "maxclients"), "maxclients\n7"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestPostgresStandbyFollows(t *testing.T) {
	primary := servertest.Postgres(t)
	standby := servertest.PostgresStandby(t, primary)
	primary.SQL("create table t (n int); insert into t values (7)")
	servertest.Wait(t, "the table on the standby", func() error {
		if got := standby.SQL("select coalesce(to_regclass('t')::text, 'none')"); got != "t" {
			return fmt.Errorf("got %s", got)
		}
		return nil
	})
	if got := standby.SQL("select pg_is_in_recovery()"); got != "t" {
		t.Errorf("in recovery: %s, want t", got)
	}
	if !strings.Contains(primary.Log(), "database system is ready to accept connections") {
		t.Errorf("the primary's log:\n%s", primary.Log())
	}
}

func expectAccepts(t *testing.T, s *servertest.Server, want bool) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", s.Addr, 10*time.Second)
	if err == nil {
		_ = conn.Close()
	}
	if (err == nil) != want {
		t.Errorf("connect to %s: %v, want success %v\n%s", s.Addr, err, want, s.Log())
	}
}
