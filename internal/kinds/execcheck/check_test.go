//go:build unix

package execcheck_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"hale/internal/check"
	"hale/internal/kinds/execcheck"
	"hale/internal/kinds/kindtest"
)

func TestNotes(t *testing.T) {
	long := strings.Repeat("x", 600)
	tests := []struct{ name, script, want string }{
		{"output", "echo all good; echo more", "all good"},
		{"no output", "true", "exit status 0"},
		{"no line break", "printf 'all good'", "all good"},
		{"blank lines first", "echo; echo '   '; echo all good", "all good"},
		{"standard error only", "echo all good >&2", "all good"},
		{"standard output first", "echo noise >&2; echo all good", "all good"},
		{"carriage return", `printf 'all good\r\nmore'`, "all good"},
		{"control characters", `printf 'red\a\t!\n'`, "red !"},
		{"not UTF-8", `printf 'a\377\376b\n'`, "a\ufffd\ufffdb"},
		{"binary", `printf '\000\001\002\n\200\n'`, "\ufffd"},
		{"a long line", "echo " + long, check.CleanText(long)},
		{"within 4 KiB", "printf '%4095s' | tr ' ' '\\n'; printf x", "x"},
		{"beyond 4 KiB", "printf '%4096s' | tr ' ' '\\n'; printf x", "exit status 0"},
		{"a megabyte of output", "echo all good; head -c 1000000 /dev/zero; head -c 1000000 /dev/zero >&2", "all good"},
		{"empty input", "read line || echo end of input", "end of input"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			expectNote(t, sh(t, test.script, ""), test.want)
		})
	}
}

func TestExitStatus(t *testing.T) {
	tests := []struct {
		name, script, options string
		want                  string // SCRIPT stands for the script's path
		warning               bool
	}{
		{"status alone", "exit 1", "", "SCRIPT: exit status 1", false},
		{"with standard error", "echo progress; echo no leader >&2; exit 3", "", "SCRIPT: exit status 3: no leader", false},
		{"with standard output", "echo no leader; exit 255", "", "SCRIPT: exit status 255: no leader", false},
		{"program not found", "no-such-program", "", "SCRIPT: exit status 127: SCRIPT: 2: no-such-program: not found", false},
		{"signal", "echo went wrong >&2; kill -SEGV $$", "", "SCRIPT was killed by SIGSEGV: went wrong", false},
		{"kill", "kill -KILL $$", "", "SCRIPT was killed by SIGKILL (by somebody, or by the kernel because memory ran out)", false},
		{"real-time signal", "kill -40 $$", "", "SCRIPT was killed by signal 40", false},
		{"nagios warning", "echo 'DISK WARNING - 3% free | /=1MB'; echo x >&2; exit 1", "codes=nagios", "SCRIPT: exit status 1, a warning: DISK WARNING - 3% free", true},
		{"nagios critical", "echo 'DISK CRITICAL | /=0'; exit 2", "codes=nagios", "SCRIPT: exit status 2: DISK CRITICAL", false},
		{"nagios unknown", "exit 3", "codes=nagios", "SCRIPT: exit status 3", false},
		{"nagios other", "exit 4", "codes=nagios", "SCRIPT: exit status 4", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			path := script(t, "#!/bin/sh\n"+test.script+"\n")
			r := runLine(t, path, test.options)
			expectError(t, r, check.ReasonExit, strings.ReplaceAll(test.want, "SCRIPT", path))
			if r.Healthy() != test.warning {
				t.Errorf("healthy is %v, want %v", r.Healthy(), test.warning)
			}
		})
	}
	t.Run("nagios fine", func(t *testing.T) {
		expectNote(t, sh(t, "echo 'DISK OK | /=1MB'", "codes=nagios"), "DISK OK")
	})
}

func TestCannotBeRun(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		writeProgram(t, path, text, mode)
		return path
	}
	elf, err := os.ReadFile("/bin/true")
	if err != nil {
		t.Fatal(err)
	}
	foreign := append([]byte(nil), elf...)
	foreign[18] = 0xf3 // e_machine: RISC-V
	if runtime.GOARCH == "riscv64" {
		foreign[18] = 0x3e
	}
	const noFile = "no such file; check the path, and that the file is there where hale runs"
	tests := []struct {
		name, path, options string
		reason              check.Reason
		want                string
	}{
		{"missing", dir + "/none", "", check.ReasonMissing, noFile},
		{"missing directory", dir + "/none/none", "", check.ReasonMissing, noFile},
		{"no run bit", file("norun", "#!/bin/sh\n", 0o644), "", check.ReasonPermission, "permission denied: it has no run bit (-rw-r--r--); set it with chmod +x"},
		{"directory", dir, "", check.ReasonExec, "it is a directory"},
		{"device", "/dev/null", "", check.ReasonExec, "it is not a regular file (Dcrw-rw-rw-)"},
		{"below a file", "/bin/true/x", "", check.ReasonExec, "stat /bin/true/x: not a directory"},
		{"no shebang", file("noshebang", "exit 0\n", 0o755), "", check.ReasonExec, "exec format error: it has no shebang; make its first line #!/bin/sh, or whatever is to run it"},
		{"empty", file("empty", "", 0o755), "", check.ReasonExec, "exec format error: it is empty, or hale may not read it"},
		{"shebang of nothing", file("nothing", "#!\nexit 0\n", 0o755), "", check.ReasonExec, "exec format error: its first line names no interpreter; make it #!/bin/sh, or whatever is to run it"},
		{"byte order mark", file("bom", "\xef\xbb\xbf#!/bin/sh\n", 0o755), "", check.ReasonExec, "exec format error: there is a byte order mark before its shebang; save it as UTF-8 without one"},
		{"another processor", file("foreign", string(foreign), 0o755), "", check.ReasonExec, "exec format error: it is a program for another kind of processor or system"},
		{"binary garbage", file("garbage", "\x01\x02\x00\x03", 0o755), "", check.ReasonExec, "exec format error: it is neither a program of this system nor a script"},
		{"missing interpreter", file("python9", "#! /usr/bin/python9 -u\n", 0o755), "", check.ReasonExec, "its interpreter /usr/bin/python9, which its first line names, does not exist or can't be run itself; install it, or mend the line"},
		{"line ends of Windows", file("crlf", "#!/bin/sh\r\nexit 0\r\n", 0o755), "", check.ReasonExec, `its first line ends as lines do on Windows, which makes the interpreter "/bin/sh\r"; save it with Unix line ends`},
		{"missing loader", file("loader", strings.Replace(string(elf), "/ld-linux", "/no-linux", 1), 0o755), "", check.ReasonExec, "the loader it asks for is not on this system; it was built for another one, perhaps with another C library: no such file or directory"},
		{"interpreter without run bit", file("nointerpreter", "#!"+dir+"/norun\n", 0o755), "", check.ReasonPermission,
			fmt.Sprintf("permission denied for user %d: the file is not theirs to run, or the same holds for its interpreter %s/norun, a directory above it is closed to that user, or its file system is mounted noexec", os.Geteuid(), dir)},
		{"missing working directory", "/bin/true", "dir=" + dir + "/none", check.ReasonMissing, "its working directory " + dir + "/none does not exist"},
		{"working directory is a file", "/bin/true", "dir=/bin/true", check.ReasonExec, "its working directory /bin/true is not a directory"},
		{"too long", "/bin/true", "env=LONG=" + strings.Repeat("x", 200_000), check.ReasonExec, "its arguments and environment are too long: argument list too long"},
		{"not in PATH", "no-such-program-xyz", "env=PATH=/bin:" + dir, check.ReasonMissing, "no such program in PATH (/bin:" + dir + "); install it, or give its absolute path"},
		{"no run bit in PATH", "norun", "env=PATH=/bin:" + dir, check.ReasonPermission, "permission denied: it has no run bit (-rw-r--r--); set it with chmod +x"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := runLine(t, test.path, test.options)
			name, _, _ := strings.Cut(test.path, " ")
			expectError(t, r, test.reason, name+" could not be run: "+test.want)
		})
	}
	t.Run("being written", func(t *testing.T) {
		f, err := os.OpenFile(script(t, "#!/bin/sh\n"), os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		expectError(t, runLine(t, f.Name(), ""), check.ReasonExec, f.Name()+" could not be run: it is being written: text file busy")
	})
}

func TestEnvironment(t *testing.T) {
	t.Setenv("HALE_TOKEN", "hunter22")
	t.Setenv("FROM_HALE", "kept")
	t.Setenv("REPLACED", "old")
	r := sh(t, `echo "$FROM_HALE ${HALE_TOKEN-unset} $REPLACED $ADDED"; env | grep -c '^REPLACED='>&2`, "env=REPLACED=new&env=ADDED=a b=c")
	expectNote(t, r, "kept unset new a b=c")
}

func TestWorkingDirectory(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/here", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	expectNote(t, sh(t, `echo $(ls) "$PWD"`, "dir="+dir), "here "+dir)
	expectNote(t, runLine(t, "printenv PWD", "dir="+dir), dir)
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	expectNote(t, sh(t, "pwd -P", ""), here)
}

func TestWordsArriveAsGiven(t *testing.T) {
	path := script(t, "#!/bin/sh\nfor a; do printf '<%s>' \"$a\"; done\n")
	r := runLine(t, path+` --port 2181 'a  b' "it's" \$HOME $HOME * '' x\#y`, "")
	expectNote(t, r, "<--port><2181><a b><it's><$HOME><$HOME><*><><x#y>")
}

func TestLookedUpInPath(t *testing.T) {
	first, second := t.TempDir(), t.TempDir()
	writeProgram(t, first+"/hale-test-probe", "#!/bin/sh\necho never\n", 0o644)
	writeProgram(t, second+"/hale-test-probe", "#!/bin/sh\necho $0 $1\n", 0o755)
	here := t.TempDir()
	t.Chdir(here)
	writeProgram(t, here+"/hale-test-probe", "#!/bin/sh\necho never\n", 0o755)
	t.Setenv("PATH", ".::"+first+":"+second+":/bin:/usr/bin")
	expectNote(t, runLine(t, "hale-test-probe x", ""), second+"/hale-test-probe x")

	t.Run("at each run", func(t *testing.T) {
		c := kindtest.Build(t, execcheck.Kind(), "exec:hale-test-probe #"+patience)
		writeProgram(t, first+"/hale-test-probe2", "#!/bin/sh\necho found\n", 0o755)
		if err := os.Rename(first+"/hale-test-probe2", first+"/hale-test-probe"); err != nil {
			t.Fatal(err)
		}
		expectNote(t, c.Run(t.Context(), nil), "found")
	})
	t.Run("without PATH", func(t *testing.T) {
		expectNote(t, runLine(t, "true", "env=PATH="), "exit status 0")
	})
}

func TestAnyPath(t *testing.T) {
	dir := t.TempDir()
	writeProgram(t, dir+"/my.sh", "#!/bin/sh\necho it ran with $1\n", 0o755)
	t.Chdir(dir)
	t.Setenv("PATH", dir+":/bin:/usr/bin")
	for _, line := range []string{"./my.sh 'a b'", "my.sh 'a b'", dir + "/my.sh 'a b'"} {
		c := kindtest.Build(t, execcheck.KindAnyPath(), "exec:"+line+" #"+patience)
		expectNote(t, c.Run(t.Context(), nil), "it ran with a b")
	}
	c := kindtest.Build(t, execcheck.KindAnyPath(), "exec:./my.sh x #dir=/&"+patience)
	expectNote(t, c.Run(t.Context(), nil), "it ran with x")
}

func TestSecretsAreNotShown(t *testing.T) {
	r := sh(t, "echo the password is $PASSWORD >&2; exit 1", "env=PASSWORD=hunter22")
	if text := r.Err.Error(); strings.Contains(text, "hunter22") || !strings.Contains(text, "***") {
		t.Errorf("got %q", text)
	}
	path := script(t, "#!/bin/sh\nexit 1\n")
	r = runLine(t, path+" --user app --password hunter22", "")
	expectError(t, r, check.ReasonExit, path+": exit status 1")
}

func TestCancelledBeforeStart(t *testing.T) {
	kindtest.ExpectLeavesNothing(t)
	started := newPidFile(t)
	c := kindtest.Build(t, execcheck.Kind(), "exec:"+script(t, "#!/bin/sh\necho $$ >"+string(started)+"\n"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := kindtest.Run(t, ctx, c)
	kindtest.ExpectReason(t, r, check.ReasonCanceled)
	if pids := started.pids(t); len(pids) > 0 {
		t.Errorf("the script ran")
	}
}
