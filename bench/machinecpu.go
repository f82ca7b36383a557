package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// machineCPU waits for a while and returns how much CPU time the whole machine
// has used in it.
func (b *bench) machineCPU(ctx context.Context) (time.Duration, error) {
	if err := sleep(ctx, 3*time.Second); err != nil { // what was begun before ends
		return 0, err
	}
	before, err := busyTime()
	if err != nil {
		return 0, err
	}
	if err := sleep(ctx, b.plan.minute); err != nil {
		return 0, err
	}
	after, err := busyTime()
	return after - before, err
}

// busyTime is the time that all processors have worked since the machine's
// start: the first line of /proc/stat, in ticks of 10 ms, without idle, iowait
// and what guests took, which is in the others.
func busyTime() (time.Duration, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	fields := strings.Fields(line)
	if len(fields) < 8 || fields[0] != "cpu" {
		return 0, fmt.Errorf("/proc/stat begins with %q", line)
	}
	var ticks int64
	for _, i := range []int{1, 2, 3, 6, 7} { // user, nice, system, irq, softirq
		n, err := strconv.ParseInt(fields[i], 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond, nil
}
