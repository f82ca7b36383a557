package servertest

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience is how long a server may take to start, to stop, or to get where a
// test wants it; far longer than it does, for slow and busy machines.
const patience = 90 * time.Second

// A Server is a running server, or one that was stopped and can start again.
type Server struct {
	// Host is the address it listens on and Port its port; Addr is both.
	Host string
	Port int
	Addr string
	// Dir holds its configuration and data.
	Dir string

	tb      testing.TB
	recipe  recipe
	process *exec.Cmd
	ended   chan struct{} // closed when process was waited for
}

// A recipe says how to run one kind of server.
type recipe struct {
	// name is the server's, for messages.
	name string
	// configure writes the configuration for the server's port. It may be nil.
	configure func(s *Server) error
	// command makes the command that runs it in the foreground.
	command func(s *Server) *exec.Cmd
	// ready returns nil once the server is usable.
	ready func(s *Server) error
	// stop is the signal for a quick and orderly end.
	stop syscall.Signal
}

// launch starts a server on a free port. Somebody else may take the port
// first; then it tries again with another.
func launch(tb testing.TB, dir string, r recipe) *Server {
	tb.Helper()
	s := prepare(tb, dir, r)
	var err error
	for range 3 {
		if err = s.start(); err == nil {
			return s
		}
		s.choosePort()
	}
	tb.Fatalf("%v\nits log:\n%s", err, s.Log())
	return nil
}

// prepare makes a server with a port, not started yet.
func prepare(tb testing.TB, dir string, r recipe) *Server {
	s := &Server{Host: "127.0.0.1", Dir: dir, tb: tb, recipe: r}
	s.choosePort()
	tb.Cleanup(func() { s.end(r.stop) })
	return s
}

func (s *Server) choosePort() {
	s.tb.Helper()
	s.Port = FreePort(s.tb)
	s.Addr = net.JoinHostPort(s.Host, strconv.Itoa(s.Port))
}

// Start starts the server again after [Server.Stop] or [Server.Kill], on the
// same port and data, and waits until it is ready.
func (s *Server) Start() {
	s.tb.Helper()
	var err error
	// What a killed server leaves behind may keep the next from starting for a
	// while: PostgreSQL's children notice a moment later, and hold its memory.
	for range 50 {
		if err = s.start(); err == nil {
			return
		}
		if !errors.Is(err, errEnded) {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	s.tb.Fatalf("%v\nits log:\n%s", err, s.Log())
}

// Stop ends the server in an orderly way and waits until it is gone.
func (s *Server) Stop() {
	s.tb.Helper()
	s.end(s.recipe.stop)
}

// Kill ends the server as a crash would, and waits until its port is closed:
// children of its own that it could not end may hold that a little longer.
func (s *Server) Kill() {
	s.tb.Helper()
	s.end(syscall.SIGKILL)
	Wait(s.tb, s.recipe.name+"'s port to be closed", func() error {
		if accepts(s) == nil {
			return errors.New("it takes connections")
		}
		return nil
	})
}

// Pause stops the server's process from running, so that it accepts
// connections, in the kernel, and answers nothing. It returns once every thread
// has stopped: the signal reaches one first, and the others a moment later.
func (s *Server) Pause() {
	s.tb.Helper()
	s.signal(syscall.SIGSTOP)
	Wait(s.tb, s.recipe.name+" to stop running", func() error { return allStopped(s.PID()) })
}

// allStopped returns an error that names a thread of the process which still
// runs.
func allStopped(pid int) error {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil {
		return err
	}
	for _, thread := range threads {
		stat, err := os.ReadFile(thread)
		if err != nil {
			return err
		}
		// The state follows the program's name in brackets, which may hold
		// brackets itself (proc(5)).
		_, state, _ := strings.Cut(string(stat[bytes.LastIndexByte(stat, ')')+1:]), " ")
		if !strings.HasPrefix(state, "T") {
			return fmt.Errorf("%s is in state %.1s", thread, state)
		}
	}
	return nil
}

// Resume undoes [Server.Pause].
func (s *Server) Resume() { s.signal(syscall.SIGCONT) }

// PID returns the server's process id.
func (s *Server) PID() int { return s.process.Process.Pid }

// Log returns what the server has written to its standard output and error,
// which may include its answers to being asked whether it is ready.
func (s *Server) Log() string {
	text, err := os.ReadFile(s.logFile())
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func (s *Server) logFile() string { return filepath.Join(s.Dir, "output.log") }

var errEnded = errors.New("ended while starting")

func (s *Server) start() error {
	if err := s.launch(); err != nil {
		return err
	}
	deadline := time.Now().Add(patience)
	for {
		err := s.recipe.ready(s)
		select {
		case <-s.ended:
			return fmt.Errorf("%s on %s %w: %v", s.recipe.name, s.Addr, errEnded, s.process.ProcessState)
		default:
		}
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			s.end(syscall.SIGKILL)
			return fmt.Errorf("%s on %s is not ready after %v: %w", s.recipe.name, s.Addr, patience, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (s *Server) launch() error {
	if s.recipe.configure != nil {
		if err := s.recipe.configure(s); err != nil {
			return err
		}
	}
	output, err := os.OpenFile(s.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer output.Close()
	cmd := s.recipe.command(s)
	cmd.Stdout, cmd.Stderr = output, output
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	// A group of its own keeps an interrupt at the terminal from it; the test
	// stops it.
	cmd.SysProcAttr.Setpgid = true
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	s.process, s.ended = cmd, ended
	return nil
}

// end stops the process, if it runs, and waits for it.
func (s *Server) end(how syscall.Signal) {
	if s.process == nil {
		return
	}
	s.signal(how)
	s.signal(syscall.SIGCONT)
	select {
	case <-s.ended:
	case <-time.After(patience):
		s.tb.Errorf("%s on %s did not stop within %v", s.recipe.name, s.Addr, patience)
		s.signal(syscall.SIGKILL)
		<-s.ended
	}
	s.process = nil
}

func (s *Server) signal(what syscall.Signal) {
	if err := s.process.Process.Signal(what); err != nil && !errors.Is(err, os.ErrProcessDone) {
		s.tb.Errorf("signal %v to %s: %v", what, s.recipe.name, err)
	}
}

// accepts is a readiness that a connection tells.
func accepts(s *Server) error {
	conn, err := net.DialTimeout("tcp", s.Addr, time.Second)
	if err != nil {
		return err
	}
	return conn.Close()
}

// Wait waits until the condition returns nil and fails the test, with its last
// error, if that takes too long.
func Wait(tb testing.TB, what string, condition func() error) {
	tb.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := condition()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			tb.Fatalf("waited %v for %s: %v", patience, what, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// Program returns the path of a program, which may also be in the directories
// for administrators, or fails the test naming the package that has it.
func Program(tb testing.TB, name, pkg string) string {
	tb.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	for _, dir := range []string{"/usr/sbin", "/usr/local/sbin", "/sbin"} {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path
		}
	}
	tb.Fatalf("%s is missing, and this test needs it: apt-get install %s", name, pkg)
	return ""
}
