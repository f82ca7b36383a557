//go:build !linux

package oneshot

import "syscall"

// childAttributes are none elsewhere.
func childAttributes() *syscall.SysProcAttr { return nil }
