package mountcheck

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"hale/internal/mounts"
)

// A place is an opened path. What is done with it is done where the path led when
// it was opened, whatever is mounted and unmounted meanwhile.
type place struct {
	fd      int
	isDir   bool
	isMount bool // it is the root of a mount

	id      uint64 // of the mount that it is on
	knowsID bool   // the kernel tells the mount: since Linux 5.8
}

// open opens a path without reading it, and asks its file system for attributes,
// past the kernel's memory of them. It may hang.
func open(path string) (*place, error) {
	// The dot makes an automounter mount what belongs there.
	fd, err := openAt(path+"/.", unix.O_PATH)
	if errors.Is(err, unix.ENOTDIR) {
		fd, err = openAt(path, unix.O_PATH) // a file can be mounted on, too
	}
	if err != nil {
		return nil, err
	}
	p := &place{fd: fd}
	if err := p.stat(); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func openAt(path string, flags int) (fd int, err error) {
	err = again(func() error {
		fd, err = unix.Open(path, flags|unix.O_CLOEXEC, 0)
		return err
	})
	return fd, err
}

// again calls f until it is not interrupted, as calls to FUSE and NFS may be by
// the signals that Go sends its own threads.
func again(f func() error) error {
	for {
		if err := f(); err != unix.EINTR {
			return err
		}
	}
}

func (p *place) close() { _ = unix.Close(p.fd) }

func (p *place) stat() error {
	var s unix.Statx_t
	err := again(func() error {
		return unix.Statx(p.fd, "", unix.AT_EMPTY_PATH|unix.AT_STATX_FORCE_SYNC, unix.STATX_BASIC_STATS|unix.STATX_MNT_ID, &s)
	})
	if err != nil {
		return err
	}
	p.isDir = s.Mode&unix.S_IFMT == unix.S_IFDIR
	p.isMount = s.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0
	p.id = s.Mnt_id
	p.knowsID = s.Mask&unix.STATX_MNT_ID != 0 && s.Attributes_mask&unix.STATX_ATTR_MOUNT_ROOT != 0
	return nil
}

// mount returns the mount that the place is on.
func (p *place) mount() (mounts.Mount, error) {
	lines, err := mounts.Read()
	if err != nil {
		return mounts.Mount{}, fmt.Errorf("is /proc mounted? %w", err)
	}
	var m mounts.Mount
	var ok bool
	if p.knowsID {
		m, ok = mounts.Find(lines, func(m mounts.Mount) bool { return m.ID == p.id })
	} else {
		var path string
		if path, err = os.Readlink("/proc/self/fd/" + strconv.Itoa(p.fd)); err != nil {
			return mounts.Mount{}, err
		}
		m, p.isMount, ok = mounts.Of(lines, path)
	}
	if !ok {
		return mounts.Mount{}, errors.New("/proc/self/mountinfo does not have it; it may have just been unmounted")
	}
	return m, nil
}

// probe writes a file and removes it. Once it began, the file is removed whatever
// happens.
func (p *place) probe(ctx context.Context) (err error) {
	name := ".hale-probe-" + rand.Text()
	defer func() {
		// Also when it seems not to have been made: an interrupted or lost answer
		// does not tell, and nobody else has this name.
		removal := again(func() error { return unix.Unlinkat(p.fd, name, 0) })
		if err == nil && removal != nil {
			err = fmt.Errorf("removing the probe file %s: %w; remove it", name, removal)
		}
	}()
	fd, err := p.create(name)
	if err != nil {
		return fmt.Errorf("making a file: %w", err)
	}
	err = p.fill(ctx, fd)
	if closing := unix.Close(fd); err == nil && closing != nil && closing != unix.EINTR {
		err = fmt.Errorf("closing a file: %w", closing) // NFS may say only now
	}
	return err
}

// create makes a file.
func (p *place) create(name string) (fd int, err error) {
	for {
		fd, err = unix.Openat(p.fd, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
		if err != unix.EINTR {
			return fd, err
		}
		_ = unix.Unlinkat(p.fd, name, 0) // it may have been made all the same
	}
}

// fill writes to the probe file, and through to the disk.
func (p *place) fill(ctx context.Context, fd int) error {
	text := []byte("hale checks whether this can be written\n")
	for len(text) > 0 {
		if ctx.Err() != nil {
			return ctx.Err() // nobody waits any more
		}
		n, err := unix.Write(fd, text)
		if err != nil && err != unix.EINTR {
			return fmt.Errorf("writing to a file: %w", err)
		}
		text = text[max(n, 0):]
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err := again(func() error { return unix.Fsync(fd) }); err != nil {
		return fmt.Errorf("writing a file through to the disk: %w", err)
	}
	return nil
}
