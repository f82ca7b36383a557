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

// Caddy starts a Caddy with a Caddyfile, in which $DIR stands for its directory
// and $PORT for its port, on which it must listen. Its administration is off,
// and it makes no certificates.
func Caddy(tb testing.TB, caddyfile string) *Server {
	tb.Helper()
	program := Program(tb, "caddy", "caddy")
	file := func(s *Server) string { return filepath.Join(s.Dir, "Caddyfile") }
	return launch(tb, tb.TempDir(), recipe{
		name: "Caddy",
		configure: func(s *Server) error {
			own := strings.NewReplacer("$DIR", s.Dir, "$PORT", strconv.Itoa(s.Port))
			return os.WriteFile(file(s), []byte(own.Replace("{\nadmin off\nauto_https off\n}\n"+caddyfile+"\n")), 0o600)
		},
		command: func(s *Server) *exec.Cmd {
			cmd := exec.Command(program, "run", "--adapter", "caddyfile", "--config", file(s))
			cmd.Env = append(os.Environ(), "HOME="+s.Dir, "XDG_DATA_HOME="+s.Dir, "XDG_CONFIG_HOME="+s.Dir)
			return cmd
		},
		ready: accepts,
		stop:  syscall.SIGTERM,
	})
}
