package server_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"

	"hale/internal/server"
)

// TestListenBothFamilies: without a host, IPv4 and IPv6 are both answered.
func TestListenBothFamilies(t *testing.T) {
	for _, address := range []string{":0", "0", "[::]:0"} {
		t.Run(address, func(t *testing.T) {
			l, err := server.Listen(address)
			if err != nil {
				t.Fatal(err)
			}
			r := startOn(t, l, dialPlain, fixed, server.Options{})
			_, port, _ := net.SplitHostPort(r.address.String())
			hosts := []string{"127.0.0.1"}
			if hasIPv6(t) {
				hosts = append(hosts, "::1")
			}
			for _, host := range hosts {
				c, err := net.Dial("tcp", net.JoinHostPort(host, port))
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				io.WriteString(c, get)
				checkAnswer(t, bufio.NewReader(c), "200 ok", false, false)
			}
		})
	}
}

func hasIPv6(t *testing.T) bool {
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Logf("this machine has no IPv6: %v", err)
		return false
	}
	l.Close()
	return true
}

func TestListenOneFamily(t *testing.T) {
	for _, tt := range []struct{ address, network, prefix string }{
		{"127.0.0.1:0", "tcp4", "127.0.0.1:"},
		{"0.0.0.0:0", "tcp4", "0.0.0.0:"},
		{"[::1]:0", "tcp6", "[::1]:"},
	} {
		if tt.network == "tcp6" && !hasIPv6(t) {
			continue
		}
		l, err := server.Listen(tt.address)
		if err != nil {
			t.Fatal(err)
		}
		if got := l.Addr().String(); !strings.HasPrefix(got, tt.prefix) {
			t.Errorf("%s: got %s, want %s…", tt.address, got, tt.prefix)
		}
		l.Close()
	}
}

func TestListenErrors(t *testing.T) {
	taken := listenTCP(t)
	defer taken.Close()
	used := taken.Addr().String()
	for _, tt := range []struct {
		address, want string
		is            error
	}{
		{used, "can't listen on " + used + ": the address is in use by another program (ss -ltnp shows which): stop that one, or choose another address: ", syscall.EADDRINUSE},
		{"192.0.2.1:5000", "can't listen on 192.0.2.1:5000: this host has no such address: give one of its own, or :5000 for all of them: ", syscall.EADDRNOTAVAIL},
		{"", `can't listen on "": give HOST:PORT, [IPv6]:PORT, :PORT or PORT, for example :5000`, nil},
		{"localhost", `can't listen on "localhost": give HOST:PORT, [IPv6]:PORT, :PORT or PORT, for example :5000`, nil},
		{"::1:5000", `can't listen on "::1:5000": give HOST:PORT, [IPv6]:PORT, :PORT or PORT, for example :5000`, nil},
		{"65536", `can't listen on ":65536": the port "65536" is not a number from 0 to 65535`, nil},
		{"-1", `can't listen on ":-1": the port "-1" is not a number from 0 to 65535`, nil},
		{":http", `can't listen on ":http": the port "http" is not a number from 0 to 65535`, nil},
		{"127.0.0.1:", `can't listen on "127.0.0.1:": the port "" is not a number from 0 to 65535`, nil},
	} {
		l, err := server.Listen(tt.address)
		if err == nil {
			l.Close()
			t.Errorf("%q: got no error, want %s", tt.address, tt.want)
			continue
		}
		if got := err.Error(); tt.is == nil && got != tt.want || !strings.HasPrefix(got, tt.want) || tt.is != nil && !errors.Is(err, tt.is) {
			t.Errorf("%q: got %s\nwant %s", tt.address, got, tt.want)
		}
	}
}
