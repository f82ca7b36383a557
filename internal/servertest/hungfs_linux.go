package servertest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A HungFS is a mounted file system that answers nothing, like one whose server
// is gone: what looks at it hangs in the kernel. It is a FUSE file system whose
// daemon, this test, does not answer.
type HungFS struct {
	// Dir is where it is mounted.
	Dir string

	tb      testing.TB
	device  *os.File
	asked   chan struct{} // holds a token when there was a question
	release chan struct{} // closed when it is to answer
	once    sync.Once
	served  sync.WaitGroup
}

// Opcodes and sizes of <linux/fuse.h>.
const (
	fuseGetattr  = 3
	fuseStatfs   = 17
	fuseInit     = 26
	fuseForget   = 2
	fuseBatch    = 42 // FUSE_BATCH_FORGET
	fuseIntr     = 36 // FUSE_INTERRUPT
	fuseInHeader = 40
	fuseOutSize  = 16
)

// Hung mounts a file system that hangs on a new directory, until the test ends.
// It needs root and /dev/fuse.
func Hung(tb testing.TB) *HungFS {
	tb.Helper()
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		tb.Fatalf("this test needs root and /dev/fuse (modprobe fuse): %v", err)
	}
	dir := tb.TempDir()
	options := fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0,max_read=4096", fd)
	if err := unix.Mount("hung", dir, "fuse", unix.MS_NOSUID|unix.MS_NODEV, options); err != nil {
		_ = unix.Close(fd)
		tb.Fatalf("mounting a FUSE file system, which needs root: %v", err)
	}
	h := &HungFS{Dir: dir, tb: tb, asked: make(chan struct{}, 1), release: make(chan struct{})}
	// Only now: before the mount, to wait for the device would be an error.
	h.device = os.NewFile(uintptr(fd), "/dev/fuse")
	tb.Cleanup(h.end)
	h.served.Go(h.serve)
	return h
}

// Asked blocks until something has asked the file system, and hangs.
func (h *HungFS) Asked() {
	h.tb.Helper()
	select {
	case <-h.asked:
	case <-time.After(patience):
		h.tb.Fatalf("nothing asked the file system within %v", patience)
	}
}

// Revive lets the file system answer what was asked and all that will be: it is
// empty, and has 100 blocks of 4 KiB of which half are free.
func (h *HungFS) Revive() { h.once.Do(func() { close(h.release) }) }

// Die ends the daemon: what hangs returns, and what looks at the file system from
// now on is told that it is not connected.
func (h *HungFS) Die() {
	h.tb.Helper()
	if err := h.device.Close(); err != nil {
		h.tb.Error(err)
	}
}

// end closes the device, which makes all that hangs return, and unmounts.
func (h *HungFS) end() {
	_ = unix.Unmount(h.Dir, unix.MNT_DETACH)
	h.Revive()
	_ = h.device.Close()
	h.served.Wait()
}

// serve answers the kernel's first question, which is not about files, and the
// others when revived.
func (h *HungFS) serve() {
	buf := make([]byte, 64<<10)
	for {
		n, err := h.device.Read(buf)
		if errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.EINTR) {
			continue // the question was taken back
		}
		if err != nil || n < fuseInHeader {
			return
		}
		opcode := binary.NativeEndian.Uint32(buf[4:])
		id := binary.NativeEndian.Uint64(buf[8:])
		switch opcode {
		case fuseForget, fuseBatch, fuseIntr:
			continue
		case fuseInit:
			h.answer(id, initAnswer())
			continue
		}
		select {
		case h.asked <- struct{}{}:
		default:
		}
		h.served.Go(func() {
			<-h.release
			h.answer(id, answerTo(opcode))
		})
	}
}

// answer sends a body, or that the question is not known when it is nil.
func (h *HungFS) answer(id uint64, body []byte) {
	out := make([]byte, fuseOutSize, fuseOutSize+len(body))
	binary.NativeEndian.PutUint32(out, uint32(fuseOutSize+len(body)))
	if body == nil {
		unknown := -int32(syscall.ENOSYS)
		binary.NativeEndian.PutUint32(out[4:], uint32(unknown))
	}
	binary.NativeEndian.PutUint64(out[8:], id)
	_, _ = h.device.Write(append(out, body...))
}

// initAnswer is a fuse_init_out of version 7.31.
func initAnswer() []byte {
	body := make([]byte, 64)
	binary.NativeEndian.PutUint32(body, 7)
	binary.NativeEndian.PutUint32(body[4:], 31)
	binary.NativeEndian.PutUint32(body[20:], 4096) // max_write
	return body
}

func answerTo(opcode uint32) []byte {
	switch opcode {
	case fuseStatfs: // fuse_statfs_out
		body := make([]byte, 80)
		for i, n := range []uint64{100, 50, 50, 1000, 500} { // blocks, free, available, files, free
			binary.NativeEndian.PutUint64(body[8*i:], n)
		}
		binary.NativeEndian.PutUint32(body[40:], 4096) // bsize
		binary.NativeEndian.PutUint32(body[44:], 255)  // namelen
		binary.NativeEndian.PutUint32(body[48:], 4096) // frsize
		return body
	case fuseGetattr: // fuse_attr_out
		body := make([]byte, 16+88)
		binary.NativeEndian.PutUint64(body[16:], 1)                        // inode
		binary.NativeEndian.PutUint32(body[16+60:], syscall.S_IFDIR|0o755) // mode
		binary.NativeEndian.PutUint32(body[16+64:], 2)                     // links
		return body
	}
	return nil
}
