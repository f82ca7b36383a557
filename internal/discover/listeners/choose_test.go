package listeners

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"hale/internal/check"
	"hale/internal/discover"
)

// running is a source that runs in a bubble, without a hello.
type running struct {
	*source
	mu   sync.Mutex
	sets []string
}

func run(t *testing.T, s *source) *running {
	r := &running{source: s}
	hello := recogniser{s.env}
	s.recognise = func(_ context.Context, l listener) (found, error) {
		return hello.build(l, candidate{scheme: "tcp", why: "nobody asked"})
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Run(ctx, func(checks []*check.Check) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.sets = append(r.sets, names(checks))
		})
	}()
	t.Cleanup(func() { cancel(); <-done })
	synctest.Wait()
	return r
}

func (r *running) want(t *testing.T, sets ...string) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Equal(r.sets, sets) {
		t.Errorf("set %q, want %q", r.sets, sets)
	}
}

func after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// What a process older than hale listens on is taken at once, what a younger one
// does after a minute; what it gives up before that is not.
func TestAPortMustHaveListenedForAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProc(t)
		p.listen("127.0.0.1:80=10", "127.0.0.1:81=11")
		p.process(7, "nginx", haleStart-1, "10")
		p.process(8, "fresh", haleStart+1, "11")
		s, _ := p.source(discover.Env{})
		r := run(t, s)
		r.want(t, "nginx-80")
		p.listen("127.0.0.1:80=10", "127.0.0.1:81=11", "127.0.0.1:82=12")
		after(40 * time.Second) // a look at 30 s sees port 82
		p.listen("127.0.0.1:80=10", "127.0.0.1:81=11")
		after(19 * time.Second)
		r.want(t, "nginx-80")
		after(time.Second)
		r.want(t, "nginx-80", "nginx-80 fresh-81")
		after(time.Hour)
		r.want(t, "nginx-80", "nginx-80 fresh-81")
	})
}

// Another socket at the same port begins its minute anew, unless an older one
// is still there.
func TestARestartBeginsTheMinuteAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProc(t)
		p.listen("127.0.0.1:81=11", "127.0.0.1:82=12")
		p.process(8, "fresh", haleStart+1, "11", "12")
		s, _ := p.source(discover.Env{})
		r := run(t, s)
		after(29 * time.Second)
		p.process(9, "again", haleStart+9, "13", "14")
		p.listen("127.0.0.1:81=13", "127.0.0.1:82=12", "127.0.0.1:82=14")
		after(32 * time.Second)
		r.want(t, "", "fresh-82")
		after(30 * time.Second)
		r.want(t, "", "fresh-82", "fresh-82 again-81")
	})
}

// A check stays when nothing listens any more.
func TestWhatWasFoundStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProc(t)
		p.listen("127.0.0.1:80=10")
		p.process(7, "nginx", 1, "10")
		s, _ := p.source(discover.Env{})
		r := run(t, s)
		p.listen()
		after(time.Hour)
		p.listen("127.0.0.1:80=20")
		after(time.Hour)
		r.want(t, "nginx-80")
	})
}

// Without permission to see the owner: at hale's start what listens is taken,
// else the minute counts.
func TestAProcessThatIsNotSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProc(t)
		p.listen("127.0.0.1:80=10")
		s, _ := p.source(discover.Env{})
		r := run(t, s)
		p.listen("127.0.0.1:80=10", "127.0.0.1:81=11")
		after(80 * time.Second)
		r.want(t, "tcp-80")
		after(10 * time.Second)
		r.want(t, "tcp-80", "tcp-80 tcp-81")

		p.uptime(haleStart + 1100) // hale has run for eleven seconds
		late, _ := p.source(discover.Env{})
		r = run(t, late)
		r.want(t, "")
		after(time.Minute)
		r.want(t, "", "tcp-80 tcp-81")
	})
}

func TestWhatIsLeftOut(t *testing.T) {
	p := newProc(t)
	p.write("sys/net/ipv4/ip_local_reserved_ports", "40002,40010-40020\n")
	p.listen("127.0.0.1:5000=10", "0.0.0.0:5001=10", "127.0.0.1:6000=11", "127.0.0.1:7000=12", "0.0.0.0:22=13",
		"127.0.0.1:32767=14", "127.0.0.1:32768=14", "127.0.0.1:40001=14", "127.0.0.1:40002=14", "127.0.0.1:40015=14",
		"127.0.0.1:50051=14", "127.0.0.1:60999=14", "127.0.0.1:61000=14", "127.0.0.1:80=14", "127.0.0.1:8080=14")
	p.process(halePID, "test", haleStart, "11")
	p.process(7, "hale", 1, "12")
	p.process(8, "app", 1, "10", "13", "14")
	s, notes := p.source(discover.Env{OwnPorts: []int{5000, 5001}}, options("exclude", "22, 8000-8100")...)
	s.look(t.Context())
	for inode := range s.since { // none of it is only because it is young
		s.since[inode] = time.Now().Add(-time.Hour)
	}
	s.look(t.Context())
	want := "app-80 app-32767 app-40002 app-40015 app-50051 app-61000"
	if got := names(s.checks); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for _, want := range []string{"port 32768, 40001, 60999 left out: it is one of the ports that the kernel hands out", "port 7000 left out: it is a hale's"} {
		if !strings.Contains(strings.Join(notes.Rest(), "\n"), want) {
			t.Errorf("told %q, want %q", notes.Rest(), want)
		}
	}

	only, _ := p.source(discover.Env{}, options("ports", "40001,8000-9000")...)
	only.look(t.Context())
	if got, want := names(only.checks), "app-8080 app-40001"; got != want {
		t.Errorf("with ports: got %s, want %s", got, want)
	}
}

// A host that widened the range for its many connections has services there.
func TestAWideRangeOfPortsTellsNothing(t *testing.T) {
	p := newProc(t)
	p.write("sys/net/ipv4/ip_local_port_range", "1024\t65535\n")
	handed := handedOut(p.root)
	for port, want := range map[int]bool{80: false, 8080: false, 32767: false, 32768: true, 65535: true} {
		if handed(port) != want {
			t.Errorf("port %d: got %v", port, handed(port))
		}
	}
}

func TestWhereAndWhat(t *testing.T) {
	p := newProc(t)
	p.listen("0.0.0.0:80=10", "127.0.0.1:53=11", "10.0.0.5:53=11", "127.0.0.53:53=12", "192.168.1.1:22=13", "127.0.0.1:90=15")
	p.write("net/tcp6", heading+
		"   0: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 0 0 0 0 0 20 1\n"+
		"   1: 0000000000000000FFFF00000500000A:0051 00000000000000000000000000000000:0000 0A 0 0 0 0 0 21 1\n"+
		"   2: B80D0120000000000000000001000000:0052 00000000000000000000000000000000:0000 0A 0 0 0 0 0 22 1\n"+
		"   3: 000080FE000000000000000001000000:0053 00000000000000000000000000000000:0000 0A 0 0 0 0 0 23 1\n"+
		"   4: 00000000000000000000000001000000:005A 00000000000000000000000000000000:0000 0A 0 0 0 0 0 24 1\n"+
		"garbage\n")
	// A name may hold anything; systemd has sockets of services that it starts.
	p.process(1, "systemd", 1, "13", "15")
	p.process(6, "sshd", 5, "13")
	p.process(7, "nginx", 20, "10", "20")
	p.process(8, "worker) R 1", 30, "10", "20")
	p.process(9, "a b)(é/..", 1, "11")
	s, _ := p.source(discover.Env{}, options("hello", "false")...)
	s.look(t.Context())
	var got []string
	for _, c := range s.checks[1:] {
		got = append(got, c.Name+" "+c.Target)
	}
	want := []string{
		"sshd-192.168.1.1-22 tcp://192.168.1.1:22",
		"a-b-53 tcp://:53",
		"a-b-10.0.0.5-53 tcp://10.0.0.5:53",
		"tcp-127.0.0.53-53 tcp://127.0.0.53:53",
		"nginx-80 tcp://:80",
		"tcp-10.0.0.5-81 tcp://10.0.0.5:81",
		"tcp-2001-db8--1-82 tcp://[2001:db8::1]:82",
		"systemd-90 tcp://:90",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// No more than 200 ports are checked, and it is said.
func TestTooManyPorts(t *testing.T) {
	p := newProc(t)
	var many []string
	for port := range 250 {
		many = append(many, fmt.Sprintf("127.0.0.1:%d=%d", 10000+port, 100+port))
	}
	p.listen(many...)
	s, notes := p.source(discover.Env{}, options("hello", "false")...)
	s.look(t.Context())
	s.look(t.Context())
	if n := len(s.checks) - 1; n != maxChecks {
		t.Errorf("%d checks, want %d", n, maxChecks)
	}
	if told := strings.Join(notes.Rest(), "\n"); !strings.Contains(told, "port 10200, ") || !strings.Contains(told, "200 ports are checked already") {
		t.Errorf("told %q", told)
	}
}

// The source's own check tells how the search goes.
func TestStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProc(t)
		s, _ := p.source(discover.Env{Defaults: options("groups", "web")})
		own := s.checks[0]
		if own.Name != "listeners" || !own.In("web") {
			t.Errorf("it is called %s, in the groups %v", own.Name, own.Groups)
		}
		says := func(reason check.Reason, healthy bool, text string) {
			t.Helper()
			result := own.Run(t.Context(), nil)
			if result.Reason() != reason || result.Healthy() != healthy || !strings.Contains(result.Text(), text) {
				t.Errorf("it says %q (%s), healthy %v", result.Text(), result.Reason(), result.Healthy())
			}
		}
		var changes atomic.Int32
		watching, stop := context.WithCancel(t.Context())
		defer stop()
		go func() { _ = own.Checker.(check.Watcher).Watch(watching, func() { changes.Add(1) }) }()
		says(check.ReasonMissing, false, "nothing listens on a TCP port")
		if err := os.Remove(p.root + "/net/tcp"); err != nil {
			t.Fatal(err)
		}
		run(t, s)
		says(check.ReasonMissing, false, "can't be looked at: read the listening ports: open "+p.root)
		p.listen("127.0.0.1:81=11")
		p.process(8, "fresh", haleStart+1, "11")
		after(30 * time.Second)
		says(check.ReasonMissing, false, "waiting for 81")
		after(time.Minute)
		says(check.ReasonNone, true, "1 port found")
		if err := os.Remove(p.root + "/net/tcp"); err != nil {
			t.Fatal(err)
		}
		after(30 * time.Second)
		says(check.ReasonMissing, true, "those found before are checked")
		if n := changes.Load(); n != 4 {
			t.Errorf("it told of %d changes, want 4", n)
		}
	})
}

func TestWrongOptions(t *testing.T) {
	_, err := newSource(options("ports", "80-70", "exclude", "http", "hallo", "x"), discover.Env{}, "/proc")
	for _, want := range []string{`ports: "80-70" is not a port or a range`, `exclude: "http" is not`, `hallo: there is no such option; did you mean "hello"?`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
