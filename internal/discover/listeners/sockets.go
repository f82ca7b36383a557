package listeners

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"hale/internal/check"
)

// maxSockets is how many listening sockets are read of each family.
const maxSockets = 20000

// socket is one that listens.
type socket struct {
	addr  netip.Addr
	port  int
	inode uint64
}

// readSockets reads the listening TCP sockets of this host, or of the network
// namespace that hale is in.
func readSockets(root string) ([]socket, error) {
	sockets, err := readFamily(filepath.Join(root, "net", "tcp"))
	if err != nil {
		return nil, fmt.Errorf("read the listening ports: %w", err)
	}
	six, err := readFamily(filepath.Join(root, "net", "tcp6"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // it is missing where IPv6 is off
		return nil, fmt.Errorf("read the listening ports: %w", err)
	}
	return append(sockets, six...), nil
}

func readFamily(path string) ([]socket, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return parseSockets(file)
}

// parseSockets reads lines such as
//
//	0: 0100007F:1538 00000000:0000 0A 00000000:00000000 00:00000000 00000000  103  0 4242 1 …
//
// slot, local address, remote address, state, queues, timer, retransmits, user,
// timeout, inode (Linux, net/ipv4/tcp_ipv4.c). A line that is not like that is
// passed over.
func parseSockets(r io.Reader) ([]socket, error) {
	var sockets []socket
	lines := bufio.NewScanner(r)
	lines.Scan() // the heading
	for lines.Scan() && len(sockets) < maxSockets {
		fields := strings.Fields(lines.Text())
		if len(fields) < 10 {
			continue
		}
		const listen = "0A"
		if fields[3] != listen {
			break // the kernel lists those that listen first
		}
		addr, port, ok := parseAddress(fields[1])
		inode, err := strconv.ParseUint(fields[9], 10, 64)
		if ok && err == nil {
			sockets = append(sockets, socket{addr, port, inode})
		}
	}
	return sockets, lines.Err()
}

// parseAddress reads an address of which each 32 bits are in the machine's byte
// order, and a port in hexadecimal.
func parseAddress(text string) (netip.Addr, int, bool) {
	host, portText, _ := strings.Cut(text, ":")
	port, err := strconv.ParseUint(portText, 16, 16)
	raw, hexErr := hex.DecodeString(host)
	if err != nil || hexErr != nil || port == 0 || len(raw)%4 != 0 {
		return netip.Addr{}, 0, false
	}
	for i := 0; i < len(raw); i += 4 {
		binary.NativeEndian.PutUint32(raw[i:], binary.BigEndian.Uint32(raw[i:]))
	}
	addr, ok := netip.AddrFromSlice(raw)
	return addr.Unmap(), int(port), ok
}

// portSet is a set of ports, written as numbers and ranges.
type portSet struct{ ranges [][2]int }

// UnmarshalText reads a set such as 80,8000-8100.
func (p *portSet) UnmarshalText(text []byte) error {
	p.ranges = nil
	for part := range strings.SplitSeq(string(text), ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		lowText, highText, isRange := strings.Cut(part, "-")
		if !isRange {
			highText = lowText
		}
		low, err := strconv.Atoi(strings.TrimSpace(lowText))
		high, highErr := strconv.Atoi(strings.TrimSpace(highText))
		if err != nil || highErr != nil || low < 1 || high > 65535 || low > high {
			return fmt.Errorf("%q is not a port or a range of ports; write such as 80,8000-8100", check.CleanText(part))
		}
		p.ranges = append(p.ranges, [2]int{low, high})
	}
	return nil
}

// MarshalText writes the set as it is read.
func (p portSet) MarshalText() ([]byte, error) {
	var parts []string
	for _, r := range p.ranges {
		if r[0] == r[1] {
			parts = append(parts, strconv.Itoa(r[0]))
			continue
		}
		parts = append(parts, fmt.Sprintf("%d-%d", r[0], r[1]))
	}
	return []byte(strings.Join(parts, ",")), nil
}

func (p portSet) has(port int) bool {
	for _, r := range p.ranges {
		if r[0] <= port && port <= r[1] {
			return true
		}
	}
	return false
}

// handedOut returns which ports the kernel gives to who asks for any: those of
// ip_local_port_range but for ip_local_reserved_ports. Where that begins far
// below its usual start, as on hosts that make many connections, it tells
// nothing of the ports down there, where services are.
func handedOut(root string) func(port int) bool {
	const usualStart = 32768
	low, high := usualStart, 60999
	ipv4 := filepath.Join(root, "sys", "net", "ipv4")
	if text, err := os.ReadFile(filepath.Join(ipv4, "ip_local_port_range")); err == nil {
		_, _ = fmt.Sscan(string(text), &low, &high)
	}
	low = max(low, usualStart)
	var reserved portSet
	if text, err := os.ReadFile(filepath.Join(ipv4, "ip_local_reserved_ports")); err == nil {
		_ = reserved.UnmarshalText(text)
	}
	return func(port int) bool { return low <= port && port <= high && !reserved.has(port) }
}
