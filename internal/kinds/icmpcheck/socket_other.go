//go:build !linux

package icmpcheck

// reportErrors makes the kernel report what others say against a request; it is
// known on Linux only.
func reportErrors(int, bool) {}

// remedy says how to permit pings to this process.
func remedy() string { return "; run it as root" }
