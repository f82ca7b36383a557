package servertest

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Redis starts a Redis server with further lines of configuration. It keeps
// nothing on disk unless those say otherwise.
func Redis(tb testing.TB, conf ...string) *Server {
	tb.Helper()
	return redis(tb, redisReplies, func(s *Server) []string { return []string{"port " + strconv.Itoa(s.Port)} }, conf)
}

// RedisTLS starts a Redis server that speaks TLS only, with a certificate of
// certs and without asking clients for one.
func RedisTLS(tb testing.TB, certs *Certs, conf ...string) *Server {
	tb.Helper()
	return redis(tb, accepts, func(s *Server) []string {
		return []string{
			"port 0", "tls-port " + strconv.Itoa(s.Port), "tls-auth-clients no",
			"tls-cert-file " + certs.Cert, "tls-key-file " + certs.Key, "tls-ca-cert-file " + certs.CA,
		}
	}, conf)
}

func redis(tb testing.TB, ready func(*Server) error, listen func(*Server) []string, conf []string) *Server {
	tb.Helper()
	program := Program(tb, "redis-server", "redis-server")
	file := func(s *Server) string { return filepath.Join(s.Dir, "redis.conf") }
	return launch(tb, tb.TempDir(), recipe{
		name: "redis",
		configure: func(s *Server) error {
			lines := append(listen(s), "bind "+s.Host, "dir "+s.Dir, `save ""`, "daemonize no")
			lines = append(lines, conf...)
			return os.WriteFile(file(s), []byte(strings.Join(lines, "\n")+"\n"), 0o600)
		},
		command: func(s *Server) *exec.Cmd { return exec.Command(program, file(s)) },
		ready:   ready,
		stop:    syscall.SIGTERM,
	})
}

// redisReplies is a readiness that any reply tells: Redis listens before it looks
// for what it has stored. What is asked is no command, for Redis counts those.
func redisReplies(s *Server) error {
	conn, err := net.DialTimeout("tcp", s.Addr, time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	if _, err := conn.Write([]byte("READY?\r\n")); err != nil {
		return err
	}
	_, err = conn.Read(make([]byte, 1))
	return err
}

// RedisCLI runs redis-cli with the arguments against a server and returns what
// it says.
func RedisCLI(tb testing.TB, s *Server, args ...string) string {
	tb.Helper()
	program := Program(tb, "redis-cli", "redis-tools")
	args = append([]string{"-h", s.Host, "-p", strconv.Itoa(s.Port)}, args...)
	out, err := exec.Command(program, args...).CombinedOutput()
	if err != nil {
		tb.Fatalf("redis-cli %v: %v: %s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}
