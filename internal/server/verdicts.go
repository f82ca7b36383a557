package server

import (
	"bytes"
	"context"
	"strconv"
	"sync/atomic"
	"time"

	"hale/internal/check"
	"hale/internal/verdict"
)

// An Answerer knows the verdicts.
type Answerer interface {
	// Answer returns the verdict of a group; ok is false if there is no such
	// group. It is called for every request, so it reads memory only – but if
	// checks run on demand: then it waits for them, and returns soon after ctx
	// ends.
	Answer(ctx context.Context, group string) (outcome verdict.Outcome, ok bool)
	// AnswerUndrained is Answer as if the instance were not draining.
	AnswerUndrained(ctx context.Context, group string) (outcome verdict.Outcome, ok bool)
	// Draining reports whether the instance is being taken out of traffic. It
	// reads memory only.
	Draining() bool
}

// VerdictOptions are what Verdicts may be told. The zero value is usable.
// Statuses are 200 to 599, but for 204 and 304, which allow no body.
type VerdictOptions struct {
	// FailStatus is the status of a failing verdict. 0 is 503.
	FailStatus int
	// DegradedStatus is the status of a degraded verdict. 0 is 200. Consul takes
	// 429 for a warning. The query degraded=STATUS overrides it for a request.
	DegradedStatus int
	// WatchInterval is how often a gRPC Watch looks whether its verdict has
	// changed. 0 is 250 ms, which is for an Answerer that reads memory; one that
	// runs checks each time wants longer.
	WatchInterval time.Duration
}

// healthJSON is the media type of draft-inadarei-api-health-check-06.
const healthJSON = "application/health+json"

// Verdicts is hale's own face. The path names a group, with or without a slash
// at its end; the method does not matter, and nothing is redirected:
//
//	/livez     /_healthz/livez/     live
//	/readyz    /_healthz/readyz/    ready
//	/startupz  /_healthz/startupz/  startup
//	/healthz   /_healthz/           all
//	/group/NAME                     NAME, or 404; under /_healthz/ too
//	anything else                   ready
//
// Paths are compared as they were sent: in lower case, not decoded, and with
// their dots. A pass is 200, a failing verdict FailStatus and a degraded one
// DegradedStatus, or what the query says with degraded=STATUS; a STATUS that
// can't be one is passed over, and so is the rest of the query – but for
// draining=ok, which asks for the verdict as if the instance were not draining:
// for a health check beside an agent that tells of draining. The body is
// exactly ok, degraded or fail, without a line end, since a checker may compare
// it; or, if the client accepts application/json or application/health+json at
// least as gladly as plain text, {"status":"pass"}, warn or fail. There are no
// details, but for two fields that Envoy obeys: X-Envoy-Degraded with a degraded
// verdict, and X-Envoy-Immediate-Health-Check-Fail with one that fails while the
// instance drains.
//
// Over HTTP/2 it is a gRPC health service as well; see grpc.go.
func Verdicts(a Answerer, o VerdictOptions) Handler {
	v := &verdicts{
		answerer:      a,
		watchInterval: or(o.WatchInterval, 250*time.Millisecond),
		pass:          render(200, "ok", "pass"),
		degraded:      renderDegraded(or(o.DegradedStatus, 200)),
		fail:          render(or(o.FailStatus, 503), "fail", "fail"),
		draining:      render(or(o.FailStatus, 503), "fail", "fail", "X-Envoy-Immediate-Health-Check-Fail: true"),
		unknown:       NewResponse(404, plainText, "unknown group", noStore),
	}
	return v
}

const noStore = "Cache-Control: no-store"

// A face is an answer in both its forms.
type face struct{ text, json *Response }

func render(status int, text, json string, fields ...string) *face {
	fields = append(fields, noStore)
	return &face{
		text: NewResponse(status, plainText, text, fields...),
		json: NewResponse(status, healthJSON, `{"status":"`+json+`"}`, fields...),
	}
}

func renderDegraded(status int) *face {
	return render(status, "degraded", "warn", "X-Envoy-Degraded: true")
}

type verdicts struct {
	answerer                       Answerer
	watchInterval                  time.Duration
	pass, degraded, fail, draining *face
	unknown                        *Response
	// chosen are the degraded answers with a status that a query has asked for,
	// from minStatus on. Each is rendered when it is first needed.
	chosen [maxStatus - minStatus + 1]atomic.Pointer[face]
}

// minStatus and maxStatus bound the statuses of verdicts.
const minStatus, maxStatus = 200, 599

// Respond implements Handler.
func (v *verdicts) Respond(ctx context.Context, r *Request) *Response {
	group, named := groupOf(r.Path)
	answer := v.answerer.Answer
	if len(r.Query) > 0 && string(parameter(r.Query, "draining")) == "ok" {
		answer = v.answerer.AnswerUndrained
	}
	outcome, ok := answer(ctx, group)
	if !ok && named {
		return v.unknown
	}
	f := v.fail // what nobody can vouch for does not pass
	switch {
	case !ok:
	case outcome == verdict.Pass:
		f = v.pass
	case outcome == verdict.Degraded:
		f = v.degradedAs(r.Query)
	case group != check.GroupLive && group != check.GroupStartup && v.answerer.Draining():
		f = v.draining
	}
	if prefersJSON(r.Accept) {
		return f.json
	}
	return f.text
}

// degradedAs returns the degraded answer, with the status that the query wants.
func (v *verdicts) degradedAs(query []byte) *face {
	status := statusOf(parameter(query, "degraded"))
	if status == 0 {
		return v.degraded
	}
	slot := &v.chosen[status-minStatus]
	f := slot.Load()
	if f == nil {
		f = renderDegraded(status)
		slot.Store(f)
	}
	return f
}

// parameter returns the last value of a parameter of a query; nil without one.
func parameter(query []byte, name string) (value []byte) {
	for param := range bytes.SplitSeq(query, []byte("&")) {
		if rest, ok := bytes.CutPrefix(param, []byte(name)); ok && len(rest) > 0 && rest[0] == '=' {
			value = rest[1:]
		}
	}
	return value
}

// statusOf returns the status that text names, or 0 if a verdict can't have it.
func statusOf(text []byte) int {
	if len(text) != 3 || !isDigit(text[0]) || !isDigit(text[1]) || !isDigit(text[2]) {
		return 0
	}
	status := 100*int(text[0]-'0') + 10*int(text[1]-'0') + int(text[2]-'0')
	if status < minStatus || status > maxStatus || status == 204 || status == 304 {
		return 0
	}
	return status
}

// groupOf returns the group that a path asks for, and whether by its name.
func groupOf(path []byte) (group string, named bool) {
	path = bytes.TrimSuffix(path, []byte("/"))
	if within, ok := bytes.CutPrefix(path, []byte("/_healthz")); ok {
		if len(within) == 0 {
			return check.GroupAll, false
		}
		path = within
	}
	switch string(path) {
	case "/livez":
		return check.GroupLive, false
	case "/readyz":
		return check.GroupReady, false
	case "/startupz":
		return check.GroupStartup, false
	case "/healthz":
		return check.GroupAll, false
	}
	if name, ok := bytes.CutPrefix(path, []byte("/group/")); ok {
		return string(name), true
	}
	return check.GroupReady, false
}

// prefersJSON reports whether an Accept field names JSON, and with no lower
// quality than plain text (RFC 9110, section 12.5.1). Wildcards ask for
// nothing in particular.
func prefersJSON(accept []byte) bool {
	if len(accept) == 0 || string(accept) == "*/*" {
		return false
	}
	var text, json float64
	for item := range bytes.SplitSeq(accept, []byte(",")) {
		name, params, _ := bytes.Cut(item, []byte(";"))
		name = bytes.TrimSpace(name)
		switch {
		case equalFold(name, "text/plain"):
			text = max(text, quality(params))
		case equalFold(name, "application/json"), equalFold(name, healthJSON):
			json = max(json, quality(params))
		}
	}
	return json > 0 && json >= text
}

// quality returns the q among the parameters of an item of an Accept field, or
// 1 if there is no good one.
func quality(params []byte) float64 {
	for param := range bytes.SplitSeq(params, []byte(";")) {
		name, value, _ := bytes.Cut(param, []byte("="))
		if !equalFold(bytes.TrimSpace(name), "q") {
			continue
		}
		if q, err := strconv.ParseFloat(string(bytes.TrimSpace(value)), 64); err == nil && q >= 0 && q <= 1 {
			return q
		}
	}
	return 1
}
