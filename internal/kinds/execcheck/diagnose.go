//go:build unix

package execcheck

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"

	"hale/internal/check"
)

// diagnose says why a command could not be started, by what the kernel said of
// it (execve(2), errors) and a look at what it may have meant.
func (c *checker) diagnose(cmd command, err error) error {
	if cmd.dir != "" {
		if err := c.badDir(cmd.dir); err != nil {
			return err
		}
	}
	if _, ok := err.(syscall.Errno); !ok && !errors.Is(err, syscall.EMFILE) && !errors.Is(err, syscall.ENFILE) {
		return check.Failf(check.ReasonExec, "%s could not be run: %w", c.name(), err) // not the program's fault
	}
	switch {
	case errors.Is(err, syscall.EPERM) && cmd.credential != nil:
		return check.Failf(check.ReasonPermission, "%s could not be run as user %q: hale runs as user %d, and only root may become another; run hale as root, or leave out the option user", c.name(), c.user, os.Geteuid())
	case errors.Is(err, syscall.ENOENT):
		return c.diagnoseMissing(cmd.path, err)
	case errors.Is(err, syscall.ENOEXEC):
		return c.diagnoseFormat(cmd.path, err)
	case errors.Is(err, syscall.EACCES):
		return c.diagnoseDenied(cmd, err)
	case errors.Is(err, syscall.EAGAIN):
		return check.Failf(check.ReasonExec, "%s could not be run: the limit on the number of processes is reached (ulimit -u, or the container's pids.max): %w", c.name(), err)
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return check.Failf(check.ReasonExec, "%s could not be run: the limit on open files is reached (ulimit -n): %w", c.name(), err)
	case errors.Is(err, syscall.E2BIG):
		return check.Failf(check.ReasonExec, "%s could not be run: its arguments and environment are too long: %w", c.name(), err)
	case errors.Is(err, syscall.ETXTBSY):
		return check.Failf(check.ReasonExec, "%s could not be run: it is being written: %w", c.name(), err)
	}
	return check.Failf(check.ReasonExec, "%s could not be run: %w", c.name(), err)
}

func (c *checker) badDir(dir string) error {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return check.Failf(check.ReasonMissing, "%s could not be run: its working directory %s does not exist", c.name(), dir)
	case err != nil:
		return check.Failf(check.ReasonOf(err), "%s could not be run: its working directory: %w", c.name(), err)
	case !info.IsDir():
		return check.Failf(check.ReasonExec, "%s could not be run: its working directory %s is not a directory", c.name(), dir)
	}
	return nil
}

// diagnoseMissing is for ENOENT from a file that was there: its interpreter or
// its loader is not.
func (c *checker) diagnoseMissing(path string, err error) error {
	start := readStart(path)
	interpreter, ok := shebang(start)
	switch {
	case !ok && len(start) > 0:
		return check.Failf(check.ReasonExec, "%s could not be run: the loader it asks for is not on this system; it was built for another one, perhaps with another C library: %w", c.name(), err)
	case !ok:
		return check.Failf(check.ReasonMissing, "%s could not be run: %w", c.name(), err)
	case bytes.HasSuffix(interpreter, []byte("\r")):
		return check.Failf(check.ReasonExec, "%s could not be run: its first line ends as lines do on Windows, which makes the interpreter %q; save it with Unix line ends", c.name(), interpreter)
	}
	return check.Failf(check.ReasonExec, "%s could not be run: its interpreter %s, which its first line names, does not exist or can't be run itself; install it, or mend the line", c.name(), interpreter)
}

// diagnoseFormat is for a file that the kernel can't run by itself.
func (c *checker) diagnoseFormat(path string, err error) error {
	start := readStart(path)
	why := `it has no shebang; make its first line #!/bin/sh, or whatever is to run it`
	switch {
	case len(start) == 0:
		why = "it is empty, or hale may not read it"
	case bytes.HasPrefix(start, []byte("\x7fELF")):
		why = "it is a program for another kind of processor or system"
	case bytes.HasPrefix(start, []byte("\xef\xbb\xbf#!")):
		why = "there is a byte order mark before its shebang; save it as UTF-8 without one"
	case bytes.HasPrefix(start, []byte("#!")):
		why = "its first line names no interpreter; make it #!/bin/sh, or whatever is to run it"
	case bytes.IndexByte(start, 0) >= 0:
		why = "it is neither a program of this system nor a script"
	}
	return check.Failf(check.ReasonExec, "%s could not be run: %w: %s", c.name(), err, why)
}

// diagnoseDenied is for EACCES from a file that has a run bit for somebody.
func (c *checker) diagnoseDenied(cmd command, err error) error {
	who := os.Geteuid()
	if cmd.credential != nil {
		who = int(cmd.credential.Uid)
	}
	interpreter, ok := shebang(readStart(cmd.path))
	also := "a directory above it is closed to that user, or its file system is mounted noexec"
	if ok {
		also = "the same holds for its interpreter " + string(interpreter) + ", " + also
	}
	if cmd.dir != "" {
		also = "its working directory " + cmd.dir + " or " + also
	}
	return check.Failf(check.ReasonPermission, "%s could not be run: %w for user %d: the file is not theirs to run, or %s", c.name(), err, who, also)
}

// readStart returns as much of a file's start as the kernel looks at, or
// nothing when it can't be read.
func readStart(path string) []byte {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	buf := make([]byte, 256)
	n, err := io.ReadFull(f, buf)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return buf[:n]
}

// shebang returns the interpreter that a script's first line names.
func shebang(start []byte) (interpreter []byte, ok bool) {
	line, ok := bytes.CutPrefix(start, []byte("#!"))
	if !ok {
		return nil, false
	}
	line, _, _ = bytes.Cut(line, []byte("\n"))
	line = bytes.TrimLeft(line, " \t")
	interpreter, _, _ = bytes.Cut(line, []byte(" "))
	interpreter, _, _ = bytes.Cut(interpreter, []byte("\t"))
	return interpreter, len(interpreter) > 0
}
