package execcheck

import (
	"bytes"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// procfs reads the process table as proc(5) describes it. What can't be read is
// empty: the process is gone, or there is no descriptor to read it with.
type procfs struct {
	self   int
	usable bool
	// noLists is true on a kernel without CONFIG_PROC_CHILDREN. Children are
	// then found by looking at every process.
	noLists bool
}

func newProcfs() procfs {
	p := procfs{self: os.Getpid(), usable: usableProc()}
	_, err := os.Stat(p.listOf(p.self, strconv.Itoa(p.self)))
	p.noLists = err != nil
	return p
}

func (procfs) listOf(pid int, thread string) string {
	return "/proc/" + strconv.Itoa(pid) + "/task/" + thread + "/children"
}

// adopted returns hale's own children that it may have inherited; ok is false if
// they can't be read. The kernel gives orphans to the first thread; of those that
// hale started it lists there only the ones that this thread did.
func (p procfs) adopted() (pids []int, ok bool) {
	if p.noLists {
		return p.scan(p.self)
	}
	list, ok := read(p.listOf(p.self, strconv.Itoa(p.self)))
	return numbers(list), ok
}

// children returns a process's children.
func (p procfs) children(pid int) []int {
	if p.noLists {
		pids, _ := p.scan(pid)
		return pids
	}
	dir, err := os.Open("/proc/" + strconv.Itoa(pid) + "/task")
	if err != nil {
		return nil
	}
	defer dir.Close()
	threads, _ := dir.Readdirnames(-1)
	var pids []int
	for _, thread := range threads {
		list, _ := read(p.listOf(pid, thread))
		pids = append(pids, numbers(list)...)
	}
	return pids
}

// scan looks for a process's children among all processes.
func (p procfs) scan(parent int) (pids []int, ok bool) {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil, false
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	for _, name := range names {
		pid, notNumber := strconv.Atoi(name)
		if notNumber == nil && p.statField(pid, statParent) == strconv.Itoa(parent) {
			pids = append(pids, pid)
		}
	}
	return pids, err == nil
}

// Fields of /proc/PID/stat, counted from the one that follows the name.
const (
	statState   = 0
	statParent  = 1
	statSession = 3
)

func (procfs) statField(pid, n int) string {
	stat, _ := read("/proc/" + strconv.Itoa(pid) + "/stat")
	// The name is in parentheses and may contain anything.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if n >= len(fields) {
		return ""
	}
	return string(fields[n])
}

// zombie reports whether a process has ended and is not reaped.
func (p procfs) zombie(pid int) bool { return p.statField(pid, statState) == "Z" }

// session returns a process's session, or 0.
func (p procfs) session(pid int) int {
	session, _ := strconv.Atoi(p.statField(pid, statSession))
	return session
}

// limit returns the soft limit on file locks of a process, also of a dead one, or
// 0 when it is unlimited; ok is false if it can't be read.
func (procfs) limit(pid int) (soft uint64, ok bool) {
	limits, ok := read("/proc/" + strconv.Itoa(pid) + "/limits")
	for line := range bytes.Lines(limits) {
		if values, found := bytes.CutPrefix(line, []byte("Max file locks")); found {
			text, _, _ := bytes.Cut(bytes.TrimLeft(values, " "), []byte(" "))
			soft, _ = strconv.ParseUint(string(text), 10, 64)
		}
	}
	return soft, ok
}

// variable returns the value of a variable with a hexadecimal number in the
// environment that a process was started with, or 0.
func (procfs) variable(pid int, name string) uint64 {
	environ, _ := read("/proc/" + strconv.Itoa(pid) + "/environ")
	for entry := range bytes.SplitSeq(environ, []byte{0}) {
		if value, ok := bytes.CutPrefix(entry, []byte(name+"=")); ok {
			number, _ := strconv.ParseUint(string(value), 16, 64)
			return number
		}
	}
	return 0
}

// numbers returns the numbers in a list.
func numbers(list []byte) []int {
	var ns []int
	for field := range bytes.FieldsSeq(list) {
		if n, err := strconv.Atoi(string(field)); err == nil {
			ns = append(ns, n)
		}
	}
	return ns
}

// read reads a file of /proc with as few system calls as it takes: unlike
// [os.ReadFile] it does not ask for its size or try to have it watched.
func read(path string) (content []byte, ok bool) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, false
	}
	defer unix.Close(fd)
	buf := make([]byte, 0, 4<<10)
	for {
		n, err := unix.Read(fd, buf[len(buf):cap(buf)])
		if err == unix.EINTR {
			continue
		}
		if err != nil || n <= 0 {
			return buf, err == nil
		}
		if buf = buf[:len(buf)+n]; len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
	}
}
