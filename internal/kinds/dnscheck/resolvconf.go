package dnscheck

import (
	"bufio"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
)

const (
	// maxServers is how many name servers the C library uses (MAXNS,
	// resolv.conf(5)).
	maxServers = 3
	// maxResolvConf is how many bytes are read of resolv.conf.
	maxResolvConf = 64 << 10
)

// nameServers returns the host:port of the name servers in resolv.conf. Without
// any it is one on this host, as resolv.conf(5) has it.
func nameServers(path string) ([]string, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var servers []string
	lines := bufio.NewScanner(io.LimitReader(file, maxResolvConf))
	for lines.Scan() && len(servers) < maxServers {
		fields := strings.Fields(lines.Text())
		if len(fields) < 2 || fields[0] != "nameserver" {
			continue
		}
		// A zone is a part of a link-local IPv6 address.
		if addr, err := netip.ParseAddr(fields[1]); err == nil {
			servers = append(servers, net.JoinHostPort(addr.String(), "53"))
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(servers) == 0 {
		servers = []string{"127.0.0.1:53"}
	}
	return servers, nil
}
