package ownip

import (
	"context"
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Watch calls changed, from its own goroutine, when an address that others can
// reach or a default route comes or goes. It blocks until ctx ends and then
// returns nil. See rtnetlink(7).
func Watch(ctx context.Context, changed func()) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	socket := os.NewFile(uintptr(fd), "rtnetlink")
	defer socket.Close()
	const groups = unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV6_IFADDR | unix.RTMGRP_IPV4_ROUTE | unix.RTMGRP_IPV6_ROUTE
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups}); err != nil {
		return os.NewSyscallError("bind", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = socket.Close() })
	defer stop()
	buffer := make([]byte, 64<<10)
	for {
		n, err := socket.Read(buffer)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, unix.ENOBUFS): // messages were lost
			changed()
		case err != nil:
			return err
		case tells(buffer[:n]):
			changed()
		}
	}
}

// tells reports whether the messages are about an address that others can reach
// or a default route. Hosts of containers see many others.
func tells(data []byte) bool {
	messages, err := syscall.ParseNetlinkMessage(data)
	if err != nil {
		return true
	}
	for _, m := range messages {
		switch m.Header.Type {
		case unix.RTM_NEWADDR, unix.RTM_DELADDR:
			// struct ifaddrmsg: family, prefix length, flags, scope
			if len(m.Data) < unix.SizeofIfAddrmsg || m.Data[3] == unix.RT_SCOPE_UNIVERSE {
				return true
			}
		case unix.RTM_NEWROUTE, unix.RTM_DELROUTE:
			// struct rtmsg: family, destination length
			if len(m.Data) < unix.SizeofRtMsg || m.Data[1] == 0 {
				return true
			}
		}
	}
	return false
}
