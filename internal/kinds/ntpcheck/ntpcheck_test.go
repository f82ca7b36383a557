package ntpcheck_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"hale/internal/check"
	"hale/internal/kinds/kindtest"
	"hale/internal/kinds/ntpcheck"
	"hale/internal/servertest"
)

var kinds = kindtest.Kinds{ntpcheck.Kind()}

var (
	run           = kinds.Run
	build         = kinds.Build
	expectFailure = kindtest.ExpectFailure
)

func expectNote(t *testing.T, result check.Result, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if result.Err != nil || !strings.Contains(result.Note, part) {
			t.Errorf("got note %q and error %v, want %q in the note", result.Note, result.Err, part)
		}
	}
}

func TestChrony(t *testing.T) {
	s := servertest.Chrony(t, "local stratum 10")
	url := "ntp://" + s.Addr
	// The server's clock is this host's own; only the way back and forth makes
	// a difference, which is bounded generously.
	expectNote(t, run(t, url+"?max_offset=30s"), " by ", ", stratum 10")
	expectNote(t, run(t, fmt.Sprintf("ntp://:%d?max_offset=30s&max_stratum=10", s.Port)), ", stratum 10")
	expectFailure(t, run(t, url+"?max_stratum=9"), check.ReasonRole, url+": its stratum is 10, and at most 9 is wanted")
	s.Pause()
	expectFailure(t, run(t, url+"?timeout=300ms"), check.ReasonTimeout, "no answer within 300ms: "+url+": no reply: ")
	s.Resume()
	expectNote(t, run(t, url+"?max_offset=30s"), ", stratum 10")
	s.Stop()
	expectFailure(t, run(t, url), check.ReasonRefused, url+": ")
}

func TestChronyNotSynchronised(t *testing.T) {
	s := servertest.Chrony(t)
	expectFailure(t, run(t, "ntp://"+s.Addr), check.ReasonLoading, "ntp://"+s.Addr+": the server is not synchronised; see its sources (chronyc sources, ntpq -p)")
}

// fake answers every request with the packets that reply makes of it, until the
// test ends, and returns its URL. A real server with a wrong clock would need
// a machine of its own.
func fake(t *testing.T, reply func(request []byte) [][]byte) string {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		buffer := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buffer)
			if err != nil {
				return
			}
			for _, packet := range reply(slices.Clone(buffer[:n])) {
				_, _ = conn.WriteTo(packet, from)
			}
		}
	})
	t.Cleanup(func() { _ = conn.Close(); running.Wait() })
	return "ntp://" + conn.LocalAddr().String()
}

// answer makes the reply of a server of stratum 2 whose clock is ahead of this
// host's (RFC 5905, section 7.3).
func answer(request []byte, ahead time.Duration) []byte {
	p := make([]byte, 48)
	p[0], p[1] = 4<<3|4, 2
	copy(p[12:], []byte{192, 0, 2, 1})
	copy(p[24:], request[40:48])
	now := time.Now().Add(ahead)
	for _, at := range []int{32, 40} {
		binary.BigEndian.PutUint32(p[at:], uint32(now.Unix()+2208988800))
		binary.BigEndian.PutUint32(p[at+4:], uint32(uint64(now.Nanosecond())<<32/1e9))
	}
	return p
}

func changed(packet []byte, change func([]byte)) []byte {
	change(packet)
	return packet
}

// TestOffset uses offsets so large that no pause of the machine is like them.
func TestOffset(t *testing.T) {
	for _, test := range []struct {
		ahead   time.Duration
		options string
		want    string // begins the offset; "" when it is within the limit
	}{
		{0, "?max_offset=20s", ""},
		{100 * time.Second, "?max_offset=200s", ""},
		{-100 * time.Second, "?max_offset=200s", ""},
		{3600*time.Second + 500*time.Millisecond, "", "this host's clock is behind by 1h0m0."},
		{-3600*time.Second + 500*time.Millisecond, "", "this host's clock is ahead by 59m59."},
		// As before the era of NTP's time ends in 2036, and after.
		{30*365*24*time.Hour + 500*time.Millisecond, "", "this host's clock is behind by 262800h0m0."},
		{-30 * 365 * 24 * time.Hour, "", "this host's clock is ahead by 262"},
	} {
		url := fake(t, func(request []byte) [][]byte { return [][]byte{answer(request, test.ahead)} })
		result := run(t, url+test.options)
		if test.want == "" {
			expectNote(t, result, " by ", ", stratum 2")
			continue
		}
		expectFailure(t, result, check.ReasonSize, url+": "+test.want, ", at most 1s is wanted; see whether it is synchronised (timedatectl, chronyc tracking)")
	}
}

// TestOffsetOfBothWays: the offset is the mean of those on the way there and
// back.
func TestOffsetOfBothWays(t *testing.T) {
	url := fake(t, func(request []byte) [][]byte {
		there, back := answer(request, 100*time.Second), answer(request, 301*time.Second)
		copy(there[40:], back[40:])
		return [][]byte{there}
	})
	expectFailure(t, run(t, url), check.ReasonSize, "behind by 3m20.")
}

func TestReplies(t *testing.T) {
	kiss := func(code string) func([]byte) {
		return func(p []byte) { p[0] |= 3 << 6; p[1] = 0; copy(p[12:], code) }
	}
	for _, test := range []struct {
		name    string
		change  func([]byte)
		reason  check.Reason
		message string
	}{
		{"denied", kiss("DENY"), check.ReasonPermission, "the server refuses this client (DENY); see whom it allows"},
		{"restricted", kiss("RSTR"), check.ReasonPermission, "the server refuses this client (RSTR); see whom it allows"},
		{"too often", kiss("RATE"), check.ReasonStatus, "the server is asked too often (RATE); set a longer interval"},
		{"starting", kiss("INIT"), check.ReasonLoading, "the server is not synchronised; see its sources"},
		{"leap", func(p []byte) { p[0] |= 3 << 6 }, check.ReasonLoading, "the server is not synchronised; see its sources"},
		{"stratum 16", func(p []byte) { p[1] = 16 }, check.ReasonLoading, "the server is not synchronised; see its sources"},
		{"no time", func(p []byte) { clear(p[40:]) }, check.ReasonProtocol, "the reply has no time in it"},
	} {
		t.Run(test.name, func(t *testing.T) {
			url := fake(t, func(request []byte) [][]byte { return [][]byte{changed(answer(request, 0), test.change)} })
			expectFailure(t, run(t, url), test.reason, url+": "+test.message)
		})
	}
}

// TestForeignReplies: a spoofed, late or broken reply does not count.
func TestForeignReplies(t *testing.T) {
	foreign := func(request []byte) [][]byte {
		return [][]byte{
			changed(answer(request, time.Hour), func(p []byte) { p[24]++ }),
			changed(answer(request, time.Hour), func(p []byte) { p[31]++ }),
			changed(answer(request, time.Hour), func(p []byte) { p[0] = 4<<3 | 5 }), // a broadcast
			answer(request, time.Hour)[:47],
			request,
			{},
			[]byte(strings.Repeat("garbage ", 100)),
		}
	}
	url := fake(t, func(r []byte) [][]byte { return append(foreign(r), append(answer(r, 0), "extension"...)) })
	expectNote(t, run(t, url+"?max_offset=20s"), ", stratum 2")
	url = fake(t, foreign)
	expectFailure(t, run(t, url+"?timeout=300ms"), check.ReasonTimeout, "(of what came, 7 packets, nothing is a reply to the request)")
}

// TestRequest: what is sent tells nothing of this host, and never the same.
func TestRequest(t *testing.T) {
	requests := make(chan []byte, 2)
	url := fake(t, func(r []byte) [][]byte { requests <- r; return [][]byte{answer(r, 0)} })
	expectNote(t, run(t, url+"?max_offset=20s"), "stratum 2")
	expectNote(t, run(t, url+"?max_offset=20s"), "stratum 2")
	a, b := <-requests, <-requests
	want := make([]byte, 40)
	want[0] = 0x23 // version 4, a client
	if !slices.Equal(a[:40], want) || len(a) != 48 || slices.Equal(a[40:], b[40:]) {
		t.Errorf("got %x and %x, want %x and a random number in each", a, b, want)
	}
}

// TestContract is the part of the contract that is the same for UDP.
func TestContract(t *testing.T) {
	silent := fake(t, func([]byte) [][]byte { return nil })
	t.Run("silent", func(t *testing.T) {
		kindtest.ExpectLeavesNothing(t)
		kindtest.ExpectReason(t, kindtest.Run(t, t.Context(), kindtest.Build(t, ntpcheck.Kind(), silent)), check.ReasonTimeout)
	})
	t.Run("garbage without end", func(t *testing.T) {
		url := fake(t, func([]byte) [][]byte { return slices.Repeat([][]byte{[]byte(strings.Repeat("A", 1400))}, 1000) })
		kindtest.ExpectLeavesNothing(t)
		kindtest.ExpectReason(t, kindtest.Run(t, t.Context(), kindtest.Build(t, ntpcheck.Kind(), url)), check.ReasonTimeout)
	})
	t.Run("closed", func(t *testing.T) {
		url := fake(t, func(r []byte) [][]byte { return [][]byte{answer(r, 0)} }) + "?max_offset=20s"
		expectNote(t, run(t, url), "stratum 2")
		before := openFiles(t)
		expectNote(t, run(t, url), "stratum 2")
		if after := openFiles(t); after != before {
			t.Errorf("%d files are open, before the run it was %d", after, before)
		}
	})
	t.Run("cancelled", func(t *testing.T) {
		kindtest.ExpectLeavesNothing(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		kindtest.ExpectReason(t, kindtest.Run(t, ctx, kindtest.Build(t, ntpcheck.Kind(), silent)), check.ReasonCanceled)
	})
	t.Run("cancelled while waiting", func(t *testing.T) {
		asked := make(chan struct{}, 1)
		url := fake(t, func([]byte) [][]byte { asked <- struct{}{}; return nil })
		kindtest.ExpectLeavesNothing(t)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-asked; cancel() }()
		c := kindtest.Build(t, ntpcheck.Kind(), url, check.Option{Name: "timeout", Values: []string{"5s"}})
		start := time.Now()
		kindtest.ExpectReason(t, kindtest.Run(t, ctx, c), check.ReasonCanceled)
		if d := time.Since(start); d > c.Policy.Timeout/2 {
			t.Errorf("ended after %v, want soon after the cancellation", d)
		}
	})
}

// openFiles counts this process's files and sockets.
func openFiles(t *testing.T) int {
	t.Helper()
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}

func TestOptions(t *testing.T) {
	for _, test := range []struct{ name, url, want string }{
		{"port", "ntp://h:70000", "url: port 70000 is out of range; a port is a number from 1 to 65535"},
		{"user", "ntp://u:pass-word@h", "url: has a user name or password, and a time server needs none; leave it out"},
		{"path", "ntp://h/pool", `url: has the path "/pool", and a time server has none; leave it out`},
		{"offset", "ntp://h?max_offset=0s", "max_offset: 0s is not above zero; give a duration such as 500ms"},
		{"negative offset", "ntp://h?max_offset=-1s", "max_offset: -1s is not above zero; give a duration such as 500ms"},
		{"stratum", "ntp://h?max_stratum=16", "max_stratum: 16 is out of range; give a number from 1 to 15"},
		{"no stratum", "ntp://h?max_stratum=0", "max_stratum: 0 is out of range; give a number from 1 to 15"},
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
	c := kindtest.Build(t, ntpcheck.Kind(), "ntp://:1")
	if got, want := fmt.Sprint(c.Options), "[{max_offset 1s} {max_stratum 15}]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if _, err := build(ntpcheck.Kind().Example); err != nil {
		t.Errorf("the example: %v", err)
	}
}
