package dnscheck_test

import (
	"context"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"hale/internal/check"
	"hale/internal/kinds/dnscheck"
	"hale/internal/kinds/kindtest"
)

// fake answers every query over UDP with the packets that reply makes of it,
// until the test ends, and returns its address. It is for what real servers do
// not do.
func fake(t *testing.T, reply func(query []byte) [][]byte) string {
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
	return conn.LocalAddr().String()
}

// answerTo makes a reply with one A record out of a query (RFC 1035, section
// 4.1): the identifier, flags, counts, the question, and a record whose name
// points to that of the question.
func answerTo(query []byte, last byte) []byte {
	reply := slices.Clone(query)
	reply[2], reply[3] = 0x81, 0x80 // a reply; recursion desired and available
	reply[7] = 1                    // one answer
	return append(reply, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, last)
}

func changed(packet []byte, change func([]byte)) []byte {
	change(packet)
	return packet
}

// TestForeignReplies: a spoofed, late or broken reply does not count.
func TestForeignReplies(t *testing.T) {
	foreign := func(query []byte) [][]byte {
		return [][]byte{
			changed(answerTo(query, 66), func(p []byte) { p[0]++ }),      // another identifier
			changed(answerTo(query, 66), func(p []byte) { p[1] ^= 1 }),   // another identifier
			changed(answerTo(query, 66), func(p []byte) { p[13] = 'x' }), // another name
			changed(answerTo(query, 66), func(p []byte) { p[len(query)-3] = 28 }),
			changed(answerTo(query, 66), func(p []byte) { p[2] = 0x01 }), // not a reply
			changed(answerTo(query, 66), func(p []byte) { p[5] = 0 }),    // no question
			query,
			{},
			[]byte("HTTP/1.1 400 Bad Request\r\n\r\n"),
			query[:11],
		}
	}
	address := fake(t, func(q []byte) [][]byte { return append(foreign(q), answerTo(q, 1)) })
	expectNote(t, run(t, "dns://"+address+"/www.example.org"), "192.0.2.1")

	address = fake(t, foreign)
	result := run(t, "dns://"+address+"/www.example.org?timeout=300ms")
	expectFailure(t, result, check.ReasonTimeout, "(of what came, 10 packets, nothing is a reply to the query)")
}

func TestBrokenAnswers(t *testing.T) {
	for _, test := range []struct {
		name   string
		reply  func(query []byte) []byte
		reason check.Reason
		text   string
	}{
		{"cut off", func(q []byte) []byte { p := answerTo(q, 1); return p[:len(p)-2] }, check.ReasonProtocol, "the reply can't be read: "},
		{"record of another name", func(q []byte) []byte {
			p := append(slices.Clone(q), 1, 'x', 0)
			p = append(p, answerTo(q, 1)[len(q)+2:]...)
			return changed(p, func(p []byte) { p[2], p[3], p[7] = 0x81, 0x80, 1 })
		}, check.ReasonMissing, "the name exists, but has no A record"},
		{"alias of itself", func(q []byte) []byte {
			p := append(answerTo(q, 1)[:len(q)], 0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 60, 0, 2, 0xc0, 12)
			return p
		}, check.ReasonMissing, "it is an alias of www.example.org, which has no A record"},
		{"referral", func(q []byte) []byte {
			return changed(answerTo(q, 1)[:len(q)], func(p []byte) { p[3], p[7] = 0, 0 })
		}, check.ReasonMissing, "no A record, only a hint whom to ask: the server is not a resolver, or not one for this client"},
		{"unknown code", func(q []byte) []byte { return changed(answerTo(q, 1), func(p []byte) { p[3] = 0x89 }) }, check.ReasonStatus, "response code 9"},
	} {
		t.Run(test.name, func(t *testing.T) {
			address := fake(t, func(q []byte) [][]byte { return [][]byte{test.reply(q)} })
			expectFailure(t, run(t, "dns://"+address+"/www.example.org"), test.reason, "dns://"+address+"/www.example.org: "+test.text)
		})
	}
}

// TestRandom: identifiers can't be foretold. Two may be the same by chance.
func TestRandom(t *testing.T) {
	const runs = 8
	asked := make(chan string, runs)
	address := fake(t, func(q []byte) [][]byte {
		asked <- string(q[:2])
		return [][]byte{answerTo(q, 1)}
	})
	var ids []string
	for range runs {
		expectNote(t, run(t, "dns://"+address+"/www.example.org"), "192.0.2.1")
		ids = append(ids, <-asked)
	}
	slices.Sort(ids)
	if distinct := len(slices.Compact(ids)); distinct < runs-2 {
		t.Errorf("%d of %d identifiers are distinct", distinct, runs)
	}
}

// TestUDPContract is the part of the contract that is the same for UDP.
func TestUDPContract(t *testing.T) {
	silent := fake(t, func([]byte) [][]byte { return nil })
	url := "dns://" + silent + "/www.example.org"
	t.Run("silent", func(t *testing.T) {
		kindtest.ExpectLeavesNothing(t)
		kindtest.ExpectReason(t, kindtest.Run(t, t.Context(), kindtest.Build(t, dnscheck.Kind(), url)), check.ReasonTimeout)
	})
	t.Run("garbage without end", func(t *testing.T) {
		address := fake(t, func([]byte) [][]byte { return slices.Repeat([][]byte{[]byte(strings.Repeat("A", 1400))}, 1000) })
		kindtest.ExpectLeavesNothing(t)
		c := kindtest.Build(t, dnscheck.Kind(), "dns://"+address+"/www.example.org")
		kindtest.ExpectReason(t, kindtest.Run(t, t.Context(), c), check.ReasonTimeout)
	})
	t.Run("closed", func(t *testing.T) {
		url := "dns://" + fake(t, func(q []byte) [][]byte { return [][]byte{answerTo(q, 1)} }) + "/www.example.org"
		expectNote(t, run(t, url), "192.0.2.1")
		before := openFiles(t)
		expectNote(t, run(t, url), "192.0.2.1")
		if after := openFiles(t); after != before {
			t.Errorf("%d files are open, before the run it was %d", after, before)
		}
	})
	t.Run("cancelled", func(t *testing.T) {
		kindtest.ExpectLeavesNothing(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		kindtest.ExpectReason(t, kindtest.Run(t, ctx, kindtest.Build(t, dnscheck.Kind(), url)), check.ReasonCanceled)
	})
	t.Run("cancelled while waiting", func(t *testing.T) {
		asked := make(chan struct{}, 1)
		address := fake(t, func([]byte) [][]byte { asked <- struct{}{}; return nil })
		kindtest.ExpectLeavesNothing(t)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-asked; cancel() }()
		c := kindtest.Build(t, dnscheck.Kind(), "dns://"+address+"/www.example.org", check.Option{Name: "timeout", Values: []string{"5s"}})
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
