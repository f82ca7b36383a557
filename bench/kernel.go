package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// cpuTime is the CPU time that a process has used, user and system, in all its
// threads: that of /proc/PID/stat, which counts hundredths of a second, to the
// nanosecond. It is 0 when there is no such process.
func cpuTime(pid int) time.Duration {
	// The clock of a process: clock_getcpuclockid(3), made as glibc makes it.
	const cpuClockSched = 2
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid)<<3|cpuClockSched, &t); err != nil {
		return 0
	}
	return time.Duration(t.Nano())
}

// ticks are the CPU time of a process in hundredths of a second.
type ticks struct{ user, system uint64 }

func readTicks(pid int) (ticks, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ticks{}, err
	}
	return parseTicks(string(text))
}

// parseTicks reads fields 14 and 15 of /proc/PID/stat, proc_pid_stat(5). Field 2
// is a name in parentheses that may hold anything.
func parseTicks(stat string) (ticks, error) {
	_, rest, ok := strings.Cut(stat[max(0, strings.LastIndexByte(stat, ')')):], ") ")
	fields := strings.Fields(rest) // from field 3 on
	if !ok || len(fields) < 13 {
		return ticks{}, fmt.Errorf("not a /proc/PID/stat: %q", stat)
	}
	user, err1 := strconv.ParseUint(fields[14-3], 10, 64)
	system, err2 := strconv.ParseUint(fields[15-3], 10, 64)
	return ticks{user, system}, errors.Join(err1, err2)
}

// memory is what a process has in memory, in bytes. What it shares with others
// counts in full in rss and divided by their number in pss.
type memory struct{ rss, pss uint64 }

func readMemory(pid int) (memory, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return memory{}, err
	}
	return parseMemory(text)
}

// parseMemory reads /proc/PID/smaps_rollup.
func parseMemory(text []byte) (memory, error) {
	found := map[string]uint64{}
	scanner := bufio.NewScanner(bytes.NewReader(text))
	for scanner.Scan() {
		fields := strings.Fields(scanner.Text())
		if len(fields) != 3 || fields[2] != "kB" {
			continue
		}
		n, err := strconv.ParseUint(fields[1], 10, 64)
		if err != nil {
			return memory{}, err
		}
		found[fields[0]] = n << 10 // a kB of the kernel is 1,024 bytes
	}
	m := memory{rss: found["Rss:"], pss: found["Pss:"]}
	if m.rss == 0 || m.pss == 0 {
		return m, errors.New("smaps_rollup has no Rss or Pss")
	}
	return m, scanner.Err()
}

// connectionsTo counts the connections of this machine to a port of 127.0.0.1
// that are established.
func connectionsTo(port int) (int, error) {
	text, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		return 0, err
	}
	return countEstablished(string(text), port), nil
}

// countEstablished counts the lines of /proc/net/tcp, proc_net(5), whose remote
// address is the port at 127.0.0.1 and whose state is 01, established.
func countEstablished(table string, port int) int {
	remote := fmt.Sprintf("0100007F:%04X", port)
	count := 0
	for line := range strings.Lines(table) {
		if fields := strings.Fields(line); len(fields) > 3 && fields[2] == remote && fields[3] == "01" {
			count++
		}
	}
	return count
}
