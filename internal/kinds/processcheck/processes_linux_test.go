package processcheck_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"hale/internal/check"
	"hale/internal/kinds/kindtest"
	"hale/internal/kinds/processcheck"
	"hale/internal/servertest"
)

// A program is a copy of sleep(1) with a name that no other process has.
type program struct {
	t    *testing.T
	name string
	path string
}

func newProgram(t *testing.T, suffix string) program {
	t.Helper()
	binary, err := os.ReadFile(servertest.Program(t, "sleep", "coreutils"))
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("h%d%s", os.Getpid(), suffix)
	dir, err := os.MkdirTemp("", "hale-process")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	p := program{t, name, filepath.Join(dir, name)}
	if err := os.WriteFile(p.path, binary, 0o755); err != nil {
		t.Fatal(err)
	}
	return p
}

// start starts the program until the test ends.
func (p program) start(change ...func(*exec.Cmd)) *exec.Cmd {
	p.t.Helper()
	cmd := exec.Command(p.path, "1000")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	for _, c := range change {
		c(cmd)
	}
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { p.end(cmd) })
	return cmd
}

// kill kills a process and waits until it is a zombie.
func (p program) kill(cmd *exec.Cmd) {
	p.t.Helper()
	if err := cmd.Process.Kill(); err != nil {
		p.t.Fatal(err)
	}
	servertest.Wait(p.t, "the process to be a zombie", func() error {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", cmd.Process.Pid))
		if err == nil && !strings.Contains(string(stat), ") Z ") {
			err = errors.New("it lives")
		}
		return err
	})
}

// end kills a process and reaps it.
func (p program) end(cmd *exec.Cmd) {
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
}

func run(t *testing.T, url string) check.Result {
	t.Helper()
	separator := "?"
	if strings.Contains(url, "?") {
		separator = "&"
	}
	return kindtest.Run(t, t.Context(), kindtest.Build(t, processcheck.Kind(), url+separator+"timeout=30s&interval=1m"))
}

func expect(t *testing.T, url string, reason check.Reason, want string) {
	t.Helper()
	if r := run(t, url); r.Reason() != reason || r.Text() != want {
		t.Errorf("%s\n got %s: %s\nwant %s: %s", url, r.Reason(), r.Text(), reason, want)
	}
}

func fileURL(path string) string { return (&url.URL{Scheme: "process", Path: path}).String() }

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestByName(t *testing.T) {
	kindtest.ExpectLeavesNothing(t)
	p := newProgram(t, "")
	target := "process:" + p.name
	expect(t, target, check.ReasonMissing, "no process of "+p.name+" runs")
	first := p.start()
	expect(t, target, check.ReasonNone, fmt.Sprintf("process %d", first.Process.Pid))
	expect(t, "process://"+p.name, check.ReasonNone, fmt.Sprintf("process %d", first.Process.Pid))
	expect(t, target+"?min=2", check.ReasonMissing, "1 process of "+p.name+" run, want at least 2")
	second := p.start()
	expect(t, target+"?min=2&max=2", check.ReasonNone, "2 processes")
	expect(t, target+"?max=1", check.ReasonPresent, "2 processes of "+p.name+" run, want at most 1")
	p.kill(second)
	expect(t, target, check.ReasonNone, fmt.Sprintf("process %d", first.Process.Pid))
	expect(t, target+"?min=2", check.ReasonMissing, "1 process of "+p.name+" run, want at least 2; 1 more ended and are zombies")
	p.kill(first)
	expect(t, target, check.ReasonMissing, "no process of "+p.name+" runs; 2 more ended and are zombies")
	p.end(first)
	p.end(second)
	expect(t, target, check.ReasonMissing, "no process of "+p.name+" runs")
}

// The name must be one of the process's names, and all of it.
func TestNames(t *testing.T) {
	kindtest.ExpectLeavesNothing(t)
	p := newProgram(t, "-with-a-long-name")
	named := func(first string) func(*exec.Cmd) { return func(c *exec.Cmd) { c.Args[0] = first } }
	running := p.start(named("/opt/My App/other-" + p.name))
	runs := fmt.Sprintf("process %d", running.Process.Pid)
	for name, found := range map[string]bool{
		p.name:            true,  // the executable's
		"other-" + p.name: true,  // the first argument's
		p.name[:15]:       true,  // the kernel's
		p.name[:14]:       false, // a part
		p.name[:16]:       false, // more than the kernel has, and a part
		p.name + "x":      false,
	} {
		if found {
			expect(t, "process:"+name, check.ReasonNone, runs)
		} else {
			expect(t, "process:"+name, check.ReasonMissing, "no process of "+name+" runs")
		}
	}
	p.end(running)
	// A title that a program gives itself is not the path of one.
	p.start(named("postgres: app/" + p.name + "db"))
	expect(t, "process:"+p.name+"db", check.ReasonMissing, "no process of "+p.name+"db runs")
	// What runs may have been replaced by an update.
	if err := os.Remove(p.path); err != nil {
		t.Fatal(err)
	}
	if r := run(t, "process:"+p.name); !r.Healthy() {
		t.Errorf("with its file deleted: %v", r.Err)
	}
}

func TestUser(t *testing.T) {
	kindtest.ExpectLeavesNothing(t)
	p := newProgram(t, "u")
	cmd := p.start(func(c *exec.Cmd) { c.SysProcAttr.Credential = &syscall.Credential{Uid: 65534, Gid: 65534} })
	pid := cmd.Process.Pid
	path := filepath.Join(t.TempDir(), "pid")
	write(t, path, strconv.Itoa(pid))
	expect(t, "process:"+p.name+"?user=nobody", check.ReasonNone, fmt.Sprintf("process %d", pid))
	expect(t, "process:"+p.name+"?user=65534", check.ReasonNone, fmt.Sprintf("process %d", pid))
	expect(t, "process:"+p.name+"?user=root", check.ReasonMissing, "no process of "+p.name+" as user root runs; 1 more run as other users")
	expect(t, "process:"+p.name+"?user=hale-no-such", check.ReasonMissing, `there is no user "hale-no-such" on this host`)
	expect(t, fileURL(path)+"?user=nobody", check.ReasonNone, fmt.Sprintf("process %d (%s)", pid, p.name))
	expect(t, fileURL(path)+"?user=root", check.ReasonRole, fmt.Sprintf("process %d of %s does not run as user root", pid, path))
}

func TestByPIDFile(t *testing.T) {
	kindtest.ExpectLeavesNothing(t)
	p := newProgram(t, "f")
	dir := t.TempDir()
	path := filepath.Join(dir, "my app.pid")
	target := fileURL(path)
	expect(t, target, check.ReasonMissing, path+" does not exist; does the program run that writes it?")
	cmd := p.start()
	pid := cmd.Process.Pid
	ok := fmt.Sprintf("process %d (%s)", pid, p.name)
	for _, text := range []string{"%d", "%d\n", " %d \n", "%d\r\n", "%d\n/var/lib/postgresql\n1234\n" + strings.Repeat("x", 1000)} {
		write(t, path, fmt.Sprintf(text, pid))
		expect(t, target, check.ReasonNone, ok)
	}
	expect(t, target+"?program="+p.name, check.ReasonNone, ok)
	r := run(t, target+"?program=nginx")
	begins := fmt.Sprintf("%s names process %d, which runs %q now, want %q; the file is left from ", path, pid, p.name, "nginx")
	if r.Reason() != check.ReasonMissing || !strings.HasPrefix(r.Text(), begins) {
		t.Errorf("another program\n got %s: %s\nwant %s …", r.Reason(), r.Text(), begins)
	}
	p.kill(cmd)
	expect(t, target, check.ReasonMissing, fmt.Sprintf("%s names process %d (%s), which has ended and is a zombie: its parent has not asked how it ended", path, pid, p.name))
	p.end(cmd)
	hourAgo := time.Now().Add(-time.Hour)
	if err := os.Chtimes(path, hourAgo, hourAgo); err != nil {
		t.Fatal(err)
	}
	r = run(t, target)
	begins = fmt.Sprintf("%s names process %d, which does not run; the file is left from 1h0m", path, pid)
	if r.Reason() != check.ReasonMissing || !strings.HasPrefix(r.Text(), begins) {
		t.Errorf("stale\n got %s: %s\nwant %s …", r.Reason(), r.Text(), begins)
	}
}

// The number of a process that has ended may become that of a thread.
func TestPIDFileNamesThread(t *testing.T) {
	kindtest.ExpectLeavesNothing(t)
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "pid")
	tested := false
	for _, task := range tasks {
		if task.Name() == strconv.Itoa(os.Getpid()) {
			continue
		}
		tested = true
		write(t, path, task.Name())
		for _, options := range []string{"", "?program=" + filepath.Base(os.Args[0])} {
			r := run(t, fileURL(path)+options)
			begins := fmt.Sprintf("%s names process %s, which does not run; the number is now that of a thread of process %d (", path, task.Name(), os.Getpid())
			if r.Reason() != check.ReasonMissing || !strings.HasPrefix(r.Text(), begins) {
				t.Errorf("got %s: %s\nwant %s …", r.Reason(), r.Text(), begins)
			}
		}
	}
	if !tested {
		t.Error("this process has one thread only")
	}
}

func TestWrongPIDFiles(t *testing.T) {
	kindtest.ExpectLeavesNothing(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "pid")
	for text, want := range map[string]string{
		"":                       " is empty, want a process id; it may be just being written",
		"\n12":                   " is empty, want a process id; it may be just being written",
		"nginx":                  ` holds "nginx", want a process id`,
		"-1":                     ` holds "-1", want a process id`,
		"0":                      ` holds "0", want a process id`,
		"12 13":                  ` holds "12 13", want a process id`,
		"4194305":                ` holds "4194305", want a process id`,
		strings.Repeat("9", 100): ` holds "` + strings.Repeat("9", 64) + `", want a process id`,
	} {
		write(t, path, text)
		expect(t, fileURL(path), check.ReasonBody, path+want)
	}
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, irregular := range []string{dir, pipe} {
		expect(t, fileURL(irregular), check.ReasonMissing, irregular+" is not a regular file; give the pid file, or process:NAME for a name")
	}
}

func TestCancelled(t *testing.T) {
	kindtest.ExpectLeavesNothing(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, url := range []string{"process:nginx", "process:///run/nginx.pid"} {
		kindtest.ExpectReason(t, kindtest.Run(t, ctx, kindtest.Build(t, processcheck.Kind(), url)), check.ReasonCanceled)
	}
}
