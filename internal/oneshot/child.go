package oneshot

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"time"

	"hale/internal/check"
)

// A process can't end while one of its threads is stuck in the kernel, as a look
// at a file system whose server is gone may be. So checks that may hang so run
// in a child, which the command leaves behind if it has to.

// answerTo is the variable that makes a process such a child: the file
// descriptor for its answer.
const answerTo = "HALE_ANSWER_FD"

// An answer is all that the child would have written, and its exit code.
type answer struct {
	Code     int
	Out, Err string
}

// perform runs a command: in a child it answers to its parent.
func (p Program) perform(ctx context.Context, command func(context.Context, *Program) int) int {
	fd, err := strconv.Atoi(os.Getenv(answerTo))
	if err != nil || fd <= 2 {
		return command(ctx, &p)
	}
	var out, errOut bytes.Buffer
	p.Out, p.Err, p.child = &out, &errOut, true
	code := command(ctx, &p)
	to := os.NewFile(uintptr(fd), "answer")
	if err := json.NewEncoder(to).Encode(answer{code, out.String(), errOut.String()}); err != nil {
		return exitFail
	}
	return code
}

// mayHang reports whether one of the checks may hang beyond its timeout.
func (p *Program) mayHang(checks []*check.Check) bool {
	return !p.child && slices.ContainsFunc(checks, func(c *check.Check) bool {
		hanger, ok := c.Checker.(check.Hanger)
		return ok && hanger.MayHang()
	})
}

// inChild runs the command with the arguments in a child and says what it said.
func (p *Program) inChild(ctx context.Context, command string, args []string) int {
	self, err := os.Executable()
	if err != nil {
		return p.fail(exitFail, command, err)
	}
	from, to, err := os.Pipe()
	if err != nil {
		return p.fail(exitFail, command, err)
	}
	defer from.Close()
	child := exec.Command(self, append([]string{command}, args...)...)
	child.Args[0] = p.Name // what it is called does not matter to it
	child.Env = append(os.Environ(), answerTo+"=3")
	child.ExtraFiles = []*os.File{to}
	child.SysProcAttr = childAttributes()
	// The kernel takes the end of the thread that started the child for that of
	// the parent.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err = child.Start()
	_ = to.Close()
	if err != nil {
		return p.fail(exitFail, command, fmt.Errorf("starting the process that may hang: %w", err))
	}
	stop := context.AfterFunc(ctx, func() { _ = child.Process.Signal(syscall.SIGTERM) })
	defer stop()
	var a answer
	if err := json.NewDecoder(from).Decode(&a); err != nil {
		_ = child.Process.Kill()
		return p.fail(exitFail, command, fmt.Errorf("the process that may hang ended without an answer: %w", err))
	}
	_, _ = io.WriteString(p.Out, a.Out)
	_, _ = io.WriteString(p.Err, a.Err)
	if a.Code != exitOK {
		return a.Code
	}
	// It ends now, and leaves no zombie to a command that takes this process's
	// place.
	ended := make(chan struct{})
	go func() {
		_ = child.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(grace):
	}
	return a.Code
}
