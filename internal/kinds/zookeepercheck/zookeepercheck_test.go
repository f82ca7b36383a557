package zookeepercheck_test

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"hale/internal/check"
	"hale/internal/kinds/kindtest"
	"hale/internal/kinds/zookeepercheck"
	"hale/internal/servertest"
)

var kinds = kindtest.Kinds{zookeepercheck.Kind()}

var (
	run           = kinds.Run
	build         = kinds.Build
	expectNote    = kindtest.ExpectNote
	expectFailure = kindtest.ExpectFailure
)

// waitForMode waits until a server is in one of the modes and returns which. A
// starting server may leave a connection without an answer for good, so no run
// waits long for one.
func waitForMode(t *testing.T, s *servertest.Server, modes ...string) string {
	t.Helper()
	var mode string
	servertest.Wait(t, "a mode of "+strings.Join(modes, ", "), func() error {
		result := run(t, "zookeeper://"+s.Addr+"?timeout=1s&mode="+strings.Join(modes, ","))
		mode, _, _ = strings.Cut(result.Note, ",")
		return result.Err
	})
	return mode
}

func TestContract(t *testing.T) {
	for _, word := range []string{"srvr", "ruok"} {
		t.Run(word, func(t *testing.T) {
			kindtest.Network{Kind: zookeepercheck.Kind(), URL: func(a string) string { return "zookeeper://" + a + "?word=" + word }}.Run(t)
		})
	}
}

func TestStandalone(t *testing.T) {
	s := servertest.ZooKeeper(t)
	url := "zookeeper://" + s.Addr
	waitForMode(t, s, "standalone")
	result := run(t, url)
	if !strings.HasPrefix(result.Note, "standalone, version 3.") || strings.ContainsAny(result.Note, "-$") {
		t.Errorf("got note %q, want the mode and a plain version", result.Note)
	}
	expectNote(t, run(t, fmt.Sprintf("zookeeper://:%d", s.Port)), result.Note)
	expectNote(t, run(t, url+"?mode=leader,standalone"), result.Note)
	expectFailure(t, run(t, url+"?mode=leader,follower"), check.ReasonRole, url+": its mode is standalone, want leader or follower")
	// It is not in the list unless somebody puts it there.
	expectFailure(t, run(t, url+"?word=ruok"), check.ReasonPermission, "does not answer to ruok; add it to the list in zoo.cfg: 4lw.commands.whitelist=ruok")
	s.Stop()
	expectFailure(t, run(t, url), check.ReasonRefused, url)
}

// Servers answer to srvr whatever their list says; its absence from the list
// can be seen with ruok only.
func TestWhitelist(t *testing.T) {
	s := servertest.ZooKeeper(t, "4lw.commands.whitelist=ruok")
	waitForMode(t, s, "standalone")
	expectNote(t, run(t, "zookeeper://"+s.Addr+"?word=ruok"), "imok")
}

func TestQuorum(t *testing.T) {
	servers := servertest.ZooKeeperEnsemble(t, 3, 1, "4lw.commands.whitelist=srvr,ruok")
	first, second := servers[0], servers[1]
	url := "zookeeper://" + first.Addr
	const text = "runs but does not serve: it is starting, or its ensemble has no quorum"
	expectFailure(t, run(t, url), check.ReasonLoading, url+": "+text)
	expectFailure(t, run(t, url+"?mode=leader"), check.ReasonLoading, text)
	expectNote(t, run(t, url+"?word=ruok"), "imok")

	second.Start()
	modes := waitForMode(t, first, "leader", "follower") + " " + waitForMode(t, second, "leader", "follower")
	if modes != "leader follower" && modes != "follower leader" {
		t.Errorf("the modes are %s, want a leader and a follower", modes)
	}
	expectFailure(t, run(t, url+"?mode=standalone,observer"), check.ReasonRole, "want standalone or observer")

	second.Kill()
	servertest.Wait(t, "the quorum to be lost", func() error {
		if result := run(t, url+"?timeout=1s"); result.Reason() != check.ReasonLoading {
			return fmt.Errorf("got %q, %v", result.Note, result.Err)
		}
		return nil
	})
}

func TestPaused(t *testing.T) {
	s := servertest.ZooKeeper(t)
	waitForMode(t, s, "standalone")
	s.Pause()
	expectFailure(t, run(t, "zookeeper://"+s.Addr+"?timeout=300ms"), check.ReasonTimeout, "no answer to srvr")
	s.Resume()
	waitForMode(t, s, "standalone")
}

func TestFull(t *testing.T) {
	s := servertest.ZooKeeper(t, "maxClientCnxns=1")
	waitForMode(t, s, "standalone")
	conn, err := net.Dial("tcp", s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	url := "zookeeper://" + s.Addr + "?timeout=5s"
	servertest.Wait(t, "the only place to be taken", func() error {
		if result := run(t, url); result.Healthy() {
			return fmt.Errorf("got %q", result.Note)
		}
		return nil
	})
	// The server hangs up before, while or after it is asked.
	result := run(t, url)
	if reason := result.Reason(); reason != check.ReasonClosed && reason != check.ReasonReset {
		t.Errorf("reason %q (%v), want closed or reset", reason, result.Err)
	}
	if want := "see its log, and maxClientCnxns in zoo.cfg"; !strings.Contains(result.Text(), want) {
		t.Errorf("got %q, want %q in it", result.Text(), want)
	}
	_ = conn.Close()
	waitForMode(t, s, "standalone")
}

func TestNotZooKeeper(t *testing.T) {
	web := servertest.Nginx(t, "return 200;")
	expectFailure(t, run(t, "zookeeper://"+web.Addr), check.ReasonProtocol, `is not ZooKeeper: it answers srvr with "HTTP/1.1 400`)
}

func TestOptions(t *testing.T) {
	tests := []struct{ name, url, want string }{
		{"opaque", "zookeeper:2181", "url: zookeeper:2181 has no host; write zookeeper://HOST:PORT, or zookeeper://:PORT for this host"},
		{"port", "zookeeper://h:70000", "url: port 70000 is out of range; a port is a number from 1 to 65535"},
		{"user", "zookeeper://u:pass-word@h", "url: has a user name or password, and a four-letter word needs none; leave it out"},
		{"path", "zookeeper://h/app", `url: has the path "/app", and a server is checked as a whole; leave it out`},
		{"several", "zookeeper://h1,h2", "url: names several servers; make a check of each"},
		{"mode", "zookeeper://h?mode=leader,folower", `mode: "folower" is not known; did you mean "follower"? (known: standalone, leader, follower, observer, read-only)`},
		{"word", "zookeeper://h?word=mntr", `word: "mntr" is not known; give srvr or ruok`},
		{"mode of ruok", "zookeeper://h?word=ruok&mode=leader", "mode: is known from the answer to srvr only; leave word=ruok out"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := build(test.url)
			if err == nil || err.Error() != test.want {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
		})
	}
}

func TestDefaults(t *testing.T) {
	c := kindtest.Build(t, zookeepercheck.Kind(), "zookeeper://:1")
	if got, want := fmt.Sprint(c.Options), "[{mode } {word srvr}]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if _, err := build(zookeepercheck.Kind().Example); err != nil {
		t.Errorf("the example: %v", err)
	}
}
