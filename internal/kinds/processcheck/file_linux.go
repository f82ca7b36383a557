package processcheck

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"hale/internal/check"
)

// Check looks whether the process runs whose number is in the pid file.
func (c *byFile) Check(ctx context.Context) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", fmt.Errorf("%s: %w", c.path, err)
	}
	pid, comm, err := c.find()
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("process %d (%s)", pid, comm), nil
}

// Watch calls changed when the process ends.
func (c *byFile) Watch(ctx context.Context, changed func()) error {
	return watch(ctx, changed, func(context.Context) ([]int, error) {
		pid, _, err := c.find()
		return []int{pid}, err
	})
}

// find returns the process, if it runs and is as it should be.
func (c *byFile) find() (pid int, comm string, err error) {
	pid, written, err := readPIDFile(c.path)
	if err != nil {
		return 0, "", err
	}
	var r reader
	s, err := r.status(pid)
	owner := 0
	if err == nil {
		owner, err = r.processOf(pid)
	}
	switch {
	case exhausted(err) != nil:
		return 0, "", check.Failf(check.ReasonOther, "looking at process %d of %s: %w", pid, c.path, err)
	case err != nil:
		return 0, "", check.Failf(check.ReasonMissing, "%s names process %d, which does not run; the file is left from %s ago%s", c.path, pid, age(written), hiddenHint(&r))
	case owner != pid:
		return 0, "", check.Failf(check.ReasonMissing, "%s names process %d, which does not run; the number is now that of a thread of process %d (%s), and the file is left from %s ago", c.path, pid, owner, s.comm, age(written))
	case s.dead:
		return 0, "", check.Failf(check.ReasonMissing, "%s names process %d (%s), which has ended and is a zombie: its parent has not asked how it ended", c.path, pid, s.comm)
	}
	if c.program != "" {
		ok, err := r.runs(pid, c.program)
		if err != nil {
			return 0, "", check.Failf(check.ReasonOther, "looking at process %d of %s: %w", pid, c.path, err)
		}
		if !ok {
			return 0, "", check.Failf(check.ReasonMissing, "%s names process %d, which runs %q now, want %q; the file is left from %s ago", c.path, pid, s.comm, c.program, age(written))
		}
	}
	if err := c.expectUser(&r, pid); err != nil {
		return 0, "", err
	}
	return pid, s.comm, nil
}

func (c *byFile) expectUser(r *reader, pid int) error {
	if c.user == "" {
		return nil
	}
	uid, err := userID(c.user)
	if err != nil {
		return err
	}
	ok, err := r.runsAs(pid, uid)
	if err != nil {
		return check.Failf(check.ReasonOther, "looking at process %d of %s: %w", pid, c.path, err)
	}
	if !ok {
		return check.Failf(check.ReasonRole, "process %d of %s does not run as user %s", pid, c.path, c.user)
	}
	return nil
}

// hiddenHint says so when /proc shows hale some processes only.
func hiddenHint(r *reader) string {
	if _, err := r.status(1); err == nil {
		return ""
	}
	return fmt.Sprintf("; /proc hides processes of others from hale, which runs as user %d (hidepid)", os.Geteuid())
}

func age(written time.Time) string {
	return max(0, time.Since(written)).Truncate(time.Second).String()
}

// maxPIDFile is how many bytes of a pid file are read. Some have more lines than
// the one with the number, such as PostgreSQL's.
const maxPIDFile = 64

// maxPID is the highest process id that Linux gives: PID_MAX_LIMIT.
const maxPID = 1 << 22

// readPIDFile returns the number in the first line of a file, and when it was
// written.
func readPIDFile(path string) (pid int, written time.Time, err error) {
	// O_NONBLOCK: to open a named pipe would wait for its writer.
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return 0, time.Time{}, explainOpen(path, err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		return 0, time.Time{}, check.Failf(check.ReasonMissing, "%s is not a regular file; give the pid file, or process:NAME for a name", path)
	}
	var text []byte
	if err == nil {
		text, err = io.ReadAll(io.LimitReader(file, maxPIDFile))
	}
	if err != nil {
		return 0, time.Time{}, check.Failf(check.ReasonOf(err), "reading %s: %w", path, err)
	}
	line, _, _ := strings.Cut(string(text), "\n")
	line = strings.TrimSpace(line)
	pid, err = strconv.Atoi(line)
	switch {
	case line == "":
		return 0, time.Time{}, check.Failf(check.ReasonBody, "%s is empty, want a process id; it may be just being written", path)
	case err != nil || pid < 1 || pid > maxPID:
		return 0, time.Time{}, check.Failf(check.ReasonBody, "%s holds %q, want a process id", path, check.CleanText(line))
	}
	return pid, info.ModTime(), nil
}

func explainOpen(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return check.Failf(check.ReasonMissing, "%s does not exist; does the program run that writes it?", path)
	case errors.Is(err, fs.ErrPermission):
		return check.Failf(check.ReasonPermission, "hale, running as user %d, may not read %s", os.Geteuid(), path)
	default:
		return check.Failf(check.ReasonOf(err), "opening the pid file: %w", err)
	}
}
