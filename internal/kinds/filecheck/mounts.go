package filecheck

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// watchable returns an error when dir is on a network file system: the kernel
// does not tell of changes that others make there, and asking it to may hang.
func watchable(dir string) error {
	file, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil // not Linux, or no /proc; then it is not known
	}
	defer file.Close()
	if kind := fileSystem(bufio.NewScanner(file), dir); isNetwork(kind) {
		return fmt.Errorf("%s is on a file system of type %s, which does not tell of changes", dir, kind)
	}
	return nil
}

// fileSystem returns the type of the file system that dir is on, given the
// lines of /proc/self/mountinfo, proc(5); "" when they do not say.
func fileSystem(mounts *bufio.Scanner, dir string) string {
	best, kind := "", ""
	for mounts.Scan() {
		// 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw
		before, after, ok := strings.Cut(mounts.Text(), " - ")
		fields := strings.Fields(before)
		if !ok || len(fields) < 5 {
			continue
		}
		point := unescapeMount(fields[4])
		// A later mount on the same point hides the earlier one.
		if contains(point, dir) && len(point) >= len(best) {
			best = point
			kind, _, _ = strings.Cut(after, " ")
		}
	}
	return kind
}

// contains reports whether path is the mount point or below it.
func contains(point, path string) bool {
	return point == "/" || path == point || strings.HasPrefix(path, point+"/")
}

// unescapeMount replaces \040 and the like, three octal digits.
func unescapeMount(s string) string {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(s, `\`)
		b.WriteString(before)
		if !found {
			return b.String()
		}
		if code, err := strconv.ParseUint(after[:min(3, len(after))], 8, 8); err == nil && len(after) >= 3 {
			b.WriteByte(byte(code))
			after = after[3:]
		} else {
			b.WriteByte('\\')
		}
		s = after
	}
}

// isNetwork reports whether files of a file system of this type may be changed
// by others than this host's kernel.
func isNetwork(kind string) bool {
	for _, prefix := range []string{"nfs", "cifs", "smb", "9p", "ceph", "afs", "fuse", "virtiofs", "lustre", "glusterfs"} {
		if strings.HasPrefix(kind, prefix) {
			return true
		}
	}
	return false
}
