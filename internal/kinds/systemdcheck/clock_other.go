//go:build !linux

package systemdcheck

import "time"

// monotonic is not known where there is no systemd.
func monotonic() time.Duration { return 0 }
