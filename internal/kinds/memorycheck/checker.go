package memorycheck

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"

	"hale/internal/check"
	"hale/internal/quantity"
)

type checker struct {
	free, swap quantity.Share
	cgroup     bool
	files      fs.FS
}

// memory is how much there is, in bytes, and how much of it is available.
type memory struct {
	total, available uint64
	// of says what it is the memory of: "" for the host, else a cgroup.
	of string
}

// Check reads the kernel's figures.
func (c *checker) Check(ctx context.Context) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", fmt.Errorf("memory: %w", err)
	}
	text, err := fs.ReadFile(c.files, "proc/meminfo")
	if errors.Is(err, fs.ErrNotExist) {
		return "", check.Failf(check.ReasonMissing, "memory: there is no /proc/meminfo; the check needs Linux and a mounted /proc")
	}
	if err != nil {
		return "", check.Failf(check.ReasonOf(err), "memory: %w", err)
	}
	info := meminfo(text)
	m := memory{total: info["MemTotal"], available: info["MemAvailable"]}
	if _, ok := info["MemAvailable"]; !ok || m.total == 0 {
		return "", check.Failf(check.ReasonProtocol, "memory: /proc/meminfo has no MemTotal or MemAvailable, which Linux has had since 3.14")
	}
	if c.cgroup {
		m = c.limited(m)
	}
	return c.judge(m, info["SwapTotal"], info["SwapTotal"]-min(info["SwapTotal"], info["SwapFree"]))
}

func (c *checker) judge(m memory, swapTotal, swapUsed uint64) (string, error) {
	note := fmt.Sprintf("%s of %s (%s) available%s", quantity.Bytes(m.available), quantity.Bytes(m.total), quantity.PercentOf(m.available, m.total), m.of)
	if m.available < c.free.Of(m.total) {
		return "", check.Failf(check.ReasonSize, "memory: %s, want at least %v", note, c.free)
	}
	if swapTotal == 0 {
		return note, nil
	}
	swap := fmt.Sprintf("%s of %s (%s) swap used", quantity.Bytes(swapUsed), quantity.Bytes(swapTotal), quantity.PercentOf(swapUsed, swapTotal))
	if swapUsed > c.swap.Of(swapTotal) {
		return "", check.Failf(check.ReasonSize, "memory: %s, want at most %v; memory: %s", swap, c.swap, note)
	}
	return note + ", " + swap, nil
}

// meminfo reads /proc/meminfo, whose lines are of the form "MemTotal: 123 kB":
// proc_meminfo(5). It returns bytes.
func meminfo(text []byte) map[string]uint64 {
	info := make(map[string]uint64, 4)
	for line := range bytes.Lines(text) {
		name, rest, _ := bytes.Cut(line, []byte(":"))
		switch string(name) {
		case "MemTotal", "MemAvailable", "SwapTotal", "SwapFree":
			number, unit, _ := bytes.Cut(bytes.TrimSpace(rest), []byte(" "))
			if n, err := strconv.ParseUint(string(number), 10, 54); err == nil && string(unit) == "kB" {
				info[string(name)] = n << 10
			}
		}
	}
	return info
}
