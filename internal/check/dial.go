package check

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"syscall"
)

// Dial opens a connection the way every kind does. An empty host means this
// host: the loopback addresses first, then the addresses of its interfaces, so
// that a service is found whichever of them it is bound to. Names are resolved
// at every call.
func Dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil || host != "" || network == "unix" {
		return dialer.DialContext(ctx, network, address)
	}
	return dialThisHost(ctx, network, port)
}

// dialer has keep-alive probes off: a check's connection is too short for them,
// and setting them up costs system calls.
var dialer = net.Dialer{KeepAlive: -1}

func dialThisHost(ctx context.Context, network, port string) (net.Conn, error) {
	tried := []string{"127.0.0.1", "::1"}
	for _, host := range tried {
		conn, err := dialer.DialContext(ctx, network, net.JoinHostPort(host, port))
		if err == nil || !nobodyThere(err) {
			return conn, err
		}
	}
	for _, host := range interfaceAddresses() {
		if slices.Contains(tried, host) {
			continue
		}
		tried = append(tried, host)
		conn, err := dialer.DialContext(ctx, network, net.JoinHostPort(host, port))
		if err == nil || !nobodyThere(err) {
			return conn, err
		}
	}
	return nil, fmt.Errorf("dial %s :%s: %w on every address of this host (%d tried)", network, port, syscall.ECONNREFUSED, len(tried))
}

// nobodyThere reports whether another address of this host is worth a try.
func nobodyThere(err error) bool {
	for _, e := range []error{syscall.ECONNREFUSED, syscall.EADDRNOTAVAIL, syscall.ENETUNREACH, syscall.EHOSTUNREACH, syscall.EAFNOSUPPORT} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

func interfaceAddresses() []string {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var hosts []string
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && !n.IP.IsLinkLocalUnicast() {
			hosts = append(hosts, n.IP.String())
		}
	}
	return hosts
}
