package server

import (
	"bytes"
	"net"
	"sync"
	"time"
)

// A wire moves the bytes of a connection. Read deadlines are set on the
// net.Conn under it.
type wire interface {
	// read waits for bytes and adds at least one to in, which has room. To an
	// inbox without memory it gives some only when there are bytes.
	read(in *inbox) error
	// write writes all of b, or fails if the client takes none for as long as
	// timeout.
	write(b []byte, timeout time.Duration) error
}

// A plainWire uses nothing but the net.Conn. It serves TLS, unix sockets and
// systems without a wire of their own.
type plainWire struct {
	nc    net.Conn
	first [1]byte
}

func (w *plainWire) read(in *inbox) error {
	if in.memory != nil {
		n, err := w.nc.Read(in.room())
		in.grow(n)
		if n > 0 {
			return nil
		}
		return err
	}
	// One byte of our own tells when memory is needed.
	n, err := w.nc.Read(w.first[:])
	if n == 0 {
		return err
	}
	in.room()[0] = w.first[0]
	in.grow(1)
	return nil
}

func (w *plainWire) write(b []byte, timeout time.Duration) error {
	w.nc.SetWriteDeadline(time.Now().Add(timeout))
	_, err := w.nc.Write(b)
	return err
}

// memory is what a connection needs while it is spoken on.
type memory struct {
	in  [MaxHead]byte
	out [512]byte // more than any verdict takes
}

// An inbox holds what has been read and not yet been used, in memory from a
// pool.
type inbox struct {
	pool       *sync.Pool // of *memory
	memory     *memory
	start, end int
}

// unread returns what has not been used. It is valid until the next call of
// room or release.
func (in *inbox) unread() []byte {
	if in.memory == nil {
		return nil
	}
	return in.memory.in[in.start:in.end]
}

// skip uses n bytes, or as many as there are, and returns how many.
func (in *inbox) skip(n int) int {
	n = min(n, in.end-in.start)
	in.start += n
	return n
}

// skipBlank uses the line ends at the start; RFC 9112, section 2.2, wants them
// ignored before a request.
func (in *inbox) skipBlank() {
	b := in.unread()
	in.start += len(b) - len(bytes.TrimLeft(b, "\r\n"))
}

// take uses all bytes and returns a copy of them.
func (in *inbox) take() []byte {
	b := bytes.Clone(in.unread())
	in.skip(len(b))
	in.release()
	return b
}

// room returns where to read to. It is empty only if MaxHead bytes are unread.
func (in *inbox) room() []byte {
	if in.memory == nil {
		in.memory = in.pool.Get().(*memory)
		in.start, in.end = 0, 0
	}
	if in.start > 0 {
		in.end = copy(in.memory.in[:], in.memory.in[in.start:in.end])
		in.start = 0
	}
	return in.memory.in[in.end:]
}

// grow takes in n bytes that were read to room.
func (in *inbox) grow(n int) { in.end += n }

// release gives the memory back if nothing in it is unread.
func (in *inbox) release() {
	if in.memory != nil && in.start == in.end {
		in.pool.Put(in.memory)
		in.memory, in.start, in.end = nil, 0, 0
	}
}
