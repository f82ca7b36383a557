package servertest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// debianPython is the interpreter that Debian's python3-… packages are for;
// another may come first in PATH.
const debianPython = "/usr/bin/python3"

// A CeleryWorker is a Celery worker: the process that takes remote control
// commands, with one child that runs tasks. Of a [Server]'s methods, those that
// need a port are of no use.
type CeleryWorker struct {
	*Server
	// Name is the worker's name, such as celery@web-1.
	Name string
}

// Celery starts a Celery worker of that name, with further lines for its app
// module, such as "app.conf.control_exchange = 'shop'". The module, app, has a
// task sleep(seconds).
//
// The worker is ready when it says so. It then still has to subscribe to its
// broker, which takes a moment.
func Celery(tb testing.TB, broker, name string, lines ...string) *CeleryWorker {
	tb.Helper()
	for _, pkg := range []string{"celery", "redis"} {
		if _, err := os.Stat(filepath.Join("/usr/lib/python3/dist-packages", pkg)); err != nil {
			tb.Fatalf("%v, and this test needs it: apt-get install python3-celery python3-redis", err)
		}
	}
	dir := tb.TempDir()
	writeFile(tb, filepath.Join(dir, "app.py"), fmt.Appendf(nil, celeryApp, broker, strings.Join(lines, "\n")))
	ready := filepath.Join(dir, "ready")
	s := launch(tb, dir, recipe{
		name: "celery",
		configure: func(*Server) error {
			if err := os.Remove(ready); err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
			return nil
		},
		command: func(*Server) *exec.Cmd {
			cmd := exec.Command(debianPython, "-m", "celery", "-A", "app", "worker", "--hostname", name, "--concurrency", "1",
				"--without-mingle", "--without-gossip", "--loglevel", "INFO")
			cmd.Dir = dir
			return cmd
		},
		ready: func(*Server) error {
			_, err := os.Stat(ready)
			return err
		},
		// A cold shutdown, which does not wait for the tasks that run.
		stop: syscall.SIGQUIT,
	})
	return &CeleryWorker{Server: s, Name: name}
}

// Python runs a piece of Python in which the worker's module is imported as
// app, and returns what it prints.
func (w *CeleryWorker) Python(code string) string {
	w.tb.Helper()
	cmd := exec.Command(debianPython, "-c", "import app\n"+code)
	cmd.Dir = w.Dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		w.tb.Fatalf("python3 -c %q: %v: %s", code, err, out)
	}
	return strings.TrimSpace(string(out))
}

const celeryApp = `
import pathlib, time
from celery import Celery
from celery.signals import worker_ready

app = Celery('app', broker=%q)
%s

@app.task
def sleep(seconds):
    pathlib.Path('asleep').touch()
    time.sleep(seconds)

@worker_ready.connect
def tell(**_):
    pathlib.Path('ready').touch()
`
