// Package mounts reads what is mounted on this host: /proc/self/mountinfo, as
// proc(5) describes it. It never touches the file systems themselves, which may
// hang.
package mounts

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// A Mount is a line of mountinfo.
type Mount struct {
	ID       uint64
	Point    string // where it is mounted
	Type     string // of its file system
	Source   string
	ReadOnly bool // the mount or its file system is
}

// maxRead is how much is read of mountinfo: some 100,000 mounts.
const maxRead = 16 << 20

// Read returns the lines of mountinfo, at most 16 MiB.
func Read() (string, error) {
	file, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return "", err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxRead))
	return string(text), err
}

// Network reports whether a path is, by its name, on a file system whose server
// may be gone: looking at it may hang, and the kernel does not tell of changes
// that others make there. kind is the file system's type, "" when not known.
func Network(path string) (kind string, network bool) {
	lines, err := Read()
	if err != nil {
		return "", false // not Linux, or no /proc; then it is not known
	}
	return networkIn(lines, path)
}

// maxLinks is how many symbolic links are followed, as the kernel does.
const maxLinks = 40

// networkIn follows the symbolic links in a path as long as they stand on file
// systems of this host, whose reading can't hang.
func networkIn(lines, path string) (kind string, network bool) {
	links := 0
	at, rest := "/", strings.Trim(path, "/")
	for {
		m, _, _ := Of(lines, at)
		if kind = m.Type; IsNetwork(kind) || rest == "" {
			return kind, IsNetwork(kind)
		}
		var name string
		name, rest, _ = strings.Cut(rest, "/")
		next := filepath.Join(at, name)
		if m, _, _ := Of(lines, next); IsNetwork(m.Type) {
			return m.Type, true
		}
		to, err := os.Readlink(next)
		switch {
		case err != nil:
			at = next
		case links == maxLinks:
			return kind, false
		default:
			links++
			if !filepath.IsAbs(to) {
				to = filepath.Join(at, to)
			}
			at, rest = "/", strings.Trim(to+"/"+rest, "/")
		}
	}
}

// IsNetwork reports whether files of a file system of this type may be changed
// by others than this host's kernel.
func IsNetwork(kind string) bool {
	for _, prefix := range []string{"nfs", "cifs", "smb", "9p", "ceph", "afs", "fuse", "virtiofs", "lustre", "glusterfs"} {
		if strings.HasPrefix(kind, prefix) {
			return true
		}
	}
	return false
}

// String describes it for people.
func (m Mount) String() string {
	text := m.Type + " from " + m.Source
	if m.ReadOnly {
		text += ", read-only"
	}
	return text
}

// Parse reads a line such as
//
//	36 35 98:0 /root /point rw,noatime master:1 - ext3 /dev/sda1 rw,errors=continue
//
// with any number of fields before the dash.
func Parse(line string) (m Mount, ok bool) {
	before, after, _ := strings.Cut(line, " - ")
	left, right := strings.Fields(before), strings.Split(after, " ") // a source may be empty
	if len(left) < 6 || len(right) < 3 {
		return Mount{}, false
	}
	id, err := strconv.ParseUint(left[0], 10, 64)
	return Mount{
		ID:       id,
		Point:    unescape(left[4]),
		Type:     unescape(right[0]),
		Source:   unescape(right[1]),
		ReadOnly: hasOption(left[5], "ro") || hasOption(right[2], "ro"),
	}, err == nil
}

func hasOption(options, name string) bool {
	return slices.Contains(strings.Split(options, ","), name)
}

// unescape replaces \040 and the like: space, tab, line break and backslash are
// written as a backslash and three octal digits.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+4 <= len(s) {
			if code, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(code))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// Find returns the mount that fits best of the lines of mountinfo: the last
// one, as later mounts hide earlier ones.
func Find(lines string, fits func(Mount) bool) (found Mount, ok bool) {
	for line := range strings.Lines(lines) {
		if m, valid := Parse(strings.TrimSuffix(line, "\n")); valid && fits(m) {
			found, ok = m, true
		}
	}
	return found, ok
}

// Of returns the mount that a path is on, by the paths alone, and whether the
// path is where it is mounted.
func Of(lines, path string) (m Mount, isMount, ok bool) {
	best := 0
	m, ok = Find(lines, func(m Mount) bool {
		if m.Point != "/" && path != m.Point && !strings.HasPrefix(path, m.Point+"/") || len(m.Point) < best {
			return false
		}
		best = len(m.Point)
		return true
	})
	return m, ok && m.Point == path, ok
}
