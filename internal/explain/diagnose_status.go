package explain

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"time"

	"hale/internal/balancer"
)

// gets is the sentence about the answer that the balancer got.
func (t *trouble) gets() string {
	return fmt.Sprintf("The answer to %s is %s.", t.base.line(), t.answer.http)
}

// noContent is for 204 and any other success that is not the one that counts.
func noContent(t *trouble) *Finding {
	if s := t.answer.status(); s < 200 || s > 299 || t.good(t.answer) {
		return nil
	}
	return t.found(balancer.CauseNoContent, Certain, fmt.Sprintf("%s %s counts %s.", t.gets(), itsTitle, counts(t.b.Judge.Codes)))
}

func unframed(t *trouble) *Finding {
	if !t.b.Judge.Framed || t.answer.http.framing != framedClose || !t.b.Judge.Codes.Contain(t.answer.status()) {
		return nil
	}
	return t.found(balancer.CauseUnframed, Certain, "The answer has neither a Content-Length nor Transfer-Encoding: chunked; its body ends with the connection.")
}

// rateLimit is for 429, which says it itself.
func rateLimit(t *trouble) *Finding {
	if t.answer.status() != 429 {
		return nil
	}
	why := append([]string{t.gets()}, t.soft.says()...)
	if after := t.answer.http.get("Retry-After"); after != "" {
		why = append(why, "Retry-After is "+clean(after)+".")
	}
	f := t.found(balancer.CauseRateLimit, Certain, why...)
	f.Ask = append(f.Ask, "Explain's own requests may count against the limit too: does one alone, after a pause, get the same?")
	return f
}

// nginxLimit is for limit_req, whose refusal is 503 unless another is set. Only
// time tells it from a 503 that is written down: a refused request does not
// count, so that sooner or later one is let through, and the next ones are not.
func nginxLimit(t *trouble) *Finding {
	if t.answer.status() != 503 || t.soft.maker != nginx || t.p.waited {
		return nil
	}
	t.p.waited = true
	start := time.Now()
	for time.Since(start) < longestLimit {
		if !sleep(t.ctx, 2*time.Second) {
			return nil
		}
		later := t.p.fresh(t.ctx, t.base.question())
		if !t.good(later) {
			continue
		}
		pause := time.Since(start)
		for range 3 {
			if t.p.fresh(t.ctx, t.base.question()).status() == 503 {
				return t.found(balancer.CauseRateLimit, Certain, "503 with nginx's own page.",
					fmt.Sprintf("The same request %s later got %s, and those right after it 503 again: that is how limit_req refuses.", since(pause), short(later.http)))
			}
		}
		t.again = later
		return t.unknown()
	}
	return nil
}

// longestLimit is how long nginxLimit waits for a request to be let through: a
// limit of 2 in a minute lets one through in 30 seconds.
const longestLimit = 33 * time.Second

func auth(t *trouble) *Finding {
	status := t.answer.status()
	demand := t.answer.http.get("WWW-Authenticate")
	if status != 401 && status != 407 && (status != 403 || demand == "") {
		return nil
	}
	why := []string{t.gets()}
	if demand != "" {
		scheme, _, _ := strings.Cut(demand, " ")
		why = append(why, fmt.Sprintf("It demands credentials (WWW-Authenticate: %s), and a balancer has none.", clean(scheme)))
	}
	return t.found(balancer.CauseAuth, Certain, append(why, t.soft.says()...)...)
}

// refusedMethod is for HEAD and OPTIONS.
func refusedMethod(t *trouble) *Finding {
	used := t.base.probe.Method
	refusal := t.answer.status() == 405 || t.answer.status() == 501
	if used == "GET" || used == "" {
		return nil
	}
	a := t.try(method("GET"))
	switch {
	case t.better(a):
		return t.found(balancer.CauseMethod, Certain, t.gotOf(used), fmt.Sprintf("GET in its place gets %s.", short(a.http)))
	case refusal:
		return t.found(balancer.CauseMethod, Likely, t.gotOf(used), "That is how servers say that they do not know a method for a page.")
	}
	return nil
}

func (t *trouble) gotOf(used string) string {
	return fmt.Sprintf("%s gets: %s.", used, t.outcome(t.answer))
}

// slash is for a path that exists with a slash at its end, or without.
func slash(t *trouble) *Finding {
	if s := t.answer.status(); s != 404 && s != 405 && s != 410 {
		return nil
	}
	other := otherSlash(t.base.path())
	if other == "" {
		return nil
	}
	if a := t.try(path(other)); t.good(a) && t.steady() {
		return t.found(balancer.CauseTrailingSlash, Certain, t.gets(), fmt.Sprintf("Asking for %s gets %s.", clean(other), short(a.http)))
	}
	return nil
}

// otherSlash is a path with a slash at its end if it has none, and without one if
// it has; "" of the root alone.
func otherSlash(path string) string {
	p, query, hasQuery := strings.Cut(path, "?")
	if hasQuery {
		query = "?" + query
	}
	bare := strings.TrimRight(p, "/")
	switch {
	case bare == "":
		return ""
	case bare != p:
		return bare + query
	}
	return p + "/" + query
}

// browser is a User-Agent that filters let pass.
const browser = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"

func botFilter(t *trouble) *Finding {
	if t.base.probe.Protocol == balancer.HTTP09 || t.answer.status() >= 500 {
		return nil
	}
	a := t.try(field("User-Agent", browser))
	if !t.better(a) {
		return nil
	}
	agent := "no User-Agent"
	if sent := t.base.probe.Agent(); sent != "" {
		agent = "the User-Agent " + sent
	}
	return t.found(balancer.CauseBotFilter, Certain, fmt.Sprintf("With %s the outcome is: %s.", agent, t.outcome(t.answer)),
		fmt.Sprintf("The same request with a browser's User-Agent gets %s.", short(a.http)))
}

// dependency is for health pages that report on more than the application.
func dependency(t *trouble) *Finding {
	r := t.answer.http
	if r.status < 500 {
		return nil
	}
	report := regexp.MustCompile(`(?i)"(status|state)"\s*:\s*"(down|fail|failed|error|unhealthy|out_of_service|critical)"`)
	parts := regexp.MustCompile(`(?i)"(components|checks|details|dependencies|services|results|entries)"\s*:`)
	names := regexp.MustCompile(`(?i)"([\w .:-]{1,40})"\s*:\s*\{[^{}]{0,40}"(?:status|state)"\s*:\s*"(?:down|fail|failed|error|unhealthy|out_of_service|critical)"`)
	plain := regexp.MustCompile(`^\s*(?i:unhealthy|degraded)\s*$`)
	switch {
	case t.soft.maker == own:
		return t.found(balancer.CauseDependency, Certain, append([]string{t.gets()}, t.soft.says()...)...)
	case report.Match(r.body):
		why := []string{t.gets()}
		var down []string
		for _, m := range names.FindAllSubmatch(r.body, 6) {
			if name := string(m[1]); !parts.Match([]byte(`"` + name + `":`)) {
				down = append(down, clean(name))
			}
		}
		if len(down) > 0 {
			why = append(why, fmt.Sprintf("Its report says down of %s.", strings.Join(down, ", ")))
		} else {
			why = append(why, "Its body is a report that says down.")
		}
		sure := Likely
		if len(down) > 0 && parts.Match(r.body) {
			sure = Certain
		}
		return t.found(balancer.CauseDependency, sure, append(why, t.soft.says()...)...)
	case plain.Match(r.body):
		return t.found(balancer.CauseDependency, Likely, t.gets(), fmt.Sprintf("Its body says %s, as health pages do that look at other things.", clean(string(bytes.TrimSpace(r.body)))))
	}
	return nil
}

func notFound(t *trouble) *Finding {
	if s := t.answer.status(); s != 404 && s != 410 {
		return nil
	}
	sure := Certain
	why := append([]string{t.gets()}, t.soft.says()...)
	f := t.found(balancer.CauseNotFound, sure, why...)
	if len(t.sites()) == 0 && t.base.hostname() != "" {
		f.Sure = Likely
		f.Ask = append(f.Ask, "Does the site answer this path by its own name? --site NAME has explain try it: then it is another server block that answers here.")
	}
	return f
}

func forbidden(t *trouble) *Finding {
	if t.answer.status() != 403 {
		return nil
	}
	why := []string{t.gets()}
	if tried := t.without(func(a *answer) bool { return a.status() == 403 }); tried != "" {
		why = append(why, fmt.Sprintf("It is the same with %s, so the path itself may be forbidden, or this address.", tried))
	}
	f := t.found(balancer.CauseAuth, Guess, append(why, t.soft.says()...)...)
	t.askSite(f, "Does the site answer this path by its own name?")
	f.Ask = append(f.Ask, "Does the server allow this path to certain addresses only (allow, deny, Require ip)?")
	return f
}

func broken(t *trouble) *Finding {
	s := t.answer.status()
	if s < 500 || s > 599 {
		return nil
	}
	why := append([]string{t.gets()}, t.soft.says()...)
	if t.soft.maker == nginx {
		switch s {
		case 502:
			why = append(why, "nginx gets no proper answer from the application behind it: it is down, or closes the connection.")
		case 503:
			return nginxRefuses(why)
		case 504:
			why = append(why, "nginx waits for the application behind it in vain.")
		}
	}
	if t.soft.maker == haproxy && s == 503 {
		return t.haproxyRefuses(why)
	}
	return t.found(balancer.CauseBroken, Certain, why...)
}

// haproxyRefuses is for HAProxy's own 503. It looks the same where it has no
// server left and where it has no backend for this Host, of which its log tells
// (HAProxy's Configuration Manual, 8.2.3: backend_name).
func (t *trouble) haproxyRefuses(why []string) *Finding {
	f := t.found(balancer.CauseBroken, Likely, append(why,
		"HAProxy itself refuses: no server of the backend is up, or no backend is there for this request (use_backend by the Host, and no default_backend).")...)
	t.askSite(f, "Does the site answer by its own name? Then it is this Host that has no backend.")
	f.Ask = append(f.Ask, "What does HAProxy's log name before /<NOSRV>: a backend (its servers are down), or the frontend again (no backend was chosen)?")
	return f
}

// nginxRefuses is for nginx's own 503, which the application had no part in.
func nginxRefuses(why []string) *Finding {
	return &Finding{
		Sure: Likely, Software: nginx,
		Why: append(why, "nginx itself refuses, without the application: return 503 (as for maintenance), limit_req, limit_conn, or no server is left behind it."),
		Fix: []string{"Have nginx answer the health path by what the application says, before what refuses it."},
		Ask: []string{"What does nginx's configuration say for this path, and its error log at this time (limiting requests, limiting connections, no live upstreams)?"},
	}
}

// grpcStatus is for what gRPC answered.
func grpcStatus(t *trouble) *Finding {
	g := t.answer.grpc
	if g == nil || g.status == "" {
		return t.found(balancer.CauseHTTP2, Likely, fmt.Sprintf("The answer is %s over HTTP/2 with Content-Type %q and no grpc-status: what answers is not gRPC.", t.answer.http, clean(t.answer.http.get("Content-Type"))))
	}
	why := fmt.Sprintf("The answer to %s is grpc-status %s", t.base.line(), g.status)
	if g.message != "" {
		why += ": " + g.message
	}
	switch g.status {
	case "0":
		if !strings.HasPrefix(t.b.Judge.GRPC, "12") {
			return t.found(balancer.CauseBroken, Certain, fmt.Sprintf("The service says itself that it is %s.", servingName(g.serving)))
		}
	case "16", "7":
		return t.found(balancer.CauseAuth, Certain, why+".")
	case "2", "13", "14", "15":
		return t.found(balancer.CauseBroken, Certain, why+".")
	}
	return t.found(balancer.CauseGRPCStatus, Certain, fmt.Sprintf("%s; %s counts %s.", why, itsName, t.b.Judge.GRPC))
}
