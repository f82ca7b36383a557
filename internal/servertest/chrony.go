package servertest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Chrony starts a time server that serves this host's clock, and never sets it,
// with further lines of configuration. Without "local stratum 10" among them it
// is one that is not synchronised.
func Chrony(tb testing.TB, conf ...string) *Server {
	tb.Helper()
	program := Program(tb, "chronyd", "chrony")
	me, err := user.Current()
	if err != nil {
		tb.Fatal(err)
	}
	file := func(s *Server) string { return filepath.Join(s.Dir, "chrony.conf") }
	return launch(tb, tb.TempDir(), recipe{
		name: "chrony",
		configure: func(s *Server) error {
			lines := append([]string{
				fmt.Sprintf("port %d", s.Port), "bindaddress " + s.Host, "allow 127.0.0.0/8",
				"cmdport 0", "bindcmdaddress /", "pidfile " + filepath.Join(s.Dir, "chronyd.pid"),
			}, conf...)
			return os.WriteFile(file(s), []byte(strings.Join(lines, "\n")+"\n"), 0o600)
		},
		// -x: do not touch the clock.
		command: func(s *Server) *exec.Cmd {
			return exec.Command(program, "-x", "-d", "-U", "-u", me.Username, "-f", file(s))
		},
		ready: answersNTP,
		stop:  syscall.SIGTERM,
	})
}

// answersNTP asks a server for the time.
func answersNTP(s *Server) error {
	conn, err := net.Dial("udp", s.Addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	request := make([]byte, 48)
	request[0] = 4<<3 | 3 // version 4, a client
	if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	if _, err := conn.Write(request); err != nil {
		return err
	}
	_, err = conn.Read(request)
	return err
}
