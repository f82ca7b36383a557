package explain

import (
	"context"
	"crypto/tls"
	"fmt"
	"slices"
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
	// spent is the time that dead addresses and redirects took.
	spent time.Duration
	// weak is true if the server does no TLS that Go's clients do.
	weak bool
	// unplayed is true if the time for all was up before the end.
	unplayed bool
	ctx      context.Context
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
	w.ctx = ctx
	passed := w.p.hasPassed()
	w.result.OK = w.way(ctx)
	switch {
	case w.result.OK:
		w.p.pass(w.answer)
	case passed && w.answer.status() == 429:
		w.ownRequests()
	}
}

func (w *walk) way(ctx context.Context) bool {
	if w.p.noName != nil {
		return w.step(StepResolve, false, w.p.resolved, "%s does not resolve: %s", clean(w.place.name), inWords(w.p.noName))
	}
	if !isAddress(w.place.name) {
		w.step(StepResolve, true, w.p.resolved, "%s is %s", clean(w.place.name), listAddrs(w.p.addrs))
	}
	if !w.connect(ctx, w.p.addrs, w.p.Host) {
		return false
	}
	for range 10 {
		ok, next := w.judge()
		if !ok || next == nil {
			return ok
		}
		w.spent += w.answer.took
		if !w.follow(ctx, *next, w.limits().Whole()-time.Nanosecond) {
			return false
		}
	}
	return w.step(StepRedirect, false, 0, "more than 10 redirects")
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
	if w.weak {
		w.remark(balancer.CauseOldTLS, fmt.Sprintf("The server does no better than %s with %s, which Go's own clients refuse since Go 1.22; %s is made in Go. It may be older, or set so that it takes it.",
			tls.VersionName(a.state.Version), tls.CipherSuiteName(a.state.CipherSuite), w.b.Title))
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
	case isFrames(a.first):
		return w.step(StepStatus, false, a.took, "%s: it is frames of HTTP/2", inWords(a.err))
	case len(a.first) > 0:
		return w.step(StepStatus, false, a.took, "%s: it begins with %s", inWords(a.err), quoted(a.first))
	default:
		return w.step(StepStatus, false, a.took, "no answer: %s", inWords(a.err))
	}
}

// needed is how long it took until the balancer knew enough.
func (a *answer) needed(ends bool) time.Duration {
	if a.stage == atBody && !ends {
		return a.headed
	}
	return a.took
}

// isWeak reports whether a handshake is one that Go's own clients do not do.
func isWeak(s *tls.ConnectionState) bool {
	return s.Version < tls.VersionTLS12 || slices.ContainsFunc(tls.InsecureCipherSuites(), func(c *tls.CipherSuite) bool { return c.ID == s.CipherSuite })
}

func (w *walk) judgeHTTP() (ok bool, next *place) {
	a, b := w.answer, w.b
	got := a.http.String()
	location := a.http.get("Location")
	if !w.judgeInterim() || !w.judgeHead() {
		return false, nil
	}
	isRedirect := a.status() >= 300 && a.status() < 400 && location != ""
	if isRedirect {
		got += ", Location: " + clean(location)
	}
	if leadsOn(a.http) && b.Judge.Redirects != balancer.RedirectsJudged {
		return w.judgeRedirect(location)
	}
	w.result.Summary = fmt.Sprintf("%s in %s", clip(got), since(w.spent+a.needed(b.Judge.Ends)))
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

// inTime is the step that compares the whole time.
func (w *walk) inTime() bool {
	took := w.spent + w.answer.needed(w.b.Judge.Ends)
	w.step(StepTime, true, took, "%s of %s%s", since(took), w.waits(), w.assumed(balancer.FactTimeout))
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
