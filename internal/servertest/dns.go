package servertest

import (
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// Dnsmasq starts a name server with further arguments, such as
// "--host-record=www.example.org,192.0.2.1". It knows nothing else and asks
// nobody, so that other names are REFUSED.
func Dnsmasq(tb testing.TB, args ...string) *Server {
	tb.Helper()
	program := Program(tb, "dnsmasq", "dnsmasq-base")
	me, err := user.Current()
	if err != nil {
		tb.Fatal(err)
	}
	return launch(tb, tb.TempDir(), recipe{
		name: "dnsmasq",
		command: func(s *Server) *exec.Cmd {
			return exec.Command(program, append([]string{
				"--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--pid-file=",
				"--user=" + me.Username, "--bind-interfaces", "--listen-address=" + s.Host, "--port=" + strconv.Itoa(s.Port),
				"--log-facility=-",
			}, args...)...)
		},
		ready: accepts,
		stop:  syscall.SIGTERM,
	})
}

// Unbound starts a resolver with further lines of configuration, of which the
// first are in its section "server".
func Unbound(tb testing.TB, conf ...string) *Server {
	tb.Helper()
	program := Program(tb, "unbound", "unbound")
	file := func(s *Server) string { return filepath.Join(s.Dir, "unbound.conf") }
	return launch(tb, tb.TempDir(), recipe{
		name: "unbound",
		configure: func(s *Server) error {
			lines := append([]string{
				"server:", `chroot: ""`, `username: ""`, `directory: "` + s.Dir + `"`, `pidfile: ""`,
				"do-daemonize: no", "use-syslog: no", "num-threads: 1", "do-not-query-localhost: no",
				"interface: " + s.Host, "port: " + strconv.Itoa(s.Port), `module-config: "iterator"`,
			}, conf...)
			return os.WriteFile(file(s), []byte(strings.Join(lines, "\n")+"\nremote-control:\ncontrol-enable: no\n"), 0o600)
		},
		command: func(s *Server) *exec.Cmd { return exec.Command(program, "-d", "-c", file(s)) },
		ready:   accepts,
		stop:    syscall.SIGTERM,
	})
}
