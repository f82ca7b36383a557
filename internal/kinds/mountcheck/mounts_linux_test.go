package mountcheck_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"hale/internal/check"
	"hale/internal/kinds/kindtest"
	"hale/internal/kinds/mountcheck"
	"hale/internal/servertest"
)

func makeDir(t *testing.T, parts ...string) string {
	t.Helper()
	path := filepath.Join(parts...)
	if err := os.MkdirAll(path, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// names lists what is in a directory.
func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return strings.Join(all, " ")
}

func TestMounted(t *testing.T) {
	kindtest.ExpectLeavesNothing(t)
	dir := makeDir(t, t.TempDir(), "a b\tc\\d\ne")
	if r := run(t, dir); r.Reason() != check.ReasonMissing || !strings.HasPrefix(r.Text(), "nothing is mounted on "+check.CleanText(dir)+": it belongs to what is mounted on ") {
		t.Errorf("before: %s: %s", r.Reason(), r.Text())
	}
	servertest.MountAt(t, dir, "tmpfs", "my disk", 0, "size=1m")
	const what = "tmpfs from my disk"
	expect(t, run(t, dir), check.ReasonNone, what)
	expect(t, run(t, dir+"/"), check.ReasonNone, what)
	expect(t, run(t, dir, option("fstype", "tmpfs"), option("source", "my disk")), check.ReasonNone, what)
	expect(t, run(t, dir, option("fstype", "ext4, tmpfs")), check.ReasonNone, what)
	shown := check.CleanText(dir)
	expect(t, run(t, dir, option("fstype", "ext4,xfs")), check.ReasonMissing, "on "+shown+" is mounted "+what+", want a file system of type ext4 or xfs")
	expect(t, run(t, dir, option("source", "my")), check.ReasonMissing, "on "+shown+" is mounted "+what+", want one from my")
	// A directory of it is none by itself.
	below := makeDir(t, dir, "below")
	expect(t, run(t, below), check.ReasonMissing, "nothing is mounted on "+shown+"/below: it belongs to what is mounted on "+shown+", "+what)
	// A symbolic link counts as what it leads to.
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	expect(t, run(t, link), check.ReasonNone, what)
	// What is mounted over it hides it.
	servertest.MountAt(t, dir, "tmpfs", "over", 0, "size=1m")
	expect(t, run(t, dir), check.ReasonNone, "tmpfs from over")
	expect(t, run(t, below), check.ReasonMissing, shown+"/below does not exist, so that nothing can be mounted there")
}

// A mount that is hidden by another above it is still in the kernel's list.
func TestHiddenMount(t *testing.T) {
	kindtest.ExpectLeavesNothing(t)
	dir := t.TempDir()
	inner := makeDir(t, dir, "inner")
	servertest.MountAt(t, inner, "tmpfs", "inner", 0, "size=1m")
	servertest.MountAt(t, dir, "tmpfs", "outer", 0, "size=1m")
	makeDir(t, inner)
	expect(t, run(t, inner), check.ReasonMissing, "nothing is mounted on "+inner+": it belongs to what is mounted on "+dir+", tmpfs from outer")
	if err := unix.Unmount(dir, 0); err != nil {
		t.Fatal(err)
	}
	expect(t, run(t, inner), check.ReasonNone, "tmpfs from inner")
}

func TestNothingThere(t *testing.T) {
	kindtest.ExpectLeavesNothing(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	expect(t, run(t, dir+"/none"), check.ReasonMissing, dir+"/none does not exist, so that nothing can be mounted there")
	expect(t, run(t, file+"/x"), check.ReasonMissing, file+"/x can't exist: not a directory")
	if r := run(t, file); r.Reason() != check.ReasonMissing || !strings.HasPrefix(r.Text(), "nothing is mounted on "+file) {
		t.Errorf("a file: %s: %s", r.Reason(), r.Text())
	}
}

func TestWritable(t *testing.T) {
	kindtest.ExpectLeavesNothing(t)
	writable := option("writable", "true")
	dir := servertest.Mount(t, "tmpfs", "disk", 0, "size=64k,nr_inodes=10")
	expect(t, run(t, dir, writable), check.ReasonNone, "tmpfs from disk, written")
	if left := names(t, dir); left != "" {
		t.Errorf("left behind: %s", left)
	}

	// No room for content: the file is made, can't be written, and is removed.
	full := filepath.Join(dir, "full")
	if err := os.WriteFile(full, make([]byte, 64<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	expect(t, run(t, dir, writable), check.ReasonSize, "the file system on "+dir+" has no room: writing to a file: no space left on device")
	if left := names(t, dir); left != "full" {
		t.Errorf("left behind: %s", left)
	}
	expect(t, run(t, dir), check.ReasonNone, "tmpfs from disk")

	// No inode: the file can't be made.
	if err := os.Remove(full); err != nil {
		t.Fatal(err)
	}
	for i := 0; ; i++ {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), nil, 0o600); err != nil {
			break
		}
	}
	expect(t, run(t, dir, writable), check.ReasonSize, "the file system on "+dir+" has no room: making a file: no space left on device")

	if err := unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	readOnly := "the file system on " + dir + " is read-only; the kernel may have made it so after an error of the disk: see dmesg"
	expect(t, run(t, dir, writable), check.ReasonRole, readOnly)
	expect(t, run(t, dir), check.ReasonNone, "tmpfs from disk, read-only")
}

func TestBindMounts(t *testing.T) {
	kindtest.ExpectLeavesNothing(t)
	from := servertest.Mount(t, "tmpfs", "disk", 0, "size=1m")
	dir, file := t.TempDir(), filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(from, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	servertest.MountAt(t, dir, "", from, unix.MS_BIND, "")
	expect(t, run(t, dir, option("writable", "true")), check.ReasonNone, "tmpfs from disk, written")
	if err := unix.Mount("", dir, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	expect(t, run(t, dir), check.ReasonNone, "tmpfs from disk, read-only")
	if r := run(t, dir, option("writable", "true")); r.Reason() != check.ReasonRole {
		t.Errorf("read-only bind mount: %s: %s", r.Reason(), r.Text())
	}
	servertest.MountAt(t, file, "", filepath.Join(from, "file"), unix.MS_BIND, "")
	expect(t, run(t, file), check.ReasonNone, "tmpfs from disk")
	expect(t, run(t, file, option("writable", "true")), check.ReasonMissing, file+" is a file, and only in a directory a probe file can be written; leave writable out")
}

func TestUnwritableDirectory(t *testing.T) {
	dir := servertest.Mount(t, "proc", "proc", 0, "")
	r := run(t, dir, option("writable", "true"))
	// /proc has no files to be made; what it says to that differs.
	if r.Healthy() || !strings.Contains(r.Text(), "making a file: ") {
		t.Errorf("got %s: %s", r.Reason(), r.Text())
	}
}

func TestHungFileSystem(t *testing.T) {
	kindtest.ExpectLeavesNothing(t)
	hung := servertest.Hung(t)
	registry, err := check.NewRegistry(check.Env{}, mountcheck.Kind())
	if err != nil {
		t.Fatal(err)
	}
	build := func(timeout string, options ...check.Option) *check.Check {
		options = append(options, option("interval", "1m"), option("timeout", timeout))
		c, err := registry.Build(check.Spec{URL: mountURL(hung.Dir), Policy: check.DefaultPolicy(), Options: options})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	c, other := build("100ms"), build("100ms", option("writable", "true"))
	for range 5 {
		for _, one := range []*check.Check{c, other} {
			r := kindtest.Run(t, t.Context(), one)
			if begins := "no answer within 100ms: the file system on " + hung.Dir + ": no answer for "; r.Reason() != check.ReasonTimeout || !strings.HasPrefix(r.Text(), begins) {
				t.Errorf("got %s: %s\nwant %s", r.Reason(), r.Text(), begins)
			}
		}
	}
	hung.Asked()
	if n := looks(); n != 1 {
		t.Errorf("%d looks are left behind, want 1", n)
	}
	hung.Revive()
	expect(t, kindtest.Run(t, t.Context(), build("30s")), check.ReasonNone, "fuse from hung")
	if n := looks(); n != 0 {
		t.Errorf("%d looks are left behind after it came back", n)
	}
	hung.Die()
	expect(t, run(t, hung.Dir), check.ReasonUnreachable, "the file system on "+hung.Dir+" has lost its server or daemon: transport endpoint is not connected; unmount it and mount it again")
}

// looks counts the goroutines that look at a mount.
func looks() int {
	buf := make([]byte, 1<<20)
	return strings.Count(string(buf[:runtime.Stack(buf, true)]), "\nhale/internal/kinds/mountcheck.open(")
}
