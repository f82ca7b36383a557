package servertest

import (
	"bufio"
	"errors"
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

// NATS starts a NATS server with further lines of configuration, in which $DIR
// stands for its directory.
func NATS(tb testing.TB, conf ...string) *Server {
	tb.Helper()
	program := Program(tb, "nats-server", "nats-server")
	file := func(s *Server) string { return filepath.Join(s.Dir, "nats.conf") }
	return launch(tb, tb.TempDir(), recipe{
		name: "nats",
		configure: func(s *Server) error {
			lines := append([]string{"host: " + s.Host, "port: " + strconv.Itoa(s.Port)}, conf...)
			own := strings.NewReplacer("$DIR", s.Dir)
			return os.WriteFile(file(s), []byte(own.Replace(strings.Join(lines, "\n"))+"\n"), 0o600)
		},
		command: func(s *Server) *exec.Cmd { return exec.Command(program, "-c", file(s)) },
		ready:   saysInfo,
		stop:    syscall.SIGTERM,
	})
}

// saysInfo is a readiness that the server's greeting tells.
func saysInfo(s *Server) error {
	conn, err := net.DialTimeout("tcp", s.Addr, time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err == nil && !strings.HasPrefix(line, "INFO ") {
		err = errors.New("it says " + line)
	}
	return err
}
