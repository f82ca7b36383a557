package filecheck

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"

	"hale/internal/check"
	"hale/internal/quantity"
)

// present is the check that a file is there and as it should be.
type present struct {
	watched
	maxAge           time.Duration // 0 is off
	minSize, maxSize quantity.Size // 0 is off
}

// Check looks at the file's attributes.
func (c *present) Check(ctx context.Context) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", fmt.Errorf("%s: %w", c.path, err)
	}
	info, err := os.Stat(c.path)
	if err != nil {
		return "", c.explain(err)
	}
	if !info.Mode().IsRegular() {
		return "", check.Failf(check.ReasonType, "%s is %s, want a regular file", c.path, typeName(info.Mode()))
	}
	age := time.Since(info.ModTime())
	size := quantity.Size(info.Size())
	switch {
	case c.maxAge > 0 && age > c.maxAge:
		return "", check.Failf(check.ReasonAge, "%s was last written %v ago, want at most %v; is what writes it still running?", c.path, readable(age, c.maxAge), c.maxAge)
	case size < c.minSize:
		return "", check.Failf(check.ReasonSize, "%s has %v, want at least %v", c.path, size, c.minSize)
	case c.maxSize > 0 && size > c.maxSize:
		return "", check.Failf(check.ReasonSize, "%s has %v, want at most %v", c.path, size, c.maxSize)
	}
	if age < 0 {
		return fmt.Sprintf("%v, written %v in the future", size, short(-age)), nil
	}
	return fmt.Sprintf("%v, written %v ago", size, short(age)), nil
}

// short leaves of an age what a person reads: no fractions from a minute on.
func short(age time.Duration) time.Duration {
	if age >= time.Minute {
		return age.Truncate(time.Second)
	}
	return age.Truncate(time.Millisecond)
}

// readable rounds an age down to milliseconds unless that hides that it is
// over the limit.
func readable(age, limit time.Duration) time.Duration {
	if rounded := age.Truncate(time.Millisecond); rounded > limit {
		return rounded
	}
	return age
}

// explain says why the file could not be looked at.
func (c *present) explain(err error) error {
	why := pathError(err)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if to, err := os.Readlink(c.path); err == nil {
			return check.Failf(check.ReasonMissing, "%s is a symbolic link to %s, which does not exist", c.path, to)
		}
		return check.Failf(check.ReasonMissing, "%s does not exist; is what writes it running?", c.path)
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.ELOOP), errors.Is(err, syscall.ENAMETOOLONG):
		return check.Failf(check.ReasonMissing, "%s can't exist: %w", c.path, why)
	case errors.Is(err, fs.ErrPermission):
		return forbidden(c.path, why)
	default:
		return check.Failf(check.ReasonOf(err), "looking at %s: %w", c.path, why)
	}
}

// absent is the check that nothing is there.
type absent struct{ watched }

// Check looks whether the path exists. A symbolic link counts, wherever it
// leads.
func (c *absent) Check(ctx context.Context) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", fmt.Errorf("%s: %w", c.path, err)
	}
	info, err := os.Lstat(c.path)
	switch {
	case err == nil:
		return "", check.Failf(check.ReasonPresent, "%s exists (last written %s), want nothing there", c.path, info.ModTime().UTC().Format(time.RFC3339))
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return "not there", nil
	case errors.Is(err, fs.ErrPermission):
		return "", forbidden(c.path, pathError(err))
	default:
		return "", check.Failf(check.ReasonOf(err), "looking at %s: %w", c.path, pathError(err))
	}
}

func forbidden(path string, why error) error {
	return check.Failf(check.ReasonPermission, "hale, running as user %d, may not look at %s: %w; it needs the x permission on every directory above it", os.Geteuid(), path, why)
}

// pathError is what an error of a file says besides the operation and path.
func pathError(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}

func typeName(m fs.FileMode) string {
	switch m.Type() {
	case fs.ModeDir:
		return "a directory"
	case fs.ModeNamedPipe:
		return "a named pipe"
	case fs.ModeSocket:
		return "a socket"
	case fs.ModeDevice, fs.ModeDevice | fs.ModeCharDevice:
		return "a device"
	default:
		return "something else"
	}
}
