package main

import (
	"math"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const wrkOutput = `Running 1s test @ http://127.0.0.1:18000/readyz
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   329.71us  100.00us   4.04ms   96.03%
    Req/Sec    95.37k     2.12k   97.54k    81.82%
  Latency Distribution
     50%  321.00us
     75%  337.00us
     90%  365.00us
     99%    1.25ms
  104279 requests in 1.10s, 12.73MB read
Requests/sec:  94815.63
Transfer/sec:     11.57MB
`

func TestParseWrk(t *testing.T) {
	tests := []struct {
		name, out string
		want      wrkResult
	}{
		{"all well", wrkOutput, wrkResult{perSecond: 94815.63, p99: 1250 * time.Microsecond}},
		{"refused", wrkOutput + "  Non-2xx or 3xx responses: 17\n", wrkResult{perSecond: 94815.63, p99: 1250 * time.Microsecond, refused: 17}},
		{
			"socket errors", "  Socket errors: connect 0, read 3, write 0, timeout 0\n" + wrkOutput,
			wrkResult{perSecond: 94815.63, p99: 1250 * time.Microsecond, errors: "connect 0, read 3, write 0, timeout 0"},
		},
		{
			"other units", strings.NewReplacer("1.25ms", "1.05s", "94815.63", "7").Replace(wrkOutput),
			wrkResult{perSecond: 7, p99: 1050 * time.Millisecond},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseWrk(tt.out)
			if err != nil || got != tt.want {
				t.Errorf("got %+v, %v; want %+v", got, err, tt.want)
			}
		})
	}
	for _, out := range []string{"", "unable to connect", strings.Replace(wrkOutput, "99%", "98%", 1), strings.Replace(wrkOutput, "94815.63", "many", 1)} {
		if got, err := parseWrk(out); err == nil {
			t.Errorf("parseWrk(%.40q) = %+v without an error", out, got)
		}
	}
}

const metricsText = `# HELP go_gc_gogc_percent Heap size target percentage.
# TYPE go_gc_gogc_percent gauge
go_gc_gogc_percent 100
# HELP go_gc_gomemlimit_bytes Go runtime memory limit.
# TYPE go_gc_gomemlimit_bytes gauge
go_gc_gomemlimit_bytes 9.223372036854776e+18
# HELP go_sched_gomaxprocs_threads The current runtime.GOMAXPROCS setting.
# TYPE go_sched_gomaxprocs_threads gauge
go_sched_gomaxprocs_threads 2
# HELP hale_check_late_seconds How much later than due runs started.
# TYPE hale_check_late_seconds histogram
hale_check_late_seconds_bucket{le="0.001"} 10
hale_check_late_seconds_bucket{le="0.01"} 14
hale_check_late_seconds_bucket{le="+Inf"} 15
hale_check_late_seconds_sum 0.1
hale_check_late_seconds_count 15
# HELP hale_check_runs_total Runs of the check by the reason they failed for; ok is none.
# TYPE hale_check_runs_total counter
hale_check_runs_total{check="a",kind="http",reason="ok"} 5
hale_check_runs_total{check="b",kind="http",reason="ok"} 7
hale_check_runs_total{check="b",kind="http",reason="refused"} 3
# HELP hale_check_skipped_total Runs that were due while the last one was still going.
# TYPE hale_check_skipped_total counter
hale_check_skipped_total{check="a",kind="http"} 0
hale_check_skipped_total{check="b",kind="http"} 2
`

func TestParseMetrics(t *testing.T) {
	got, err := parseMetrics([]byte(metricsText))
	want := scrape{
		runs: map[string]float64{"ok": 12, "refused": 3}, skipped: 2,
		late: histogram{{0.001, 10}, {0.01, 14}, {math.Inf(1), 15}},
		gogc: 100, memoryLimit: math.MaxInt64, maxprocs: 2,
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(scrape{}, bucket{})); err != nil || diff != "" {
		t.Errorf("%v, want (-), got (+):\n%s", err, diff)
	}
	if got, want := got.allRuns(), 15.0; got != want {
		t.Errorf("allRuns() = %v, want %v", got, want)
	}
	for _, text := range []string{"", "<html>", strings.ReplaceAll(metricsText, "hale_check_runs_total", "runs"), strings.ReplaceAll(metricsText, "hale_check_late_seconds", "late")} {
		if _, err := parseMetrics([]byte(text)); err == nil {
			t.Errorf("no error for %.60q", text)
		}
	}
}

func TestFailures(t *testing.T) {
	before := scrape{runs: map[string]float64{"ok": 5, "refused": 1}, skipped: 1}
	tests := []struct {
		after scrape
		want  string
	}{
		{scrape{runs: map[string]float64{"ok": 9, "refused": 1}, skipped: 1}, "none"},
		{scrape{runs: map[string]float64{"ok": 9, "refused": 2, "dns": 4}, skipped: 4}, "4 dns, 1 refused, 3 skipped"},
	}
	for _, tt := range tests {
		if got := failures(before, tt.after); got != tt.want {
			t.Errorf("failures(%v) = %q, want %q", tt.after, got, tt.want)
		}
	}
}

func TestParseTicks(t *testing.T) {
	// The name of a program may hold blanks and parentheses.
	const stat = "42 (a (b) 1 2) S 1 42 42 0 -1 4194560 8 0 0 0 123 45 0 0 20 0 8 0 100 1 2"
	got, err := parseTicks(stat)
	if want := (ticks{user: 123, system: 45}); err != nil || got != want {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
	for _, bad := range []string{"", "42", "42 (a) S 1 2 3", strings.Replace(stat, "123", "x", 1)} {
		if _, err := parseTicks(bad); err == nil {
			t.Errorf("no error for %q", bad)
		}
	}
}

func TestParseMemory(t *testing.T) {
	const rollup = `00400000-7ffe0000 ---p 00000000 00:00 0    [rollup]
Rss:                1000 kB
Pss:                 900 kB
Pss_Dirty:           800 kB
Shared_Clean:          4 kB
`
	got, err := parseMemory([]byte(rollup))
	if want := (memory{rss: 1_024_000, pss: 921_600}); err != nil || got != want {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
	for _, bad := range []string{"", "Rss: 1000 kB\n", "Rss: x kB\nPss: 1 kB\n"} {
		if _, err := parseMemory([]byte(bad)); err == nil {
			t.Errorf("no error for %q", bad)
		}
	}
}

func TestCountEstablished(t *testing.T) {
	// Of port 18000 = 4650 hexadecimal: two established as the remote one, one
	// that is closing, one as the local one.
	const table = `  sl  local_address rem_address   st tx_queue rx_queue
   0: 0100007F:4650 00000000:0000 0A 00000000:00000000
   1: 0100007F:9999 0100007F:4650 01 00000000:00000000
   2: 0100007F:4650 0100007F:9999 01 00000000:00000000
   3: 0100007F:9998 0100007F:4650 06 00000000:00000000
   4: 0100007F:9997 0100007F:4650 01 00000000:00000000
   5: 0100007F:9996 0100007F:4651 01 00000000:00000000
`
	if got := countEstablished(table, 18000); got != 2 {
		t.Errorf("got %d, want 2", got)
	}
}

// TestKernel reads about the test itself what is read about hale.
func TestKernel(t *testing.T) {
	pid := os.Getpid()
	var usage syscall.Rusage
	before := cpuTime(pid)
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	after := cpuTime(pid)
	got := time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	// The kernel rounds the parts of a sum to microseconds.
	if got < before-time.Millisecond || got > after+time.Millisecond || before == 0 {
		t.Errorf("cpuTime is %v, then %v; getrusage says %v", before, after, got)
	}
	if m, err := readMemory(pid); err != nil || m.pss > m.rss {
		t.Errorf("readMemory: %+v, %v", m, err)
	}
	if _, err := readTicks(pid); err != nil {
		t.Error(err)
	}
	if _, err := connectionsTo(1); err != nil {
		t.Error(err)
	}
	if got := cpuTime(1<<22 + 1); got != 0 { // beyond the greatest there can be
		t.Errorf("a process that is not there has used %v", got)
	}
}

func TestParseClient(t *testing.T) {
	got, err := parseClient("1000 0.1\n500 0.2\n")
	if diff := cmp.Diff([]float64{0.1, 0.4}, got); err != nil || diff != "" {
		t.Errorf("%v, want (-), got (+):\n%s", err, diff)
	}
	for _, bad := range []string{"", "0 0.1\n", "1000\n", "many 1\n"} {
		if _, err := parseClient(bad); err == nil {
			t.Errorf("no error for %q", bad)
		}
	}
}

func TestMachine(t *testing.T) {
	const cpuinfo = "processor\t: 0\nmodel\t\t: 207\nmodel name\t: Some CPU @ 2.4GHz: fast\nflags\t: fpu\n"
	if got, want := parseCPUModel(cpuinfo), "Some CPU @ 2.4GHz: fast"; got != want {
		t.Errorf("parseCPUModel: got %q, want %q", got, want)
	}
	if got, want := parseCPUModel("processor : 0\n"), "an unknown CPU"; got != want {
		t.Errorf("parseCPUModel: got %q, want %q", got, want)
	}
	for line, want := range map[string]string{
		"nginx version: nginx/1.22.1":                                  "nginx 1.22.1",
		"wrk debian/4.1.0-3+b2 [epoll] Copyright (C) 2012 Will Glozer": "wrk debian 4.1.0-3+b2",
	} {
		if got := parseVersion(line); got != want {
			t.Errorf("parseVersion(%q) = %q, want %q", line, got, want)
		}
	}
}
