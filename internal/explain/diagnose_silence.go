package explain

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"

	"hale/internal/balancer"
)

// isFrames reports whether bytes begin with an HTTP/2 SETTINGS frame on stream 0
// (RFC 9113, section 4.1).
func isFrames(b []byte) bool {
	return len(b) >= 9 && b[0] == 0 && b[3] == 4 && bytes.Equal(b[5:9], make([]byte, 4))
}

// http2Only is for two sides that speak different versions of HTTP.
func http2Only(t *trouble) *Finding {
	if t.base.probe.Protocol == balancer.GRPC {
		if errors.Is(t.answer.err, errHTTP1) {
			line, _, _ := bytes.Cut(t.answer.first, []byte("\r\n"))
			return t.found(balancer.CauseHTTP2, Certain, fmt.Sprintf("The port answers a request of HTTP/2 in text, as HTTP/1 has it (%s), and gRPC needs HTTP/2.", quoted(line)))
		}
		return nil
	}
	if isFrames(t.answer.first) {
		return t.found(balancer.CauseHTTP2, Certain, "What came back are frames of HTTP/2.")
	}
	status := t.answer.status()
	switch status {
	case 426, 505:
		if f := t.version11(); f != nil {
			return f
		}
	case 0, 400, 415, 464:
	default:
		return nil
	}
	a := t.try(both(version2, wait(2*time.Second)))
	if a.http == nil || a.http.version != "HTTP/2" || status != 0 && !t.better(a) || !t.steady() {
		return nil
	}
	return t.found(balancer.CauseHTTP2, Certain, fmt.Sprintf("The same request over HTTP/2 (with prior knowledge) is answered: %s; over %s it is not.", a.http, t.base.probe.Protocol))
}

// webSocket is for servers that speak WebSocket and nothing else (RFC 6455): any
// other request is told to upgrade to it.
func webSocket(t *trouble) *Finding {
	if t.answer.status() != 426 || !strings.Contains(strings.ToLower(t.answer.http.get("Upgrade")), "websocket") {
		return nil
	}
	return &Finding{
		Sure: Certain, Software: t.soft.product(),
		Why: []string{fmt.Sprintf("The answer to %s is %s with Upgrade: %s: the server speaks WebSocket, and wants it here.", t.base.line(), t.answer.http, clean(t.answer.http.get("Upgrade")))},
		Fix: []string{"Add a health path to the server that is answered over plain HTTP, without an upgrade."},
	}
}

// version11 is for servers that refuse HTTP/1.0.
func (t *trouble) version11() *Finding {
	if t.base.probe.Protocol == balancer.HTTP11 {
		return nil
	}
	a := t.try(func(a *attempt) { a.probe.Protocol, a.probe.Host = balancer.HTTP11, balancer.HostAddress })
	why := fmt.Sprintf("%s to %s.", short(t.answer.http), t.base.probe.Protocol)
	if t.better(a) {
		return t.found(balancer.CauseHTTP2, Certain, why, fmt.Sprintf("The same request over HTTP/1.1 gets %s.", short(a.http)))
	}
	if a.status() == t.answer.status() {
		return nil // it is not 1.1 that it wants
	}
	return t.found(balancer.CauseHTTP2, Likely, why)
}

func wait(d time.Duration) func(*attempt) { return func(a *attempt) { a.wait = d } }

func proxyExpected(t *trouble) *Finding {
	if t.base.proxy || t.answer.http != nil && t.answer.status() != 400 {
		return nil
	}
	a := t.try(both(proxy(true), wait(2*time.Second)))
	secured := t.answer.stage == atTLS && a.stage > atTLS
	if a.http == nil && !secured || a.http != nil && (a.status() == t.answer.status() || a.status() == 400) {
		return nil // 400 is what garbage gets, which the header is to others
	}
	if t.answer.http != nil && !t.better(a) || !t.steady() {
		return nil
	}
	return t.found(balancer.CauseProxyExpected, Certain, fmt.Sprintf("With a PROXY protocol header before it, the same request is answered: %s.", t.outcome(a)))
}

func proxyUnexpected(t *trouble) *Finding {
	if !t.base.proxy {
		return nil
	}
	a := t.try(proxy(false))
	if a.http == nil && !(t.answer.stage == atTLS && a.stage > atTLS) || a.status() != 0 && a.status() == t.answer.status() || !t.steady() {
		return nil
	}
	return t.found(balancer.CauseProxyUnexpected, Certain, fmt.Sprintf("Without the PROXY protocol header, the same request is answered: %s.", t.outcome(a)))
}

// withoutVersion is for a request of HTTP/0.9, which many servers do not know
// any more: some close, some wait for the rest of the line.
func withoutVersion(t *trouble) *Finding {
	if t.base.probe.Protocol != balancer.HTTP09 {
		return nil
	}
	a := t.try(func(a *attempt) { a.probe.Protocol, a.probe.Host = balancer.HTTP11, balancer.HostAddress })
	if a.http == nil || !t.steady() {
		return nil
	}
	return t.found(balancer.CauseHTTP2, Certain,
		fmt.Sprintf("A request line without a version, as of HTTP/0.9, gets: %s.", t.outcome(t.answer)),
		fmt.Sprintf("The same request over HTTP/1.1 gets %s.", short(a.http)))
}

// nonsense is no request, and longer than what servers read before they decide
// which protocol it is.
const nonsense = "\x01 this is no request, sent by hale explain\r\n\r\n"

// patience is how much longer than the balancer explain waits to see whether an
// answer comes at all, and mostWait how long at the most.
const (
	patience = 10 * time.Second
	mostWait = 40 * time.Second
)

// slowOrBusy tells a late answer from none at all.
func slowOrBusy(t *trouble) *Finding {
	if f := t.more(min(t.base.wait+patience, mostWait)); f != nil {
		return f
	}
	a := t.again
	if !a.silent() {
		return nil
	}
	first := fmt.Sprintf("The connection was made, and no answer came within %s.", since(t.answer.took))
	// A worker that is free refuses this at once, whatever the application does.
	bad := t.try(func(next *attempt) { next.bytes, next.wait = nonsense, 3*time.Second })
	longest := fmt.Sprintf("Nor was the same request answered within %s.", since(a.took))
	if !bad.silent() && bad.stage >= atRequest {
		return t.found(balancer.CauseSlow, Likely, first, longest, "Something that is no request is refused at once, so the server is there and it is this page that takes so long.")
	}
	if !bad.silent() {
		return t.found(balancer.CauseBusyWorkers, Guess, first, longest)
	}
	return t.found(balancer.CauseBusyWorkers, Likely, first, longest,
		"Nor is something refused that is no request at all: the kernel takes connections, and no worker looks at them.")
}

// dripping is for an answer that began and did not end in time.
func dripping(t *trouble) *Finding {
	switch {
	case errors.Is(t.answer.err, errLongHead):
		return &Finding{Sure: Certain, Why: []string{"The server sends header lines without end; reading stopped after 64 KiB."},
			Ask: []string{"Is this an HTTP server at all? See its log."}}
	case !isTimeout(t.answer.err) || len(t.answer.first) == 0:
		return nil
	case t.answer.http != nil:
		return t.found(balancer.CauseSlow, Certain, fmt.Sprintf("The answer began and its body did not end within %s: %d bytes came.", since(t.answer.took), len(t.answer.http.body)))
	}
	return t.found(balancer.CauseSlow, Likely, fmt.Sprintf("The answer began with %s and its header was not whole within %s.", quoted(t.answer.first), since(t.answer.took)))
}

// closed is for a connection that ends without an answer, where nothing that was
// tried gets one.
func closed(t *trouble) *Finding {
	if !ended(t.answer.err) || len(t.answer.first) > 0 {
		return nil
	}
	why := "The server takes the connection and closes it without an answer"
	if tried := t.without(func(a *answer) bool { return a.http == nil }); tried != "" {
		why += ", also with " + tried
	}
	f := t.found(balancer.CauseBroken, Guess, why+".")
	t.askSite(f, "Does the site answer by its own name? nginx's default server may hang up on all others (return 444).")
	f.Ask = append(f.Ask, "Does the server's log show a crash, or does it allow certain addresses only?")
	return f
}
