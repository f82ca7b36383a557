package admin_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"hale/internal/admin"
	"hale/internal/check"
	"hale/internal/monitor"
	"hale/internal/verdict"
)

var start = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// source is a Source with two checks, one of them down.
type source struct{ draining bool }

func newCheck(name string, groups ...string) *check.Check {
	return &check.Check{
		Name: name, Kind: "redis", Target: "redis://:***@127.0.0.1:6379", Policy: check.DefaultPolicy(),
		Impact: check.ImpactFail, Groups: groups,
	}
}

func (source) Views() []monitor.View {
	now := time.Now()
	refused := check.NewResult(now, 3*time.Millisecond, "", check.Failf(check.ReasonRefused, "nobody there, hunter2"), check.Secrets{"hunter2"})
	fine := check.NewResult(now, time.Millisecond, "PONG", nil, nil)
	old := check.NewResult(now.Add(-time.Hour), time.Millisecond, "PONG", nil, nil)
	starting, queued := newCheck("starting"), newCheck("queued")
	starting.StartBy, queued.Pool = now.Add(time.Hour), "exec"
	return []monitor.View{
		{Check: newCheck("cache", "ready"), State: check.State{}.Next(refused, check.DefaultPolicy()), Runs: 7, Skipped: 2, Late: time.Second},
		{Check: newCheck("fine", "ready"), State: check.State{}.Next(fine, check.DefaultPolicy()), Runs: 1},
		{Check: newCheck("new")},
		{Check: newCheck("old"), State: check.State{}.Next(old, check.DefaultPolicy())},
		{Check: newCheck("on-demand"), State: check.State{}.Next(old, check.DefaultPolicy()), Ageless: true},
		{Check: starting, State: check.State{}.Next(refused, check.DefaultPolicy())},
		{Check: queued, State: check.State{}.Next(fine, check.DefaultPolicy()), Waiting: true, Late: time.Minute},
	}
}

func (source) Groups() []string { return []string{"all", "ready"} }

func (source) Verdict(group string) (verdict.Verdict, bool) {
	return verdict.Verdict{Group: group, Outcome: verdict.Fail, Causes: []verdict.Cause{{Check: "cache", Outcome: verdict.Fail, Text: "refused: nobody there"}}}, true
}

func (s source) Draining() bool { return s.draining }

func get(t *testing.T, handler http.Handler, path, host string) (int, string) {
	t.Helper()
	request := httptest.NewRequest(http.MethodGet, path, nil)
	request.Host = host
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, request)
	return recorder.Code, recorder.Body.String()
}

func newHandler() (http.Handler, *admin.Metrics) {
	metrics, info := admin.NewMetrics(200, 429, 503), admin.Info{Version: "1.2.3", Started: start}
	return admin.Handler(source{draining: true}, info, metrics.Handler(source{draining: true}, info)), metrics
}

func TestStatus(t *testing.T) {
	handler, _ := newHandler()
	code, body := get(t, handler, "/api/v1/status", "127.0.0.1:5001")
	if code != http.StatusOK {
		t.Fatalf("status %d: %s", code, body)
	}
	var got admin.Status
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	if got.Version != "1.2.3" || !got.Started.Equal(start) || !got.Draining || got.Verdicts["ready"].Outcome != "fail" {
		t.Errorf("got %+v", got)
	}
	if got.Checks[0].Since == nil || got.Checks[0].Last == nil {
		t.Fatalf("no last result: %+v", got.Checks[0])
	}
	got.Checks[0].Since, got.Checks[0].Last.At = nil, time.Time{}
	want := admin.Check{
		Name: "cache", Kind: "redis", Target: "redis://:***@127.0.0.1:6379", Status: "down", Streak: 1,
		Impact: "fail", Groups: []string{"ready"}, Interval: 5, Timeout: 3, Runs: 7, Skipped: 2, Late: 1,
		Last: &admin.Result{Took: 0.003, Reason: "refused", Text: "nobody there, ***"},
	}
	if diff := cmp.Diff(want, got.Checks[0]); diff != "" {
		t.Errorf("the first check (-want +got):\n%s", diff)
	}
	var statuses []string
	for _, c := range got.Checks {
		statuses = append(statuses, c.Name+" "+c.Status)
	}
	if diff := cmp.Diff([]string{"cache down", "fine up", "new unknown", "old down", "on-demand up", "starting down", "queued up"}, statuses); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
	if !got.Checks[3].Stale || got.Checks[4].Stale {
		t.Error("an old result is stale, but not where runs are made on demand")
	}
	if got.Checks[0].StartBy != nil || got.Checks[5].StartBy == nil {
		t.Error("only a check that is starting has until when")
	}
	if !got.Checks[6].Waiting || got.Checks[6].Late != 60 {
		t.Errorf("waiting %t, late %v, want a minute", got.Checks[6].Waiting, got.Checks[6].Late)
	}
}

func TestMetricsAreLintFreeAndTrue(t *testing.T) {
	handler, metrics := newHandler()
	refused := check.NewResult(start, time.Second, "", check.Failf(check.ReasonRefused, "x"), nil)
	metrics.Ran(newCheck("cache"), refused, 30*time.Millisecond)
	metrics.Ran(newCheck("cache"), check.NewResult(start, time.Second, "", nil, nil), 0)
	metrics.Ran(newCheck("gone"), refused, 0)
	metrics.Skipped(newCheck("cache"))
	metrics.Answered(200)
	metrics.Answered(200)
	metrics.Answered(503)
	metrics.Dropped("malformed")
	code, body := get(t, handler, "/metrics", "localhost:5001")
	if code != http.StatusOK {
		t.Fatalf("status %d: %s", code, body)
	}
	problems, err := promlint.New(strings.NewReader(body)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	for _, want := range []string{
		`hale_build_info{version="1.2.3"} 1`,
		`hale_check_up{check="cache",kind="redis"} 0`,
		`hale_check_up{check="fine",kind="redis"} 1`,
		`hale_check_stale{check="old",kind="redis"} 1`,
		`hale_check_runs_total{check="cache",kind="redis",reason="refused"} 1`,
		`hale_check_runs_total{check="cache",kind="redis",reason="ok"} 1`,
		`hale_check_duration_seconds_sum{check="cache",kind="redis"} 2`,
		`hale_check_duration_seconds_count{check="cache",kind="redis"} 2`,
		`hale_check_skipped_total{check="cache",kind="redis"} 1`,
		`hale_check_late_seconds_count 3`,
		`hale_checks_waiting{pool="exec"} 1`,
		`hale_verdict{group="ready",outcome="fail"} 1`,
		`hale_verdict{group="ready",outcome="pass"} 0`,
		`hale_draining 1`,
		`hale_answers_total{code="200"} 2`,
		`hale_answers_total{code="429"} 0`,
		`hale_answers_total{code="503"} 1`,
		`hale_dropped_connections_total{reason="malformed"} 1`,
	} {
		if !strings.Contains(body, want+"\n") {
			t.Errorf("the metrics lack %s", want)
		}
	}
	for _, unwanted := range []string{"hunter2", `check="gone"`} {
		if strings.Contains(body, unwanted) {
			t.Errorf("the metrics hold %s", unwanted)
		}
	}
}

func TestForeignHostNamesAreRefused(t *testing.T) {
	handler, _ := newHandler()
	for host, want := range map[string]int{
		"127.0.0.1:5001": 200, "localhost:5001": 200, "[::1]:5001": 200, "127.0.0.1": 200,
		"evil.example:5001": 403, "192.0.2.1": 403, "localhost.evil.example": 403,
	} {
		if got, _ := get(t, handler, "/api/v1/status", host); got != want {
			t.Errorf("host %s: status %d, want %d", host, got, want)
		}
	}
}

func TestListenStaysOnThisHost(t *testing.T) {
	for _, address := range []string{"0.0.0.0:0", ":0", "[::]:0", "192.0.2.1:0", "example.com:0", "nonsense"} {
		if l, err := admin.Listen(address); err == nil {
			l.Close()
			t.Errorf("it listens on %s", address)
		} else if !strings.Contains(err.Error(), "127.0.0.1") && !strings.Contains(err.Error(), "HOST:PORT") {
			t.Errorf("%s: the error does not say what would be right: %v", address, err)
		}
	}
	for _, address := range []string{"127.0.0.1:0", "localhost:0", "[::1]:0"} {
		l, err := admin.Listen(address)
		if err != nil {
			t.Errorf("%s: %v", address, err)
			continue
		}
		l.Close()
	}
}

func TestListenInUse(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, err = admin.Listen(taken.Addr().String())
	if want := "the admin address " + taken.Addr().String() + " is in use: give another with --admin HOST:PORT, or --admin off"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hale.sock")
	first, err := admin.Listen("unix:" + path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket is open to others: %v %v", info, err)
	}
	if _, err := admin.Listen("unix:" + path); err == nil {
		t.Error("a socket that is in use was taken over")
	}
	// A process that was killed leaves its socket behind.
	first.(*net.UnixListener).SetUnlinkOnClose(false)
	first.Close()
	second, err := admin.Listen("unix:" + path)
	if err != nil {
		t.Fatalf("a socket that was left behind: %v", err)
	}
	second.Close()

	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("keep me"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := admin.Listen("unix:" + file); err == nil || !strings.Contains(err.Error(), "not a socket") {
		t.Error("it listens on a regular file")
	}
	if text, _ := os.ReadFile(file); string(text) != "keep me" {
		t.Error("a regular file was replaced by the socket")
	}
}

func TestServeEndsWithItsContext(t *testing.T) {
	handler, _ := newHandler()
	l, err := admin.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- admin.Serve(ctx, l, handler, slog.New(slog.DiscardHandler)) }()
	response, err := http.Get("http://" + l.Addr().String() + "/api/v1/status")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	cancel()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("Serve did not return")
	}
	if _, err := http.Get("http://" + l.Addr().String()); err == nil || errors.Is(err, context.Canceled) {
		t.Errorf("it still answers: %v", err)
	}
}
