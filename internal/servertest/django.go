package servertest

import (
	_ "embed"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

//go:embed django/settings.py
var djangoSettings string

//go:embed django/app.py
var djangoApp string

// Django starts a small Django site under gunicorn, with one synchronous worker
// unless gunicorn's arguments say otherwise. The settings are lines of Python
// at the end of its settings.py, such as ALLOWED_HOSTS = ["example.com"]; by
// default every Host is allowed.
//
// It has the pages / and /health_check, /health/ (with the slash, which Django
// adds by a redirect), /get-only/, /private/ behind a login, /broken/ (500),
// /api/ (401) and /slow/SECONDS/.
func Django(tb testing.TB, settings string, gunicorn ...string) *Server {
	tb.Helper()
	const python = "/usr/bin/python3" // the one that Debian's packages are for
	for path, pkg := range map[string]string{
		python:                                  "python3",
		"/usr/lib/python3/dist-packages/django": "python3-django",
		"/usr/lib/python3/dist-packages/gunicorn": "python3-gunicorn",
	} {
		if _, err := os.Stat(path); err != nil {
			tb.Fatalf("%v, and this test needs it: apt-get install %s", err, pkg)
		}
	}
	return launch(tb, tb.TempDir(), recipe{
		name: "Django under gunicorn",
		configure: func(s *Server) error {
			err := os.WriteFile(filepath.Join(s.Dir, "settings.py"), []byte(djangoSettings+settings+"\n"), 0o600)
			return errors.Join(err, os.WriteFile(filepath.Join(s.Dir, "app.py"), []byte(djangoApp), 0o600))
		},
		command: func(s *Server) *exec.Cmd {
			// With --preload a worker is ready as soon as it is there.
			cmd := exec.Command(python, append([]string{
				"-m", "gunicorn", "--chdir", s.Dir, "--preload", "--workers", "1", "--graceful-timeout", "1",
				"--bind", s.Host + ":" + strconv.Itoa(s.Port), "--worker-tmp-dir", s.Dir, "app:application",
			}, gunicorn...)...)
			cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1")
			return cmd
		},
		ready: answers,
		stop:  syscall.SIGINT, // at once, whatever holds a worker
	})
}

// answers is a readiness that the first byte of an answer to HTTP tells, or the
// connection's end: gunicorn listens before it has a worker.
func answers(s *Server) error {
	conn, err := net.DialTimeout("tcp", s.Addr, time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := conn.Write([]byte("GET / HTTP/1.0\r\n\r\n")); err != nil {
		return err
	}
	var timeout net.Error
	if _, err := io.ReadFull(conn, make([]byte, 1)); errors.As(err, &timeout) && timeout.Timeout() {
		return err
	}
	return nil
}
