package check_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"hale/internal/check"
)

// answer says a name to whoever connects, until the listener is closed.
func answer(t *testing.T, listener net.Listener, name string) {
	t.Helper()
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, name)
			_, _ = io.Copy(io.Discard, conn)
			_ = conn.Close()
		}
	}()
}

// listen listens at an address and says its name to whoever connects.
func listen(t *testing.T, network, address, name string) net.Listener {
	t.Helper()
	listener, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	answer(t, listener, name)
	return listener
}

// listenOnAll listens on one port of all hosts. Somebody may have the port on
// one of them; then it tries another.
func listenOnAll(t *testing.T, hosts []string) (listeners []net.Listener, port string) {
	t.Helper()
	var err error
	for range 20 {
		listeners, port = nil, "0"
		for _, host := range hosts {
			var l net.Listener
			if l, err = net.Listen("tcp", net.JoinHostPort(host, port)); err != nil {
				break
			}
			_, port, _ = net.SplitHostPort(l.Addr().String())
			listeners = append(listeners, l)
		}
		if err == nil {
			return listeners, port
		}
		for _, l := range listeners {
			_ = l.Close()
		}
	}
	t.Fatal(err)
	return nil, ""
}

// who dials and returns the name of who answers.
func who(t *testing.T, network, address string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	conn, err := check.Dial(ctx, network, address)
	if err != nil {
		return err.Error()
	}
	defer conn.Close()
	name := make([]byte, 64)
	n, err := conn.Read(name)
	if err != nil {
		t.Error(err)
	}
	return string(name[:n])
}

// The addresses of this host are tried in order: 127.0.0.1, ::1, those of its
// interfaces, and what listens on other loopback addresses.
func TestDialThisHost(t *testing.T) {
	hosts := []string{"127.0.0.1", "::1"}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		if ip := a.(*net.IPNet).IP; !ip.IsLoopback() && !ip.IsLinkLocalUnicast() {
			hosts = append(hosts, ip.String())
		}
	}
	hosts = append(hosts, "127.9.9.9")
	listeners, port := listenOnAll(t, hosts)
	for i, host := range hosts {
		answer(t, listeners[i], host)
	}
	for i, host := range hosts {
		if got := who(t, "tcp", ":"+port); got != host {
			t.Errorf("without %v: got %s, want %s", hosts[:i], got, host)
		}
		_ = listeners[i].Close()
	}
	if _, err := check.Dial(t.Context(), "tcp", ":"+port); check.ReasonOf(err) != check.ReasonRefused {
		t.Errorf("without any: got %v", err)
	}
}

func TestDialThisHostRefused(t *testing.T) {
	listeners, port := listenOnAll(t, []string{"::"}) // on IPv4 too
	_ = listeners[0].Close()
	_, err := check.Dial(t.Context(), "tcp", ":"+port)
	want := "dial tcp :" + port + ": connection refused on every address of this host ("
	if !errors.Is(err, syscall.ECONNREFUSED) || !strings.HasPrefix(errText(err), want) {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestDialOthers(t *testing.T) {
	tcp := listen(t, "tcp", "127.0.0.1:0", "tcp")
	if got := who(t, "tcp", tcp.Addr().String()); got != "tcp" {
		t.Errorf("got %s", got)
	}
	path := filepath.Join(t.TempDir(), "socket")
	listen(t, "unix", path, "unix")
	if got := who(t, "unix", path); got != "unix" {
		t.Errorf("got %s", got)
	}
	if _, err := check.Dial(t.Context(), "unix", path+"2"); check.ReasonOf(err) != check.ReasonMissing {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, address := range []string{tcp.Addr().String(), ":1"} {
		if _, err := check.Dial(ctx, "tcp", address); check.ReasonOf(err) != check.ReasonCanceled {
			t.Errorf("%s: got %v", address, err)
		}
	}
}

// Closing a connection leaves nothing in TIME_WAIT at this end, and the other
// end sees an ordinary close.
func TestDialLeavesNoTimeWait(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	var local []string
	for range 50 {
		conn, err := check.Dial(t.Context(), "tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		peer, err := listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		local = append(local, conn.LocalAddr().String())
		if _, err := conn.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		_ = conn.Close()
		if got, err := io.ReadAll(peer); string(got) != "x" || err != nil {
			t.Errorf("the peer got %q, %v", got, err)
		}
		_ = peer.Close()
	}
	waiting := timeWaits(t, listener.Addr().String())
	for _, address := range local {
		_, port, _ := net.SplitHostPort(address)
		if waiting[port] {
			t.Errorf("%s is in TIME_WAIT", address)
		}
	}
}

// timeWaits returns the local ports of the sockets in TIME_WAIT that were
// connected to an address: /proc/net/tcp, proc(5).
func timeWaits(t *testing.T, to string) map[string]bool {
	t.Helper()
	file, err := os.Open("/proc/net/tcp")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	_, toPort, _ := net.SplitHostPort(to)
	ports := map[string]bool{}
	for lines := bufio.NewScanner(file); lines.Scan(); {
		const timeWait = "06"
		fields := strings.Fields(lines.Text())
		_, local, _ := strings.Cut(fields[1], ":")
		_, remote, _ := strings.Cut(fields[2], ":")
		if fields[3] == timeWait && decimal(t, remote) == toPort {
			ports[decimal(t, local)] = true
		}
	}
	return ports
}

func decimal(t *testing.T, hex string) string {
	t.Helper()
	n, err := strconv.ParseUint(hex, 16, 16)
	if err != nil {
		t.Fatal(err)
	}
	return strconv.FormatUint(n, 10)
}
