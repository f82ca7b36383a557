package supervisorcheck_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"hale/internal/check"
	"hale/internal/kinds/kindtest"
	"hale/internal/kinds/supervisorcheck"
	"hale/internal/servertest"
)

var kinds = kindtest.Kinds{supervisorcheck.Kind()}

var (
	run    = kinds.Run
	build  = kinds.Build
	option = kindtest.Option
)

func expectNote(t *testing.T, result check.Result, want string) {
	t.Helper()
	if result.Err != nil || !regexp.MustCompile("^"+want+"$").MatchString(result.Note) {
		t.Errorf("got note %q and error %v, want a note like %q", result.Note, result.Err, want)
	}
}

// expectFailure compares a failure's text with a regular expression.
func expectFailure(t *testing.T, result check.Result, reason check.Reason, want string) {
	t.Helper()
	if result.Healthy() || result.Reason() != reason || !regexp.MustCompile(want).MatchString(result.Text()) {
		t.Errorf("got reason %q (%s), want %q with %q", result.Reason(), result.Text(), reason, want)
	}
}

// waitFor runs a check until it fails, or not, with a text like want.
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

// program is a section of configuration.
func program(name, command string, lines ...string) string {
	return "[program:" + name + "]\ncommand=" + command + "\n" + strings.Join(lines, "\n")
}

func TestContract(t *testing.T) {
	for _, programs := range []string{"", "?program=web", "?program=g:*"} {
		t.Run(programs, func(t *testing.T) {
			kindtest.Network{Kind: supervisorcheck.Kind(), URL: func(a string) string { return "supervisor://u:secret-pw@" + a + programs }}.Run(t)
		})
	}
}

func TestRunning(t *testing.T) {
	s := servertest.Supervisord(t,
		program("web", servertest.SupervisedLoop),
		program("blue", servertest.SupervisedLoop), program("red", servertest.SupervisedLoop),
		"[group:workers]\nprograms=blue,red",
	)
	socket := "supervisor://" + servertest.SupervisordSocket(s)
	web := fmt.Sprintf("supervisor://%s:%s@%s", servertest.SupervisordUser, servertest.SupervisordPassword, s.Addr)
	for _, url := range []string{socket, web, fmt.Sprintf("supervisor://%s:%s@:%d", servertest.SupervisordUser, servertest.SupervisordPassword, s.Port), web + "/RPC2"} {
		waitFor(t, url, "3 programs RUNNING")
		expectNote(t, run(t, url+"?program=web"), `web RUNNING for \d+s`)
		expectNote(t, run(t, url+"?program=web:web"), `web RUNNING for \d+s`)
		expectNote(t, run(t, url+"?program=workers:red"), `workers:red RUNNING for \d+s`)
		expectNote(t, run(t, url+"?program=web,workers:red"), `2 programs RUNNING, all for \d+s or longer`)
		expectNote(t, run(t, url+"?program=workers:*"), `2 programs RUNNING, all for \d+s or longer`)
		expectNote(t, run(t, url+"?program=workers:*&program=workers:red"), `2 programs RUNNING, all for \d+s or longer`)
		expectNote(t, run(t, url), `3 programs RUNNING, all for \d+s or longer`)
	}

	t.Run("unknown", func(t *testing.T) {
		const known = "; it has web, workers:blue, workers:red$"
		expectFailure(t, run(t, socket+"?program=wbe"), check.ReasonMissing, "^"+socket+": supervisord has no program wbe"+known)
		expectFailure(t, run(t, socket+"?program=red"), check.ReasonMissing, "has no program red"+known)
		expectFailure(t, run(t, socket+"?program=none:*"), check.ReasonMissing, `has no program none:\*`+known)
		expectFailure(t, run(t, socket+"?program=web,none"), check.ReasonMissing, "has no program none"+known)
		expectFailure(t, run(t, socket, option("program", "<a&b>")), check.ReasonMissing, "has no program <a&b>"+known)
	})
	t.Run("login", func(t *testing.T) {
		expectNote(t, run(t, "supervisor://"+s.Addr, option("username", servertest.SupervisordUser), option("password", servertest.SupervisordPassword)), "3 programs .*")
		expectFailure(t, run(t, "supervisor://"+s.Addr), check.ReasonAuth, "supervisord asks for a user name and password; set username and password$")
		result := run(t, "supervisor://operator:close-sesame@"+s.Addr)
		expectFailure(t, result, check.ReasonAuth, "supervisord refuses the user name or password; see username and password in ")
		if strings.Contains(result.Text(), "sesame") {
			t.Errorf("a secret is shown: %s", result.Text())
		}
	})
	t.Run("min_uptime", func(t *testing.T) {
		expectFailure(t, run(t, socket+"?program=web&min_uptime=1h"), check.ReasonStatus, `: web is RUNNING for \d+s only, want at least 1h0m0s; does it end and start again\? See supervisorctl tail web$`)
		expectFailure(t, run(t, socket+"?min_uptime=1h"), check.ReasonStatus, "web is RUNNING for .*; workers:blue is RUNNING for .*; workers:red is RUNNING for ")
		waitFor(t, socket+"?min_uptime=2s", "3 programs RUNNING")
	})
	t.Run("stopped and started", func(t *testing.T) {
		servertest.SupervisorCtl(t, s, "stop", "workers:red")
		expectFailure(t, run(t, socket), check.ReasonStatus, `^`+socket+`: workers:red is STOPPED: somebody stopped it \d+s ago; supervisorctl start workers:red$`)
		expectFailure(t, run(t, socket+"?program=workers:*"), check.ReasonStatus, "workers:red is STOPPED")
		expectNote(t, run(t, socket+"?program=web,workers:blue"), "2 programs .*")
		servertest.SupervisorCtl(t, s, "start", "workers:red")
		expectNote(t, run(t, socket), "3 programs .*")
	})
	t.Run("paused", func(t *testing.T) {
		s.Pause()
		defer s.Resume()
		expectFailure(t, run(t, socket+"?timeout=300ms"), check.ReasonTimeout, "no answer to supervisor.getAllProcessInfo")
		expectFailure(t, run(t, web+"?timeout=300ms"), check.ReasonTimeout, "no answer to supervisor.getAllProcessInfo")
	})
	waitFor(t, socket, "3 programs RUNNING")
}

// Every state but RUNNING, as the real supervisord gets into it.
func TestStates(t *testing.T) {
	s := servertest.Supervisord(t,
		program("fails", "/bin/false", "startretries=1"),
		program("absent", "/nonexistent/program", "startretries=0"),
		program("loops", "/bin/false", "startretries=1000000"),
		program("slow", servertest.SupervisedLoop, "startsecs=3600"),
		program("done", `/bin/sh -c "sleep 1.5; exit 3"`, "autorestart=false"),
		program("idle", servertest.SupervisedLoop, "autostart=false"),
		program("stubborn", `/bin/sh -c "trap '' TERM; while kill -0 $PPID; do sleep 0.2; done"`, "stopwaitsecs=5"),
	)
	url := "supervisor://" + servertest.SupervisordSocket(s)
	for _, test := range []struct {
		program string
		reason  check.Reason
		want    string
	}{
		{"fails", check.ReasonStatus, `fails is FATAL: supervisord gave up starting it: Exited too quickly \(process log may have details\); see supervisorctl tail fails$`},
		{"absent", check.ReasonStatus, `absent is FATAL: supervisord gave up starting it: can't find command '/nonexistent/program'; see supervisorctl tail absent$`},
		{"loops", check.ReasonStatus, `loops is in BACKOFF: it does not stay up for its startsecs and is started again and again: Exited too quickly`},
		{"slow", check.ReasonLoading, `slow is STARTING: it has not stayed up for its startsecs yet$`},
		{"done", check.ReasonStatus, `done is EXITED: it ended with status 3 \d+s ago, and autorestart does not start it again$`},
		{"idle", check.ReasonStatus, `idle is STOPPED: it was never started; supervisorctl start idle$`},
	} {
		t.Run(test.program, func(t *testing.T) {
			expectFailure(t, waitFor(t, url+"?program="+test.program, test.want), test.reason, "^"+url+": "+test.want)
		})
	}
	t.Run("stubborn", func(t *testing.T) {
		waitFor(t, url+"?program=stubborn", "stubborn RUNNING")
		stopped := make(chan struct{})
		go func() {
			defer close(stopped)
			servertest.SupervisorCtl(t, s, "stop", "stubborn")
		}()
		defer func() { <-stopped }()
		expectFailure(t, waitFor(t, url+"?program=stubborn", "STOPPING"), check.ReasonLoading, "stubborn is STOPPING: it was told to end and has not ended yet$")
	})
	t.Run("several", func(t *testing.T) {
		expectFailure(t, run(t, url+"?program=slow,idle"), check.ReasonStatus, "^"+url+": idle is STOPPED: .*; slow is STARTING: ")
	})
}

// A program that lives longer than its startsecs and then ends is RUNNING at
// most times that one looks. min_uptime tells it from one that is well.
func TestFlapping(t *testing.T) {
	s := servertest.Supervisord(t, program("flaps", `/bin/sh -c "sleep 2"`, "startsecs=0", "autorestart=true"))
	url := "supervisor://" + servertest.SupervisordSocket(s) + "?program=flaps"
	waitFor(t, url, "flaps RUNNING")
	waitFor(t, url+"&min_uptime=10m", "flaps is RUNNING for [0-9]+s only, want at least 10m0s")
	for end := time.Now().Add(4 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if result := run(t, url+"&min_uptime=10m"); result.Healthy() {
			t.Errorf("got healthy: %s", result.Note)
		}
	}
}

func TestNothingThere(t *testing.T) {
	s := servertest.Supervisord(t)
	socket := servertest.SupervisordSocket(s)
	url := "supervisor://" + socket
	expectFailure(t, run(t, url), check.ReasonMissing, `: supervisord has no programs; see \[program:NAME\] in its configuration, and supervisorctl update$`)
	expectFailure(t, run(t, url+"?program=web"), check.ReasonMissing, ": supervisord has no programs; ")
	s.Kill()
	expectFailure(t, run(t, url), check.ReasonRefused, ": no connection: .*; supervisord has ended and left its socket behind$")
	expectFailure(t, run(t, "supervisor://"+filepath.Dir(socket)), check.ReasonRefused, `: no connection: .*; it is a directory and no socket: give file of \[unix_http_server\]$`)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	expectFailure(t, run(t, "supervisor://"+file), check.ReasonRefused, `: no connection: .*; it is no socket: give file of \[unix_http_server\]$`)
	expectFailure(t, run(t, "supervisor://"+s.Addr), check.ReasonRefused, "supervisor://"+s.Addr+": no connection: ")
	if err := os.Remove(socket); err != nil {
		t.Fatal(err)
	}
	expectFailure(t, run(t, url), check.ReasonMissing, `: no connection: .*; is supervisord running\? See file in \[unix_http_server\] of its configuration$`)
}

// What the real server does not do on demand.
func TestOtherAnswers(t *testing.T) {
	fault := func(code int) string {
		return fmt.Sprintf("<methodResponse><fault><value><struct><member><name>faultCode</name><value><int>%d</int></value></member>"+
			"<member><name>faultString</name><value><string>WORD</string></value></member></struct></value></fault></methodResponse>", code)
	}
	for _, test := range []struct {
		name   string
		status int
		body   string
		reason check.Reason
		want   string
	}{
		{"shutting down", 200, fault(6), check.ReasonLoading, "supervisord is shutting down or restarting$"},
		{"no interface", 200, fault(1), check.ReasonProtocol, `does not know supervisor.getAllProcessInfo; its configuration lacks \[rpcinterface:supervisor\]$`},
		{"other fault", 200, fault(99), check.ReasonStatus, "supervisor.getAllProcessInfo: fault 99: WORD$"},
		{"bad name", 200, fault(10), check.ReasonStatus, "supervisor.getAllProcessInfo: fault 10: WORD$"},
		{"not found", 404, "", check.ReasonProtocol, "has no /RPC2: it is not supervisord, or its configuration lacks "},
		{"other status", 500, "", check.ReasonStatus, `answers /RPC2 with status 500, want 200; is it supervisord\?$`},
		{"empty", 200, "", check.ReasonProtocol, "is not supervisord: supervisor.getAllProcessInfo: the answer is XML, but not that of supervisord$"},
		{"a page", 200, "<html><body>hello</body></html>", check.ReasonProtocol, "the answer is XML, but not that of supervisord$"},
		{"no XML", 200, "hello <", check.ReasonProtocol, "is not supervisord: "},
		{"no state", 200, "<methodResponse><params><param><value><struct></struct></value></param></params></methodResponse>", check.ReasonProtocol, "but not that of supervisord$"},
		{"deep", 200, "<methodResponse>" + strings.Repeat("<a>", 1000), check.ReasonProtocol, "but not that of supervisord$"},
		{"long", 200, "<methodResponse>" + strings.Repeat(" ", supervisorcheck.MaxReply+(64<<10)), check.ReasonProtocol, "the answer is too long$"},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method != "POST" || r.URL.Path != "/RPC2" {
					t.Errorf("got %s %s", r.Method, r.URL)
				}
				w.WriteHeader(test.status)
				_, _ = w.Write([]byte(test.body))
			}))
			defer server.Close()
			url := "supervisor://" + strings.TrimPrefix(server.URL, "http://")
			expectFailure(t, run(t, url), test.reason, "^"+url+": .*"+test.want)
		})
	}
}

func TestOptions(t *testing.T) {
	long := "/" + strings.Repeat("x", 107)
	tests := []struct {
		name, url string
		options   []check.Option
		want      string
	}{
		{"opaque", "supervisor:web", nil, "url: has neither a path nor a host; write supervisor:///run/supervisor.sock for a socket, or supervisor://HOST:9001"},
		{"port", "supervisor://h:70000", nil, "url: port 70000 is out of range; a port is a number from 1 to 65535"},
		{"path of a host", "supervisor://h/run/s.sock", nil, `url: has the path "/run/s.sock" after a host; leave it out, or write three slashes for a socket: supervisor:///run/supervisor.sock`},
		{"directory", "supervisor:///run/", nil, `url: "/run/" ends in a slash, which makes it a directory; give the path of the socket`},
		{"NUL", "supervisor:///run/a%00b", nil, `url: "/run/a b" holds a NUL character, which no path can`},
		{"long path", "supervisor://" + long, nil, "url: the socket's path is longer than the 107 bytes that are possible"},
		{"two users", "supervisor://a:pass-word@h", []check.Option{option("username", "b")}, `username: is "b", and the URL names another user; give it once`},
		{"two passwords", "supervisor://a:first-pw@h", []check.Option{option("password", "second-pw")}, "password: is not the one in the URL; give it once"},
		{"no password", "supervisor://a@h", nil, "username: needs a password; write supervisor://USER:PASSWORD@HOST, or set password"},
		{"no user", "supervisor://:pass-word@h", nil, "password: needs a user name; supervisord has both or neither"},
		{"colon", "supervisor://a%3Ab:pass-word@h", nil, "username: has a colon, which basic authentication can't carry"},
		{"empty program", "supervisor://?program=", nil, `program: "" is not a program; write NAME, GROUP:NAME or GROUP:*`},
		{"program with an end", "supervisor://?program=g:", nil, `program: "g:" is not a program; write NAME, GROUP:NAME or GROUP:*`},
		{"program with three parts", "supervisor://?program=a:b:c", nil, `program: "a:b:c" is not a program; write NAME, GROUP:NAME or GROUP:*`},
		{"program with a star", "supervisor://?program=web,w*", nil, `program: "w*" is not a program; write NAME, GROUP:NAME or GROUP:*`},
		{"program with a space", "supervisor://?program=a%20b", nil, `program: "a b" is not a program; write NAME, GROUP:NAME or GROUP:*`},
		{"uptime", "supervisor://?min_uptime=-1s", nil, "min_uptime: -1s is negative; give a duration such as 30s"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := build(test.url, test.options...)
			if err == nil || err.Error() != test.want {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
		})
	}
}

// Secrets are masked also in the form that they are sent in.
func TestSecrets(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		_, _ = fmt.Fprintf(w, "<methodResponse><fault><value><struct><member><name>faultCode</name><value><int>99</int></value></member>"+
			"<member><name>faultString</name><value><string>%s %s %s</string></value></member></struct></value></fault></methodResponse>",
			user, password, r.Header.Get("Authorization"))
	}))
	defer server.Close()
	result := run(t, "supervisor://operator:p%40ss-word@"+strings.TrimPrefix(server.URL, "http://"))
	expectFailure(t, result, check.ReasonStatus, `fault 99: operator \*\*\* Basic \*\*\*$`)
}

func TestDefaults(t *testing.T) {
	c := kindtest.Build(t, supervisorcheck.Kind(), "supervisor://")
	if got, want := fmt.Sprint(c.Options), "[{program } {min_uptime 0s} {username } {password }]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if _, err := build(supervisorcheck.Kind().Example); err != nil {
		t.Errorf("the example: %v", err)
	}
	// There may be a supervisord on this host; its socket is what was asked for.
	if result := kindtest.Run(t, t.Context(), c); !result.Healthy() && !strings.Contains(result.Text(), filepath.Clean(supervisorcheck.DefaultSocket)) {
		t.Errorf("got %s, want %s in it", result.Text(), supervisorcheck.DefaultSocket)
	}
}
