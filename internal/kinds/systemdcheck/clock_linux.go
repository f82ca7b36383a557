package systemdcheck

import (
	"time"

	"golang.org/x/sys/unix"
)

// monotonic is the clock by which systemd measures how long a unit is active,
// and which nobody sets: CLOCK_MONOTONIC, clock_gettime(2). 0 is not known.
func monotonic() time.Duration {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return 0
	}
	return time.Duration(now.Nano())
}
