package explain

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"syscall"
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
			return t.found(balancer.CauseHTTP2, Certain, "The port answers HTTP/2 with HTTP/1.1, and gRPC needs HTTP/2.")
		}
		return nil
	}
	if isFrames(t.answer.first) {
		return t.found(balancer.CauseHTTP2, Certain, "What came back are frames of HTTP/2.")
	}
	switch t.answer.status() {
	case 426, 505:
		return t.version11()
	case 0, 400, 415, 464:
	default:
		return nil
	}
	a := t.try(both(version2, wait(2*time.Second)))
	if a.http == nil || a.http.version != "HTTP/2" {
		return nil
	}
	return t.found(balancer.CauseHTTP2, Certain, fmt.Sprintf("The same request over HTTP/2 (with prior knowledge) is answered: %s; over %s it is not.", a.http, t.base.probe.Protocol))
}

// version11 is for servers that refuse HTTP/1.0.
func (t *trouble) version11() *Finding {
	a := t.try(func(a *attempt) { a.probe.Protocol, a.probe.Host = balancer.HTTP11, balancer.HostAddress })
	why := fmt.Sprintf("%s to %s.", short(t.answer.http), t.base.probe.Protocol)
	if t.better(a) {
		return t.found(balancer.CauseHTTP2, Certain, why, fmt.Sprintf("The same request over HTTP/1.1 gets %s.", short(a.http)))
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
	if t.answer.http != nil && !t.better(a) {
		return nil
	}
	return t.found(balancer.CauseProxyExpected, Certain, fmt.Sprintf("With a PROXY protocol header before it, the same request is answered: %s.", t.outcome(a)))
}

func proxyUnexpected(t *trouble) *Finding {
	if !t.base.proxy {
		return nil
	}
	a := t.try(proxy(false))
	if a.http == nil && !(t.answer.stage == atTLS && a.stage > atTLS) || a.status() != 0 && a.status() == t.answer.status() {
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
	if a.http == nil {
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
	first := fmt.Sprintf("The connection was made, and no answer came within %s.", since(t.answer.took))
	longer := t.base
	longer.wait = min(longer.wait+patience, mostWait)
	a := t.p.fresh(t.ctx, longer.question())
	if a.http != nil {
		t.soft = recognise(a.http)
		if a.took < t.base.wait {
			f := t.found(balancer.CauseSlow, Likely, first, fmt.Sprintf("The same request, sent once more, was answered after %s: %s. Only the first is slow.", since(a.took), short(a.http)))
			f.Ask = append(f.Ask, "Does the server start its workers, or open its connections, with the first request?")
			return f
		}
		return t.found(balancer.CauseSlow, Certain, first, fmt.Sprintf("The same request, given more time, was answered after %s: %s.", since(a.took), short(a.http)))
	}
	if !a.silent() {
		return nil
	}
	// A worker that is free refuses this at once, whatever the application does.
	bad := t.try(func(next *attempt) { next.bytes, next.wait = nonsense, 3*time.Second })
	longest := fmt.Sprintf("Nor was the same request answered within %s.", since(a.took))
	if !bad.silent() && bad.stage >= atRequest {
		return t.found(balancer.CauseSlow, Likely, first, longest, "Something that is no request is refused at once, so the server is there and it is this page that takes so long.")
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
	ended := errors.Is(t.answer.err, io.EOF) || errors.Is(t.answer.err, io.ErrUnexpectedEOF) || errors.Is(t.answer.err, syscall.ECONNRESET) || errors.Is(t.answer.err, syscall.EPIPE)
	if !ended || len(t.answer.first) > 0 {
		return nil
	}
	f := t.found(balancer.CauseBroken, Guess, "The server takes the connection and closes it without an answer, also with another Host, another method, a browser's User-Agent, TLS, HTTP/2 and a PROXY protocol header.")
	f.Ask = append(f.Ask, "Does the server's log show a crash, or does it allow certain addresses only?")
	return f
}
