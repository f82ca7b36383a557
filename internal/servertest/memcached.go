package servertest

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// Memcached starts a memcached server with further arguments.
func Memcached(tb testing.TB, args ...string) *Server {
	tb.Helper()
	return memcached(tb, func(s *Server) []string { return []string{"-l", s.Host, "-p", strconv.Itoa(s.Port)} }, accepts, args)
}

// MemcachedSocket starts a memcached server that listens on a unix socket only
// and returns that as well.
func MemcachedSocket(tb testing.TB, args ...string) (s *Server, socket string) {
	tb.Helper()
	dir, err := os.MkdirTemp("", "hale-mc-") // short enough for a socket's path
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket = filepath.Join(dir, "s")
	ready := func(*Server) error {
		conn, err := net.DialTimeout("unix", socket, time.Second)
		if err != nil {
			return err
		}
		return conn.Close()
	}
	return memcached(tb, func(*Server) []string { return []string{"-s", socket} }, ready, args), socket
}

func memcached(tb testing.TB, listen func(*Server) []string, ready func(*Server) error, args []string) *Server {
	tb.Helper()
	program := Program(tb, "memcached", "memcached")
	return launch(tb, tb.TempDir(), recipe{
		name: "memcached",
		command: func(s *Server) *exec.Cmd {
			all := append(listen(s), "-U", "0", "-t", "1", "-m", "8")
			if os.Geteuid() == 0 {
				// It refuses to run as root unless told to.
				all = append(all, "-u", "root")
			}
			return exec.Command(program, append(all, args...)...)
		},
		ready: ready,
		stop:  syscall.SIGTERM,
	})
}
