package memorycheck

import (
	"bytes"
	"io/fs"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"
)

// A hierarchy is where the memory controller keeps its files, and what they are
// called: cgroups(7) and the kernel's admin-guide, cgroup-v2.rst and
// cgroup-v1/memory.rst.
type hierarchy struct {
	mount                  string
	limit, usage, inactive string
}

func version1() hierarchy {
	return hierarchy{"sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"}
}

func version2() hierarchy {
	return hierarchy{"sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"}
}

// limited returns what of the host's memory the limits of hale's cgroup and of
// those above it leave, if one leaves less than there is. What can't be read has
// no limit: the top cgroup has no such files, and in a container those above its
// own are not to be seen.
func (c *checker) limited(m memory) memory {
	text, err := fs.ReadFile(c.files, "proc/self/cgroup")
	if err != nil {
		return m
	}
	h, group, ok := ownCgroup(text)
	if !ok {
		return m
	}
	least := m
	for {
		limit, ok := c.number(path.Join(h.mount, group, h.limit))
		if ok && limit < m.total {
			if left, ok := c.left(h, group, limit); ok && left < least.available {
				least = memory{total: limit, available: left, of: " to the cgroup " + group}
			}
		}
		if group == "/" {
			return least
		}
		group = path.Dir(group)
	}
}

// ownCgroup finds hale's cgroup in /proc/self/cgroup, whose lines are of the form
// 4:memory:/path in version 1 and 0::/path in version 2. Where both are in use the
// memory controller is in the one that names it.
func ownCgroup(text []byte) (h hierarchy, group string, ok bool) {
	for line := range strings.Lines(string(text)) {
		fields := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(fields) < 3 {
			continue
		}
		// Of a cgroup outside of the container's own the path begins with /..
		at := path.Clean("/" + fields[2])
		switch {
		case slices.Contains(strings.Split(fields[1], ","), "memory"):
			return version1(), at, true
		case fields[0] == "0":
			h, group, ok = version2(), at, true
		}
	}
	return h, group, ok
}

// left returns how much a cgroup may still use of its limit.
func (c *checker) left(h hierarchy, group string, limit uint64) (uint64, bool) {
	used, ok := c.number(path.Join(h.mount, group, h.usage))
	if !ok {
		return 0, false
	}
	stat, err := fs.ReadFile(c.files, path.Join(h.mount, group, "memory.stat"))
	if err != nil {
		return 0, false
	}
	for line := range bytes.Lines(stat) {
		if n, found := bytes.CutPrefix(line, []byte(h.inactive+" ")); found {
			inactive, _ := strconv.ParseUint(string(bytes.TrimSpace(n)), 10, 64)
			used -= min(used, inactive)
		}
	}
	return limit - min(limit, used), true
}

// number reads a file that holds a number; "max" is the largest.
func (c *checker) number(name string) (uint64, bool) {
	text, err := fs.ReadFile(c.files, name)
	if err != nil {
		return 0, false
	}
	word := string(bytes.TrimSpace(text))
	if word == "max" {
		return math.MaxUint64, true
	}
	n, err := strconv.ParseUint(word, 10, 64)
	return n, err == nil
}
