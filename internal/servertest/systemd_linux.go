package servertest

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A Systemd is a real systemd, running as a user's: systemd --user, with a bus
// of its own.
type Systemd struct {
	*Server
	// Private is the path of its own socket, and Bus that of the bus.
	Private, Bus string
}

// ownUnits are the units that systemd itself needs, and the bus. None of this
// host's are loaded.
var ownUnits = map[string]string{
	"basic.target":    "[Unit]\nDescription=basic",
	"shutdown.target": "[Unit]\nDefaultDependencies=no",
	"default.target":  "[Unit]\nRequires=dbus.socket",
	"dbus.socket":     "[Socket]\nListenStream=%t/bus",
	"dbus.service": "[Unit]\nRequires=dbus.socket\n" +
		"[Service]\nType=notify\nExecStart=/usr/bin/dbus-daemon --session --address=systemd: --nofork --nopidfile --systemd-activation",
}

// isolate makes a control group for itself and enters it, for systemd moves all
// processes that are in its own group to another, and they must not be those of
// this host.
const isolate = `set -e
mount -t cgroup2 cgroup2 "$SCRATCH"
own="$SCRATCH$(sed -n s/^0:://p /proc/self/cgroup)/$GROUP"
mkdir "$own"
echo 0 > "$own/cgroup.procs"
exec unshare --cgroup sh -c "$BEGIN"`

// begin runs next, in a control group namespace whose root is that group. All
// that systemd sees of the control groups is below it; what is outside is shown
// as "/..". systemd also sees that there is one that runs the system, by a
// directory in a /run that nobody else sees; else it refuses to run as a user's.
const begin = `set -e
umount "$SCRATCH"
umount -l /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
if [ "$(sed -n s/^0:://p /proc/self/cgroup)" != / ] || [ "$(sed -n s/^0:://p /proc/$PPID/cgroup)" = / ]; then
	echo "the control group is not a private one" >&2
	exit 1
fi
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/system
exec /lib/systemd/systemd --user --log-target=console`

// sweep ends what is left in the control group and removes it.
const sweep = `set -e
mount -t cgroup2 cgroup2 "$SCRATCH"
own="$SCRATCH$(sed -n s/^0:://p /proc/self/cgroup)/$GROUP"
[ -d "$own" ] || exit 0
echo 1 > "$own/cgroup.kill"
find "$own" -depth -type d -exec rmdir {} +`

// SystemdUser starts systemd with the units given by their names and contents;
// one without content is masked.
// It needs root, and Linux 5.14. The units' processes end with the test; when
// the test is killed, only those that notice that systemd has gone, as
// [UnitLoop] does.
func SystemdUser(tb testing.TB, units map[string]string) *Systemd {
	tb.Helper()
	if os.Geteuid() != 0 {
		tb.Fatal("this test needs root, for namespaces and a control group in which systemd can run")
	}
	if _, err := os.Stat("/lib/systemd/systemd"); err != nil {
		tb.Fatalf("%v, and this test needs it: apt-get install systemd", err)
	}
	Program(tb, "dbus-daemon", "dbus")
	unshare := Program(tb, "unshare", "util-linux")
	// A socket's path is short (unix(7)); that of tb.TempDir may not be.
	dir, err := os.MkdirTemp("", "systemd")
	if err != nil {
		tb.Fatal(err)
	}
	s := &Systemd{Private: filepath.Join(dir, "run/systemd/private"), Bus: filepath.Join(dir, "run/bus")}
	group, starts := "", 0
	shell := func(script string) *exec.Cmd {
		cmd := exec.Command(unshare, "--mount", "sh", "-c", script)
		cmd.Env = append(s.environ(),
			"HOME="+dir, "SYSTEMD_UNIT_PATH="+filepath.Join(dir, "units"),
			"SCRATCH="+filepath.Join(dir, "scratch"), "GROUP="+group, "BEGIN="+begin)
		return cmd
	}
	clean := func() {
		if group == "" {
			return
		}
		Wait(tb, "the control group to be removed", func() error { return run(shell(sweep)) })
		group = ""
	}
	tb.Cleanup(func() {
		clean()
		_ = os.RemoveAll(dir)
	})
	s.Server = launch(tb, dir, recipe{
		name: "systemd",
		configure: func(*Server) error {
			clean()
			return writeUnits(dir, units)
		},
		command: func(*Server) *exec.Cmd {
			starts++
			group = fmt.Sprintf("%s-%d", filepath.Base(dir), starts)
			return shell(isolate)
		},
		ready: func(*Server) error { return s.Try("list-units") },
		stop:  syscall.SIGKILL, // its processes are ended with its control group
	})
	return s
}

// UnitLoop is the ExecStart of a service that runs until it is stopped or
// systemd is gone.
const UnitLoop = `/bin/sh -c 'while kill -0 $PPID; do sleep 0.2; done'`

func writeUnits(dir string, units map[string]string) error {
	for _, sub := range []string{"run/systemd", "units", "scratch"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return err
		}
	}
	for _, set := range []map[string]string{ownUnits, units} {
		for name, content := range set {
			if err := writeUnit(filepath.Join(dir, "units", name), content); err != nil {
				return err
			}
		}
	}
	return nil
}

func writeUnit(path, content string) error {
	if content != "" {
		return os.WriteFile(path, []byte(content+"\n"), 0o600)
	}
	if err := os.Symlink("/dev/null", path); !errors.Is(err, os.ErrExist) {
		return err
	}
	return nil
}

func (s *Systemd) environ() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "XDG_RUNTIME_DIR=" + filepath.Dir(s.Bus), "DBUS_SESSION_BUS_ADDRESS=unix:path=" + s.Bus}
}

// Try runs systemctl with the arguments.
func (s *Systemd) Try(args ...string) error {
	cmd := exec.Command("/usr/bin/systemctl", append([]string{"--user", "--no-pager"}, args...)...)
	cmd.Env = s.environ()
	return run(cmd)
}

// Ctl runs systemctl with the arguments, and fails the test if that fails.
func (s *Systemd) Ctl(args ...string) {
	s.tb.Helper()
	if err := s.Try(args...); err != nil {
		s.tb.Fatal(err)
	}
}

// StartBus starts the bus, and waits until systemd is on it.
func (s *Systemd) StartBus() {
	s.tb.Helper()
	s.Ctl("start", "dbus.service")
	Wait(s.tb, "systemd to be on its bus", func() error {
		return run(exec.Command("/usr/bin/busctl", "--address=unix:path="+s.Bus, "status", "org.freedesktop.systemd1"))
	})
}

// run runs a command, whose error has what it says.
func run(cmd *exec.Cmd) error {
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, out)
	}
	return nil
}

// DBus starts a bus that systemd is not on, and returns the path of its socket.
func DBus(tb testing.TB) string {
	tb.Helper()
	program := Program(tb, "dbus-daemon", "dbus")
	dir, err := os.MkdirTemp("", "dbus")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "bus")
	launch(tb, dir, recipe{
		name: "dbus-daemon",
		command: func(*Server) *exec.Cmd {
			return exec.Command(program, "--session", "--address=unix:path="+path, "--nofork", "--nopidfile")
		},
		ready: func(*Server) error {
			conn, err := net.Dial("unix", path)
			if err != nil {
				return err
			}
			return conn.Close()
		},
		stop: syscall.SIGTERM,
	})
	return path
}
