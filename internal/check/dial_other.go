//go:build !linux

package check

import "syscall"

// skipTimeWait does nothing where the kernel has no option for it.
func skipTimeWait(string, string, syscall.RawConn) error { return nil }

// holdHandshake does nothing where the kernel has no option for it.
func holdHandshake(string, string, syscall.RawConn) error { return nil }
