package tcpcheck_test

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"hale/internal/check"
	"hale/internal/kinds/kindtest"
	"hale/internal/kinds/tcpcheck"
	"hale/internal/servertest"
)

// A port without a host is found wherever it is bound on this host.
func TestThisHost(t *testing.T) {
	bound := []string{"127.0.0.1", "::1", "0.0.0.0", "::", "127.0.0.2", "127.0.1.1"}
	bound = append(bound, interfaceAddresses(t)...)
	for _, host := range bound {
		t.Run(host, func(t *testing.T) {
			port := strconv.Itoa(servertest.FreePort(t))
			serve(t, net.JoinHostPort(host, port), says("here"))
			for _, url := range []string{"tcp://:" + port, "tcp://" + port, "tcp://" + port + "?expect=here"} {
				if result := runPatiently(t, url); !result.Healthy() {
					t.Errorf("%s: got %v, want healthy", url, result.Err)
				}
			}
		})
	}
}

// interfaceAddresses returns the addresses that this machine has besides the
// loopback ones. It may have none.
func interfaceAddresses(t *testing.T) []string {
	t.Helper()
	all, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	var hosts []string
	for _, a := range all {
		if ip := a.(*net.IPNet).IP; !ip.IsLoopback() && !ip.IsLinkLocalUnicast() {
			hosts = append(hosts, ip.String())
		}
	}
	return hosts
}

func TestThisHostRefused(t *testing.T) {
	port := strconv.Itoa(servertest.FreePort(t))
	result := runPatiently(t, "tcp://:"+port)
	kindtest.ExpectReason(t, result, check.ReasonRefused)
	want := "this host's port " + port + " refused the connection: nothing listens there; is the service running, and on this address and port? (connection refused)"
	if result.Text() != want {
		t.Errorf("got  %s\nwant %s", result.Text(), want)
	}
}

func TestIPv6(t *testing.T) {
	address := serve(t, "[::1]:0", says("here"))
	if result := runPatiently(t, "tcp://"+address+"?expect=here"); !result.Healthy() {
		t.Errorf("got %v, want healthy", result.Err)
	}
}

// Thousands of runs leave no socket behind in TIME_WAIT, which would hold its
// port and the memory of a connection for a minute.
func TestLeavesNoTimeWait(t *testing.T) {
	for _, test := range []struct {
		name, says, options string
		runs                int
	}{
		{"connect", "", "", 5000},
		{"expect", "here", "?expect=here", 2000},
		{"send and expect", "here", `?send=x\n&expect=here`, 2000},
	} {
		t.Run(test.name, func(t *testing.T) {
			address := serve(t, "127.0.0.1:0", says(test.says))
			// Another program's connection may have had this port a moment ago.
			before := tcpStates(t, address)
			c := kindtest.Build(t, tcpcheck.Kind(), "tcp://"+address+test.options, check.Option{Name: "timeout", Values: []string{"5s"}})
			for range test.runs {
				if result := c.Run(t.Context(), nil); !result.Healthy() {
					t.Fatal(result.Err)
				}
			}
			for ends, state := range tcpStates(t, address) {
				if _, old := before[ends]; state == timeWait && !old {
					t.Errorf("after %d runs, %s is in TIME_WAIT", test.runs, ends)
				}
			}
		})
	}
}

// timeWait is TIME_WAIT in /proc/net/tcp: include/net/tcp_states.h of Linux.
const timeWait = "06"

// tcpStates returns the states of the sockets of connections to or from a local
// IPv4 address, by their two ends: /proc/net/tcp, proc(5).
func tcpStates(t *testing.T, address string) map[string]string {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	n, _ := strconv.Atoi(port)
	suffix := fmt.Sprintf(":%04X", n)
	file, err := os.Open("/proc/net/tcp")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	states := map[string]string{}
	for lines := bufio.NewScanner(file); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		local, remote := fields[1], fields[2]
		if strings.HasSuffix(local, suffix) || strings.HasSuffix(remote, suffix) {
			states[local+" to "+remote] = fields[3]
		}
	}
	return states
}

// Without expect, the server's program does not see the connections, so that
// it neither logs them nor starts a process for each.
func TestServerDoesNotSeeTheConnection(t *testing.T) {
	var seen atomic.Int64
	address := serve(t, "127.0.0.1:0", func(conn net.Conn) {
		seen.Add(1)
		says("here")(conn)
	})
	c := kindtest.Build(t, tcpcheck.Kind(), "tcp://"+address, check.Option{Name: "timeout", Values: []string{"5s"}})
	const runs = 500
	for range runs {
		if result := c.Run(t.Context(), nil); !result.Healthy() {
			t.Fatal(result.Err)
		}
	}
	// The server accepts this connection after all of them.
	if result := runPatiently(t, "tcp://"+address+"?expect=here"); !result.Healthy() {
		t.Fatal(result.Err)
	}
	// The kernel completes a handshake after 200 ms, which may happen between
	// connecting and closing on a very busy machine.
	if n := seen.Load(); n > runs/20 {
		t.Errorf("the server saw %d connections in %d runs", n, runs)
	}
}

func TestPostgresLogStaysQuiet(t *testing.T) {
	postgres := servertest.Postgres(t, "log_connections = on")
	before := postgres.Log()
	c := kindtest.Build(t, tcpcheck.Kind(), "tcp://"+postgres.Addr, check.Option{Name: "timeout", Values: []string{"5s"}})
	for range 100 {
		if result := c.Run(t.Context(), nil); !result.Healthy() {
			t.Fatal(result.Err)
		}
	}
	postgres.Stop() // which ends its log
	after := strings.TrimPrefix(postgres.Log(), before)
	if n := strings.Count(after, "connection received") + strings.Count(after, "could not receive data"); n > 5 {
		t.Errorf("100 runs left %d lines in the server's log:\n%.2000s", n, after)
	}
}
