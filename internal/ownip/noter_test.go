package ownip_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"syscall"
	"testing"

	"hale/internal/ownip"
)

// A noter notes what is to be connected, and connects nothing.
type noter struct {
	lacks  []string // networks without a route
	tried  []string
	answer ownip.Answer
	err    error
}

func (n *noter) dial(_ context.Context, network, address string) (net.Conn, error) {
	n.tried = append(n.tried, network+" "+address)
	switch {
	case slices.Contains(n.lacks, network):
		return nil, syscall.ENETUNREACH
	case network == "udp4":
		return routed{addr: &net.UDPAddr{IP: net.ParseIP("10.9.8.7"), Port: 1}}, nil
	case network == "udp6":
		return routed{addr: &net.UDPAddr{IP: net.ParseIP("fd00::77"), Port: 1}}, nil
	}
	return nil, errors.New("nothing is connected in this test")
}

// metadata is what was asked besides the routing table.
func (n *noter) metadata() []string {
	var asked []string
	for _, t := range n.tried {
		if !strings.HasPrefix(t, "udp") {
			asked = append(asked, t)
		}
	}
	return asked
}

// note finds out whom hale would ask on a machine with these names.
func note(t *testing.T, dmi map[string]string, lacks []string) *noter {
	t.Helper()
	n := &noter{lacks: lacks}
	n.answer, n.err = ownip.Find(t.Context(), ownip.Options{
		DMI: names(t, dmi), DialContext: n.dial, Getenv: func(string) string { return "" },
	})
	return n
}
