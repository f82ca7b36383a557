package docker

import (
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"hale/internal/engine"
)

// maxTable is how much of a table of the kernel is read.
const maxTable = 1 << 20

// ownIDs are what may be the id, or the beginning of the id, of the container
// that this process runs in. A process on a host has none, or those of another
// engine.
type ownIDs struct {
	// certain are from the control group, which an engine names after the
	// container.
	certain []string
	// network are from the files that an engine mounts from the container's
	// directory, and from the host's name: when a container has joined another's
	// network, these are that one's.
	network []string
}

// readIDs finds them in the text of /proc/self/mountinfo and /proc/self/cgroup
// and the host's name.
func readIDs(mountinfo, cgroup, hostname string) ownIDs {
	var ids ownIDs
	for line := range strings.Lines(cgroup) {
		ids.certain = append(ids.certain, idsIn(strings.TrimSpace(line))...)
	}
	for line := range strings.Lines(mountinfo) {
		// proc(5): the fourth field is the root within the file system, the
		// fifth where it is mounted.
		fields := strings.Fields(line)
		if len(fields) > 5 && slices.Contains([]string{"/etc/hostname", "/etc/hosts", "/etc/resolv.conf"}, fields[4]) {
			ids.network = append(ids.network, idsIn(fields[3])...)
		}
	}
	if len(hostname) == 12 && isHex(hostname) {
		ids.network = append(ids.network, hostname)
	}
	return ids
}

// idsIn finds ids in the parts of a path: ID, or docker-ID.scope.
func idsIn(path string) []string {
	var ids []string
	for _, part := range strings.FieldsFunc(path, func(r rune) bool { return r == '/' || r == '-' || r == '.' || r == ':' }) {
		if len(part) == 64 && isHex(part) {
			ids = append(ids, part)
		}
	}
	return ids
}

func isHex(s string) bool {
	_, err := hex.DecodeString(s)
	return err == nil
}

// find finds hale's own container in a list; nil is that it is in none of them.
// ownPorts are those on which hale listens.
func (ids ownIDs) find(list []engine.Container, ownPorts []int) *engine.Container {
	if c := byID(ids.certain, list); c != nil {
		return c
	}
	c := byID(ids.network, list)
	if c == nil || exposes(c, ownPorts) {
		return c
	}
	var joined []*engine.Container
	for i, other := range list {
		if (other.State.Running || other.State.Status == "created") && other.NetworkMode == "container:"+c.ID {
			joined = append(joined, &list[i])
		}
	}
	for _, other := range joined {
		if exposes(other, ownPorts) || len(joined) == 1 {
			return other
		}
	}
	return c
}

// byID returns the first container that one of the ids is of. It need not run as
// far as its engine says: hale may ask before the engine has written down that
// it has started it.
func byID(ids []string, list []engine.Container) *engine.Container {
	for _, id := range ids {
		for i, c := range list {
			if strings.HasPrefix(c.ID, id) {
				return &list[i]
			}
		}
	}
	return nil
}

func exposes(c *engine.Container, ports []int) bool {
	return slices.ContainsFunc(c.Exposed, func(p engine.Port) bool { return p.Proto == "tcp" && slices.Contains(ports, p.Number) })
}

// processIDs are the ownIDs of this process.
func processIDs() ownIDs {
	hostname, _ := os.Hostname()
	return readIDs(readSome("/proc/self/mountinfo"), readSome("/proc/self/cgroup"), hostname)
}

// readSome reads a file of /proc; "" when there is none.
func readSome(path string) string {
	content, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return string(content[:min(len(content), maxTable)])
}

// bridgeNames lists this host's bridges.
func bridgeNames() []string {
	var names []string
	paths, _ := filepath.Glob("/sys/class/net/*/bridge")
	for _, path := range paths {
		names = append(names, filepath.Base(filepath.Dir(path)))
	}
	return names
}

// defaultGateway reads the gateway of the default route from the text of
// /proc/net/route, whose addresses are hexadecimal in the host's byte order.
func defaultGateway(routes string) string {
	for line := range strings.Lines(routes) {
		fields := strings.Fields(line)
		if len(fields) < 3 || fields[1] != "00000000" {
			continue
		}
		b, err := hex.DecodeString(fields[2])
		if err == nil && len(b) == 4 && fields[2] != "00000000" {
			binary.NativeEndian.PutUint32(b, binary.BigEndian.Uint32(b))
			return netip.AddrFrom4([4]byte(b)).String()
		}
	}
	return ""
}

// remoteHost returns the host of an engine that is not on this one; "" when it
// is.
func remoteHost(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Scheme == "unix" {
		return ""
	}
	host := u.Hostname()
	if addr, err := netip.ParseAddr(host); host == "localhost" || err == nil && addr.IsLoopback() {
		return ""
	}
	return host
}
