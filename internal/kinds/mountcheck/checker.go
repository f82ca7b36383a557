package mountcheck

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"

	"hale/internal/check"
	"hale/internal/isolate"
	"hale/internal/mounts"
)

type checker struct {
	path     string
	types    []string
	source   string
	writable bool
	looks    *isolate.Group
}

// Check looks at what is mounted on the path.
func (c *checker) Check(ctx context.Context) (string, error) {
	note, err := isolate.Do(ctx, c.looks, c.path, c.look)
	if stuck, ok := errors.AsType[*isolate.StuckError](err); ok {
		return "", fmt.Errorf("the file system on %s: %w; is the server or device behind it gone?", c.path, stuck)
	}
	if err != nil && errors.Is(err, ctx.Err()) {
		return "", fmt.Errorf("the file system on %s: %w", c.path, err)
	}
	return note, err
}

// look is Check, and may hang.
func (c *checker) look(ctx context.Context) (string, error) {
	p, err := open(c.path)
	if err != nil {
		return "", c.explain(err)
	}
	defer p.close()
	m, err := p.mount()
	if err != nil {
		return "", c.explain(err)
	}
	if err := c.judge(m, p.isMount); err != nil {
		return "", err
	}
	if !c.writable {
		return m.String(), nil
	}
	if m.ReadOnly {
		return "", c.readOnly()
	}
	if !p.isDir {
		return "", check.Failf(check.ReasonMissing, "%s is a file, and only in a directory a probe file can be written; leave writable out", c.path)
	}
	if err := p.probe(ctx); err != nil {
		return "", c.explainProbe(err)
	}
	return m.String() + ", written", nil
}

// judge says whether the right thing is mounted. If nothing is mounted on the
// path, m is what the path is on.
func (c *checker) judge(m mounts.Mount, isMount bool) error {
	switch {
	case !isMount:
		return check.Failf(check.ReasonMissing, "nothing is mounted on %s: it belongs to what is mounted on %s, %v", c.path, m.Point, m)
	case len(c.types) > 0 && !slices.Contains(c.types, m.Type):
		return check.Failf(check.ReasonMissing, "on %s is mounted %v, want a file system of type %s", c.path, m, strings.Join(c.types, " or "))
	case c.source != "" && c.source != m.Source:
		return check.Failf(check.ReasonMissing, "on %s is mounted %v, want one from %s", c.path, m, c.source)
	}
	return nil
}

func (c *checker) readOnly() error {
	return check.Failf(check.ReasonRole, "the file system on %s is read-only; the kernel may have made it so after an error of the disk: see dmesg", c.path)
}

// explain says why the path could not be looked at.
func (c *checker) explain(err error) error {
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		return check.Failf(check.ReasonOther, "%s: what is mounted can be told on Linux only: %w", c.path, err)
	case errors.Is(err, fs.ErrNotExist):
		return check.Failf(check.ReasonMissing, "%s does not exist, so that nothing can be mounted there", c.path)
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.ELOOP), errors.Is(err, syscall.ENAMETOOLONG):
		return check.Failf(check.ReasonMissing, "%s can't exist: %w", c.path, err)
	case errors.Is(err, fs.ErrPermission):
		return check.Failf(check.ReasonPermission, "hale, running as user %d, may not look at %s: %w; it needs the x permission on every directory above it, and allow_other on a FUSE file system", os.Geteuid(), c.path, err)
	case errors.Is(err, syscall.ENOTCONN), errors.Is(err, syscall.ESTALE):
		return check.Failf(check.ReasonUnreachable, "the file system on %s has lost its server or daemon: %w; unmount it and mount it again", c.path, err)
	default:
		return check.Failf(check.ReasonOf(err), "looking at what is mounted on %s: %w", c.path, err)
	}
}

// explainProbe says why the probe file could not be written.
func (c *checker) explainProbe(err error) error {
	switch {
	case errors.Is(err, syscall.EROFS):
		return c.readOnly()
	case errors.Is(err, fs.ErrPermission):
		return check.Failf(check.ReasonPermission, "hale, running as user %d, may not write to %s: %w", os.Geteuid(), c.path, err)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return check.Failf(check.ReasonSize, "the file system on %s has no room: %w", c.path, err)
	case errors.Is(err, syscall.ENOTCONN), errors.Is(err, syscall.ESTALE):
		return c.explain(err)
	default:
		return check.Failf(check.ReasonOf(err), "the file system on %s can't be written: %w", c.path, err)
	}
}

// MayHang reports whether the path is on a network file system.
func (c *checker) MayHang() bool {
	_, network := mounts.Network(c.path)
	return network
}
