package icmpcheck

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"syscall"

	"hale/internal/check"
)

// open makes a socket connected to the address that sends and receives ICMP
// messages; raw says that it is not one of the socket kind for everybody.
func open(addr netip.Addr) (socket *os.File, raw bool, err error) {
	fd, err := newSocket(addr, syscall.SOCK_DGRAM)
	if notPermitted(err) {
		raw = true
		fd, err = newSocket(addr, syscall.SOCK_RAW)
	}
	if notPermitted(err) {
		return nil, false, check.Failf(check.ReasonPermission, "hale may not ping: %w%s", err, remedy())
	}
	if err != nil {
		return nil, false, fmt.Errorf("no socket for ICMP: %w", err)
	}
	reportErrors(fd, addr.Is6())
	if err := syscall.Connect(fd, socketAddress(addr)); err != nil {
		_ = syscall.Close(fd)
		return nil, false, fmt.Errorf("no way to %s: %w", addr, os.NewSyscallError("connect", err))
	}
	// A file of a socket that does not block waits as connections do.
	return os.NewFile(uintptr(fd), "icmp"), raw, nil
}

// newSocket makes a socket for ICMP that does not block.
func newSocket(addr netip.Addr, kind int) (fd int, err error) {
	domain, protocol := syscall.AF_INET, syscall.IPPROTO_ICMP
	if addr.Is6() {
		domain, protocol = syscall.AF_INET6, syscall.IPPROTO_ICMPV6
	}
	// No child may be started between the making and the marking.
	syscall.ForkLock.RLock()
	fd, err = syscall.Socket(domain, kind, protocol)
	if err == nil {
		syscall.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	if err := syscall.SetNonblock(fd, true); err != nil {
		_ = syscall.Close(fd)
		return -1, os.NewSyscallError("setnonblock", err)
	}
	return fd, nil
}

// notPermitted reports whether err says that this kind of socket is not for
// this process, or that the system does not have it.
func notPermitted(err error) bool {
	return errors.Is(err, syscall.EACCES) || errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EPROTONOSUPPORT)
}

func socketAddress(addr netip.Addr) syscall.Sockaddr {
	if addr.Is4() {
		return &syscall.SockaddrInet4{Addr: addr.As4()}
	}
	return &syscall.SockaddrInet6{Addr: addr.As16(), ZoneId: zone(addr.Zone())}
}

// zone returns the number of an interface, given by name or number.
func zone(name string) uint32 {
	if name == "" {
		return 0
	}
	if i, err := net.InterfaceByName(name); err == nil {
		return uint32(i.Index)
	}
	n, _ := strconv.ParseUint(name, 10, 32)
	return uint32(n)
}

// bare leaves the file's name out of an error, which is that of no file.
func bare(err error) error {
	if e, ok := errors.AsType[*os.PathError](err); ok {
		return e.Err
	}
	return err
}
