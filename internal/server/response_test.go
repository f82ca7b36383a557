package server

import (
	"context"
	"strings"
	"testing"
	"time"

	"hale/internal/verdict"
)

func TestResponse(t *testing.T) {
	r := NewResponse(503, "text/plain", "fail", "Cache-Control: no-store", "X: y")
	const head = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n" +
		"Cache-Control: no-store\r\nX: y\r\nDate: now\r\n"
	for _, tt := range []struct {
		ending ending
		isHead bool
		want   string
	}{
		{endOpen, false, head + "\r\nfail"},
		{endOpen, true, head + "\r\n"},
		{endKept, false, head + "Connection: keep-alive\r\n\r\nfail"},
		{endClosed, false, head + "Connection: close\r\n\r\nfail"},
		{endClosed, true, head + "Connection: close\r\n\r\n"},
	} {
		if got := string(r.appendTo(nil, "Date: now\r\n", tt.ending, tt.isHead)); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
	if got, want := r.Status(), 503; got != want {
		t.Errorf("got status %d, want %d", got, want)
	}
	if got, want := NewResponse(599, "text/plain", "").head, "HTTP/1.1 599 \r\n"; !strings.HasPrefix(got, want) {
		t.Errorf("got %q, want %q first", got, want)
	}
}

func TestDateIsRenderedOnceASecond(t *testing.T) {
	var d dateField
	d.at(0)
	first := d.cache.Load()
	if d.at(999 * time.Millisecond); d.cache.Load() != first {
		t.Error("it was rendered again within the second")
	}
	if d.at(time.Second); d.cache.Load() == first {
		t.Error("it was not rendered again in the next second")
	}
	if got := d.at(time.Second); !strings.HasPrefix(got, "Date: ") || !strings.HasSuffix(got, " GMT\r\n") {
		t.Errorf("got %q", got)
	}
}

type passes struct{}

func (passes) Draining() bool { return false }

func (passes) AnswerUndrained(context.Context, string) (verdict.Outcome, bool) {
	return verdict.Pass, true
}

func (passes) Answer(context.Context, string) (verdict.Outcome, bool) { return verdict.Pass, true }

// TestAnAnswerAllocatesNothing, from the bytes of the request to those of the
// answer.
func TestAnAnswerAllocatesNothing(t *testing.T) {
	s := New(Verdicts(passes{}, VerdictOptions{}), Options{})
	in := []byte("GET /_healthz/livez/ HTTP/1.1\r\nHost: 10.0.0.1\r\nUser-Agent: x\r\nAccept: */*\r\nConnection: keep-alive\r\n\r\n")
	out := make([]byte, 0, len(memory{}.out))
	s.date.at(0)
	got := testing.AllocsPerRun(1000, func() {
		var h head
		parseHead(in, &h)
		out = s.respond(t.Context(), &h.Request).appendTo(out[:0], s.date.at(0), endOpen, false)
	})
	if got > 1 { // h itself, which a connection has but once
		t.Errorf("got %v allocations", got)
	}
	if cap(out) != len(memory{}.out) {
		t.Errorf("an answer of %d bytes does not fit", len(out))
	}
}
