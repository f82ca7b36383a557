package icmpcheck

import (
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
)

// groupRange is where the groups are that may use the socket for everybody
// (icmp(7)); it is for IPv6 as well.
const groupRange = "/proc/sys/net/ipv4/ping_group_range"

// reportErrors makes the kernel report what routers and this host say against a
// request, such as that there is no such host (ip(7), ipv6(7)). Failing to do
// so only makes for a timeout in its place.
func reportErrors(fd int, v6 bool) {
	if v6 {
		_ = syscall.SetsockoptInt(fd, syscall.IPPROTO_IPV6, syscall.IPV6_RECVERR, 1)
		return
	}
	_ = syscall.SetsockoptInt(fd, syscall.IPPROTO_IP, syscall.IP_RECVERR, 1)
}

// remedy says how to permit pings to this process.
func remedy() string {
	now := "not known"
	if file, err := os.Open(groupRange); err == nil {
		text, _ := io.ReadAll(io.LimitReader(file, 64))
		_ = file.Close()
		now = strings.Join(strings.Fields(string(text)), " ")
	}
	group := os.Getegid()
	return fmt.Sprintf("; its group %d is not in net.ipv4.ping_group_range (now: %s): set that with sysctl to \"%d %d\", or give hale CAP_NET_RAW", group, now, group, group)
}
