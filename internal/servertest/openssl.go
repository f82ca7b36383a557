package servertest

import (
	"os/exec"
	"strconv"
	"syscall"
	"testing"
)

// OpenSSL starts the TLS server of the openssl command with a certificate, and
// with further arguments. It sends nothing through its connections.
func OpenSSL(tb testing.TB, certs *Certs, args ...string) *Server {
	tb.Helper()
	program := Program(tb, "openssl", "openssl")
	return launch(tb, tb.TempDir(), recipe{
		name: "openssl s_server",
		command: func(s *Server) *exec.Cmd {
			return exec.Command(program, append([]string{
				"s_server", "-accept", s.Host + ":" + strconv.Itoa(s.Port), "-quiet",
				"-cert", certs.Cert, "-key", certs.Key,
			}, args...)...)
		},
		ready: accepts,
		stop:  syscall.SIGTERM,
	})
}
