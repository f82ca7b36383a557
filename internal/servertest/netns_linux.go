package servertest

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// ownNetwork is set in the process that runs in a network of its own.
const ownNetwork = "HALE_TEST_OWN_NETWORK"

// OwnNetwork runs the calling test again, in a process of its own with a
// network and mounts of its own, and returns true there; the caller does its
// work then. In the first process it returns false when that has ended, and has
// failed the test if it failed.
//
// In the network are a loopback interface and one at which this host has the
// address OwnAddress. Firewall rules, files that are mounted and ports taken in
// it are nobody else's. It needs root.
func OwnNetwork(t *testing.T) bool {
	t.Helper()
	// What is mounted there must not be seen outside: Go makes the mounts
	// private for that.
	if !again(t, &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS}) {
		return false
	}
	IP(t, "link set lo up")
	IP(t, "link add here type veth peer name there")
	IP(t, "addr add "+OwnAddress+"/24 dev here")
	IP(t, "link set here up")
	IP(t, "link set there up")
	return true
}

// EmptyNetwork is [OwnNetwork] with a network in which no interface is up, and
// with the mounts that all have. It needs no root.
func EmptyNetwork(t *testing.T) bool {
	t.Helper()
	attributes := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if os.Geteuid() != 0 {
		attributes.Cloneflags |= syscall.CLONE_NEWUSER
		attributes.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		attributes.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	return again(t, attributes)
}

// IP runs a command of iproute2's program, such as "link set lo up".
func IP(tb testing.TB, command string) {
	tb.Helper()
	Run(tb, Program(tb, "ip", "iproute2"), strings.Fields(command)...)
}

// again runs the calling test in a process with these attributes, and returns
// true there.
func again(t *testing.T, attributes *syscall.SysProcAttr) bool {
	t.Helper()
	if os.Getenv(ownNetwork) != "" {
		return true
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+strings.ReplaceAll(t.Name(), "/", "$/^")+"$", "-test.v", "-test.timeout=5m")
	cmd.Env = append(os.Environ(), ownNetwork+"=1")
	attributes.Pdeathsig = syscall.SIGKILL
	cmd.SysProcAttr = attributes
	out, err := cmd.CombinedOutput()
	switch {
	case err != nil:
		t.Errorf("in a network of its own, for which root may be needed: %v\n%s", err, out)
	case !strings.Contains(string(out), "--- PASS: "):
		t.Errorf("no test ran in the network of its own:\n%s", out)
	default:
		t.Logf("%s", out)
	}
	return false
}

// OwnAddress is this host's address in the network of [OwnNetwork].
const OwnAddress = "10.0.1.85"

// Run runs a command and fails the test, with what it has printed, if it fails.
// It returns its output.
func Run(tb testing.TB, program string, args ...string) string {
	tb.Helper()
	out, err := exec.Command(program, args...).CombinedOutput()
	if err != nil {
		tb.Fatalf("%s %s: %v: %s", program, strings.Join(args, " "), err, out)
	}
	return string(out)
}
