package systemdcheck_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"hale/internal/check"
	"hale/internal/kinds/kindtest"
	"hale/internal/servertest"
)

var run = kinds.Run

// units are those of a real systemd, each in a state that a check meets.
var units = map[string]string{
	"ok.service":       service(servertest.UnitLoop),
	"inst@.service":    service(servertest.UnitLoop),
	"exits.service":    service("/bin/sh -c 'exit 3'"),
	"killed.service":   service("/bin/sh -c 'kill -SEGV $$$$'"),
	"limit.service":    "[Unit]\nStartLimitIntervalSec=1h\nStartLimitBurst=2\n" + service("/bin/false", "Restart=always", "RestartSec=0"),
	"waits.service":    service("/bin/sh -c 'exit 4'", "Restart=always", "RestartSec=1h"),
	"loops.service":    "[Unit]\nStartLimitIntervalSec=0\n" + service("/bin/sleep 0.3", "Restart=always", "RestartSec=10ms"),
	"again.service":    service("/bin/sh -c '[ -e %t/again ] || { touch %t/again; exit 1; }; while kill -0 $PPID; do sleep 0.2; done'", "Restart=always", "RestartSec=0"),
	"starts.service":   service(servertest.UnitLoop, "Type=notify", "TimeoutStartSec=infinity"),
	"stops.service":    service(servertest.UnitLoop, "ExecStop=/bin/sleep 1000", "TimeoutStopSec=infinity"),
	"reloads.service":  service(servertest.UnitLoop, "ExecReload=/bin/sleep 1000", "TimeoutStartSec=infinity"),
	"once.service":     service("/bin/true", "Type=oneshot"),
	"bad.service":      "[Service]\nType=simple",
	"masked.service":   "",
	"later.timer":      "[Timer]\nOnActiveSec=1h\nUnit=ok.service",
	`a\x2db:c.service`: service(servertest.UnitLoop),
}

func service(start string, lines ...string) string {
	text := "[Service]\nExecStart=" + start
	for _, line := range lines {
		text += "\n" + line
	}
	return text
}

// expect compares a result's reason, and its text with a regular expression.
func expect(t *testing.T, result check.Result, reason check.Reason, want string) {
	t.Helper()
	if result.Reason() != reason || !regexp.MustCompile("^(?:"+want+")$").MatchString(result.Text()) {
		t.Errorf("got reason %q, %s\nwant %q, %s", result.Reason(), result.Text(), reason, want)
	}
}

// waitFor runs a check until what it says is like want.
func waitFor(t *testing.T, url, want string) check.Result {
	t.Helper()
	var result check.Result
	servertest.Wait(t, want, func() error {
		if result = run(t, url); !regexp.MustCompile(want).MatchString(result.Text()) {
			return fmt.Errorf("got %s", result.Text())
		}
		return nil
	})
	return result
}

const at = ` since \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`

// Every state, over systemd's own socket and over the bus.
func TestStates(t *testing.T) {
	s := servertest.SystemdUser(t, units)
	s.StartBus()
	s.Ctl("start", "ok", "inst@a", "later.timer", `a\x2db:c`, "once", "again", "stops", "reloads")
	s.Ctl("start", "--no-block", "exits", "killed", "limit", "waits", "loops", "starts")
	s.Ctl("stop", "--no-block", "stops")
	s.Ctl("reload", "--no-block", "reloads")
	for name, socket := range map[string]string{"own socket": s.Private, "bus": s.Bus} {
		t.Run(name, func(t *testing.T) {
			for _, test := range []struct {
				unit    string
				options string
				reason  check.Reason
				want    string
			}{
				{"ok.service", "", "", `active \(running\)` + at},
				{"ok", "max_restarts=0&min_uptime=1h", "", `active \(running\)` + at},
				{"inst@a", "", "", `active \(running\)` + at},
				{`/a\x2db:c`, "", "", `active \(running\)` + at},
				{"later.timer", "", "", `active \(waiting\)` + at},
				{"basic.target", "", "", `active \(active\)` + at},
				{"exits", "", check.ReasonStatus, `systemd://exits.service: has failed \(exit-code, status 3\)` + at + `; see journalctl -u exits.service`},
				{"killed", "", check.ReasonStatus, `systemd://killed.service: has failed \((signal|core-dump), signal 11\)` + at + `; see journalctl -u killed.service`},
				{"limit", "", check.ReasonStatus, `systemd://limit.service: has failed \(exit-code, status 1\)` + at + `, restarted \w+( times)? before; see journalctl -u limit.service`},
				{"waits", "", check.ReasonStatus, `systemd://waits.service: ended \(exit-code, status 4\) and waits to be restarted: is activating \(auto-restart\)` + at + `; see journalctl -u waits.service`},
				{"loops", "", check.ReasonStatus, `systemd://loops.service: flaps: is active \(running\), but systemd restarted it \S+ ago, (once|\d+ times) in all, want it to stay up for 10s; see journalctl -u loops.service`},
				{"again", "min_uptime=1h", check.ReasonStatus, `systemd://again.service: flaps: is active \(running\), but systemd restarted it \S+ ago, once in all, want it to stay up for 1h0m0s; see journalctl -u again.service`},
				{"again", "min_uptime=0s", "", `active \(running\)` + at + ", restarted once"},
				{"again", "min_uptime=0s&max_restarts=1", "", `active \(running\)` + at + ", restarted once"},
				{"again", "min_uptime=0s&max_restarts=0", check.ReasonStatus, `systemd://again.service: is active \(running\), but systemd has restarted it once, want at most 0; see journalctl -u again.service`},
				{"again", "min_uptime=1s", "", `active \(running\)` + at + ", restarted once"},
				{"starts", "", check.ReasonLoading, `systemd://starts.service: is starting: activating \(start\)` + at},
				{"stops", "", check.ReasonLoading, `systemd://stops.service: is stopping: deactivating \(stop\)` + at},
				{"reloads", "", "", `reloading \(reload\)` + at},
				{"reloads", "state=active", check.ReasonStatus, `systemd://reloads.service: is reloading \(reload\)` + at + ", want active"},
				{"once", "", check.ReasonStatus, `systemd://once.service: is inactive \(dead\)(` + at + `)?; systemctl start once.service`},
				{"once", "state=active,inactive", "", `inactive \(dead\)(` + at + ")?"},
				{"ok", "state=inactive", check.ReasonStatus, `systemd://ok.service: is active \(running\)` + at + ", want inactive"},
				{"none", "", check.ReasonMissing, `systemd://none.service: systemd has no such unit; see systemctl list-unit-files`},
				{"none", "state=inactive", check.ReasonMissing, `systemd://none.service: systemd has no such unit; see systemctl list-unit-files`},
				{"masked", "", check.ReasonStatus, `systemd://masked.service: is masked, which forbids to start it, and inactive \(dead\); systemctl unmask masked.service`},
				{"bad", "", check.ReasonStatus, `systemd://bad.service: its file can't be used \(bad-setting\), and it is inactive \(dead\); see systemctl status bad.service`},
			} {
				scheme := "systemd://"
				url := scheme + test.unit + "?bus=" + socket + "&" + test.options
				expect(t, waitFor(t, url, test.want), test.reason, test.want)
			}
		})
	}
	t.Run("user", func(t *testing.T) {
		t.Setenv("XDG_RUNTIME_DIR", filepath.Dir(s.Bus))
		expect(t, run(t, "systemd://ok?user"), "", `active \(running\)`+at)
		expect(t, run(t, "systemd://once?user"), check.ReasonStatus, `systemd://once.service: is inactive \(dead\)(`+at+`)?; systemctl --user start once.service`)
		// Without its own socket, the bus is asked.
		if err := os.Rename(s.Private, s.Private+".away"); err != nil {
			t.Fatal(err)
		}
		expect(t, run(t, "systemd://ok?user"), "", `active \(running\)`+at)
		if err := os.Rename(s.Private+".away", s.Private); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("never healthy", func(t *testing.T) {
		for end := time.Now().Add(2 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
			if result := run(t, "systemd://loops?bus="+s.Private); result.Healthy() {
				t.Errorf("got %s", result.Note)
			}
		}
	})
	t.Run("started anew", func(t *testing.T) {
		// What somebody starts begins at none.
		s.Ctl("restart", "again")
		expect(t, run(t, "systemd://again?min_uptime=1h&max_restarts=0&bus="+s.Private), "", `active \(running\)`+at)
		s.Ctl("stop", "loops")
		s.Ctl("start", "loops")
		waitFor(t, "systemd://loops?bus="+s.Private, ", (once|. times) in all")
	})
	t.Run("paused", func(t *testing.T) {
		s.Pause()
		defer s.Resume()
		for _, socket := range []string{s.Private, s.Bus} {
			kindtest.ExpectLeavesNothing(t)
			expect(t, run(t, "systemd://ok?timeout=300ms&bus="+socket), check.ReasonTimeout, `no answer within 300ms: systemd://ok.service: asking systemd: .*`)
		}
	})
	s.Kill()
	expect(t, run(t, "systemd://ok?bus="+s.Private), check.ReasonRefused, "systemd://ok.service: no connection to systemd: .*; who listened there has ended")
}

func TestNoSystemd(t *testing.T) {
	expect(t, run(t, "systemd://ok?bus=/nonexistent/bus"), check.ReasonMissing,
		"systemd://ok.service: no socket of systemd at /nonexistent/bus; does systemd run here\\? In a container, mount the host's /run/dbus/system_bus_socket, or set bus to its path")
	t.Setenv("XDG_RUNTIME_DIR", "/nonexistent")
	expect(t, run(t, "systemd://ok?user"), check.ReasonMissing,
		"systemd://ok.service: no socket of the user's systemd at /nonexistent/systemd/private and /nonexistent/bus; does it run\\? See loginctl enable-linger, or set bus to its path")
	expect(t, run(t, "systemd://ok?bus="+servertest.DBus(t)), check.ReasonMissing,
		`systemd://ok.service: there is a bus, but systemd is not on it \(.*\); does systemd run here\?`)
}

// A unit that dies is noticed at once, and so is one that starts.
func TestWatch(t *testing.T) {
	s := servertest.SystemdUser(t, units)
	s.StartBus()
	for name, socket := range map[string]string{"own socket": s.Private, "bus": s.Bus} {
		t.Run(name, func(t *testing.T) {
			s.Ctl("start", "ok")
			url := "systemd://ok?bus=" + socket
			c, err := build(url)
			if err != nil {
				t.Fatal(err)
			}
			kindtest.ExpectLeavesNothing(t)
			ctx, cancel := context.WithCancel(t.Context())
			changes := make(chan struct{}, 1)
			ended := make(chan error, 1)
			go func() {
				ended <- c.Checker.(check.Watcher).Watch(ctx, func() {
					select {
					case changes <- struct{}{}:
					default:
					}
				})
			}()
			until := func(what string, healthy bool) {
				t.Helper()
				patience := time.After(time.Minute)
				for {
					select {
					case <-changes:
						if run(t, url).Healthy() == healthy {
							return
						}
					case <-patience:
						t.Fatalf("nothing said that the unit is %s", what)
					}
				}
			}
			until("up when the watch begins", true)
			s.Ctl("kill", "--signal=KILL", "ok")
			until("dead", false)
			s.Ctl("reset-failed", "ok")
			s.Ctl("start", "ok")
			until("up again", true)
			cancel()
			if err := <-ended; err != context.Canceled {
				t.Errorf("got %v, want that it was cancelled", err)
			}
		})
	}
	t.Run("systemd ends", func(t *testing.T) {
		c, err := build("systemd://ok?bus=" + s.Private)
		if err != nil {
			t.Fatal(err)
		}
		began := make(chan struct{}, 100)
		ended := make(chan error, 1)
		go func() {
			ended <- c.Checker.(check.Watcher).Watch(t.Context(), func() { began <- struct{}{} })
		}()
		<-began
		s.Kill()
		if err := <-ended; check.ReasonOf(err) != check.ReasonClosed && check.ReasonOf(err) != check.ReasonReset {
			t.Errorf("got %v", err)
		}
		if len(began) == 0 {
			t.Error("that systemd ended was not announced")
		}
		if err := c.Checker.(check.Watcher).Watch(t.Context(), func() {}); check.ReasonOf(err) != check.ReasonRefused {
			t.Errorf("without systemd: got %v", err)
		}
	})
}
