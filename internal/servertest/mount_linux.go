package servertest

import (
	"testing"

	"golang.org/x/sys/unix"
)

// Mount mounts a file system on a new directory, which it returns, until the
// test ends. It needs root. The options are those of mount(8)'s -o that the
// kind of file system knows, such as size=1m of tmpfs.
func Mount(tb testing.TB, kind, source string, flags uintptr, options string) string {
	tb.Helper()
	dir := tb.TempDir()
	MountAt(tb, dir, kind, source, flags, options)
	return dir
}

// MountAt is Mount for a directory or file that exists.
func MountAt(tb testing.TB, path, kind, source string, flags uintptr, options string) {
	tb.Helper()
	if err := unix.Mount(source, path, kind, flags, options); err != nil {
		tb.Fatalf("mounting a %s on %s, which needs root: %v", kind, path, err)
	}
	tb.Cleanup(func() {
		if err := unix.Unmount(path, unix.MNT_DETACH); err != nil && err != unix.EINVAL {
			tb.Errorf("unmounting %s: %v", path, err)
		}
	})
}
