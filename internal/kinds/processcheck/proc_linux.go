package processcheck

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// status is what of a process can change while it exists.
type status struct {
	comm string // the kernel's name for its program
	dead bool   // it has ended, and is a zombie
}

// A reader reads files of /proc, each with as few system calls as it takes. What
// of a file does not fit is not read: no more than the beginning is needed of
// those that may be long.
type reader struct{ buf [4 << 10]byte }

// read returns what a process's file holds, until the next call. An error is
// mostly that the process has ended, or that hale may not look.
func (r *reader) read(pid int, name string) ([]byte, error) {
	fd, err := unix.Open("/proc/"+strconv.Itoa(pid)+"/"+name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	n, err := unix.Read(fd, r.buf[:])
	for err == unix.EINTR {
		n, err = unix.Read(fd, r.buf[:])
	}
	return r.buf[:max(n, 0)], err
}

// status returns a process's status. An error is that there is no such process.
func (r *reader) status(pid int) (status, error) {
	text, err := r.read(pid, "stat")
	if err != nil {
		return status{}, err
	}
	// 123 (comm) S 1 …, where comm may contain anything.
	open, end := bytes.IndexByte(text, '('), bytes.LastIndexByte(text, ')')
	if open < 0 || end < open {
		return status{}, unix.ESRCH
	}
	s := status{comm: string(text[open+1 : end])}
	fields := bytes.Fields(text[end+1:])
	const state, threads = 0, 17 // counted from the one after comm
	if len(fields) <= threads {
		return status{}, unix.ESRCH
	}
	switch fields[state][0] {
	case 'X', 'x':
		s.dead = true
	case 'Z':
		// Where only the first thread has ended, the others still work.
		s.dead = string(fields[threads]) == "0" || string(fields[threads]) == "1"
	}
	return s, nil
}

// maxComm is the greatest length of comm: that of TASK_COMM_LEN without a NUL.
const maxComm = 15

// runs reports whether a process's program is called that. An error is one of
// [isExhausted]; a process that has ended or is hidden is called nothing.
func (r *reader) runs(pid int, name string) (bool, error) {
	comm, err := r.read(pid, "comm")
	if err != nil {
		return false, exhausted(err)
	}
	if string(bytes.TrimSuffix(comm, []byte("\n"))) == name && len(name) <= maxComm {
		return true, nil
	}
	line, err := r.read(pid, "cmdline")
	if err != nil || len(line) == 0 {
		return false, exhausted(err) // empty: of the kernel's own, or a zombie
	}
	first, _, _ := bytes.Cut(line, []byte{0})
	// Some programs write a title over their arguments: "postgres: app app [local]".
	if isTitle := bytes.Contains(first, []byte(": ")); !isTitle && base(string(first)) == name {
		return true, nil
	}
	var link [unix.PathMax]byte
	n, err := unix.Readlink("/proc/"+strconv.Itoa(pid)+"/exe", link[:])
	if err != nil {
		return false, exhausted(err)
	}
	// The kernel says so when the file was replaced since.
	return base(strings.TrimSuffix(string(link[:n]), " (deleted)")) == name, nil
}

func base(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

// exhausted returns err only if there was no descriptor or memory to look with;
// that a process was not found then tells nothing.
func exhausted(err error) error {
	for _, e := range []error{unix.EMFILE, unix.ENFILE, unix.ENOMEM} {
		if errors.Is(err, e) {
			return err
		}
	}
	return nil
}

// processOf returns the process that a number belongs to: the number itself, or
// that of another process, of which it names a thread. /proc has threads too,
// though it does not list them. An error is that there is nothing of that number.
func (r *reader) processOf(id int) (pid int, err error) {
	line, err := r.statusLine(id, "Tgid:")
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(string(bytes.TrimSpace(line)))
}

// runsAs reports whether a process runs as the user: its effective one.
func (r *reader) runsAs(pid int, uid string) (bool, error) {
	line, err := r.statusLine(pid, "Uid:")
	if err != nil {
		return false, exhausted(err)
	}
	fields := bytes.Fields(line) // real, effective, saved, of the file system
	return len(fields) > 1 && string(fields[1]) == uid, nil
}

// statusLine returns what follows the key in a process's status file.
func (r *reader) statusLine(pid int, key string) ([]byte, error) {
	text, err := r.read(pid, "status")
	if err != nil {
		return nil, err
	}
	for line := range bytes.Lines(text) {
		if value, ok := bytes.CutPrefix(line, []byte(key)); ok {
			return value, nil
		}
	}
	return nil, unix.ESRCH
}

// eachProcess calls f with the id of every process that can be seen, until it
// returns an error.
func eachProcess(ctx context.Context, f func(pid int) error) error {
	dir, err := os.Open("/proc")
	if err != nil {
		return err
	}
	defer dir.Close()
	for {
		names, err := dir.Readdirnames(256)
		for _, name := range names {
			pid, err := strconv.Atoi(name)
			if err != nil {
				continue
			}
			if err := f(pid); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		}
	}
}
