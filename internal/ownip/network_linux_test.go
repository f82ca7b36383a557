package ownip_test

import (
	"context"
	"log/slog"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"hale/internal/ownip"
	"hale/internal/servertest"
)

// onlyRoutes refuses connections: there is no metadata service here.
func onlyRoutes(ctx context.Context, network, address string) (net.Conn, error) {
	if !strings.HasPrefix(network, "udp") {
		return nil, os.ErrPermission
	}
	return (&net.Dialer{}).DialContext(ctx, network, address)
}

// Its addresses and routes may be changed. Nothing leaves it.
func TestNetwork(t *testing.T) {
	if !servertest.EmptyNetwork(t) {
		return
	}
	find := func(ctx context.Context) (ownip.Answer, error) {
		return ownip.Find(ctx, ownip.Options{Source: ownip.Route, DialContext: onlyRoutes})
	}
	expect := func(want string) {
		t.Helper()
		a, err := find(t.Context())
		if err != nil && !strings.Contains(err.Error(), want) || err == nil && a.Host() != want {
			t.Errorf("got %v, %v; want %s", a.Addr, err, want)
		}
	}
	servertest.IP(t, "link set lo up")
	expect("this host has no default route")
	servertest.IP(t, "link add up0 type veth peer name up1")
	servertest.IP(t, "link set up1 up")
	servertest.IP(t, "link set up0 up")
	servertest.IP(t, "addr add fd00:77::5/64 dev up0 nodad")
	servertest.IP(t, "route add default via fd00:77::1 dev up0")
	expect("[fd00:77::5]")
	servertest.IP(t, "addr add 10.77.0.5/24 dev up0")
	servertest.IP(t, "route add default via 10.77.0.1 dev up0")
	expect("10.77.0.5")

	now, err := find(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	changed := make(chan string, 9)
	watched := make(chan struct{}, 1000)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		ownip.Refresher{
			Find: find,
			Watch: func(ctx context.Context, changed func()) error {
				return ownip.Watch(ctx, func() { watched <- struct{}{}; changed() })
			},
			Changed: func(a ownip.Answer) error { changed <- a.Host(); return nil },
			Log:     slog.New(slog.DiscardHandler),
		}.Run(ctx, now)
	}()
	// Addresses come and go until it has noticed, for nothing tells when it has
	// begun to watch.
	servertest.Wait(t, "a change to be noticed", func() error {
		servertest.IP(t, "addr add 10.78.0.5/24 dev up0")
		servertest.IP(t, "addr del 10.78.0.5/24 dev up0")
		if len(watched) == 0 {
			return os.ErrDeadlineExceeded
		}
		return nil
	})
	servertest.IP(t, "addr add 10.77.0.6/24 dev up0")
	servertest.IP(t, "addr del 10.77.0.5/24 dev up0")
	servertest.IP(t, "addr replace 10.77.0.6/24 dev up0")
	servertest.IP(t, "route replace default via 10.77.0.1 dev up0")
	for want := range strings.FieldsSeq("10.77.0.6 [fd00:77::5]") {
		select {
		case got := <-changed:
			if got == "[fd00:77::5]" && got != want { // in between there was no IPv4
				got = <-changed
			}
			if got != want {
				t.Errorf("the address is %s, want %s", got, want)
			}
		case <-time.After(time.Minute):
			t.Fatalf("no change to %s in a minute", want)
		}
		if want == "10.77.0.6" {
			servertest.IP(t, "route del default via 10.77.0.1 dev up0")
		}
	}
	// What others can't reach is no news.
	for len(watched) > 0 {
		<-watched
	}
	servertest.IP(t, "addr add 127.0.0.7/8 dev lo")
	servertest.IP(t, "link add other0 type veth peer name other1")
	servertest.IP(t, "link set other1 up")
	servertest.IP(t, "link set other0 up") // gets a link-local address
	if len(watched) > 0 {
		t.Errorf("%d changes were told that are none", len(watched))
	}
	cancel()
	select {
	case <-ended:
	case <-time.After(time.Minute):
		t.Error("it does not end")
	}
}
