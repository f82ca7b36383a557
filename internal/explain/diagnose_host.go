package explain

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"hale/internal/balancer"
)

// hosts is for whatever minds the Host: another server block, an application's
// list of hosts, or the lack of a Host.
func hosts(t *trouble) *Finding {
	if t.answer.http != nil && t.answer.status() < 400 {
		return nil
	}
	if f := hostSays(t); f != nil {
		return f
	}
	sent := t.base.host()
	if sent == "" {
		if f := hostMissing(t); f != nil {
			return f
		}
	}
	for _, name := range t.sites() {
		if strings.EqualFold(name, t.base.hostname()) {
			continue
		}
		a := t.try(host(name))
		if !t.better(a) && t.base.probe.Method != "GET" {
			a = t.try(both(host(name), method("GET")))
		}
		if t.better(a) {
			return t.minds(name, a)
		}
	}
	return hostGuess(t)
}

// sentHost names what the balancer sends.
func (t *trouble) sentHost() string {
	if h := t.base.host(); h != "" {
		return fmt.Sprintf("the Host %s", clean(h))
	}
	return "no Host"
}

// minds is the finding where the site's own name gets a better answer.
func (t *trouble) minds(name string, a *answer) *Finding {
	why := []string{
		fmt.Sprintf("With %s, as %s sends it, the outcome is: %s.", t.sentHost(), itsName, t.outcome(t.answer)),
		fmt.Sprintf("The same request with Host: %s gets %s.", clean(name), short(a.http)),
	}
	cause := balancer.CauseDefaultServer
	status := t.answer.status()
	// Rails' refusal is empty outside of development, and a closed connection
	// names nobody: then the good answer tells who it is.
	if behind := recognise(a.http); status == 0 || status == 403 && t.answer.http.size == 0 && t.soft.maker == "" && behind.maker == rails {
		t.soft = behind
		if status == 0 {
			t.soft.maker = ""
		}
	}
	switch {
	case t.soft.maker == django && status == 400:
		return t.djangoRefuses(Certain, append(why, t.soft.says()...)...)
	case t.soft.maker == rails && status == 403:
		cause = balancer.CauseRailsHosts
	case t.soft.maker == aspnet && status == 400:
		cause = balancer.CauseASPNetHosts
	case t.soft.maker == nginx || t.soft.maker == apache:
	case slices.Contains([]int{400, 401, 403, 421}, status):
		cause = balancer.CauseHostGuard
	}
	return t.found(cause, Certain, append(why, t.soft.says()...)...)
}

// djangoHost is what Django takes for a Host at all: host_validation_re of
// django/http/request.py, which is asked before ALLOWED_HOSTS is. A name of
// RFC 1034 has no underscore.
var djangoHost = regexp.MustCompile(`^([a-z0-9.-]+|\[[a-f0-9]*:[a-f0-9.:]+\])(:[0-9]+)?$`)

// noDjangoHost reports whether it is Django that refuses, and a Host that it
// takes for none, whatever ALLOWED_HOSTS says.
func (t *trouble) noDjangoHost() bool {
	sent := t.base.host()
	return t.soft.maker == django && sent != "" && !djangoHost.MatchString(strings.ToLower(sent))
}

// djangoRefuses is the finding where Django refuses the Host.
func (t *trouble) djangoRefuses(sure Certainty, why ...string) *Finding {
	if !t.noDjangoHost() {
		return t.found(balancer.CauseDjangoHosts, sure, why...)
	}
	return t.found(balancer.CauseHostGuard, sure, append(why,
		fmt.Sprintf("%s is no name of a host by RFC 1034 and 1035, which have letters, digits, hyphens and dots alone: Django refuses it before it looks at ALLOWED_HOSTS, even if that is [\"*\"].", clean(t.base.host())))...)
}

// hostSays is for answers that name the cause themselves.
func hostSays(t *trouble) *Finding {
	r := t.answer.http
	if r == nil {
		return nil
	}
	says := func(text string) bool { return bytes.Contains(r.body, []byte(text)) }
	switch {
	case r.status == 400 && (says("DisallowedHost") || says("Invalid HTTP_HOST header")):
		return t.djangoRefuses(Certain, fmt.Sprintf("Django's page says that %s is not allowed (DisallowedHost).", t.sentHost()))
	case r.status == 403 && says("Blocked host"):
		return t.found(balancer.CauseRailsHosts, Certain, fmt.Sprintf("The page of Rails says Blocked host to %s.", t.sentHost()))
	case r.status == 400 && says("Bad Request - Invalid Hostname"):
		return t.found(balancer.CauseASPNetHosts, Certain, fmt.Sprintf("The page says Invalid Hostname to %s.", t.sentHost()))
	case (r.status == 400 || r.status == 403 || r.status == 421) && (says("Invalid Host") || says("Invalid host header") || says("Blocked request. This host")):
		return t.found(balancer.CauseHostGuard, Certain, fmt.Sprintf("The answer says itself that it minds the Host (%q), and it got %s.", clean(string(r.body[:min(len(r.body), 80)])), t.sentHost()))
	}
	return nil
}

// hostMissing is for requests without a Host.
func hostMissing(t *trouble) *Finding {
	address := t.base.target.Address.String()
	a := t.try(host(address))
	if t.better(a) {
		return t.found(balancer.CauseNoHost, Certain,
			fmt.Sprintf("Without a Host, as %s sends it, the outcome is: %s.", itsName, t.outcome(t.answer)),
			fmt.Sprintf("The same request with Host: %s gets %s.", address, short(a.http)))
	}
	return nil
}

// hostGuess goes by the answer's look alone, and by names that most allow.
func hostGuess(t *trouble) *Finding {
	if t.answer.http == nil {
		return nil
	}
	isDjango := t.soft.maker == django && t.answer.status() == 400
	switch t.answer.status() {
	case 400, 403, 421:
	default:
		return nil
	}
	for _, name := range []string{"localhost", "127.0.0.1"} {
		if t.base.hostname() == name {
			continue
		}
		a := t.try(host(name))
		if t.better(a) || isDjango && a.counts() && a.status() != 400 && t.steady() {
			return t.minds(name, a)
		}
	}
	if !isDjango {
		return nil
	}
	f := t.djangoRefuses(Likely,
		fmt.Sprintf("400 with the page Bad Request (400), which is Django's answer to a Host that is not in ALLOWED_HOSTS; the request has %s.", t.sentHost()))
	ask := "Does Django's log say Invalid HTTP_HOST header?"
	if t.p.Site == "" {
		ask += " --site NAME has explain try the site's own name, which would prove it."
	}
	f.Ask = append(f.Ask, ask)
	return f
}
