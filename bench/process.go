package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A process is a server that was started and is to be stopped.
type process struct {
	name  string
	pid   int
	cmd   *exec.Cmd
	log   string        // file with what it has written to its error output
	ended chan struct{} // closed when it has been waited for

	afterwards func() // called when it was stopped; may be nil
}

// start runs a program until stop is called on the process. What it writes goes
// to a file of its own.
func (b *bench) start(name, program string, args ...string) (*process, error) {
	return b.startAs(childAttributes(), name, program, args...)
}

// startAs is start with other attributes than those of every child.
func (b *bench) startAs(attributes *syscall.SysProcAttr, name, program string, args ...string) (*process, error) {
	log, err := os.CreateTemp(b.dir, name+"-*.log")
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = attributes
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p := &process{name: name, pid: cmd.Process.Pid, cmd: cmd, log: log.Name(), ended: make(chan struct{})}
	go func() {
		_ = cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

// childAttributes keeps an interrupt at the terminal from a child, which bench
// stops itself, and lets the kernel kill it should bench be killed.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// stop ends the process, in an orderly way if it can, and waits for it.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(5 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
	if p.afterwards != nil {
		p.afterwards()
	}
}

func (p *process) hasEnded() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// failure is an error that shows the end of the process's log.
func (p *process) failure(what, why string) error {
	const most = 1000
	text, err := os.ReadFile(p.log)
	if err != nil {
		text = []byte(err.Error())
	}
	if len(text) > most {
		text = text[len(text)-most:]
	}
	said := strings.TrimSpace(string(text))
	if said == "" {
		return fmt.Errorf("%s: %s: %s; it has logged nothing", p.name, what, why)
	}
	return fmt.Errorf("%s: %s: %s; its log ends with:\n%s", p.name, what, why, said)
}

// ports are those that were given out.
type ports map[int]bool

// free returns a TCP port of 127.0.0.1 on which nothing listens and that was not
// given out before. It is below those that Linux gives to outgoing connections,
// so that none of these takes it.
func (p ports) free() (int, error) {
	for range 1000 {
		port := 18000 + rand.IntN(14000)
		if p[port] {
			continue
		}
		if listener, err := net.Listen("tcp", local(port)); err == nil {
			p[port] = true
			return port, listener.Close()
		}
	}
	return 0, errors.New("no free port found")
}

// local is the address of a port of this machine.
func local(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// program finds a program, which may be in the directories for administrators,
// or says which package has it.
func program(name, pkg string) (string, error) {
	for _, candidate := range []string{name, filepath.Join("/usr/sbin", name), filepath.Join("/sbin", name)} {
		if path, err := exec.LookPath(candidate); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s is missing: apt-get install %s", name, pkg)
}

// raiseFileLimit lets bench and what it starts open as many files as they may.
func (b *bench) raiseFileLimit() {
	var limit syscall.Rlimit
	err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit)
	if err == nil {
		limit.Cur = limit.Max
		err = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
	}
	if need := uint64(b.plan.idle + b.plan.hanging + 100); err != nil || limit.Cur < need {
		b.progress("only %d open files are allowed, %d are needed (%v)", limit.Cur, need, err)
	}
}

// accepting waits until a process accepts connections on its port.
func accepting(ctx context.Context, p *process, port int) error {
	return waitFor(ctx, p, "wait until it accepts connections", 5*time.Millisecond, 10*time.Second, func() error {
		conn, err := net.DialTimeout("tcp", local(port), time.Second)
		if err != nil {
			return err
		}
		return conn.Close()
	})
}
