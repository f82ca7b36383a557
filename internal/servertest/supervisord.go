package servertest

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// The user and password of [Supervisord]'s HTTP port.
const (
	SupervisordUser     = "operator"
	SupervisordPassword = "open-sesame"
)

// Supervisord starts supervisord with sections of configuration such as
// "[program:web]\ncommand=…". It listens on its port, with
// [SupervisordUser] and [SupervisordPassword], and without on
// [SupervisordSocket].
//
// A program should end when its parent does, since a killed supervisord leaves
// its programs behind; [SupervisedLoop] is one.
func Supervisord(tb testing.TB, sections ...string) *Server {
	tb.Helper()
	// Debian's program, under Debian's Python: another may be first in PATH,
	// and without the module.
	const python = "/usr/bin/python3"
	program := Program(tb, "supervisord", "supervisor")
	file := func(s *Server) string { return filepath.Join(s.Dir, "supervisord.conf") }
	// A socket's path is short (unix(7)); that of tb.TempDir may not be.
	dir, err := os.MkdirTemp("", "supervisord")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	return launch(tb, dir, recipe{
		name: "supervisord",
		configure: func(s *Server) error {
			lines := append([]string{
				"[supervisord]", "nodaemon=true", "logfile=/dev/null", "logfile_maxbytes=0",
				"pidfile=" + filepath.Join(s.Dir, "pid"), "childlogdir=" + s.Dir,
				"[unix_http_server]", "file=" + SupervisordSocket(s),
				"[inet_http_server]", "port=" + s.Addr, "username=" + SupervisordUser, "password=" + SupervisordPassword,
				"[rpcinterface:supervisor]", "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface",
			}, sections...)
			return os.WriteFile(file(s), []byte(strings.Join(lines, "\n")+"\n"), 0o600)
		},
		command: func(s *Server) *exec.Cmd { return exec.Command(python, program, "-n", "-c", file(s)) },
		ready: func(s *Server) error {
			if err := accepts(s); err != nil {
				return err
			}
			conn, err := net.Dial("unix", SupervisordSocket(s))
			if err != nil {
				return err
			}
			return conn.Close()
		},
		stop: syscall.SIGTERM,
	})
}

// SupervisordSocket is the path of a supervisord's unix socket.
func SupervisordSocket(s *Server) string { return filepath.Join(s.Dir, "s.sock") }

// SupervisedLoop is the command of a program that runs until it is stopped or
// its parent is gone.
const SupervisedLoop = `/bin/sh -c "while kill -0 $PPID; do sleep 0.2; done"`

// SupervisorCtl runs supervisorctl with the arguments against a supervisord and
// returns what it says.
func SupervisorCtl(tb testing.TB, s *Server, args ...string) string {
	tb.Helper()
	program := Program(tb, "supervisorctl", "supervisor")
	args = append([]string{program, "-s", "unix://" + SupervisordSocket(s)}, args...)
	out, err := exec.Command("/usr/bin/python3", args...).CombinedOutput()
	if err != nil {
		tb.Fatalf("supervisorctl %v: %v: %s", args[1:], err, out)
	}
	return strings.TrimSpace(string(out))
}
