package icmpcheck_test

import (
	"context"
	"errors"
	"net"
	"os"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hale/internal/check"
	"hale/internal/kinds/icmpcheck"
	"hale/internal/kinds/kindtest"
	"hale/internal/servertest"
)

var (
	run           = kinds.Run
	expectFailure = kindtest.ExpectFailure
)

// A name may have addresses of the other version of IP only.
func TestNoAddressOfTheVersion(t *testing.T) {
	for _, host := range []string{"localhost", "ip6-localhost"} {
		for _, version := range []string{"4", "6"} {
			if _, err := net.DefaultResolver.LookupNetIP(t.Context(), "ip"+version, host); !isUnsuitable(err) {
				continue
			}
			expectFailure(t, run(t, "icmp://"+host+"?ip="+version), check.ReasonDNS, host+": it has no address of IPv"+version)
			return
		}
	}
	t.Error("in /etc/hosts, localhost and ip6-localhost have addresses of both versions; this test needs one that does not")
}

func isUnsuitable(err error) bool {
	_, ok := errors.AsType[*net.AddrError](err)
	return ok
}

// TestPing runs in a network of its own, where it may set who may ping, and where
// hosts can be made not to answer. Nothing of this host's network is seen from
// there but a loopback interface of its own.
func TestPing(t *testing.T) {
	if !servertest.EmptyNetwork(t) {
		return
	}
	servertest.IP(t, "link set lo up")
	// A new network has no group that may ping without privileges.
	t.Run("raw socket", func(t *testing.T) {
		answers(t)
		noAnswer(t)
	})
	t.Run("not permitted", func(t *testing.T) {
		withoutPrivileges(t, func(t *testing.T) {
			now, err := os.ReadFile(groupRange)
			if err != nil {
				t.Fatal(err)
			}
			for _, url := range []string{"icmp://127.0.0.1", "icmp://[::1]"} {
				expectFailure(t, run(t, url), check.ReasonPermission, url+": hale may not ping: socket: operation not permitted; "+
					"its group 0 is not in net.ipv4.ping_group_range (now: "+strings.Join(strings.Fields(string(now)), " ")+`): set that with sysctl to "0 0", or give hale CAP_NET_RAW`)
			}
		})
	})
	t.Run("unprivileged socket", func(t *testing.T) {
		set(t, groupRange, "0 0")
		withoutPrivileges(t, answers)
		noAnswer(t)
	})
}

// groupRange says which groups may ping without privileges.
const groupRange = "/proc/sys/net/ipv4/ping_group_range"

var reply = regexp.MustCompile(`^reply from (127\.0\.0\.1|::1) in [0-9.]+[µm]?s$`)

// answers pings hosts that answer.
func answers(t *testing.T) {
	kindtest.ExpectLeavesNothing(t)
	for url, from := range map[string]string{
		"icmp://127.0.0.1": "127.0.0.1", "icmp://[::1]": "::1", "icmp://localhost?ip=4": "127.0.0.1",
		"icmp://[::ffff:127.0.0.1]": "127.0.0.1", "icmp://127.0.0.1?ip=4": "127.0.0.1",
	} {
		m := reply.FindStringSubmatch(run(t, url).Note)
		if m == nil || m[1] != from {
			t.Errorf("%s: got %q, %v; want a reply from %s", url, run(t, url).Note, run(t, url).Err, from)
		}
		before := openFiles(t)
		run(t, url)
		if after := openFiles(t); after != before {
			t.Errorf("%d files are open, before the run it was %d", after, before)
		}
	}
}

// noAnswer pings hosts that do not answer.
func noAnswer(t *testing.T) {
	kindtest.ExpectLeavesNothing(t)
	// 192.0.2.0/24 and 2001:db8::/32 are for documentation (RFC 5737, RFC 3849)
	// and there is no way to them here.
	expectFailure(t, run(t, "icmp://192.0.2.1"), check.ReasonUnreachable, "icmp://192.0.2.1: no way to 192.0.2.1: connect: network is unreachable")
	expectFailure(t, run(t, "icmp://[2001:db8::1]"), check.ReasonUnreachable, "icmp://[2001:db8::1]: no way to 2001:db8::1: connect: ")
	expectFailure(t, run(t, "icmp://no-such-host.invalid"), check.ReasonDNS, "icmp://no-such-host.invalid: lookup no-such-host.invalid")

	set(t, "/proc/sys/net/ipv4/icmp_echo_ignore_all", "1")
	set(t, "/proc/sys/net/ipv6/icmp/echo_ignore_all", "1")
	defer set(t, "/proc/sys/net/ipv4/icmp_echo_ignore_all", "0")
	defer set(t, "/proc/sys/net/ipv6/icmp/echo_ignore_all", "0")
	expectFailure(t, run(t, "icmp://127.0.0.1?timeout=200ms"), check.ReasonTimeout, "no answer within 200ms: icmp://127.0.0.1: no reply from 127.0.0.1: i/o timeout")
	expectFailure(t, run(t, "icmp://[::1]?timeout=200ms"), check.ReasonTimeout, "no answer within 200ms: icmp://[::1]: no reply from ::1: i/o timeout")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	kindtest.ExpectReason(t, kindtest.Run(t, ctx, kindtest.Build(t, icmpcheck.Kind(), "icmp://127.0.0.1")), check.ReasonCanceled)
	ctx, cancel = context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	start := time.Now()
	c := kindtest.Build(t, icmpcheck.Kind(), "icmp://127.0.0.1", check.Option{Name: "timeout", Values: []string{"5s"}})
	kindtest.ExpectReason(t, kindtest.Run(t, ctx, c), check.ReasonCanceled)
	if d := time.Since(start); d > c.Policy.Timeout/2 {
		t.Errorf("ended after %v, want soon after the cancellation", d)
	}
}

func set(t *testing.T, path, value string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(value), 0); err != nil {
		t.Fatal(err)
	}
}

// withoutPrivileges runs f in a thread that has no capabilities, and that ends
// with it.
func withoutPrivileges(t *testing.T, f func(t *testing.T)) {
	t.Run("without privileges", func(t *testing.T) {
		runtime.LockOSThread()
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var none [2]unix.CapUserData
		if err := unix.Capset(&header, &none[0]); err != nil {
			t.Fatal(err)
		}
		f(t)
	})
}

// openFiles counts this process's files and sockets.
func openFiles(t *testing.T) int {
	t.Helper()
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}
