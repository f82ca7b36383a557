package explain_test

import (
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"hale/internal/balancer"
	"hale/internal/explain"
	"hale/internal/servertest"
)

// TestCausesInANetworkOfItsOwn: what addresses, names and a firewall do.
func TestCausesInANetworkOfItsOwn(t *testing.T) {
	t.Parallel()
	if !servertest.OwnNetwork(t) {
		return
	}
	localhostIs(t, "::1 localhost\n127.0.0.1 localhost\n")
	dropped := servertest.Nginx(t, `return 200;`)
	rejected := servertest.Nginx(t, `return 200;`)
	iptables := servertest.Program(t, "iptables", "iptables")
	servertest.Run(t, iptables, "-A", "INPUT", "-p", "tcp", "--dport", port(t, dropped.Addr), "-j", "DROP")
	servertest.Run(t, iptables, "-A", "INPUT", "-p", "tcp", "--dport", port(t, rejected.Addr), "-j", "REJECT", "--reject-with", "icmp-admin-prohibited")
	one := servertest.Nginx(t, `return 200 "hello\n";`)
	strict := servertest.NginxHTTP(t, `server { listen 127.0.0.1:$PORT; listen `+servertest.OwnAddress+`:$PORT;
location / { proxy_pass http://`+servertest.Django(t, `ALLOWED_HOSTS = ["shop.example"]`).Addr+`; proxy_set_header Host $http_host; } }`)
	away := place{url: "http://" + servertest.OwnAddress + ":" + port(t, strict.Addr) + "/health_check"}
	away.options.From = netip.MustParseAddr(servertest.OwnAddress)
	for _, c := range []struct {
		labCase
		where place
	}{
		{labCase{name: "a dropped SYN", as: "kubelet haproxy", want: balancer.CauseFirewall}, at(dropped, "/")},
		{labCase{name: "a dropped SYN, asked from AWS", as: "alb", want: balancer.CauseFirewall, asks: "security group"}, at(dropped, "/")},
		{labCase{name: "a rejected SYN", as: "kubelet alb", want: balancer.CauseFirewall}, at(rejected, "/")},
		{labCase{name: "bound to 127.0.0.1 only", as: "alb kubelet", want: balancer.CauseLoopbackOnly, fix: "0.0.0.0"},
			place{url: "http://" + servertest.OwnAddress + ":" + port(t, one.Addr) + "/"}},
		{labCase{name: "localhost is ::1", as: "alb haproxy traefik", want: balancer.CauseLocalhost, fix: "127.0.0.1"},
			place{url: "http://localhost:" + port(t, one.Addr) + "/"}},
		{labCase{name: "nothing listens", as: "alb kubelet haproxy", want: balancer.CauseStopped},
			place{url: "http://127.0.0.1:" + freePort(t) + "/"}},
		{labCase{name: "nothing listens on localhost", as: "alb", want: balancer.CauseStopped},
			place{url: "http://localhost:" + freePort(t) + "/"}},
		{labCase{name: "no route leads there", as: "alb", want: "", fix: "the route that is missing", asks: "security group"},
			place{url: "http://192.0.2.1/"}},
		{labCase{name: "ALLOWED_HOSTS lacks the own address", as: "alb kubelet nlb", want: balancer.CauseDjangoHosts, software: "Django", fix: servertest.OwnAddress}, away},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, name := range strings.Fields(c.as) {
				c.named(t, name, c.where)
			}
		})
	}
	t.Run("bound to 127.0.0.1 only, asked from another machine", func(t *testing.T) {
		c := labCase{want: balancer.CauseStopped, asks: "127.0.0.1"}
		c.named(t, "alb", place{url: "http://" + machine(t) + ":8000/"})
	})
	t.Run("a name that nobody knows", func(t *testing.T) {
		report, err := explain.Run(t.Context(), "http://shop.invalid/", []*balancer.Balancer{balancer.Find("alb")}, explain.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if got := report.Results[0].Cause(); got != balancer.CauseName {
			t.Errorf("the cause is %q, want %s\n%s", got, balancer.CauseName, story(&report.Results[0]))
		}
	})
}

// machine is another machine: a network namespace at the other end of the cable.
// There a server listens on 127.0.0.1:8000. It returns its address.
func machine(t *testing.T) string {
	t.Helper()
	const address = "10.0.1.99"
	server := exec.Command("/usr/bin/python3", "-m", "http.server", "--bind", "127.0.0.1", "8000")
	server.Dir = t.TempDir()
	server.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	})
	ip := servertest.Program(t, "ip", "iproute2")
	pid := strconv.Itoa(server.Process.Pid)
	servertest.Run(t, ip, "link", "set", "there", "netns", pid)
	for _, args := range []string{"link set lo up", "addr add " + address + "/24 dev there", "link set there up"} {
		servertest.Run(t, servertest.Program(t, "nsenter", "util-linux"), append([]string{"--net", "--target", pid, ip}, strings.Fields(args)...)...)
	}
	return address
}

// localhostIs puts its own /etc/hosts in place of this host's, as the caller
// has mounts of its own.
func localhostIs(t *testing.T, hosts string) {
	t.Helper()
	own := filepath.Join(t.TempDir(), "hosts")
	if err := os.WriteFile(own, []byte(hosts), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount(own, "/etc/hosts", "", unix.MS_BIND, ""); err != nil {
		t.Fatalf("mounting over /etc/hosts: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount("/etc/hosts", unix.MNT_DETACH) })
}
