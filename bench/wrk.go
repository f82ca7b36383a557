package main

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// wrkResult is what a run of wrk came to.
type wrkResult struct {
	perSecond float64
	p99       time.Duration
	refused   int    // answers that were not 2xx or 3xx
	errors    string // of sockets, empty if there were none
}

// wrk asks a URL for some seconds over 32 connections that are kept, as fast as
// the answers come.
func wrk(ctx context.Context, url string, seconds int) (wrkResult, error) {
	path, err := program("wrk", "wrk")
	if err != nil {
		return wrkResult{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(seconds+10)*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "-t1", "-c32", "-d"+strconv.Itoa(seconds)+"s", "--latency", url)
	cmd.SysProcAttr = childAttributes()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return wrkResult{}, fmt.Errorf("wrk: %w\n%s", err, out.String())
	}
	result, err := parseWrk(out.String())
	if err == nil && result.errors != "" {
		err = fmt.Errorf("wrk %s: socket errors: %s", url, result.errors)
	}
	return result, err
}

// parseWrk reads what wrk 4 writes with --latency.
func parseWrk(out string) (r wrkResult, err error) {
	for line := range strings.Lines(out) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		value = strings.TrimSpace(value)
		switch name {
		case "Requests/sec":
			r.perSecond, err = strconv.ParseFloat(value, 64)
		case "Non-2xx or 3xx responses":
			r.refused, err = strconv.Atoi(value)
		case "Socket errors":
			r.errors = value
		default:
			if fields := strings.Fields(name); len(fields) == 2 && fields[0] == "99%" {
				// wrk's units us, ms, s, m and h are Go's.
				r.p99, err = time.ParseDuration(fields[1])
			}
		}
		if err != nil {
			return r, fmt.Errorf("wrk: %w in %q", err, line)
		}
	}
	if r.perSecond == 0 || r.p99 == 0 {
		return r, fmt.Errorf("wrk gave no rate or no p99:\n%s", out)
	}
	return r, nil
}
