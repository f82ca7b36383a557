package icmpcheck_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"hale/internal/kinds/icmpcheck"
	"hale/internal/kinds/kindtest"
)

var kinds = kindtest.Kinds{icmpcheck.Kind()}

var (
	build = kinds.Build
)

// answered makes a host's reply out of a request.
func answered(request []byte, kind byte) []byte {
	reply := slices.Clone(request)
	reply[0] = kind
	return reply
}

// TestReplies: only the reply to the own request counts.
func TestReplies(t *testing.T) {
	v4, v6 := icmpcheck.NewEcho(false), icmpcheck.NewEcho(true)
	// RFC 792: type 8, code 0, checksum, identifier, sequence number. The
	// checksum is that of another implementation.
	want := append([]byte{8, 0, 0xb6, 0x93, 0x12, 0x34, 0, 1}, "0123456789abcdef"...)
	if got := v4.Request(); !bytes.Equal(got, want) {
		t.Errorf("the request is\n%x, want\n%x", got, want)
	}
	if got := v6.Request(); got[0] != 128 || !bytes.Equal(got[4:], want[4:]) {
		t.Errorf("the request over IPv6 is %x", got)
	}
	good := answered(v4.Request(), 0)
	withHeader := append(append([]byte{0x46}, make([]byte, 23)...), good...) // with an option
	at := func(i int) []byte { m := slices.Clone(good); m[i]++; return m }
	for _, test := range []struct {
		name  string
		reply []byte
		raw   bool
		want  bool
	}{
		{"reply", good, true, true},
		{"reply on the other socket", good, false, true},
		{"with the IPv4 header", withHeader, true, true},
		{"the kernel's identifier", at(4), false, true},
		{"another identifier", at(4), true, false},
		{"another sequence number", at(7), false, false},
		{"another sequence number, high byte", at(6), false, false},
		{"another content", at(8), false, false},
		{"another end", at(23), false, false},
		{"another code", at(1), false, false},
		{"the request itself", v4.Request(), true, false},
		{"not reachable", at(0), false, false},
		{"of IPv6", answered(v4.Request(), 129), false, false},
		{"too short", good[:23], false, false},
		{"too long", append(slices.Clone(good), 0), false, false},
		{"nothing", nil, true, false},
		{"a header alone", []byte{0x4f}, true, false},
	} {
		if got := v4.IsReply(test.reply, test.raw); got != test.want {
			t.Errorf("%s: %t, want %t", test.name, got, test.want)
		}
	}
	if !v6.IsReply(answered(v6.Request(), 129), true) || v6.IsReply(v6.Request(), true) || v6.IsReply(answered(v6.Request(), 0), true) {
		t.Error("over IPv6 another message is taken for the reply")
	}
}

func TestOptions(t *testing.T) {
	for _, test := range []struct{ name, url, want string }{
		{"no host", "icmp://", "url: icmp:// has no host; write icmp://HOST"},
		{"without slashes", "icmp:gateway", "url: icmp:gateway has no host; write icmp://HOST"},
		{"port", "icmp://h:7", "url: has a port, and ICMP has none; leave it out, or use tcp://"},
		{"user", "icmp://u:pass-word@h", "url: has a user name or password, and a ping needs none; leave it out"},
		{"path", "icmp://h/x", `url: has the path "/x", and a ping has none; leave it out`},
		{"ip", "icmp://h?ip=5", `ip: "5" is not a version of IP; give 4, 6 or any`},
		{"not of version 6", "icmp://127.0.0.1?ip=6", "ip: 127.0.0.1 is not an address of version 6; leave ip out"},
		{"not of version 4", "icmp://[::1]?ip=4", "ip: ::1 is not an address of version 4; leave ip out"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := build(test.url)
			if err == nil || err.Error() != test.want {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
		})
	}
}

func TestDefaults(t *testing.T) {
	c := kindtest.Build(t, icmpcheck.Kind(), "icmp://127.0.0.1")
	if got, want := fmt.Sprint(c.Options), "[{ip any}]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if _, err := build(icmpcheck.Kind().Example); err != nil {
		t.Errorf("the example: %v", err)
	}
}
