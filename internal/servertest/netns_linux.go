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
	ip := Program(t, "ip", "iproute2")
	if os.Getenv(ownNetwork) != "" {
		for _, args := range []string{
			"link set lo up", "link add here type veth peer name there",
			"addr add " + OwnAddress + "/24 dev here", "link set here up", "link set there up",
		} {
			Run(t, ip, strings.Fields(args)...)
		}
		return true
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+strings.ReplaceAll(t.Name(), "/", "$/^")+"$", "-test.v", "-test.timeout=5m")
	cmd.Env = append(os.Environ(), ownNetwork+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		// What is mounted there must not be seen outside: Go makes the mounts
		// private for that.
		Unshareflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL,
	}
	out, err := cmd.CombinedOutput()
	switch {
	case err != nil:
		t.Errorf("in a network of its own, which needs root: %v\n%s", err, out)
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
