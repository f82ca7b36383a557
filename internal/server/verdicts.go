package server

import (
	"bytes"
	"context"
	"strconv"

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
}

// healthJSON is the media type of draft-inadarei-api-health-check-06.
const healthJSON = "application/health+json"

// Verdicts is hale's own face. The path names a group, with or without a slash
// at its end; the method and the query don't matter, and nothing is redirected:
//
//	/livez     /_healthz/livez/     live
//	/readyz    /_healthz/readyz/    ready
//	/startupz  /_healthz/startupz/  startup
//	/healthz   /_healthz/           all
//	/group/NAME                     NAME, or 404
//	anything else                   ready
//
// Paths are compared as they were sent: in lower case, not decoded, and with
// their dots. A pass and a degraded verdict are 200, a failing one is
// failStatus. The body is exactly ok, degraded or fail, without a line end,
// since a checker may compare it; or, if the client accepts application/json or
// application/health+json at least as gladly as plain text,
// {"status":"pass"}, warn or fail. There are no details.
func Verdicts(a Answerer, failStatus int) Handler {
	v := &verdicts{answerer: a, unknown: NewResponse(404, plainText, "unknown group", noStore)}
	for outcome, words := range map[verdict.Outcome]struct{ text, json string }{
		verdict.Pass:     {"ok", "pass"},
		verdict.Degraded: {"degraded", "warn"},
		verdict.Fail:     {"fail", "fail"},
	} {
		status := 200
		if !outcome.OK() {
			status = failStatus
		}
		v.text[outcome] = NewResponse(status, plainText, words.text, noStore)
		v.json[outcome] = NewResponse(status, healthJSON, `{"status":"`+words.json+`"}`, noStore)
	}
	return v
}

const noStore = "Cache-Control: no-store"

type verdicts struct {
	answerer   Answerer
	text, json [verdict.Pass + 1]*Response // by outcome
	unknown    *Response
}

// Respond implements Handler.
func (v *verdicts) Respond(ctx context.Context, r *Request) *Response {
	group, named := groupOf(r.Path)
	outcome, ok := v.answerer.Answer(ctx, group)
	switch {
	case !ok && named:
		return v.unknown
	case !ok || outcome > verdict.Pass:
		outcome = verdict.Fail // what nobody can vouch for does not pass
	}
	if prefersJSON(r.Accept) {
		return v.json[outcome]
	}
	return v.text[outcome]
}

// groupOf returns the group that a path asks for, and whether by its name.
func groupOf(path []byte) (group string, named bool) {
	path = bytes.TrimSuffix(path, []byte("/"))
	switch string(path) {
	case "/livez", "/_healthz/livez":
		return check.GroupLive, false
	case "/readyz", "/_healthz/readyz":
		return check.GroupReady, false
	case "/startupz", "/_healthz/startupz":
		return check.GroupStartup, false
	case "/healthz", "/_healthz":
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
