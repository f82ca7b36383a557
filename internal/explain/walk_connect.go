package explain

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"time"

	"hale/internal/balancer"
)

// limits are how long the balancer waits from here on.
func (w *walk) limits() balancer.Wait {
	l := w.waits()
	if l.All > 0 {
		l.All = max(l.All-w.spent, time.Nanosecond)
	} else {
		l.Connect = max(l.Connect-w.spent, time.Nanosecond)
	}
	return l
}

// waits is how long the balancer waits, from the start.
func (w *walk) waits() balancer.Wait {
	probe, _ := w.p.place.probe(w.b)
	l := w.b.Wait(probe, w.p.place.secure())
	if l.Whole() == 0 {
		l.All = 10 * time.Second
	}
	return l
}

// wait is how long the balancer waits for all of it.
func (w *walk) wait() time.Duration { return w.waits().Whole() }

// connect asks at the first address that takes the connection. localhost is
// asked at its first one alone, like many clients do. Of several addresses each
// has its part of the time, and 2 s at least, as Go's net package has it.
func (w *walk) connect(ctx context.Context, addrs []netip.AddrPort, host string) bool {
	if isLocalhost(w.place.name) {
		addrs = addrs[:min(1, len(addrs))]
	}
	var dead []string
	for i, addr := range addrs {
		limits := w.limits()
		share := max(limits.Whole()/time.Duration(len(addrs)-i), min(limits.Whole(), 2*time.Second))
		if limits.Connect > 0 {
			share = min(share, limits.Connect)
		}
		w.ask(ctx, addr, host, limits, share)
		if ctx.Err() != nil {
			w.unplayed = true
			return w.step(StepConnect, false, 0, "not played to the end: the time for all of it is up")
		}
		if w.answer.stage != atConnect {
			break
		}
		if i == len(addrs)-1 {
			others := ""
			if len(dead) > 0 {
				others = "; and before it " + strings.Join(dead, ", ")
			}
			return w.step(StepConnect, false, w.answer.took, "%s: %s%s", addr, w.connectError(), others)
		}
		w.spent += min(w.answer.took, share)
		dead = append(dead, fmt.Sprintf("%s: %s", addr.Addr(), w.connectError()))
		w.deadRemark(addr)
	}
	others := ""
	if len(dead) > 0 {
		others = "; before it " + strings.Join(dead, ", ")
	}
	return w.step(StepConnect, true, w.answer.connected, "%s takes the connection%s", w.base.target.Address, others)
}

// deadRemark is for an address that is passed over, unless it is this machine
// that can't reach it.
func (w *walk) deadRemark(addr netip.AddrPort) {
	why := fmt.Sprintf("%s has several addresses, and %s does not take connections: %s. A balancer that asks that one is not satisfied.", clean(w.place.name), addr, w.connectError())
	switch {
	case isTimeout(w.answer.err):
		w.remark(balancer.CauseFirewall, why)
	case errors.Is(w.answer.err, syscall.ECONNREFUSED):
		w.remark(balancer.CauseStopped, why)
	}
}

// ask asks at one address.
func (w *walk) ask(ctx context.Context, addr netip.AddrPort, host string, limits balancer.Wait, share time.Duration) {
	probe, _ := w.p.place.probe(w.b)
	target := balancer.Target{
		Name: w.place.name, Address: addr, TLS: w.place.secure(), Path: w.place.path, Host: host,
	}
	if probe.Host == balancer.HostBalancer {
		target.Balancer = localTo(addr, w.p.From)
	}
	w.base = attempt{
		probe: probe, target: target, proxy: w.p.Proxy && probe.ProxyLocal, secure: target.TLS,
		sni: w.b.ServerName(target), wait: limits.Whole(),
	}
	q := w.base.question()
	q.connect, q.body = share, w.bodyTime()
	w.answer = w.p.ask(ctx, q)
	w.patiently(ctx, q)
	w.weigh(ctx, q)
	seen := w.answer.within(limits, w.b.Judge.Ends)
	if seen != w.answer {
		w.answer, w.base.wait = seen, seen.took
	}
}

// weigh finds out whether TLS that is old or weak is all that the server does.
func (w *walk) weigh(ctx context.Context, q question) {
	state := w.answer.state
	if state == nil || !w.b.TLS.Go || !isWeak(state) {
		return
	}
	q.modern = true
	w.weak = w.p.ask(ctx, q).stage == atTLS
}

// patiently asks again after a pause where a limit on requests may have counted
// those that explain itself sent for other balancers. A pause that helped once is
// what the next ones begin with.
func (w *walk) patiently(ctx context.Context, q question) {
	p := w.p
	status := w.answer.status()
	p.mu.Lock()
	refused := status == 429 || status == 503
	again := refused && p.unrefused && !p.limited
	p.unrefused = p.unrefused || status != 0 && !refused
	pauses := pausesFor(p.pace)
	p.mu.Unlock()
	if !again {
		return
	}
	for _, pause := range pauses {
		if !sleep(ctx, pause) {
			return
		}
		a := p.fresh(ctx, q)
		if a.status() != status {
			p.mu.Lock()
			p.pace = pause
			p.mu.Unlock()
			w.answer = a
			return
		}
	}
	p.mu.Lock()
	p.limited = true
	p.mu.Unlock()
}

// pausesFor are the pauses after which it is asked again, from one that helped.
func pausesFor(pace time.Duration) []time.Duration {
	const short, long = 1200 * time.Millisecond, 3 * time.Second
	if pace == long {
		return []time.Duration{long}
	}
	return []time.Duration{short, long}
}

// ownRequests is the finding where the same page was good for other balancers a
// moment before it was refused for a limit: explain may have tripped it itself.
func (w *walk) ownRequests() {
	f := w.blame(balancer.CauseRateLimit, Guess,
		fmt.Sprintf("The answer is %s, and requests for other balancers, sent just before, got a good one.", short(w.answer.http)),
		"It may be the requests of explain itself that tripped the limit; one balancer asks less often.")
	f.Ask = append(f.Ask, fmt.Sprintf("Does hale explain --as %s, a minute later and alone, get the same?", w.b.Name))
	w.result.Summary += " (maybe for explain's own requests)"
}

// connectError says why no connection was made.
func (w *walk) connectError() string {
	if isTimeout(w.answer.err) {
		return fmt.Sprintf("no answer to the connection within %s", since(w.answer.took))
	}
	return inWords(w.answer.err)
}

// ownLimit says, of a handshake that fails for reasons that were not found, what
// TLS explain can't do itself.
func (w *walk) ownLimit() {
	if w.answer == nil || w.answer.stage != atTLS || len(w.result.Findings) == 0 || w.result.Findings[0].Cause != "" {
		return
	}
	// The alerts 40, 70 and 71 (RFC 8446, section 6.2), whose type crypto/tls does
	// not give out.
	limits := []string{"tls: handshake failure", "tls: protocol version not supported", "tls: insufficient security level"}
	e, ok := errors.AsType[*net.OpError](w.answer.err)
	if ok && e.Op == "remote error" && slices.Contains(limits, e.Err.Error()) {
		f := &w.result.Findings[0]
		f.Ask = append(f.Ask, "Does the server do nothing but TLS before 1.0, DHE or other ciphers that Go does not have? Explain can't do those, so it may be its own limit: openssl s_client -connect "+w.base.target.Address.String()+" shows what the server agrees to.")
	}
}
