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

// Varnish starts a Varnish with a configuration in VCL, in which $DIR stands for
// its directory and $PORT for its port. It compiles that with gcc.
func Varnish(tb testing.TB, vcl string) *Server {
	tb.Helper()
	program := Program(tb, "varnishd", "varnish")
	Program(tb, "gcc", "gcc")
	file := func(s *Server) string { return filepath.Join(s.Dir, "test.vcl") }
	return launch(tb, tb.TempDir(), recipe{
		name: "Varnish",
		configure: func(s *Server) error {
			own := strings.NewReplacer("$DIR", s.Dir, "$PORT", strconv.Itoa(s.Port))
			return os.WriteFile(file(s), []byte("vcl 4.1;\n"+own.Replace(vcl)+"\n"), 0o600)
		},
		// Without a jail it needs no account of its own.
		command: func(s *Server) *exec.Cmd {
			return exec.Command(program, "-F", "-j", "none", "-n", filepath.Join(s.Dir, "work"), "-f", file(s),
				"-a", s.Addr, "-T", "none", "-s", "malloc,10m", "-p", "thread_pools=1", "-p", "thread_pool_min=5")
		},
		ready: accepts,
		stop:  syscall.SIGTERM,
	})
}
