package httpcheck

import (
	"net"
	"runtime"
	"sync/atomic"
	"syscall"
)

// kept is the connection that a check keeps from one run to the next. A nil
// kept keeps none.
type kept struct{ link atomic.Pointer[link] }

// newKept makes a place for the connection of a checker. Nobody tells a checker
// that it is no longer in use, so the connection is closed once it is garbage.
func newKept(c *checker) *kept {
	k := &kept{}
	runtime.AddCleanup(c, func(k *kept) { k.put(nil) }, k)
	return k
}

// put keeps a connection, nil for none, in place of the one kept so far.
func (k *kept) put(l *link) {
	if old := k.link.Swap(l); old != nil {
		old.close()
	}
}

// take returns the kept connection if it may still be used, else nil.
func (k *kept) take() *link {
	if k == nil {
		return nil
	}
	l := k.link.Swap(nil)
	if l == nil {
		return nil
	}
	if l.http2 != nil || silent(l.raw) {
		return l // HTTP/2 tells by itself, when it is used, that it was ended
	}
	l.close()
	return nil
}

// silent reports whether nothing has come from the peer on an idle connection.
// What a server sends then is its end, or a parting word, such as a 408, that
// must not be taken for the answer to the next request.
func silent(conn net.Conn) bool {
	_, ok := conn.(syscall.Conn)
	_, err := peek(conn)
	return !ok || err == syscall.EAGAIN
}

// peek returns, without waiting, how many bytes a socket has to be read, at
// most one. No bytes and no error is the end of what the peer sends.
func peek(conn net.Conn) (n int, err error) {
	socket, ok := conn.(syscall.Conn)
	if !ok {
		return 0, syscall.EOPNOTSUPP
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return 0, err
	}
	var peekErr error
	err = raw.Read(func(fd uintptr) bool {
		var one [1]byte
		n, _, peekErr = syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK)
		return true
	})
	if err == nil {
		err = peekErr
	}
	return n, err
}
