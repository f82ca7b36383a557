package oneshot

import "syscall"

// childAttributes lets the kernel end the child when its parent is killed.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
