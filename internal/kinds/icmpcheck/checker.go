package icmpcheck

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"hale/internal/check"
)

// maxAddresses is how many of a name's addresses are tried when there is no
// route to the first.
const maxAddresses = 4

// checker is immutable once made.
type checker struct {
	target, host string
	network      string // for the resolver: ip, ip4 or ip6
}

// Check pings once.
func (c *checker) Check(ctx context.Context) (string, error) {
	addrs, err := c.resolve(ctx)
	if err != nil {
		return "", fmt.Errorf("%s: %w", c.target, err)
	}
	for _, addr := range addrs[:min(len(addrs), maxAddresses)] {
		var took time.Duration
		if took, err = ping(ctx, addr); err == nil {
			return fmt.Sprintf("reply from %s in %v", addr, took.Round(time.Microsecond)), nil
		}
		if !noRoute(err) || ctx.Err() != nil {
			break
		}
	}
	return "", check.Failf(check.ReasonOf(err), "%s: %w", c.target, err)
}

// resolve returns the host's addresses, those to be preferred first.
func (c *checker) resolve(ctx context.Context) ([]netip.Addr, error) {
	if addr, err := netip.ParseAddr(c.host); err == nil {
		return []netip.Addr{addr.Unmap()}, ctx.Err()
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, c.network, c.host)
	for i := range addrs {
		addrs[i] = addrs[i].Unmap()
	}
	// The resolver's own word for a name whose addresses are all of the other
	// version of IP has no type that tells what it is.
	_, unsuitable := errors.AsType[*net.AddrError](err)
	if unsuitable && c.network != "ip" {
		err = &net.DNSError{Err: "it has no address of IPv" + strings.TrimPrefix(c.network, "ip"), Name: c.host, IsNotFound: true}
	}
	if err == nil && len(addrs) == 0 {
		err = &net.DNSError{Err: "no address", Name: c.host, IsNotFound: true}
	}
	return addrs, err
}

// noRoute reports whether another address of the same host may be reached.
func noRoute(err error) bool {
	for _, e := range []error{syscall.ENETUNREACH, syscall.EADDRNOTAVAIL, syscall.EAFNOSUPPORT} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// ping sends an echo request and waits for the reply to it, ignoring all else.
// It returns how long that was in coming.
func ping(ctx context.Context, addr netip.Addr) (time.Duration, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	socket, raw, err := open(addr)
	if err != nil {
		return 0, err
	}
	defer func() { _ = socket.Close() }()
	// A deadline in the past ends whatever the socket is waiting for.
	defer context.AfterFunc(ctx, func() { _ = socket.SetDeadline(time.Unix(1, 0)) })()
	e := echo{v6: addr.Is6()}
	_, _ = rand.Read(e.content[:]) // never fails
	if raw {
		// Else the kernel puts in that of the socket, and sees to it that only
		// what has it comes back.
		e.id = [2]byte(e.content[:2])
	}
	sent := time.Now()
	if _, err := socket.Write(e.request()); err != nil {
		return 0, fmt.Errorf("sending to %s: %w", addr, bare(err))
	}
	buffer := make([]byte, 1500)
	for {
		n, err := socket.Read(buffer)
		took := time.Since(sent)
		if err != nil {
			return 0, fmt.Errorf("no reply from %s: %w", addr, bare(err))
		}
		if e.isReply(buffer[:n], raw) {
			return took, nil
		}
	}
}
