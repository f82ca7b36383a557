//go:build unix

package execcheck

import (
	"bytes"
	"io"
	"os"
	"syscall"
	"time"

	"hale/internal/check"
)

// maxOutput is how many bytes are kept of each of a run's two outputs.
const maxOutput = 4 << 10

// An output reads one of a run's outputs: it keeps the first bytes and throws
// away the rest, so that the program never has to wait.
type output struct {
	read *os.File
	kept []byte        // not to be looked at before done
	done chan struct{} // closed at the end
}

// newOutput returns an output and the end of its pipe that the program gets.
func newOutput() (*output, *os.File, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	return &output{read: read, done: make(chan struct{})}, write, nil
}

func (o *output) collect() {
	defer close(o.done)
	buf := make([]byte, maxOutput)
	n, err := io.ReadFull(o.read, buf)
	o.kept = buf[:n]
	if err == nil {
		_, _ = io.Copy(io.Discard, o.read)
	}
}

// finish waits for the end of the output, but not beyond the deadline: somebody
// who could not be killed may still hold it.
func (o *output) finish(deadline time.Time) {
	_ = o.read.SetReadDeadline(deadline)
	<-o.done
	o.rest()
	_ = o.read.Close()
}

// rest reads what the program had written when collect was stopped: a busy
// machine may not have let it get there in time.
func (o *output) rest() {
	_ = o.read.SetReadDeadline(time.Time{})
	conn, err := o.read.SyscallConn()
	if err != nil {
		return
	}
	_ = conn.Read(func(fd uintptr) bool {
		n, _ := syscall.Read(int(fd), o.kept[len(o.kept):cap(o.kept)])
		o.kept = o.kept[:len(o.kept)+max(n, 0)]
		return true
	})
}

// line returns the first line that is not blank, cleaned, or nothing.
func (o *output) line() string {
	for line := range bytes.Lines(o.kept) {
		if text := check.CleanText(string(line)); text != "" {
			return text
		}
	}
	return ""
}
