//go:build unix

package engine

import (
	"io/fs"
	"syscall"
)

// ownerGroup returns the id of the group that a file belongs to.
func ownerGroup(info fs.FileInfo) (uint32, bool) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return stat.Gid, true
}
