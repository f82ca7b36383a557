package listeners

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// process is one that has a socket.
type process struct {
	pid   int
	name  string
	start uint64 // ticks since the machine started
}

// maxLinks is how many open files are looked at in one look.
const maxLinks = 1 << 20

// findOwners returns the processes that have the sockets open, by the sockets'
// inodes. Those of other users are seen by root alone.
func findOwners(ctx context.Context, root string, wanted map[uint64]bool) map[uint64][]process {
	owners := map[uint64][]process{}
	links := 0
	for _, pid := range pids(root) {
		if ctx.Err() != nil || links > maxLinks {
			break
		}
		var who process
		dir := filepath.Join(root, strconv.Itoa(pid), "fd")
		for _, fd := range namesIn(dir) {
			links++
			link, err := os.Readlink(filepath.Join(dir, fd))
			inode, isSocket := socketInode(link)
			if err != nil || !isSocket || !wanted[inode] {
				continue
			}
			if who.pid == 0 {
				name, start, err := startOf(root, pid)
				if err != nil {
					break // it has ended
				}
				who = process{pid, name, start}
			}
			owners[inode] = append(owners[inode], who)
		}
	}
	return owners
}

// socketInode reads a link such as socket:[4242].
func socketInode(link string) (uint64, bool) {
	text, isSocket := strings.CutPrefix(link, "socket:[")
	inode, err := strconv.ParseUint(strings.TrimSuffix(text, "]"), 10, 64)
	return inode, isSocket && err == nil
}

func pids(root string) []int {
	var pids []int
	for _, name := range namesIn(root) {
		if pid, err := strconv.Atoi(name); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// namesIn lists a directory, as far as that is allowed.
func namesIn(dir string) []string {
	file, err := os.Open(dir)
	if err != nil {
		return nil
	}
	defer file.Close()
	names, _ := file.Readdirnames(-1)
	return names
}

// owner picks the process that a listener is known by: the oldest, for workers
// come and go – but not the systemd that opened the socket for a service.
func owner(inodes []uint64, owners map[uint64][]process) process {
	var best process
	better := func(a, b process) bool {
		if a.byInit() != b.byInit() {
			return b.byInit()
		}
		return a.start < b.start || a.start == b.start && a.pid < b.pid
	}
	var oldest uint64
	for _, inode := range inodes {
		for _, p := range owners[inode] {
			if best.pid == 0 || better(p, best) {
				best = p
			}
			if oldest == 0 || p.start < oldest {
				oldest = p.start
			}
		}
	}
	best.start = oldest
	return best
}

func (p process) byInit() bool { return p.name == "systemd" }

// origin tells when hale's own process started.
type origin struct {
	start uint64 // ticks since the machine started
	young bool   // that was moments ago
}

// ownStart reads when the process started. The kernel counts in ticks of 1/100 s,
// whatever its own clock (sysconf(3), _SC_CLK_TCK).
func ownStart(root string, pid int) origin {
	_, start, err := startOf(root, pid)
	if err != nil {
		return origin{}
	}
	var uptime float64
	text, err := os.ReadFile(filepath.Join(root, "uptime"))
	if err == nil {
		_, err = fmt.Sscan(string(text), &uptime)
	}
	const moments = 10
	return origin{start, err == nil && uptime-float64(start)/100 < moments}
}
