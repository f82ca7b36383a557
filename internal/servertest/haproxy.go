package servertest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// HAProxy starts a HAProxy with a configuration, in which $DIR stands for its
// directory and $PORT for its port, on which it must listen. A stats socket is
// best put at $DIR/stats.
func HAProxy(tb testing.TB, config string) *Server {
	tb.Helper()
	program := Program(tb, "haproxy", "haproxy")
	file := func(s *Server) string { return filepath.Join(s.Dir, "haproxy.cfg") }
	return launch(tb, tb.TempDir(), recipe{
		name: "HAProxy",
		configure: func(s *Server) error {
			own := strings.NewReplacer("$DIR", s.Dir, "$PORT", strconv.Itoa(s.Port))
			return os.WriteFile(file(s), []byte(own.Replace(config)), 0o600)
		},
		command: func(s *Server) *exec.Cmd { return exec.Command(program, "-db", "-f", file(s)) },
		ready:   accepts,
		stop:    syscall.SIGTERM,
	})
}
