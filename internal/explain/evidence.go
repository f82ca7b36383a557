package explain

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"time"

	"hale/internal/balancer"
)

// A trial is a request that was sent to find the reason, and what it got.
type trial struct {
	attempt
	got *answer
}

// try asks again, with one thing changed. What is known from before is not asked
// again.
func (t *trouble) try(change func(*attempt)) *answer {
	if len(t.tried) >= followUps {
		return &answer{err: errors.New("enough was asked")}
	}
	next := t.base
	next.wait = min(max(next.wait, 2*time.Second), 5*time.Second)
	change(&next)
	a := t.p.ask(t.ctx, next.question())
	t.tried = append(t.tried, trial{next, a})
	return a
}

// without names the changes whose answers were like this, for a sentence: with
// Host: a, and with HTTP/2. It is "" if none was.
func (t *trouble) without(like func(*answer) bool) string {
	var all []string
	said := map[string]bool{}
	for _, one := range t.tried {
		text := t.difference(one.attempt)
		if text == "" || said[text] || !like(one.got) {
			continue
		}
		said[text] = true
		all = append(all, text)
	}
	if n := len(all); n > 1 {
		return strings.Join(all[:n-1], ", ") + " and " + all[n-1]
	}
	return strings.Join(all, "")
}

// difference says in what a request differs from the balancer's; "" if in
// nothing that has a name.
func (t *trouble) difference(a attempt) string {
	base := t.base
	switch {
	case a.proxy != base.proxy && a.proxy:
		return "a PROXY protocol header"
	case a.proxy != base.proxy:
		return "no PROXY protocol header"
	case a.secure != base.secure && a.secure:
		return "TLS"
	case a.secure != base.secure:
		return "no TLS"
	case a.sni != base.sni:
		return "the server name " + clean(a.sni)
	case a.probe.Protocol != base.probe.Protocol:
		return string(a.probe.Protocol)
	case a.host() != base.host():
		return "Host: " + clean(a.host())
	case a.probe.Method != base.probe.Method:
		return a.probe.Method + " in place of " + base.probe.Method
	case a.path() != base.path():
		return "the path " + clean(a.path())
	case a.probe.Agent() != base.probe.Agent():
		return "a browser's User-Agent"
	}
	return ""
}

// askSite asks for the site's name where it was not given; where it was and its
// request was refused for something else, it says so.
func (t *trouble) askSite(f *Finding, question string) {
	if t.p.Site == "" {
		f.Ask = append(f.Ask, question+" --site NAME has explain try it.")
		return
	}
	for _, one := range t.tried {
		if one.hostname() == t.p.Site && one.got.http != nil && !one.got.counts() {
			f.Ask = append(f.Ask, fmt.Sprintf("With Host: %s the answer was %s, which says nothing of the Host: does it get the same after a pause?", clean(t.p.Site), short(one.got.http)))
			return
		}
	}
}

// steady sends the balancer's own request twice more, and reports whether what
// became of it is what it was. Without this, something that comes and goes, or is
// only late, would be blamed on whatever was changed meanwhile.
func (t *trouble) steady() bool {
	again := t.base
	if isTimeout(t.answer.err) {
		// Silence is proven by more time than the last other request took.
		again.wait = 2 * time.Second
		if n := len(t.tried); n > 0 {
			again.wait = max(again.wait, 3*t.tried[n-1].got.took)
		}
	}
	for t.repeated < 2 && (t.again == nil || t.same(t.again)) {
		t.again = t.p.fresh(t.ctx, again.question())
		t.repeated++
	}
	return t.same(t.again)
}

// same reports whether an answer is what the balancer got: the same status, or
// the same end at the same step.
func (t *trouble) same(a *answer) bool {
	was := t.answer
	if a.http != nil && was.http != nil {
		return a.status() == was.status() && (a.stage == was.stage || !t.good(was))
	}
	return (a.http == nil) == (was.http == nil) && a.stage == was.stage && isTimeout(a.err) == isTimeout(was.err)
}

// late is for what answers in more time than the balancer gives it, but no more
// than explain gives its other requests: those would be answered for it alone.
func late(t *trouble) *Finding {
	const given = 2 * time.Second
	if !isTimeout(t.answer.err) || t.base.wait >= given {
		return nil
	}
	return t.more(given)
}

// more gives the balancer's own request more time, and returns a finding if it
// comes further then.
func (t *trouble) more(given time.Duration) *Finding {
	longer := t.base
	longer.wait = given
	a := t.p.fresh(t.ctx, longer.question())
	t.again, t.repeated = a, t.repeated+1
	first, what, took := fmt.Sprintf("The connection was made, and no answer came within %s.", since(t.answer.took)), "answered", a.took
	if t.answer.stage == atTLS {
		first, what, took = fmt.Sprintf("The connection was made, and the TLS handshake was not done within %s.", since(t.answer.took)), "through with the handshake", a.secured
	}
	if a.stage <= t.answer.stage || t.answer.stage == atRequest && a.http == nil {
		return nil
	}
	t.soft = recognise(a.http)
	after := fmt.Sprintf("was %s after %s", what, since(took))
	if a.http != nil && t.answer.stage == atRequest {
		after += ": " + short(a.http)
	}
	if took < t.base.wait {
		f := t.found(balancer.CauseSlow, Likely, first, fmt.Sprintf("The same request, sent once more, %s. Only the first is slow.", after))
		f.Ask = append(f.Ask, "Does the server start its workers, or open its connections, with the first request?")
		return f
	}
	return t.found(balancer.CauseSlow, Certain, first, fmt.Sprintf("The same request, given more time, %s.", after))
}

// ended reports whether a connection was ended by the other side.
func ended(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// sleep waits; it is false if ctx ended before.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
