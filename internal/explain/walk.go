package explain

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"hale/internal/balancer"
)

// A walk is one balancer's way.
type walk struct {
	p      *player
	b      *balancer.Balancer
	result Result
	base   attempt
	place  place
	answer *answer
	// certCause is what the balancer would not accept of a certificate.
	certCause balancer.CauseID
	// hops are the answers that led on to another place, and bases what was
	// asked for them.
	hops  []*answer
	bases []attempt
	// strayed is true if a redirect leads where explain does not go.
	strayed bool
}

func (p *player) newWalk(b *balancer.Balancer) *walk {
	return &walk{p: p, b: b, place: p.place, result: Result{Balancer: b}}
}

// step adds a step; it returns ok.
func (w *walk) step(name StepName, ok bool, took time.Duration, format string, args ...any) bool {
	w.result.Steps = append(w.result.Steps, Step{Name: name, OK: ok, Text: fmt.Sprintf(format, args...), Took: took})
	if !ok {
		w.result.Summary = w.result.Steps[len(w.result.Steps)-1].Text
		if len(w.hops) > 0 {
			w.result.Summary = clip(short(w.hops[0].http)) + ", and there: " + w.result.Summary
		}
	}
	return ok
}

// run walks until the end or the first step that the balancer would not accept.
func (w *walk) run(ctx context.Context) {
	w.result.OK = w.way(ctx)
}

func (w *walk) way(ctx context.Context) bool {
	if w.p.noName != nil {
		return w.step(StepResolve, false, w.p.resolved, "%s does not resolve: %s", clean(w.place.name), inWords(w.p.noName))
	}
	if !isAddress(w.place.name) {
		w.step(StepResolve, true, w.p.resolved, "%s is %s", clean(w.place.name), listAddrs(w.p.addrs))
	}
	deadline := time.Now().Add(w.wait())
	if !w.connect(ctx, w.p.addrs, w.p.Host) {
		return false
	}
	for range 10 {
		ok, next := w.judge()
		if !ok || next == nil {
			return ok
		}
		if !w.follow(ctx, *next, time.Until(deadline)) {
			return false
		}
	}
	return w.step(StepRedirect, false, 0, "more than 10 redirects")
}

// wait is how long the balancer waits for all of it.
func (w *walk) wait() time.Duration {
	if w.b.Timing.Timeout > 0 {
		return w.b.Timing.Timeout
	}
	return 10 * time.Second
}

// connect asks at the first address that takes the connection. localhost is
// asked at its first one alone, like many clients do.
func (w *walk) connect(ctx context.Context, addrs []netip.AddrPort, host string) bool {
	probe, _ := w.p.place.probe(w.b)
	left := w.wait()
	for i, addr := range addrs {
		target := balancer.Target{
			Name: w.place.name, Address: addr, TLS: w.place.secure(), Path: w.place.path, Host: host,
		}
		if probe.Host == balancer.HostBalancer {
			target.Balancer = localTo(addr, w.p.From)
		}
		w.base = attempt{
			probe: probe, target: target, proxy: w.p.Proxy && probe.ProxyLocal, secure: target.TLS,
			sni: w.b.ServerName(target), wait: left,
		}
		w.answer = w.p.ask(ctx, w.base.question())
		w.patiently(ctx)
		if ctx.Err() != nil {
			return w.step(StepConnect, false, 0, "not played to the end: the time for all of it is up")
		}
		if w.answer.stage != atConnect {
			break
		}
		if i == len(addrs)-1 || i == 3 || isLocalhost(w.place.name) {
			return w.step(StepConnect, false, w.answer.took, "%s: %s", addr, w.connectError())
		}
	}
	w.step(StepConnect, true, w.answer.connected, "%s takes the connection", w.base.target.Address)
	return true
}

// patiently asks again after a pause where a limit on requests may have counted
// those that explain itself sent for other balancers.
func (w *walk) patiently(ctx context.Context) {
	p := w.p
	p.mu.Lock()
	p.walked++
	status := w.answer.status()
	again := p.walked > 1 && !p.limited && (status == 429 || status == 503)
	p.mu.Unlock()
	if !again || !sleep(ctx, 1200*time.Millisecond) {
		return
	}
	a := p.fresh(ctx, w.base.question())
	p.mu.Lock()
	defer p.mu.Unlock()
	p.limited = a.status() == status
	w.answer = a
}

// connectError says why no connection was made.
func (w *walk) connectError() string {
	if isTimeout(w.answer.err) {
		return fmt.Sprintf("no answer to the connection within %s", since(w.answer.took))
	}
	return inWords(w.answer.err)
}

// judge takes the answer step by step. next is where a redirect leads that the
// balancer follows.
func (w *walk) judge() (ok bool, next *place) {
	a := w.answer
	if w.base.proxy {
		w.step(StepProxy, true, 0, "sent a PROXY protocol v2 header with the command LOCAL")
	}
	if w.base.secure && !w.judgeTLS() {
		return false, nil
	}
	speak := w.base.probe.Protocol
	if speak == balancer.TCP || speak == balancer.SSL {
		w.result.Summary = "takes the connection in " + since(a.took)
		if speak == balancer.SSL {
			w.result.Summary = "does TLS in " + since(a.took)
		}
		w.step(StepRequest, true, 0, "none: nothing is asked, so it passes too while the application fails")
		return w.inTime(), nil
	}
	w.step(StepRequest, true, 0, "%s%s", w.base.line(), w.assumed(balancer.FactVersion, balancer.FactMethod, balancer.FactHost, balancer.FactHeaders, balancer.FactAgent))
	if speak == balancer.GRPC {
		return w.judgeGRPC(), nil
	}
	if a.http == nil {
		return w.noAnswer(), nil
	}
	return w.judgeHTTP()
}

// noAnswer is the step of an answer whose head did not come.
func (w *walk) noAnswer() bool {
	a := w.answer
	switch {
	case a.silent():
		return w.step(StepTime, false, a.took, "no answer within %s%s", since(a.took), w.assumed(balancer.FactTimeout))
	case isTimeout(a.err):
		return w.step(StepTime, false, a.took, "the answer's header was not whole within %s%s", since(a.took), w.assumed(balancer.FactTimeout))
	case len(a.first) > 0:
		return w.step(StepStatus, false, a.took, "%s: it begins with %s", inWords(a.err), quoted(a.first))
	default:
		return w.step(StepStatus, false, a.took, "no answer: %s", inWords(a.err))
	}
}

func (w *walk) judgeHTTP() (ok bool, next *place) {
	a, b := w.answer, w.b
	got := a.http.String()
	location := a.http.get("Location")
	isRedirect := a.status() >= 300 && a.status() < 400 && location != ""
	if isRedirect {
		got += ", Location: " + clean(location)
	}
	if isRedirect && b.Judge.Redirects != balancer.RedirectsJudged {
		return w.judgeRedirect(location)
	}
	w.result.Summary = fmt.Sprintf("%s in %s", clip(got), since(a.took))
	warned := b.Name == "consul" && a.status() == 429
	if a.http.version != "" && !b.Judge.Codes.Contain(a.status()) && !warned {
		w.step(StepStatus, false, a.took, "%s: %s counts %s%s", got, b.Name, counts(b.Judge.Codes), w.assumed(balancer.FactCodes))
		w.result.Summary = fmt.Sprintf("%s: only %s counts", clip(short(a.http)), b.Judge.Codes)
		return false, nil
	}
	w.step(StepStatus, true, a.took, "%s%s", got, w.assumed(balancer.FactCodes))
	if warned {
		w.remark(balancer.CauseRateLimit, "Consul takes 429 for a warning, not for a failure.")
	}
	if isRedirect {
		w.step(StepRedirect, true, 0, "not followed; the status counts%s", w.assumed(balancer.FactRedirects))
	}
	if b.Judge.Framed && a.http.framing == framedClose {
		return w.step(StepHeaders, false, a.took, "neither Content-Length nor chunks: %s counts an answer only if the end of its body is announced", b.Name), nil
	}
	return w.judgeBody() && w.inTime(), nil
}

// judgeBody looks at the body's size. What is behind the balancer's limit does
// not matter, except to who wrote it.
func (w *walk) judgeBody() bool {
	a, limit := w.answer, w.b.Judge.BodyLimit
	if a.stage == atBody && isTimeout(a.err) && (limit == 0 || len(a.http.body) < limit) && w.base.probe.Protocol != balancer.HTTP09 {
		return w.step(StepTime, false, a.took, "the body did not end within %s (%d bytes came)%s", since(a.took), len(a.http.body), w.assumed(balancer.FactTimeout))
	}
	size := fmt.Sprintf("%d bytes", a.http.size)
	if a.http.cut {
		size = fmt.Sprintf("more than %d bytes", bodyLimit)
	}
	if a.stage == atBody {
		size += ", broken off: " + inWords(a.err)
	}
	w.step(StepBody, true, 0, "%s", size)
	const large = 10 << 10 // what the kubelet reads
	if limit > 0 && a.http.size > large {
		w.remark(balancer.CauseLargeBody, fmt.Sprintf("The body has %s; %s reads %d of them and closes, which the server's log may show as a broken pipe.", size, w.b.Title, limit))
	}
	return true
}

// inTime is the step that compares the whole time.
func (w *walk) inTime() bool {
	took, wait := w.answer.took, w.wait()
	w.step(StepTime, true, took, "%s of %s%s", since(took), wait, w.assumed(balancer.FactTimeout))
	return true
}

func (w *walk) judgeGRPC() bool {
	a := w.answer
	if a.http == nil {
		return w.noAnswer()
	}
	if a.grpc == nil || a.grpc.status == "" {
		return w.step(StepStatus, false, a.took, "%s without a grpc-status: this is not gRPC", a.http)
	}
	want, text := "0", "grpc-status "+a.grpc.status
	if strings.HasPrefix(w.b.Judge.GRPC, "12") {
		want = "12"
	}
	if a.grpc.message != "" {
		text += " (" + a.grpc.message + ")"
	}
	ok := a.grpc.status == want
	if want == "0" && a.grpc.status == "0" {
		text += ", " + servingName(a.grpc.serving)
		ok = a.grpc.serving == 1
	}
	if !ok {
		return w.step(StepStatus, false, a.took, "%s: %s counts %s", text, w.b.Name, w.b.Judge.GRPC)
	}
	w.result.Summary = fmt.Sprintf("%s in %s", text, since(a.took))
	w.step(StepStatus, true, a.took, "%s", text)
	return w.inTime()
}

// servingName is what health.proto calls a status.
func servingName(n int) string {
	names := []string{"UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"}
	if n < len(names) {
		return names[n]
	}
	return fmt.Sprintf("health status %d", n)
}

// assumed marks the facts among these that are not established of the balancer.
func (w *walk) assumed(facts ...balancer.Fact) string {
	var which []string
	for _, f := range facts {
		if w.b.Assumes(f) {
			which = append(which, string(f))
		}
	}
	if len(which) == 0 {
		return ""
	}
	return " (assumed: " + strings.Join(which, ", ") + ")"
}

func (w *walk) remark(cause balancer.CauseID, why ...string) {
	w.result.Remarks = append(w.result.Remarks, Finding{Cause: cause, Sure: Certain, Why: why, Fix: []string{sentence(balancer.CauseOf(cause).Fix)}})
}
