package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"hale/internal/admin"
	"hale/internal/servertest"
)

// TestOwnIPChanges: an application takes requests with this host's address as
// Host and no other, and the address changes while the agent runs. A new
// configuration that has a fault changes nothing.
func TestOwnIPChanges(t *testing.T) {
	if !servertest.OwnNetwork(t) {
		return
	}
	ip := func(command string) {
		t.Helper()
		servertest.Run(t, servertest.Program(t, "ip", "iproute2"), strings.Fields(command)...)
	}
	ip("route add default via 10.0.1.1 dev here")
	var allowed atomic.Value
	allowed.Store(servertest.OwnAddress)
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host != allowed.Load() {
			w.WriteHeader(http.StatusBadRequest)
		}
	}))
	t.Cleanup(app.Close)
	good := "own_ip: {source: route}\ndefaults: {interval: 200ms}\nchecks:\n  web: {url: \"" + app.URL + "/\", host: \"${own_ip}\"}\n  port: tcp://" + app.Listener.Addr().String() + "\n"
	file := filepath.Join(t.TempDir(), "hale.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(good)

	public, private := servertest.FreeAddress(t), servertest.FreeAddress(t)
	ctx, cancel := context.WithCancel(t.Context())
	var log lockedBuffer
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"hale", "serve", "--config", file, "--listen", public, "--admin", private}, streams{out: io.Discard, err: &log})
	}()
	logged := func(want string) {
		t.Helper()
		servertest.Wait(t, "the log to say "+want, func() error {
			if !strings.Contains(log.String(), want) {
				return errors.New(log.String())
			}
			return nil
		})
	}
	move := func(to string) {
		t.Helper()
		allowed.Store(to)
		ip("addr flush dev here")
		ip("addr add " + to + "/24 dev here")
		ip("route add default via 10.0.1.1 dev here")
	}
	expectAnswer(t, public, 200)
	before := sinceOf(t, private, "port")

	move("10.0.1.86")
	expectAnswer(t, public, 503) // until the change is noticed
	expectAnswer(t, public, 200)
	logged(`msg="the own address has changed" old=10.0.1.85 new=10.0.1.86 source=route`)
	if after := sinceOf(t, private, "port"); !after.Equal(before) {
		t.Errorf("the check that is as it was is new since %v; it was since %v", after, before)
	}

	write("checks: {web: nonsense}\n")
	move("10.0.1.87")
	logged("the configuration with it can't be used, so the old one stays")
	expectAnswer(t, public, 503)
	if got := ask("http://" + private + "/api/v1/status"); !strings.Contains(got, `"port"`) || !strings.Contains(got, `"web"`) {
		t.Errorf("the old checks are gone: %s", got)
	}
	write(good)
	ip("addr add 10.0.2.1/24 dev here") // has it look again
	expectAnswer(t, public, 200)
	logged("new=10.0.1.87")

	cancel()
	select {
	case code := <-ended:
		if code != exitOK {
			t.Errorf("hale exited with %d: %s", code, log.String())
		}
	case <-time.After(time.Minute):
		t.Error("hale does not end")
	}
}

// sinceOf returns since when a check is what it is.
func sinceOf(t *testing.T, address, name string) time.Time {
	t.Helper()
	response, err := http.Get("http://" + address + "/api/v1/status")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var status admin.Status
	if err := json.NewDecoder(response.Body).Decode(&status); err != nil {
		t.Fatal(err)
	}
	for _, c := range status.Checks {
		if c.Name == name && c.Since != nil {
			return *c.Since
		}
	}
	t.Fatalf("no check %s in %+v", name, status)
	return time.Time{}
}
