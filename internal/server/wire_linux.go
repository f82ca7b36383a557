package server

import (
	"io"
	"net"
	"syscall"
	"time"
	"unsafe"
)

// newWire returns the cheapest wire for nc.
func newWire(nc net.Conn) wire {
	if tcp, ok := nc.(*net.TCPConn); ok {
		if raw, err := tcp.SyscallConn(); err == nil {
			w := &rawWire{tcp: tcp, raw: raw}
			w.readable, w.writable = w.tryRead, w.tryWrite
			return w
		}
	}
	return &plainWire{nc: nc}
}

// A rawWire reads and writes a TCP socket with bare system calls.
//
// What an answer costs is mostly two system calls, and the scheduler's
// book-keeping around each of them (it may take the processor away from a call
// that blocks) is a quarter of that. Go's sockets don't block, so these calls
// need none. Waiting is left to the runtime's poller, and so are deadlines and
// closing: the calls are made only in the callbacks of a [syscall.RawConn],
// which holds the file descriptor open meanwhile.
type rawWire struct {
	tcp                *net.TCPConn
	raw                syscall.RawConn
	readable, writable func(fd uintptr) bool // tryRead and tryWrite, bound once
	in                 *inbox                // what tryRead fills
	out                []byte                // what tryWrite has left to write
	err                error                 // what either of them met
}

func (w *rawWire) read(in *inbox) error {
	w.in, w.err = in, nil
	if err := w.raw.Read(w.readable); err != nil {
		return err
	}
	return w.err
}

// tryRead reads once, and returns false if there is nothing to read yet: then
// the poller waits and calls it again.
func (w *rawWire) tryRead(fd uintptr) bool {
	room := w.in.room()
	n, errno := bareCall(syscall.SYS_READ, fd, room)
	switch {
	case errno == syscall.EAGAIN:
		w.in.release()
		return false
	case errno != 0:
		w.err = errno
	case n == 0:
		w.err = io.EOF
	default:
		w.in.grow(n)
	}
	return true
}

func (w *rawWire) write(b []byte, timeout time.Duration) error {
	w.out, w.err = b, nil
	err := w.raw.Write(w.writable)
	left := w.out
	w.out = nil // it refers to memory that is not the wire's
	switch {
	case err != nil:
		return err
	case w.err != nil || len(left) == 0:
		return w.err
	}
	// The client is slow to read. Only now is a deadline worth its price.
	w.tcp.SetWriteDeadline(time.Now().Add(timeout))
	if _, err := w.tcp.Write(left); err != nil {
		return err
	}
	return w.tcp.SetWriteDeadline(time.Time{})
}

// tryWrite writes what the socket takes at once. It never asks to wait.
func (w *rawWire) tryWrite(fd uintptr) bool {
	for len(w.out) > 0 {
		n, errno := bareCall(syscall.SYS_WRITE, fd, w.out)
		if errno == syscall.EAGAIN {
			break
		}
		if errno != 0 {
			w.err = errno
			break
		}
		w.out = w.out[n:]
	}
	return true
}

// bareCall reads to or writes from b, which is not empty, on a socket that does
// not block. It repeats a call that a signal has interrupted.
func bareCall(call, fd uintptr, b []byte) (int, syscall.Errno) {
	for {
		n, _, errno := syscall.RawSyscall(call, fd, uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
		if errno != syscall.EINTR {
			return int(n), errno
		}
	}
}
