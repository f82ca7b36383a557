package diskcheck

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"hale/internal/check"
	"hale/internal/isolate"
	"hale/internal/mounts"
	"hale/internal/quantity"
)

type checker struct {
	path   string
	space  quantity.Share
	inodes quantity.Count
	looks  *isolate.Group
}

// usage is how full a file system is for those without privileges: bytes that
// they can use in all and that are free, and inodes. A file system without a
// fixed number of inodes has none.
type usage struct {
	bytes, freeBytes   uint64
	inodes, freeInodes uint64
	readOnly           bool
	// noBlocks is that it has none at all, as proc and a tmpfs without a limit.
	noBlocks bool
}

// Check asks how full the file system is.
func (c *checker) Check(ctx context.Context) (string, error) {
	u, err := isolate.Do(ctx, c.looks, c.path, func(ctx context.Context) (usage, error) { return look(ctx, c.path) })
	if err != nil {
		return "", c.explain(err)
	}
	return c.judge(u)
}

func (c *checker) judge(u usage) (string, error) {
	because := ""
	if u.readOnly {
		because = "; it is read-only"
	}
	if u.noBlocks && !c.space.IsZero() {
		return "", check.Failf(check.ReasonType, "the file system of %s has no space that could be full, as it has no blocks, like proc, sysfs and a tmpfs without a size; give a path on a disk", c.path)
	}
	space := fmt.Sprintf("%s of %s (%s)", quantity.Bytes(u.freeBytes), quantity.Bytes(u.bytes), quantity.PercentOf(u.freeBytes, u.bytes))
	if u.freeBytes < c.space.Of(u.bytes) {
		return "", check.Failf(check.ReasonSize, "the file system of %s has %s free, want at least %v%s", c.path, space, c.space, because)
	}
	if u.inodes == 0 {
		return space + " free", nil
	}
	inodes := fmt.Sprintf("%d of %d inodes (%s)", u.freeInodes, u.inodes, quantity.PercentOf(u.freeInodes, u.inodes))
	if u.freeInodes < c.inodes.Of(u.inodes) {
		return "", check.Failf(check.ReasonSize, "the file system of %s has %s free, want at least %v, though %s of its space are free; look for very many small files%s", c.path, inodes, c.inodes, quantity.Bytes(u.freeBytes), because)
	}
	return fmt.Sprintf("%s and %s free", space, inodes), nil
}

// explain says why the file system could not be asked.
func (c *checker) explain(err error) error {
	if stuck, ok := errors.AsType[*isolate.StuckError](err); ok {
		return fmt.Errorf("the file system of %s: %w; is the server or device behind it gone?", c.path, stuck)
	}
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("the file system of %s: %w", c.path, err)
	case errors.Is(err, errors.ErrUnsupported):
		return check.Failf(check.ReasonOther, "%s: how full a file system is can be told on Linux only: %w", c.path, err)
	case errors.Is(err, fs.ErrNotExist):
		return check.Failf(check.ReasonMissing, "%s does not exist; is its file system mounted?", c.path)
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.ELOOP), errors.Is(err, syscall.ENAMETOOLONG):
		return check.Failf(check.ReasonMissing, "%s can't exist: %w", c.path, err)
	case errors.Is(err, fs.ErrPermission):
		return check.Failf(check.ReasonPermission, "hale, running as user %d, may not look at %s: %w; it needs the x permission on every directory above it", os.Geteuid(), c.path, err)
	case errors.Is(err, syscall.ENOTCONN), errors.Is(err, syscall.ESTALE):
		return check.Failf(check.ReasonUnreachable, "the file system of %s has lost its server or daemon: %w; unmount it and mount it again", c.path, err)
	default:
		return check.Failf(check.ReasonOf(err), "asking the file system of %s how full it is: %w", c.path, err)
	}
}

// MayHang reports whether the path is on a network file system.
func (c *checker) MayHang() bool {
	_, network := mounts.Network(c.path)
	return network
}
