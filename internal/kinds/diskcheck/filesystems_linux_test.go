package diskcheck_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hale/internal/check"
	"hale/internal/kinds/diskcheck"
	"hale/internal/kinds/kindtest"
	"hale/internal/servertest"
)

func write(t *testing.T, path string, size int) {
	t.Helper()
	if err := os.WriteFile(path, make([]byte, size), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestSpace(t *testing.T) {
	kindtest.ExpectLeavesNothing(t)
	dir := servertest.Mount(t, "tmpfs", "tmpfs", 0, "size=1m,nr_inodes=1000")
	if r := run(t, dir); r.Err != nil || r.Note != "1.0MiB of 1.0MiB (100%) and 999 of 1000 inodes (99%) free" {
		t.Errorf("empty: %q, %v", r.Note, r.Err)
	}
	write(t, filepath.Join(dir, "most"), 900<<10)
	if r := run(t, dir); !r.Healthy() || !strings.HasPrefix(r.Note, "124.0KiB of 1.0MiB (12%) and ") {
		t.Errorf("12%% free: %q, %v", r.Note, r.Err)
	}
	if r := run(t, dir, option("min_free", "124KiB")); !r.Healthy() {
		t.Errorf("exactly as much as is wanted: %v", r.Err)
	}
	name := "the file system of " + dir + " has "
	expectFailure(t, run(t, dir, option("min_free", "125KiB")), check.ReasonSize, name+"124.0KiB of 1.0MiB (12%) free, want at least 125KiB")
	expectFailure(t, run(t, dir, option("min_free", "12.2%")), check.ReasonSize, name+"124.0KiB of 1.0MiB (12%) free, want at least 12.2%")
	write(t, filepath.Join(dir, "rest"), 124<<10)
	expectFailure(t, run(t, dir), check.ReasonSize, name+"0B of 1.0MiB (0%) free, want at least 5%")
	// A file's path is as good as a directory's.
	expectFailure(t, run(t, filepath.Join(dir, "most")), check.ReasonSize, "the file system of "+dir+"/most has 0B")
	if r := run(t, dir, option("min_free", "0")); !r.Healthy() {
		t.Errorf("without min_free: %v", r.Err)
	}
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	expectFailure(t, run(t, dir), check.ReasonSize, name+"0B of 1.0MiB (0%) free, want at least 5%; it is read-only")
}

func TestInodes(t *testing.T) {
	kindtest.ExpectLeavesNothing(t)
	dir := servertest.Mount(t, "tmpfs", "tmpfs", 0, "size=1m,nr_inodes=20")
	for i := range 10 {
		write(t, filepath.Join(dir, fmt.Sprint(i)), 0)
	}
	// The root directory is one too, and so may be the kernel's share.
	if r := run(t, dir, option("min_free_inodes", "9")); !r.Healthy() || !strings.Contains(r.Note, " and 9 of 20 inodes (45%) free") {
		t.Errorf("9 inodes free: %q, %v", r.Note, r.Err)
	}
	begins := "the file system of " + dir + " has 9 of 20 inodes (45%) free, want at least "
	const hint = ", though 1.0MiB of its space are free; look for very many small files"
	expectFailure(t, run(t, dir, option("min_free_inodes", "10")), check.ReasonSize, begins+"10"+hint)
	expectFailure(t, run(t, dir, option("min_free_inodes", "46%")), check.ReasonSize, begins+"46%"+hint)
	for i := 10; ; i++ {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), nil, 0o600); err != nil {
			break
		}
	}
	expectFailure(t, run(t, dir), check.ReasonSize, "the file system of "+dir+" has 0 of 20 inodes (0%) free, want at least 5%")
	if r := run(t, dir, option("min_free_inodes", "0")); !r.Healthy() {
		t.Errorf("without min_free_inodes: %v", r.Err)
	}
}

// A file system without a number of inodes, as tmpfs may be, is not out of them.
func TestNoInodes(t *testing.T) {
	dir := servertest.Mount(t, "tmpfs", "tmpfs", 0, "size=1m,nr_inodes=0")
	if r := run(t, dir); r.Err != nil || r.Note != "1.0MiB of 1.0MiB (100%) free" {
		t.Errorf("got %q, %v", r.Note, r.Err)
	}
}

// A file system without blocks has no space that a percentage or a size could be
// of.
func TestNoBlocks(t *testing.T) {
	for _, path := range []string{"/proc", servertest.Mount(t, "tmpfs", "tmpfs", 0, "size=0")} {
		for _, least := range []string{"5%", "1GiB"} {
			expectFailure(t, run(t, path, option("min_free", least)), check.ReasonType, "the file system of "+path+" has no space that could be full")
		}
		if r := run(t, path, option("min_free", "0")); !r.Healthy() {
			t.Errorf("%s without min_free: %v", path, r.Err)
		}
	}
}

func TestNothingThere(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "file"), 0)
	expectFailure(t, run(t, dir+"/none"), check.ReasonMissing, dir+"/none does not exist; is its file system mounted?")
	expectFailure(t, run(t, dir+"/file/x"), check.ReasonMissing, dir+"/file/x can't exist: not a directory")
}

// A file system that hangs costs the runs of its checks their timeout, and one
// look that is left behind, however many checks run however often.
func TestHungFileSystem(t *testing.T) {
	kindtest.ExpectLeavesNothing(t)
	hung := servertest.Hung(t)
	registry, err := check.NewRegistry(check.Env{}, diskcheck.Kind())
	if err != nil {
		t.Fatal(err)
	}
	build := func(timeout string, options ...check.Option) *check.Check {
		options = append(options, option("interval", "1m"), option("timeout", timeout))
		c, err := registry.Build(check.Spec{URL: diskURL(hung.Dir), Policy: check.DefaultPolicy(), Options: options})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	c, other := build("100ms"), build("100ms", option("min_free", "1GiB"))
	for range 5 {
		expectFailure(t, kindtest.Run(t, t.Context(), c), check.ReasonTimeout, "no answer within 100ms: the file system of "+hung.Dir+": no answer for ")
		expectFailure(t, kindtest.Run(t, t.Context(), other), check.ReasonTimeout, "no answer within 100ms: ")
	}
	hung.Asked()
	if n := looks(); n != 1 {
		t.Errorf("%d looks are left behind, want 1", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	kindtest.ExpectReason(t, kindtest.Run(t, ctx, build("30s")), check.ReasonCanceled)

	hung.Revive()
	if r := kindtest.Run(t, t.Context(), build("30s")); r.Err != nil || r.Note != "200.0KiB of 400.0KiB (50%) and 500 of 1000 inodes (50%) free" {
		t.Errorf("after it came back: %q, %v", r.Note, r.Err)
	}
	if n := looks(); n != 0 {
		t.Errorf("%d looks are left behind after it came back", n)
	}
}

// looks counts the goroutines that look at a file system.
func looks() int {
	buf := make([]byte, 1<<20)
	return strings.Count(string(buf[:runtime.Stack(buf, true)]), "\nhale/internal/kinds/diskcheck.look(")
}

func TestFileSystemWithoutItsDaemon(t *testing.T) {
	hung := servertest.Hung(t)
	hung.Die()
	expectFailure(t, run(t, hung.Dir), check.ReasonUnreachable, "the file system of "+hung.Dir+" has lost its server or daemon: transport endpoint is not connected; unmount it and mount it again")
}
