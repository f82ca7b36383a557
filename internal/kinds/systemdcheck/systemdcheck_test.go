package systemdcheck_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hale/internal/check"
	"hale/internal/kinds/kindtest"
	"hale/internal/kinds/systemdcheck"
)

var kinds = kindtest.Kinds{systemdcheck.Kind()}

var (
	build  = kinds.Build
	option = kindtest.Option
)

func TestURLs(t *testing.T) {
	for url, want := range map[string]string{
		"systemd://nginx.service":               "systemd://nginx.service",
		"systemd://nginx":                       "systemd://nginx.service",
		"systemd:nginx":                         "systemd://nginx.service",
		"systemd:nginx.service?max_restarts=1":  "systemd://nginx.service",
		"systemd:///nginx":                      "systemd://nginx.service",
		"systemd://Docker_2.x":                  "systemd://Docker_2.x.service",
		"systemd://backup.timer":                "systemd://backup.timer",
		"systemd://getty@tty1.service":          "systemd://getty@tty1.service",
		"systemd://getty@tty1":                  "systemd://getty@tty1.service",
		"systemd:///getty@tty1":                 "systemd://getty@tty1.service",
		"systemd:///a:b@c":                      "systemd://a:b@c.service",
		`systemd:///dev-a\x2db.device`:          `systemd://dev-a\x2db.device`,
		`systemd:///dev-a%5Cx2db.device`:        `systemd://dev-a\x2db.device`,
		`systemd://?bus=unix:path=/x`:           "url: names no unit; write one such as systemd://nginx.service",
		"systemd:":                              "url: names no unit; write one such as systemd://nginx.service",
		"systemd:///":                           "url: names no unit; write one such as systemd://nginx.service",
		"systemd:inst@a.service":                "url: a unit with an @ in its name is written after two slashes, such as systemd://getty@tty1.service",
		"systemd://a:b@c.service":               "url: a unit with a colon in its name is written after three slashes: systemd:///NAME",
		"systemd://nginx.service/x":             `url: has the path "/x" after a unit; leave it out, and set options after ?`,
		"systemd:///a/b":                        `url: "a/b.service" is not a unit's name, which has letters, digits and :-_.\@ only; see systemd-escape(1)`,
		"systemd:///a%20b":                      `url: "a b.service" is not a unit's name, which has letters, digits and :-_.\@ only; see systemd-escape(1)`,
		"systemd://.service":                    `url: ".service" has a type and no name before it; write one such as systemd://nginx.service`,
		"systemd://getty@.service":              `url: "getty@.service" is a template; name an instance of it, such as systemd://getty@tty1.service`,
		"systemd://" + strings.Repeat("x", 250): "url: the unit's name is longer than the 255 characters that are possible",
	} {
		c, err := build(url, option("bus", "/nonexistent/bus"))
		if err != nil {
			if err.Error() != want {
				t.Errorf("%s\n got %v\nwant %s", url, err, want)
			}
			continue
		}
		got := c.Run(t.Context(), nil).Text()
		if !strings.HasPrefix(got, want+": no socket of systemd at /nonexistent/bus; ") {
			t.Errorf("%s\n got %v\nwant %s", url, got, want)
		}
	}
}

func TestOptions(t *testing.T) {
	long := "/" + strings.Repeat("x", 107)
	for _, test := range []struct {
		option check.Option
		want   string
	}{
		{option("state", "active,runing"), `state: "runing" is not known (known: active, reloading, inactive, failed, activating, deactivating, maintenance, refreshing)`},
		{option("state"), "state: is empty; give states such as active"},
		{option("min_uptime", "-1s"), "min_uptime: -1s is negative; give a duration such as 10s"},
		{option("max_restarts", "-2"), "max_restarts: -2 is out of range; give a count from 0, or -1 for any"},
		{option("bus", "tcp:host=x"), `bus: "tcp:host=x" is not a socket; give an absolute path such as /run/dbus/system_bus_socket`},
		{option("bus", long), "bus: the socket's path is longer than the 107 bytes that are possible"},
		{option("bus", "/a\x00b"), `bus: "/a b" holds a NUL character, which no path can`},
	} {
		_, err := build("systemd://nginx.service", test.option)
		if err == nil || err.Error() != test.want {
			t.Errorf("%v\n got %v\nwant %s", test.option, err, test.want)
		}
	}
	t.Setenv("XDG_RUNTIME_DIR", "")
	const want = "user: XDG_RUNTIME_DIR is not set, which says where the user's systemd is; set bus, such as /run/user/1000/bus"
	if _, err := build("systemd://nginx.service?user"); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if _, err := build("systemd://nginx.service?user&bus=unix:path=/run/user/1000/bus"); err != nil {
		t.Error(err)
	}
}

func TestDefaults(t *testing.T) {
	c := kindtest.Build(t, systemdcheck.Kind(), systemdcheck.Kind().Example)
	if got, want := fmt.Sprint(c.Options), "[{state active,reloading} {min_uptime 10s} {max_restarts -1} {user false} {bus }]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// The contract of kindtest is for TCP; these are its peers on a unix socket.
func TestContract(t *testing.T) {
	drip := func(text string) func(net.Conn) {
		return func(c net.Conn) {
			for i := 0; ; i = (i + 1) % len(text) {
				if _, err := c.Write([]byte{text[i]}); err != nil {
					return
				}
				time.Sleep(100 * time.Millisecond)
			}
		}
	}
	endless := func(start, text string) func(net.Conn) {
		return func(c net.Conn) {
			block := []byte(strings.Repeat(text, 4096))
			for _, err := c.Write([]byte(start)); err == nil; {
				_, err = c.Write(block)
			}
		}
	}
	send := func(text string) func(net.Conn) {
		return func(c net.Conn) {
			_, _ = c.Read(make([]byte, 4096))
			_, _ = c.Write([]byte(text))
		}
	}
	const in = "DATA\r\nOK 0123\r\n"
	for _, test := range []struct {
		name string
		peer func(net.Conn)
		want check.Reason
	}{
		{"silent", func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }, check.ReasonTimeout},
		{"silent after login", func(c net.Conn) { _, _ = c.Write([]byte(in)); _, _ = io.Copy(io.Discard, c) }, check.ReasonTimeout},
		{"drip", drip("DATA"), check.ReasonTimeout},
		{"endless", endless("", "A"), check.ReasonProtocol},
		{"endless messages", endless(in, "l\x04\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00"), check.ReasonProtocol},
		{"huge message", send(in + "l\x04\x00\x01\xff\xff\xff\xff\x00\x00\x00\x01\x00\x00\x00\x00"), check.ReasonProtocol},
		{"huge head", send(in + "l\x04\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01\xff\xff\xff\x00"), check.ReasonProtocol},
		{"half a message", send(in + "l\x04\x00\x01\x00\x00"), check.ReasonClosed},
		{"garbage", send("HTTP/1.1 400 Bad Request\r\n\r\n"), check.ReasonProtocol},
		{"garbage after login", send(in + strings.Repeat("x", 64)), check.ReasonProtocol},
		{"rejected", send("REJECTED EXTERNAL\r\n"), check.ReasonAuth},
	} {
		t.Run(test.name, func(t *testing.T) {
			socket := listen(t, test.peer)
			kindtest.ExpectLeavesNothing(t)
			c := kindtest.Build(t, systemdcheck.Kind(), "systemd://x", option("bus", socket))
			kindtest.ExpectReason(t, kindtest.Run(t, t.Context(), c), test.want)
		})
	}
	t.Run("closes", func(t *testing.T) {
		c := kindtest.Build(t, systemdcheck.Kind(), "systemd://x", option("bus", listen(t, func(net.Conn) {})))
		// What comes first, the end or the answer to the write, is the kernel's.
		if result := kindtest.Run(t, t.Context(), c); result.Reason() != check.ReasonClosed && result.Reason() != check.ReasonReset {
			t.Errorf("got %q (%v)", result.Reason(), result.Err)
		}
	})
}

// listen serves a peer on a unix socket, one connection at a time, until the
// test ends, and returns the socket's path.
func listen(t *testing.T, peer func(net.Conn)) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			peer(conn)
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-done
	})
	return path
}

// No more checks than [systemdcheck.MaxWatchers] of a registry keep a
// connection, and one that ends makes room.
func TestWatchers(t *testing.T) {
	socket := listen(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	kindtest.ExpectLeavesNothing(t)
	registry, err := check.NewRegistry(check.Env{}, systemdcheck.Kind())
	if err != nil {
		t.Fatal(err)
	}
	watch := func(ctx context.Context) error {
		c, err := registry.Build(check.Spec{URL: "systemd://x?bus=" + socket, Policy: check.DefaultPolicy()})
		if err != nil {
			return err
		}
		return c.Checker.(check.Watcher).Watch(ctx, func() {})
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	for range systemdcheck.MaxWatchers + 1 {
		go func() { ended <- watch(ctx) }()
	}
	if err := <-ended; err == nil || err.Error() != "64 checks watch their units already" {
		t.Errorf("got %v", err)
	}
	cancel()
	for range systemdcheck.MaxWatchers {
		if err := <-ended; check.ReasonOf(err) != check.ReasonTimeout && check.ReasonOf(err) != check.ReasonCanceled {
			t.Errorf("got %v", err)
		}
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := watch(gone); check.ReasonOf(err) != check.ReasonCanceled {
		t.Errorf("after all have ended: got %v", err)
	}
}
