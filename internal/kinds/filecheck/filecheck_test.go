package filecheck_test

import (
	"context"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"hale/internal/check"
	"hale/internal/kinds/filecheck"
	"hale/internal/kinds/kindtest"
)

// fileURL is the URL of an absolute path.
func fileURL(path string) string { return (&url.URL{Scheme: "file", Path: path}).String() }

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func run(t *testing.T, url string) check.Result {
	t.Helper()
	return kindtest.Run(t, t.Context(), kindtest.Build(t, filecheck.Kind(), url))
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestZeroOptionsAreTheDefaults(t *testing.T) {
	c := kindtest.Build(t, filecheck.Kind(), "file:///run/app.live")
	want := []check.Setting{{Name: "max_age", Value: "0s"}, {Name: "min_size", Value: "0B"}, {Name: "max_size", Value: "0B"}, {Name: "absent", Value: "false"}}
	if len(c.Options) != len(want) {
		t.Fatalf("got options %v, want %v", c.Options, want)
	}
	for i, o := range c.Options {
		if o != want[i] {
			t.Errorf("option %d is %+v, want %+v", i, o, want[i])
		}
	}
}

func TestFaultsInTheURL(t *testing.T) {
	for _, test := range []struct{ url, want string }{
		{"file:run/app.live", `url: "run/app.live" is a relative path; give an absolute one, such as file:///run/run/app.live`},
		{"file:app%20live", `url: "app live" is a relative path; give an absolute one, such as file:///run/app%20live`},
		{"file:./app.live", `url: "./app.live" is a relative path; give an absolute one, such as file:///run/app.live`},
		{"file://./app.live", `url: "./app.live" is a relative path; give an absolute one, such as file:///run/app.live`},
		{"file://../app.live", `url: "../app.live" is a relative path; give an absolute one, such as file:///run/app.live`},
		{"file://~/app.live", `url: "~/app.live" is a relative path; give an absolute one, such as file:///run/app.live`},
		{"file://run/app.live", `url: "run" would be a host name; write three slashes for a path of this host: file:///run/app.live`},
		{"file://app.live", `url: "app.live" would be a host name; write three slashes for a path of this host: file:///app.live`},
		{"file://a:hunter2@b/c", `url: a file has no user; write file:///PATH, and %40 for an @ in the path`},
		{"file:", `url: has no path; write one such as file:///run/app.live`},
		{"file://", `url: has no path; write one such as file:///run/app.live`},
		{"file:///", `url: "/" ends in a slash, which makes it a directory; give the path of a file`},
		{"file:///run/", `url: "/run/" ends in a slash, which makes it a directory; give the path of a file`},
		{"file:///run/a%00b", `url: "/run/a b" holds a NUL character, which no path can`},
	} {
		_, err := kindtest.TryBuild(t, filecheck.Kind(), test.url)
		if got := errText(err); got != test.want {
			t.Errorf("%s\n got %s\nwant %s", test.url, got, test.want)
		}
	}
}

func TestFaultsInTheOptions(t *testing.T) {
	const units = "write whole bytes such as 512, or with a unit: KB, MB, GB, TB (powers of 1000) or KiB, MiB, GiB, TiB (powers of 1024)"
	for _, test := range []struct{ options, want string }{
		{"max_age=70", `max_age: "70" has no unit; write 70s for seconds, 70ms for milliseconds`},
		{"max_age=-70s", "max_age: -1m10s is negative; give a duration such as 70s"},
		{"min_size=10M", `min_size: "10M" is not a size; ` + units},
		{"max_size=-1", `max_size: "-1" is not a size; ` + units},
		{"max_size=9000000TiB", `max_size: "9000000TiB" is more bytes than can be counted`},
		{"min_size=1KiB&max_size=1KB", "min_size: 1KiB is more than the max_size 1KB"},
		{"absent=maybe", `absent: "maybe" is not true or false`},
		{"absent&max_age=1s", "absent: can't be combined with max_age, min_size or max_size: what is not there has neither age nor size"},
		{"absent&min_size=1", "absent: can't be combined with max_age, min_size or max_size: what is not there has neither age nor size"},
		{"max_age=-1s&absent&min_size=2&max_size=1", "max_age: -1s is negative; give a duration such as 70s\n" +
			"min_size: 2B is more than the max_size 1B\n" +
			"absent: can't be combined with max_age, min_size or max_size: what is not there has neither age nor size"},
	} {
		_, err := kindtest.TryBuild(t, filecheck.Kind(), "file:///run/app.live?"+test.options)
		if got := errText(err); got != test.want {
			t.Errorf("%s\n got %s\nwant %s", test.options, got, test.want)
		}
	}
}

func TestWhatIsThere(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	write(t, at("file"), "12345")
	write(t, at("a name with 100% & #?"), "")
	must(t, os.Mkdir(at("directory"), 0o700))
	must(t, syscall.Mkfifo(at("pipe"), 0o600))
	must(t, os.Symlink(at("file"), at("link")))
	must(t, os.Symlink(at("none"), at("dangling")))
	must(t, os.Symlink(at("loop"), at("loop")))
	socket, err := net.Listen("unix", at("socket"))
	must(t, err)
	defer socket.Close()

	for _, test := range []struct {
		path   string
		reason check.Reason
		want   string // how the text begins; $ is the path
	}{
		{at("file"), check.ReasonNone, "5B, written "},
		{at("link"), check.ReasonNone, "5B, written "},
		{at("a name with 100% & #?"), check.ReasonNone, "0B, written "},
		{at("none"), check.ReasonMissing, "$ does not exist; is what writes it running?"},
		{at("none/file"), check.ReasonMissing, "$ does not exist; is what writes it running?"},
		{at("dangling"), check.ReasonMissing, "$ is a symbolic link to " + at("none") + ", which does not exist"},
		{at("loop"), check.ReasonMissing, "$ can't exist: too many levels of symbolic links"},
		{at("file/file"), check.ReasonMissing, "$ can't exist: not a directory"},
		{at(strings.Repeat("x", 300)), check.ReasonMissing, "$ can't exist: file name too long"},
		{at("directory"), check.ReasonType, "$ is a directory, want a regular file"},
		{at("pipe"), check.ReasonType, "$ is a named pipe, want a regular file"},
		{at("socket"), check.ReasonType, "$ is a socket, want a regular file"},
		{"/dev/null", check.ReasonType, "$ is a device, want a regular file"},
	} {
		result := run(t, fileURL(test.path))
		kindtest.ExpectReason(t, result, test.reason)
		if want := strings.ReplaceAll(test.want, "$", test.path); !strings.HasPrefix(result.Text(), want) {
			t.Errorf("got  %s\nwant %s", result.Text(), want)
		}
	}
}

func TestOtherWaysToWriteTheURL(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	write(t, path, "x")
	for _, url := range []string{"file:" + path, "file://localhost" + path, "file://" + path, "FILE://" + path} {
		if result := run(t, url); !result.Healthy() {
			t.Errorf("%s: got %v, want healthy", url, result.Err)
		}
	}
}

func TestPermission(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "closed")
	must(t, os.Mkdir(dir, 0o700))
	write(t, filepath.Join(dir, "file"), "x")
	must(t, os.Chmod(dir, 0))
	defer os.Chmod(dir, 0o700)
	for _, options := range []string{"", "?absent"} {
		c := kindtest.Build(t, filecheck.Kind(), fileURL(filepath.Join(dir, "file"))+options)
		result := asNobody(t, func() check.Result { return c.Run(context.Background(), nil) })
		kindtest.ExpectReason(t, result, check.ReasonPermission)
		want := " may not look at " + dir + "/file: permission denied; it needs the x permission on every directory above it"
		if !strings.HasSuffix(result.Text(), want) {
			t.Errorf("got  %s\nwant …%s", result.Text(), want)
		}
	}
}

// asNobody calls f in a thread that has no privileges in the file system. The
// thread ends with its goroutine.
func asNobody(t *testing.T, f func() check.Result) check.Result {
	t.Helper()
	results := make(chan check.Result)
	go func() {
		runtime.LockOSThread()
		if os.Geteuid() == 0 {
			const nobody = 65534
			if err := syscall.Setfsuid(nobody); err != nil {
				t.Error(err)
			}
		}
		results <- f()
	}()
	return <-results
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, url := range []string{"file:///run/app.live", "file:///run/app.live?absent"} {
		c := kindtest.Build(t, filecheck.Kind(), url)
		kindtest.ExpectReason(t, kindtest.Run(t, ctx, c), check.ReasonCanceled)
	}
}

// In a bubble the time stands still, so that ages are exact.
func TestMaxAge(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	write(t, path, "x")
	for _, test := range []struct {
		age    time.Duration
		reason check.Reason
		want   string
	}{
		{0, check.ReasonNone, "1B, written 0s ago"},
		{70 * time.Second, check.ReasonNone, "1B, written 1m10s ago"},
		{70*time.Second + 1, check.ReasonAge, path + " was last written 1m10.000000001s ago, want at most 1m10s; is what writes it still running?"},
		{95*time.Second + 1234567, check.ReasonAge, path + " was last written 1m35.001s ago, want at most 1m10s; is what writes it still running?"},
		{-time.Hour, check.ReasonNone, "1B, written 1h0m0s in the future"},
	} {
		synctest.Test(t, func(t *testing.T) {
			written := time.Now().Add(-test.age)
			must(t, os.Chtimes(path, written, written))
			result := run(t, fileURL(path)+"?max_age=70s")
			kindtest.ExpectReason(t, result, test.reason)
			if result.Text() != test.want {
				t.Errorf("got  %s\nwant %s", result.Text(), test.want)
			}
		})
	}
}

func TestSizeLimits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	for _, test := range []struct {
		size    int
		options string
		reason  check.Reason
		want    string
	}{
		{9, "min_size=10", check.ReasonSize, path + " has 9B, want at least 10B"},
		{10, "min_size=10&max_size=10", check.ReasonNone, "10B, written "},
		{11, "min_size=10&max_size=10", check.ReasonSize, path + " has 11B, want at most 10B"},
		{0, "min_size=1", check.ReasonSize, path + " has 0B, want at least 1B"},
		{2000, "max_size=1KiB", check.ReasonSize, path + " has 2KB, want at most 1KiB"},
		{1 << 20, "max_size=0", check.ReasonNone, "1MiB, written "},
	} {
		write(t, path, strings.Repeat("x", test.size))
		result := run(t, fileURL(path)+"?"+test.options)
		kindtest.ExpectReason(t, result, test.reason)
		if !strings.HasPrefix(result.Text(), test.want) {
			t.Errorf("%d bytes, %s\n got %s\nwant %s", test.size, test.options, result.Text(), test.want)
		}
	}
}

func TestAbsent(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "maintenance")
	expect := func(what string, reason check.Reason, want string) {
		t.Helper()
		result := run(t, fileURL(path)+"?absent")
		kindtest.ExpectReason(t, result, reason)
		if !strings.HasPrefix(result.Text(), want) {
			t.Errorf("%s: got %q, want %q", what, result.Text(), want)
		}
	}
	expect("nothing", check.ReasonNone, "not there")
	must(t, os.Symlink("nowhere", path))
	expect("a link that leads nowhere", check.ReasonPresent, path+" exists (last written ")
	must(t, os.Remove(path))
	must(t, os.Mkdir(path, 0o700))
	expect("a directory", check.ReasonPresent, path+" exists (last written ")
	must(t, os.Remove(path))
	write(t, path, "")
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	must(t, os.Chtimes(path, at, at))
	expect("a file", check.ReasonPresent, path+" exists (last written 2026-01-02T03:04:05Z), want nothing there")
	path += "/below"
	expect("below a file", check.ReasonNone, "not there")
	path = filepath.Join(dir, "none", "maintenance")
	expect("no directory", check.ReasonNone, "not there")
}
