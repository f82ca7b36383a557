package execcheck_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"hale/internal/check"
	"hale/internal/kinds/execcheck"
	"hale/internal/kinds/kindtest"
)

// A family is a way of leaving processes behind. In its script $PIDS is the
// file to which each of them appends its id, and $HANG a script that does so
// and hangs.
type family struct {
	name   string
	script string
	size   int // how many processes tell their id, at least
}

var families = []family{
	{"a child", `$HANG &`, 1},
	{"children of children", `sh -c "sh -c '$HANG & $HANG' & $HANG" &`, 3},
	{"deaf to signals", `(trap '' HUP INT TERM; echo | nohup $HANG) &`, 1},
	{"another process group", `bash -c 'set -m; $HANG & $HANG & exit' &`, 2},
	{"another session", `setsid $HANG &`, 1},
	{"inherited by hale", `(setsid $HANG &)`, 1},
	{"a daemon", `(nohup setsid sh -c "$HANG </dev/null >/dev/null 2>&1 &" >/dev/null 2>&1 &)`, 1},
	{"a daemon without environment", `(env -i setsid sh -c "env -i setsid $HANG &" &)`, 1},
	{"a daemon and its children", `(setsid sh -c "env -i setsid $HANG & $HANG & $HANG" &)`, 3},
	{"stopped", `setsid sh -c 'echo $$ >>$PIDS; kill -STOP $$; sleep 10000' &`, 1},
	{"with a limit on locks of its own", `setsid sh -c "prlimit --locks=5: $HANG & $HANG" &`, 2},
	{"another process namespace", `unshare --user --pid --fork $HANG &`, 1},
}

// prelude makes $PIDS and $HANG, which asks /proc for its id because $$ is another
// in a process namespace of its own.
func prelude(t testing.TB, pids pidFile) string {
	hang := script(t, "#!/bin/sh\nread -r pid rest </proc/self/stat\necho $pid >>"+string(pids)+"\nexec sleep 10000\n")
	return fmt.Sprintf("#!/bin/sh\nexport PIDS=%s HANG=%s\n", pids, hang)
}

// slowDeath is what an error has more on a machine too busy for processes to die
// in time.
var slowDeath = regexp.MustCompile(`, but .* has not died yet, as in a dead network mount`)

// TestTimeoutKillsTheWholeTree has scripts that hang.
func TestTimeoutKillsTheWholeTree(t *testing.T) {
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			kindtest.ExpectLeavesNothing(t)
			pids := newPidFile(t)
			path := script(t, prelude(t, pids)+f.script+"\necho $$ >>$PIDS\necho on the way\nsleep 10000\n")
			c := kindtest.Build(t, execcheck.Kind(), "exec:"+path+" #interval=60s&timeout=60s")
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				defer cancel()
				waitUntil(t, "the processes to start", func() bool { return len(pids.pids(t)) > f.size })
			}()
			r := c.Run(ctx, nil)
			kindtest.ExpectReason(t, r, check.ReasonCanceled)
			got := slowDeath.ReplaceAllString(r.Text(), "")
			if want := "given up: " + path + " was still running and was killed with all it had started; its output began: on the way"; got != want {
				t.Errorf("\ngot  %s\nwant %s", got, want)
			}
			expectNoChildren(t)
			pids.expectGone(t, f.size+1)
		})
	}
}

// TestNothingIsLeftOfAGoodRun has scripts that end and leave something behind
// that holds their output open.
func TestNothingIsLeftOfAGoodRun(t *testing.T) {
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			pids := newPidFile(t)
			wait := fmt.Sprintf("\nwhile [ ! -e $PIDS ] || [ $(wc -l <$PIDS) -lt %d ]; do sleep 0.01; done\necho all good\n", f.size)
			r := runLine(t, script(t, prelude(t, pids)+f.script+wait), "")
			expectNote(t, r, "all good")
			pids.expectGone(t, f.size)
		})
	}
}

func TestEndsOnTime(t *testing.T) {
	tests := []struct{ name, script string }{
		{"hangs", "sleep 10000"},
		{"deaf to signals", "trap '' HUP INT TERM; while :; do sleep 10000; done"},
		{"output held by another session", "setsid sleep 10000 & sleep 10000"},
		{"output held by a daemon", "(setsid sleep 10000 &)\nsleep 10000"},
		{"endless output", "exec yes"},
		{"endless output without line breaks", "exec cat /dev/zero"},
		{"endless output on both", "yes >&2 & exec yes"},
		{"a byte a second", "while :; do printf x; sleep 1; done"},
		{"stops itself", "kill -STOP $$"},
		{"busy", "while :; do :; done"},
		{"many children", "i=0; while [ $i -lt 100 ]; do sleep 10000 & i=$((i+1)); done; sleep 10000"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			kindtest.ExpectLeavesNothing(t)
			c := kindtest.Build(t, execcheck.Kind(), "exec:"+script(t, "#!/bin/sh\n"+test.script+"\n"))
			r := kindtest.Run(t, t.Context(), c)
			kindtest.ExpectReason(t, r, check.ReasonTimeout)
			if text := r.Err.Error(); !strings.HasPrefix(text, "no answer within 400ms: /") || !strings.Contains(text, " was still running and was killed with all it had started") {
				t.Errorf("got %q", text)
			}
			expectNoChildren(t)
		})
	}
}

// TestChainOfProcesses has a program each of whose processes starts the next,
// in a session of its own and without environment, and ends.
func TestChainOfProcesses(t *testing.T) {
	kindtest.ExpectLeavesNothing(t)
	pids := newPidFile(t)
	link := script(t, `#!/bin/sh
echo $$ >>`+string(pids)+`
[ "$1" -gt 5000 ] || env -i setsid "$0" $(($1+1)) >/dev/null 2>&1 &
`)
	c := kindtest.Build(t, execcheck.Kind(), "exec:"+script(t, "#!/bin/sh\n"+link+" 0\nsleep 10000\n")+" #interval=60s&timeout=60s")
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer cancel()
		waitUntil(t, "the chain to be on its way", func() bool { return len(pids.pids(t)) > 20 })
	}()
	c.Run(ctx, nil)
	expectNoChildren(t)
	pids.expectGone(t, 20)
	if n := len(pids.pids(t)); n >= 5000 {
		t.Errorf("the chain came to its end by itself")
	}
}

func TestEndlessOutputTakesNoMemory(t *testing.T) {
	c := kindtest.Build(t, execcheck.Kind(), "exec:/bin/sh -c 'yes >&2 & exec yes'")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	kindtest.Run(t, t.Context(), c)
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 1<<20 {
		t.Errorf("%d bytes were allocated, want at most 1 MiB", grown)
	}
}

// TestHundredHangingScripts runs a hundred scripts at once, each with a child and
// a daemon. Killing and reaping three hundred processes takes the time it takes:
// a tenth of a second on an idle machine with two cores.
func TestHundredHangingScripts(t *testing.T) {
	kindtest.ExpectLeavesNothing(t)
	pids := newPidFile(t)
	path := script(t, prelude(t, pids)+"echo $$ >>$PIDS\n(env -i setsid $HANG &)\n$HANG &\nsleep 10000\n")
	var all sync.WaitGroup
	for range 100 {
		c := kindtest.Build(t, execcheck.Kind(), "exec:"+path+" #timeout=5s")
		all.Go(func() {
			r := c.Run(t.Context(), nil)
			kindtest.ExpectReason(t, r, check.ReasonTimeout)
			if late := r.Took - c.Policy.Timeout; late > 10*kindtest.Grace {
				t.Errorf("a run ended %v late", late)
			}
		})
	}
	all.Wait()
	expectNoChildren(t)
	pids.expectGone(t, 100)
}

// TestRunsDoNotDisturbEachOther has runs that end, and kill what they left,
// while others with the same kinds of processes go on.
func TestRunsDoNotDisturbEachOther(t *testing.T) {
	kindtest.ExpectLeavesNothing(t)
	pids := newPidFile(t)
	// It is healthy if its daemon lives for as long as it does itself.
	path := script(t, prelude(t, pids)+`
daemon=$(env -i setsid sh -c 'sleep 10000 >/dev/null 2>&1 & echo $!')
sleep $1
kill -0 $daemon || exit 1
exit $2
`)
	var all sync.WaitGroup
	for i := range 40 {
		c := kindtest.Build(t, execcheck.Kind(), fmt.Sprintf("exec:%s 0.%d %d #%s", path, i%5, i, patience))
		all.Go(func() {
			for range 3 {
				r := c.Run(t.Context(), nil)
				want := fmt.Sprintf("%s: exit status %d", path, i)
				if i == 0 && r.Err != nil || i > 0 && r.Text() != want {
					t.Errorf("got %q, want %q", r.Text(), want)
				}
			}
		})
	}
	all.Wait()
	expectNoChildren(t)
}

func TestNoDescriptorIsLeft(t *testing.T) {
	paths := []string{
		"/bin/true",
		"/bin/false",
		"/no/such/file",
		script(t, "exit 0\n"),
		script(t, "#!/bin/sh\n(setsid sleep 10000 &)\n"),
		script(t, "#!/bin/sh\nsetsid sleep 10000 &\nsleep 10000\n"),
	}
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // it would close what is forgotten
	var before int
	for round := range 4 {
		var all sync.WaitGroup
		for _, path := range paths {
			for range 5 {
				c := kindtest.Build(t, execcheck.Kind(), "exec:"+path)
				all.Go(func() { c.Run(t.Context(), nil) })
			}
		}
		all.Wait()
		if round == 0 {
			before = openFiles(t) // the network poller has its own by now
		}
	}
	if after := openFiles(t); after > before {
		t.Errorf("%d descriptors are open, before: %d", after, before)
	}
}

// TestTooManyOpenFiles has ever so many descriptors to spare.
func TestTooManyOpenFiles(t *testing.T) {
	if rerun(t, nil) {
		return
	}
	expectNote(t, runLine(t, "/bin/true", ""), "exit status 0")
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	before := openFiles(t)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 64, Max: 1024}); err != nil {
		t.Fatal(err)
	}
	for spare := range 7 {
		c := kindtest.Build(t, execcheck.Kind(), "exec:/bin/true #"+patience)
		var fill []int
		for {
			fd, err := syscall.Open("/dev/null", syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
			if err != nil {
				break
			}
			fill = append(fill, fd)
		}
		for i, fd := range fill {
			if i < spare {
				_ = syscall.Close(fd)
			}
		}
		r := c.Run(t.Context(), nil)
		for _, fd := range fill[spare:] {
			_ = syscall.Close(fd)
		}
		want := "/bin/true could not be run: the limit on open files is reached (ulimit -n): "
		if r.Err == nil || !strings.HasPrefix(r.Err.Error(), want) {
			t.Errorf("with %d to spare: got %q, want %s…", spare, r.Text(), want)
		}
		kindtest.ExpectReason(t, r, check.ReasonExec)
		if after := openFiles(t); after > before {
			t.Errorf("with %d to spare: %d descriptors are open, before: %d", spare, after, before)
		}
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(open)
}

// TestNothingChangesForHale asserts that what runs need of the process as a
// whole is as before when none is under way.
func TestNothingChangesForHale(t *testing.T) {
	limits := func() string {
		text, err := os.ReadFile("/proc/self/limits")
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	before := limits()
	expectNote(t, runLine(t, "/bin/true", ""), "exit status 0")
	if after := limits(); after != before {
		t.Errorf("the limits were\n%s\nand are\n%s", before, after)
	}
	// With no run under way an orphan goes to whom it went before.
	out, err := exec.Command("/bin/sh", "-c", "(sleep 10000 >/dev/null 2>&1 & echo $!)").Output()
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Kill(pid, syscall.SIGKILL)
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	if parent := strings.Fields(string(stat))[3]; parent == strconv.Itoa(os.Getpid()) {
		t.Errorf("an orphan became our child")
	}
}

// BenchmarkTrue is what a run of /bin/true costs through the kind.
func BenchmarkTrue(b *testing.B) {
	registry, err := check.NewRegistry(check.Env{}, execcheck.Kind())
	if err != nil {
		b.Fatal(err)
	}
	c, err := registry.Build(check.Spec{URL: "exec:/bin/true", Policy: check.DefaultPolicy()})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if r := c.Run(b.Context(), nil); r.Err != nil {
			b.Fatal(r.Err)
		}
	}
}

// BenchmarkTrueByOsExec is what the same costs without any care.
func BenchmarkTrueByOsExec(b *testing.B) {
	for b.Loop() {
		ctx, cancel := context.WithTimeout(b.Context(), 3*time.Second)
		_, err := exec.CommandContext(ctx, "/bin/true").CombinedOutput()
		cancel()
		if err != nil {
			b.Fatal(err)
		}
	}
}
