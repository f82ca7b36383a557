package check

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// Dial opens a connection the way every kind does. An empty host means this
// host: the loopback addresses first, then the addresses of its interfaces, so
// that a service is found whichever of them it is bound to. Names are resolved
// at every call.
//
// On Linux a TCP connection from Dial leaves no socket in TIME_WAIT when it is
// closed before its peer closes it, so that any number of checks exhaust
// neither ports nor memory. The peer sees an ordinary close.
func Dial(ctx context.Context, network, address string) (net.Conn, error) {
	d := &dialer
	if ctx.Value(handshakeOnly{}) != nil {
		d = &handshakeDialer
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil || host != "" || network == "unix" {
		return d.DialContext(ctx, network, address)
	}
	return dialThisHost(ctx, d, network, port)
}

// HandshakeOnly returns a context for a call of [Dial] whose connection is only
// meant to show that the peer takes connections, and is then aborted with
// SetLinger(0) and Close. On Linux the last packet of TCP's handshake is held
// back (for at most 200 ms), so that the peer's kernel gets the reset in its
// place and the peer's program never sees a connection to accept, complain
// about, and log.
func HandshakeOnly(ctx context.Context) context.Context {
	return context.WithValue(ctx, handshakeOnly{}, true)
}

type handshakeOnly struct{}

// The dialers have keep-alive probes off: a check's connection is too short for
// them, and setting them up costs system calls.
var (
	dialer          = net.Dialer{KeepAlive: -1, Control: skipTimeWait}
	handshakeDialer = net.Dialer{KeepAlive: -1, Control: holdHandshake}
)

func dialThisHost(ctx context.Context, d *net.Dialer, network, port string) (net.Conn, error) {
	var tried []string
	try := func(hosts []string) (net.Conn, error) {
		for _, host := range hosts {
			if slices.Contains(tried, host) {
				continue
			}
			tried = append(tried, host)
			conn, err := d.DialContext(ctx, network, net.JoinHostPort(host, port))
			if err == nil || !nobodyThere(err) {
				return conn, err
			}
		}
		return nil, nil
	}
	conn, err := try([]string{"127.0.0.1", "::1"})
	if conn == nil && err == nil {
		conn, err = try(interfaceAddresses())
	}
	if conn == nil && err == nil {
		conn, err = try(loopbackListeners(port))
	}
	if conn == nil && err == nil {
		err = fmt.Errorf("dial %s :%s: %w on every address of this host (%d tried)", network, port, syscall.ECONNREFUSED, len(tried))
	}
	return conn, err
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

// OwnAddress reports whether an address is one of this host's: a loopback one, or
// one of its interfaces'. Where those can't be listed, only the first are known.
func OwnAddress(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	own, _ := net.InterfaceAddrs()
	return addr.IsLoopback() || slices.ContainsFunc(own, func(a net.Addr) bool {
		prefix, err := netip.ParsePrefix(a.String())
		return err == nil && prefix.Addr().Unmap() == addr
	})
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

// loopbackListeners returns the addresses of 127.0.0.0/8 on which a TCP socket
// listens on the port. All of that network is this host's without being on an
// interface, such as Debian's 127.0.1.1 for the host's own name. It is known
// on Linux only.
func loopbackListeners(port string) []string {
	file, err := os.Open("/proc/net/tcp")
	if err != nil {
		return nil
	}
	defer file.Close()
	var hosts []string
	lines := bufio.NewScanner(file)
	lines.Scan() // the heading
	for lines.Scan() {
		// "0: 0101007F:1538 00000000:0000 0A …": slot, local address in the
		// machine's byte order, remote address, state.
		fields := strings.Fields(lines.Text())
		const listen = "0A"
		if len(fields) < 4 || fields[3] != listen {
			break // the kernel lists listening sockets first
		}
		host, portHex, _ := strings.Cut(fields[1], ":")
		n, err := strconv.ParseUint(portHex, 16, 16)
		raw, hexErr := hex.DecodeString(host)
		if err != nil || hexErr != nil || len(raw) != 4 || strconv.FormatUint(n, 10) != port {
			continue
		}
		var ip [4]byte
		binary.NativeEndian.PutUint32(ip[:], binary.BigEndian.Uint32(raw))
		if addr := netip.AddrFrom4(ip); addr.IsLoopback() {
			hosts = append(hosts, addr.String())
		}
	}
	return hosts
}
