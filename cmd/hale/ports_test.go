package main

import (
	"io"
	"log/slog"
	"net"
	"slices"
	"testing"
	"time"

	"hale/internal/config"
	"hale/internal/servertest"
)

// What hale listens on is not to be found as something to check.
func TestOwnPortsAreAllPorts(t *testing.T) {
	c := &config.Config{Listen: "127.0.0.1:0", Admin: "127.0.0.1:0", AgentCheck: "127.0.0.1:0"}
	ports, err := openPorts(c, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ports.close()
	got := discoverEnv(nil, nil, slog.New(slog.DiscardHandler), ports.all()...).OwnPorts
	var want []int
	for _, l := range []net.Listener{ports.public, ports.private, ports.agent} {
		want = append(want, l.Addr().(*net.TCPAddr).Port)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// If one port is taken, none is held.
func TestOpenPortsIsAllOrNothing(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	free := loopback(servertest.FreePort(t))
	if _, err := openPorts(&config.Config{Listen: free, Admin: "off", AgentCheck: taken.Addr().String()}, nil); err == nil {
		t.Fatal("no error")
	}
	l, err := net.Listen("tcp", free)
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
}

// agentLine is what an agent-check is told.
func agentLine(t *testing.T, address string) string {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	text, err := io.ReadAll(c)
	if err != nil {
		t.Error(err)
	}
	return string(text)
}

// On demand the agent-check runs the checks, and gives up slow ones before
// HAProxy gives up hale.
func TestAgentCheckOnDemand(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.start(t, "--on-demand", "--agent-check", s.agent)
	servertest.Wait(t, "hale", func() error { return answered("http://"+s.public, "200", "ok")() })
	if got, want := agentLine(t, s.agent), "ready up\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	s.remove(t, "work")
	if got, want := agentLine(t, s.agent), "ready down #not healthy\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}

	slow := newSite(t)
	slow.start(t, "--on-demand", "--agent-check", slow.agent, "exec:/bin/sleep 60 #timeout=50s&interval=60s")
	begin := time.Now()
	servertest.Wait(t, "a line", func() error {
		begin = time.Now()
		if got := agentLine(t, slow.agent); got != "ready down #not healthy\n" {
			return io.ErrUnexpectedEOF
		}
		return nil
	})
	if took := time.Since(begin); took < time.Second || took > 20*time.Second {
		t.Errorf("the line took %v, want about 1.5 s", took)
	}
}
