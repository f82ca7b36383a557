package loadcheck

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"hale/internal/check"
	"hale/internal/quantity"
)

type checker struct {
	max       float64
	minutes   int
	pressures []pressure
	files     fs.FS
}

// Check reads the kernel's figures.
func (c *checker) Check(ctx context.Context) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", fmt.Errorf("load: %w", err)
	}
	note, err := c.load()
	if err != nil {
		return "", err
	}
	for _, p := range c.pressures {
		share, err := c.pressure(p.resource)
		if err != nil {
			return "", err
		}
		if share > p.max {
			return "", check.Failf(check.ReasonSize, "load: something waited for %s in %v of the last minute, want at most %v", p.resource, share, p.max)
		}
		note += fmt.Sprintf(", %s pressure %v", p.resource, share)
	}
	return note, nil
}

// load judges the load average.
func (c *checker) load() (note string, err error) {
	text, err := fs.ReadFile(c.files, "proc/loadavg")
	if errors.Is(err, fs.ErrNotExist) {
		return "", check.Failf(check.ReasonMissing, "load: there is no /proc/loadavg; the check needs Linux and a mounted /proc")
	}
	if err != nil {
		return "", check.Failf(check.ReasonOf(err), "load: %w", err)
	}
	load, ok := average(string(text), c.minutes)
	if !ok {
		return "", check.Failf(check.ReasonProtocol, "load: /proc/loadavg is not as it should be: %q", check.CleanText(string(text)))
	}
	cpus := c.cpus()
	each := load / float64(cpus)
	note = fmt.Sprintf("load %v over %s, %.2f for each of %s", load, plural(c.minutes, "minute"), each, plural(cpus, "CPU"))
	if c.max > 0 && each > c.max {
		return "", check.Failf(check.ReasonSize, "load: %s, want at most %v", note, c.max)
	}
	return note, nil
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// average returns the load average over so many minutes of /proc/loadavg, which
// begins with those over 1, 5 and 15 minutes: "0.20 0.18 0.12 1/80 11206".
func average(text string, minutes int) (load float64, ok bool) {
	fields := strings.Fields(text)
	at := map[int]int{1: 0, 5: 1, 15: 2}[minutes]
	if len(fields) < 3 {
		return 0, false
	}
	load, err := strconv.ParseFloat(fields[at], 64)
	return load, err == nil && load >= 0
}

// cpus returns how many CPUs the host has in use: not those that hale itself may
// use, as the load is that of the whole host.
func (c *checker) cpus() int {
	text, err := fs.ReadFile(c.files, "sys/devices/system/cpu/online")
	if n := countList(strings.TrimSpace(string(text))); err == nil && n > 0 {
		return n
	}
	return runtime.NumCPU()
}

// countList counts the numbers in a list such as 0-3,5; 0 if it is none.
func countList(list string) int {
	n := 0
	for part := range strings.SplitSeq(list, ",") {
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		from, err1 := strconv.ParseUint(first, 10, 16)
		to, err2 := strconv.ParseUint(last, 10, 16)
		if err1 != nil || err2 != nil || to < from {
			return 0
		}
		n += int(to-from) + 1
	}
	return n
}

// pressure returns the share of the last minute in which something waited for a
// resource. Its file has a line such as
//
//	some avg10=0.00 avg60=1.23 avg300=0.50 total=1234
func (c *checker) pressure(resource string) (quantity.Percent, error) {
	name := "proc/pressure/" + resource
	text, err := fs.ReadFile(c.files, name)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.EOPNOTSUPP) {
		return 0, check.Failf(check.ReasonMissing, "load: this kernel does not measure pressure: there is no /%s; start it with psi=1, or leave max_%s_pressure out", name, resource)
	}
	if err != nil {
		return 0, check.Failf(check.ReasonOf(err), "load: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] != "some" {
			continue
		}
		for _, f := range fields[1:] {
			if value, ok := strings.CutPrefix(f, "avg60="); ok {
				if share, err := strconv.ParseFloat(value, 64); err == nil {
					return quantity.Percent(share), nil
				}
			}
		}
	}
	return 0, check.Failf(check.ReasonProtocol, "load: /%s is not as it should be: %q", name, check.CleanText(string(text)))
}
