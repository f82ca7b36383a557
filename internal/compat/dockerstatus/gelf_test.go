package dockerstatus

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"hale/internal/check"
	"hale/internal/discover/links"
	"hale/internal/servertest"
)

// graylog is a UDP listener.
func graylog(t *testing.T) *net.UDPConn {
	t.Helper()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// receive returns the next message as the fields it has.
func receive(t *testing.T, conn *net.UDPConn) map[string]any {
	t.Helper()
	packet := make([]byte, 64<<10)
	_ = conn.SetReadDeadline(time.Now().Add(30 * time.Second))
	n, err := conn.Read(packet)
	if err != nil {
		t.Fatalf("no message came: %v", err)
	}
	var fields map[string]any
	if err := json.Unmarshal(packet[:n], &fields); err != nil {
		t.Fatalf("%v in %s", err, packet[:n])
	}
	return fields
}

func sender(t *testing.T, address string) *gelf {
	t.Helper()
	g := newGELF(address, "web-1", slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		g.run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	return g
}

func TestGELF(t *testing.T) {
	server := graylog(t)
	r := &reporter{
		targets: map[string]links.Target{"app-1": {Name: "APP_1", Host: "app-1"}},
		log:     slog.New(slog.DiscardHandler),
		gelf:    sender(t, server.LocalAddr().String()),
	}
	at := time.Unix(1700000000, 250e6)
	c := &check.Check{Name: "app-1"}
	r.Ran(c, check.NewResult(at, time.Second, `200 in 1s <"ok">`, nil, nil), 0)
	r.Ran(c, check.NewResult(at, time.Second, "", errors.New("status 503"+strings.Repeat(`"`, 5000)), nil), 0)
	want := map[string]any{
		"version": "1.1", "host": "web-1", "short_message": `APP_1 is OK: 200 in 1s <"ok">`, "timestamp": 1700000001.25, "level": 6.0,
		"_status_host": "APP_1", "_status_check_host": "app-1",
	}
	if diff := cmp.Diff(want, receive(t, server)); diff != "" {
		t.Errorf("message (-want +got):\n%s", diff)
	}
	second := receive(t, server)
	if second["level"] != 3.0 || !strings.HasPrefix(second["short_message"].(string), "APP_1 fails: status 503") {
		t.Errorf("a failure is %v", second)
	}
}

// TestGELFIsSmall: the longest message needs no chunks, which 8 KiB would.
func TestGELFIsSmall(t *testing.T) {
	long := strings.Repeat(`"`, 5000)
	g := newGELF("127.0.0.1:1", long, slog.New(slog.DiscardHandler))
	g.send(links.Target{Name: long, Host: long}, check.NewResult(time.Now(), 0, "", errors.New(long), nil), long)
	if n := len(<-g.queue); n > 8192 {
		t.Errorf("the longest message has %d bytes", n)
	}
}

// TestGELFComesBack: a Graylog that was away gets the first that comes after,
// although the system tells only then that the one before was lost.
func TestGELFComesBack(t *testing.T) {
	server := graylog(t)
	address := server.LocalAddr().(*net.UDPAddr)
	g := newGELF(address.String(), "web-1", slog.New(slog.DiscardHandler))
	defer g.hangUp()
	g.deliver(t.Context(), []byte(`{"short_message": "one"}`))
	receive(t, server)
	server.Close()
	for range 3 {
		g.deliver(t.Context(), []byte(`{"short_message": "lost"}`))
	}
	again, err := net.ListenUDP("udp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	g.deliver(t.Context(), []byte(`{"short_message": "two"}`))
	if m := receive(t, again); m["short_message"] != "two" {
		t.Errorf("the message is %v", m)
	}
}

// TestGELFNeverBlocks: a Graylog that is nowhere holds up nothing, is complained
// about, and the end comes at once.
func TestGELFNeverBlocks(t *testing.T) {
	var log strings.Builder
	synctest.Test(t, func(t *testing.T) {
		g := newGELF("127.0.0.1:1", "web-1", slog.New(slog.NewTextHandler(&log, nil)))
		begin := time.Now()
		for range 10 * queued { // nobody takes them
			g.send(links.Target{Name: "APP"}, check.Result{At: begin}, "text")
		}
		if took := time.Since(begin); took > 0 || len(g.queue) != queued {
			t.Errorf("sending took %v, and %d messages wait", took, len(g.queue))
		}
	})
	g := newGELF("nowhere.invalid:12201", "web-1", slog.New(slog.NewTextHandler(&log, nil)))
	g.deliver(t.Context(), []byte("{}"))
	g.deliver(t.Context(), []byte("{}"))
	if n := strings.Count(log.String(), "results do not reach Graylog"); n != 1 {
		t.Errorf("%d complaints, want 1:\n%s", n, log.String())
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 100 {
		g.queue <- []byte("{}")
	}
	begin := time.Now()
	g.run(ctx)
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("the end took %v", took)
	}
}

// TestMainSendsResults: the whole tool, from a link to a message.
func TestMainSendsResults(t *testing.T) {
	logs := graylog(t)
	_, port, err := net.SplitHostPort(logs.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"LOCALHOST_PORT_80_TCP": "tcp://127.0.0.9:80", "LOCALHOST_GET_PATH": ":1/?token=hush-hush", "TEST_INTERVAL": "0.2",
		"LISTEN_HOST": "127.0.0.1", "LISTEN_PORT": strconv.Itoa(servertest.FreePort(t)), "GRAYLOG_HOST": "127.0.0.1", "GRAYLOG_PORT": port,
	} {
		t.Setenv(name, value)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan int)
	var errOut strings.Builder
	go func() { ended <- Main(ctx, nil, io.Discard, &errOut, "1") }()
	for range 3 { // each result is one message
		m := receive(t, logs)
		text, _ := m["short_message"].(string)
		if m["_status_host"] != "LOCALHOST" || m["_status_check_host"] != "localhost" || m["host"] != "docker-status" || m["level"] != 3.0 ||
			!strings.HasPrefix(text, "LOCALHOST fails: ") || strings.Contains(text, "hush") {
			t.Errorf("the message is %v", m)
		}
	}
	cancel()
	if code := <-ended; code != 0 {
		t.Errorf("exit %d: %s", code, errOut.String())
	}
}
