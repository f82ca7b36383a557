package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"hale/internal/admin"
)

func TestTable(t *testing.T) {
	var rows table
	rows.row("", "answers/s", "of nginx")
	rows.row("nginx", "1,000", "1.00")
	rows.row("größer", "7", "0.007")
	want := `|        | answers/s | of nginx |
|--------|----------:|---------:|
| nginx  |     1,000 |     1.00 |
| größer |         7 |    0.007 |
`
	if diff := cmp.Diff(want, rows.String()); diff != "" {
		t.Errorf("want (-), got (+):\n%s", diff)
	}
}

func TestFigures(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0.00", 0.0814: "0.081", 0.5: "0.500", 1.234: "1.23", 12.34: "12.3", 33: "33",
		123.4: "123", 1234.5: "1,235", 1_000_007: "1,000,007",
	} {
		if got := number(v); got != want {
			t.Errorf("number(%v) = %q, want %q", v, got, want)
		}
	}
	if got, want := spread([]float64{3, 1, 20}), "3.00 (1.00–20)"; got != want {
		t.Errorf("spread: got %q, want %q", got, want)
	}
	if got, want := spread([]float64{3, 3}), "3.00"; got != want {
		t.Errorf("spread: got %q, want %q", got, want)
	}
	if got, want := several(1, "round")+", "+several(7, "round"), "1 round, 7 rounds"; got != want {
		t.Errorf("several: got %q, want %q", got, want)
	}
}

func TestGoal(t *testing.T) {
	var out bytes.Buffer
	b := &bench{out: &out}
	b.goal("at most 2", "1.5", true)
	b.goal("at most 2", "2.5", false)
	want := "\nGoal: at most 2. Came out: 1.5 – met.\n\nGoal: at most 2. Came out: 2.5 – **not met**.\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("want (-), got (+):\n%s", diff)
	}
}

func TestConfigText(t *testing.T) {
	got := configText(
		checkSet{name: "a", policy: policy{interval: 10 * time.Second}, urls: []string{"http://127.0.0.1:1/0", "http://127.0.0.1:1/1"}},
		checkSet{name: "b", policy: policy{interval: 5 * time.Second, timeout: 4900 * time.Millisecond}, urls: []string{"http://127.0.0.1:2/0"}},
	)
	want := `defaults: {interval: 10s}
checks:
  a00000: http://127.0.0.1:1/0
  a00001: http://127.0.0.1:1/1
  b00000: {url: "http://127.0.0.1:2/0", interval: 5s, timeout: 4.9s}
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want (-), got (+):\n%s", diff)
	}
	// hale reads no file that is longer than this.
	p := newPlan(false, 0)
	n := &nginx{ports: []int{31999}}
	most := configText(checkSet{name: "c", policy: policy{interval: p.interval}, urls: n.urls(p.targets[len(p.targets)-1])})
	if len(most) > 1<<20 {
		t.Errorf("the configuration of the greatest load has %d bytes", len(most))
	}
}

func TestChooseSections(t *testing.T) {
	names := func(only string) string {
		chosen, err := chooseSections(only)
		if err != nil {
			return err.Error()
		}
		var names []string
		for _, s := range chosen {
			names = append(names, s.name)
		}
		return strings.Join(names, " ")
	}
	for only, want := range map[string]string{
		"":             "answers p99 first oneshot hung engine cpu late size",
		"size,answers": "answers size",
		"p99,pp":       `-only: there is no section "pp"; give some of answers,p99,first,oneshot,hung,engine,cpu,late,size`,
	} {
		if got := names(only); got != want {
			t.Errorf("-only %q: got %q, want %q", only, got, want)
		}
	}
}

func TestPlan(t *testing.T) {
	for _, quick := range []bool{false, true} {
		p := newPlan(quick, 3)
		if p.answerRounds != 3 || p.p99Rounds != 3 || p.firstRounds != 3 {
			t.Errorf("quick %v: the rounds are not those given: %+v", quick, p)
		}
		has := map[int]bool{}
		for _, n := range p.targets {
			has[n] = true
		}
		if !has[p.goalLoad] || !has[p.lateLoad] || !has[healthy] {
			t.Errorf("quick %v: no load for a goal: %+v", quick, p)
		}
	}
}

func TestAlternate(t *testing.T) {
	var got strings.Builder
	note := func(round, i int) error { _, err := fmt.Fprintf(&got, "%d%d ", round, i); return err }
	if err := alternate(t.Context(), 3, 3, note); err != nil {
		t.Fatal(err)
	}
	if want := "00 01 02 12 11 10 20 21 22 "; got.String() != want {
		t.Errorf("got %q, want %q", got.String(), want)
	}
	wrong := errors.New("wrong")
	if err := alternate(t.Context(), 3, 3, func(int, int) error { return wrong }); err != wrong {
		t.Errorf("got %v, want %v", err, wrong)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := alternate(ctx, 3, 3, note); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}

func TestFirstStamps(t *testing.T) {
	at := time.UnixMilli(5)
	good := admin.Check{Name: "a", Runs: 1, Last: &admin.Result{At: at, Healthy: true}}
	got, err := firstStamps(admin.Status{Checks: []admin.Check{good, good}}, 2)
	if diff := cmp.Diff([]time.Time{at, at}, got); err != nil || diff != "" {
		t.Errorf("%v, want (-), got (+):\n%s", err, diff)
	}
	twice, failed, never := good, good, good
	twice.Runs, failed.Last, never.Last = 2, &admin.Result{At: at}, nil
	for _, checks := range [][]admin.Check{{good}, {good, twice}, {good, failed}, {good, never}} {
		if _, err := firstStamps(admin.Status{Checks: checks}, 2); err == nil {
			t.Errorf("no error for %+v", checks)
		}
	}
}

func TestStillOpen(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	var conns, others []net.Conn
	defer func() { closeAll(conns); closeAll(others) }()
	for range 3 {
		conn, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		other, err := listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		conns, others = append(conns, conn), append(others, other)
	}
	if err := others[1].Close(); err != nil {
		t.Fatal(err)
	}
	// The end is on its way: once it has arrived here, it is seen each time.
	if _, err := conns[1].Read(make([]byte, 1)); err != io.EOF {
		t.Fatalf("read: %v, want %v", err, io.EOF)
	}
	if got := stillOpen(conns); got != 2 {
		t.Errorf("got %d, want 2", got)
	}
}

// TestRoles asks the peers that bench is itself.
func TestRoles(t *testing.T) {
	p := ports{}
	serve := func(role string) (addr string, ended <-chan error) {
		port, err := p.free()
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- runRole(ctx, role, local(port), io.Discard) }()
		t.Cleanup(func() {
			stop()
			<-done
		})
		return local(port), done
	}
	dial := func(addr string, ended <-chan error) net.Conn {
		for {
			conn, err := net.Dial("tcp", addr)
			if err == nil {
				t.Cleanup(func() { conn.Close() })
				return conn
			}
			select {
			case err := <-ended:
				t.Fatal(err)
			case <-time.After(5 * time.Millisecond):
			}
		}
	}

	bare, ended := serve("nethttp")
	conn := dial(bare, ended)
	if took, err := ask(conn, bufio.NewReader(conn)); err != nil || took <= 0 {
		t.Errorf("ask: %v, %v", took, err)
	}
	if took, err := askPaced(t.Context(), bare, 20*time.Millisecond); err != nil || len(took) == 0 {
		t.Errorf("askPaced: %v, %v", took, err)
	}
	var out bytes.Buffer
	if err := runRole(t.Context(), "client", "100ms,"+bare, &out); err != nil {
		t.Fatal(err)
	}
	if costs, err := parseClient(out.String()); err != nil || len(costs) != 3 {
		t.Errorf("the client wrote %q: %v", out.String(), err)
	}

	silent := dial(serve("silent"))
	if err := silent.SetDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(silent, "GET / HTTP/1.1\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if n, err := silent.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the silent server said %d bytes, %v", n, err)
	}
	if err := runRole(t.Context(), "king", "", io.Discard); err == nil {
		t.Error("there is a king")
	}
}

// TestProcess starts, loses and stops a process.
func TestProcess(t *testing.T) {
	b := &bench{dir: t.TempDir()}
	p, err := b.start("cat", "cat", "/dev/zero")
	if err != nil {
		t.Fatal(err)
	}
	p.stop()
	if !p.hasEnded() {
		t.Error("it has not ended after stop")
	}
	gone, err := b.start("sh", "sh", "-c", "echo no luck; exit 3")
	if err != nil {
		t.Fatal(err)
	}
	never := errors.New("never")
	err = waitFor(t.Context(), gone, "wait for luck", time.Millisecond, time.Minute, func() error { return never })
	if want := "sh: wait for luck: it has ended; its log ends with:\nno luck"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	gone.stop() // harmless
	if _, err := b.start("nothing", filepath.Join(b.dir, "nothing")); err == nil {
		t.Error("a missing program was started")
	}
}

func TestInspect(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := inspect(self); err != nil {
		t.Error(err)
	}
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("no program"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := inspect(text); err == nil {
		t.Error("a text was taken for a program")
	}
}
