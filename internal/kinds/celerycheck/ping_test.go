package celerycheck

import (
	"context"
	"encoding/base64"
	"fmt"
	"testing"
	"time"
)

// What counts as the reply, of what may come: only what the named worker says,
// and only to this ping.
func TestJudge(t *testing.T) {
	p := newPing(t.Context(), "celery+redis://h:1", "celery@a")
	const json = "application/json"
	for _, test := range []struct {
		name, contentType, body string
		mine                    bool
		err                     string
	}{
		{"reply", json, `{"celery@a": {"ok": "pong"}}`, true, ""},
		{"another worker", json, `{"celery@b": {"ok": "pong"}}`, false, ""},
		{"a worker whose name begins so", json, `{"celery@ab": {"ok": "pong"}}`, false, ""},
		{"error", json, `{"celery@a": {"error": "KeyError('ping')"}}`, true,
			"celery+redis://h:1: 'celery@a' answers the ping with map[error:KeyError('ping')]; see its log"},
		{"no reply to a ping", json, `["celery@a", "pong"]`, false, ""},
		{"no JSON", json, `pong celery@a`, false, ""},
		{"pickle", "application/x-python-serialize", "\x80\x04}\x94\x8c\x08celery@a}\x8c\x02ok\x8c\x04pongss.", true, ""},
		{"pickle of another", "application/x-python-serialize", "\x80\x04}\x94\x8c\x08celery@b}\x8c\x02ok\x8c\x04pongss.", false, ""},
	} {
		message := fmt.Sprintf(`{"body": %q, "content-type": %q, "headers": {"ticket": %q, "clock": 7}, "properties": {"body_encoding": "base64"}}`,
			base64.StdEncoding.EncodeToString([]byte(test.body)), test.contentType, p.id)
		mine, err := p.judgeMessage([]byte(message))
		if mine != test.mine || (err == nil) != (test.err == "") || err != nil && err.Error() != test.err {
			t.Errorf("%s: got %v, %v", test.name, mine, err)
		}
	}
	for _, message := range []string{
		placeholder, "", "{}",
		`{"body": "{\"celery@a\": {\"ok\": \"pong\"}}", "content-type": "application/json", "headers": {"ticket": "another"}}`,
		fmt.Sprintf(`{"body": "%%%%%%", "content-type": "application/json", "headers": {"ticket": %q}, "properties": {"body_encoding": "base64"}}`, p.id),
	} {
		if mine, err := p.judgeMessage([]byte(message)); mine || err != nil {
			t.Errorf("%s: got %v, %v", message, mine, err)
		}
	}
	plain := fmt.Sprintf(`{"body": "{\"celery@a\": {\"ok\": \"pong\"}}", "content-type": "application/json", "headers": {"ticket": %q}}`, p.id)
	if mine, err := p.judgeMessage([]byte(plain)); !mine || err != nil {
		t.Errorf("a body without encoding: got %v, %v", mine, err)
	}
}

// A ping has to end before its context does, and what is stored for it outlives
// the longest.
func TestTimes(t *testing.T) {
	for _, timeout := range []time.Duration{time.Millisecond, 400 * time.Millisecond, 3 * time.Second, time.Minute, time.Hour} {
		ctx, cancel := context.WithTimeout(t.Context(), timeout)
		p := newPing(ctx, "", "")
		deadline, _ := ctx.Deadline()
		if left := deadline.Sub(p.until); left <= 0 && timeout > 0 || p.until.Before(p.start) || p.until.Sub(p.start) > longest {
			t.Errorf("%v: from %v until %v", timeout, p.start, p.until)
		}
		cancel()
	}
	if p := newPing(t.Context(), "", ""); p.timeout != longest {
		t.Errorf("without a deadline: timeout %v, want %v", p.timeout, longest)
	}
	if bindingLife <= longest || slot+bindingLife >= slots*slot || listLife <= slot+bindingLife {
		t.Errorf("a ping waits %v; %d slots of %v, bindings live %v, lists %v", longest, slots, slot, bindingLife, listLife)
	}
}
