package diskcheck

import (
	"context"

	"golang.org/x/sys/unix"
)

// look asks for the usage of a path's file system: statfs(2). It may hang.
func look(ctx context.Context, path string) (usage, error) {
	var s unix.Statfs_t
	err := unix.Statfs(path, &s)
	for err == unix.EINTR && ctx.Err() == nil {
		err = unix.Statfs(path, &s)
	}
	if err != nil {
		return usage{}, err
	}
	block := uint64(s.Frsize)
	if block == 0 {
		block = uint64(s.Bsize) // of a file system that has one size only
	}
	used := s.Blocks - min(s.Blocks, s.Bfree)
	return usage{
		bytes:     (used + s.Bavail) * block,
		freeBytes: s.Bavail * block,
		inodes:    s.Files, freeInodes: s.Ffree,
		noBlocks: s.Blocks == 0,
		readOnly: s.Flags&unix.ST_RDONLY != 0,
	}, nil
}
