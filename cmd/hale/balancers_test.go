package main

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"hale/internal/servertest"
)

// A site is an instance behind a balancer: hale with its ports, and checks of
// files that a test removes and puts back.
type site struct {
	public, agent string // hale's addresses
	app           string // that of an application which always answers
	dir           string
}

// newSite makes a site without hale, whose application answers 200 "the app".
func newSite(t *testing.T) *site {
	t.Helper()
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "the app") }))
	t.Cleanup(app.Close)
	s := &site{
		public: loopback(servertest.FreePort(t)), agent: loopback(servertest.FreePort(t)),
		app: app.Listener.Addr().String(), dir: t.TempDir(),
	}
	s.put(t, "work")
	s.put(t, "spare")
	return s
}

func loopback(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

func portOf(address string) string {
	_, port, _ := net.SplitHostPort(address)
	return port
}

// start runs hale for the site, as a program of its own: without the file work
// it fails, without spare it is degraded. It is ended when the test is.
func (s *site) start(t *testing.T, args ...string) *program {
	t.Helper()
	p := &program{cmd: exec.Command("hale", append([]string{
		"serve", "--listen", s.public, "--admin", "off", "--log-level", "error",
		"file://" + s.dir + "/work#name=work&interval=100ms&fall=1&rise=1",
		"file://" + s.dir + "/spare#name=spare&interval=100ms&fall=1&rise=1&impact=warn",
	}, args...)...), ended: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), "HALE_CHECKS=")
	p.cmd.Stderr = &p.log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() { p.end(t) })
	return p
}

// A program is a hale that runs.
type program struct {
	cmd   *exec.Cmd
	log   lockedBuffer
	ended chan struct{}
}

// sigterm tells it to end.
func (p *program) sigterm() { _ = p.cmd.Process.Signal(syscall.SIGTERM) }

// end ends it without further delay, and fails the test if it does not end well.
func (p *program) end(t *testing.T) {
	t.Helper()
	deadline := time.After(time.Minute)
	for {
		// The first begins the drain delay, another ends it, and one more would
		// kill it.
		p.sigterm()
		select {
		case <-p.ended:
			if !p.cmd.ProcessState.Success() || p.log.String() != "" {
				t.Errorf("hale: %v, its log %q", p.cmd.ProcessState, p.log.String())
			}
			return
		case <-deadline:
			_ = p.cmd.Process.Kill()
			<-p.ended
			t.Error("hale did not end")
			return
		case <-time.After(10 * time.Second):
		}
	}
}

func (s *site) put(t *testing.T, name string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

func (s *site) remove(t *testing.T, name string) {
	t.Helper()
	if err := os.Remove(filepath.Join(s.dir, name)); err != nil {
		t.Fatal(err)
	}
}

// outAndIn fails and mends the site's check, and waits until the balancer has
// taken it out and in again. The condition returns nil when it is.
func (s *site) outAndIn(t *testing.T, balancer *servertest.Server, in, out func() error) {
	t.Helper()
	waitLogged(t, balancer, "the site to be in", in)
	s.remove(t, "work")
	waitLogged(t, balancer, "the site to be out", out)
	s.put(t, "work")
	waitLogged(t, balancer, "the site to be in again", in)
}

// waitLogged waits for a condition, and shows the balancer's log if it does not
// come.
func waitLogged(t *testing.T, balancer *servertest.Server, what string, condition func() error) {
	t.Helper()
	met := false
	defer func() {
		if !met {
			log := balancer.Log()
			t.Logf("the end of the balancer's log:\n%s", log[max(0, len(log)-4000):])
		}
	}()
	servertest.Wait(t, what, condition)
	met = true
}

// answered is a condition: the URL answers with the status and body.
func answered(url, status, body string) func() error {
	return func() error {
		if got := ask(url); !matches(got, status, body) {
			return fmt.Errorf("%s answers %q, want %s %s", url, got, status, body)
		}
		return nil
	}
}

// yaml writes a configuration file and returns its path.
func yaml(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "hale.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
