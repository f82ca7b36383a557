package servertest

import (
	"os/exec"
	"syscall"
	"testing"
)

// SMTP starts a mail server, aiosmtpd, with further arguments, such as
// "--tlscert" and "--tlskey" with files for STARTTLS, "--smtpscert" and
// "--smtpskey" for TLS from the start.
func SMTP(tb testing.TB, args ...string) *Server {
	tb.Helper()
	program := Program(tb, "aiosmtpd", "python3-aiosmtpd")
	return launch(tb, tb.TempDir(), recipe{
		name: "aiosmtpd",
		command: func(s *Server) *exec.Cmd {
			return exec.Command(program, append([]string{"--nosetuid", "--debug", "--listen", s.Addr}, args...)...)
		},
		ready: accepts,
		stop:  syscall.SIGTERM,
	})
}
