package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
)

// Listen opens a TCP listener. The address is HOST:PORT, :PORT or PORT; without
// a host it is every address of this host, IPv4 and IPv6, and so it is with [::];
// 0.0.0.0 is every IPv4 address. Port 0 lets the system choose one.
func Listen(address string) (net.Listener, error) {
	if _, err := strconv.Atoi(address); err == nil {
		address = ":" + address
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("can't listen on %q: give HOST:PORT, [IPv6]:PORT, :PORT or PORT, for example :5000", address)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return nil, fmt.Errorf("can't listen on %q: the port %q is not a number from 0 to 65535", address, port)
	}
	network := "tcp"
	if ip := net.ParseIP(host); ip.To4() != nil {
		network = "tcp4" // else 0.0.0.0 would be IPv6 too
	}
	// Dead clients are found by the server's timeouts, not by TCP keep-alive.
	config := net.ListenConfig{KeepAlive: -1}
	l, err := config.Listen(context.Background(), network, address)
	switch {
	case err == nil:
		return l, nil
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("can't listen on %s: the address is in use by another program (ss -ltnp shows which): stop that one, or choose another address: %w", address, err)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("can't listen on %s: not permitted: choose a port from 1024 on, or run with CAP_NET_BIND_SERVICE: %w", address, err)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, fmt.Errorf("can't listen on %s: this host has no such address: give one of its own, or :%s for all of them: %w", address, port, err)
	default:
		return nil, fmt.Errorf("can't listen on %s: %w", address, err)
	}
}
