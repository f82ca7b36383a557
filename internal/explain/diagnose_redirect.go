package explain

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"hale/internal/balancer"
)

// leadsOn reports whether an answer is a redirect as clients follow them.
func leadsOn(r *response) bool {
	return r != nil && slices.Contains([]int{301, 302, 303, 307, 308}, r.status) && r.get("Location") != ""
}

// leads is where the answer's redirect leads; false if it is none, or leads
// nowhere.
func (t *trouble) leads() (place, bool) {
	if !leadsOn(t.answer.http) {
		return place{}, false
	}
	to, err := t.place.resolveReference(t.answer.http.get("Location"))
	return to, err == nil
}

// isLogin reports whether a place is one where people log in.
func isLogin(p place) bool {
	path, query, _ := strings.Cut(p.path, "?")
	return regexp.MustCompile(`(?i)(^|[/_.-])(log-?in|sign-?in|sign_in|sso|oauth2?|auth|authorize|saml2?|cas|oidc|account/logon)([/_.-]|$)`).MatchString(path) ||
		regexp.MustCompile(`(?i)^(login|signin|auth|sso|accounts|id)\.`).MatchString(p.name) ||
		regexp.MustCompile(`(?i)(^|&)(next|return_?to|returnurl|redirect_uri|continue|service)=`).MatchString(query)
}

// samePath reports whether two paths are the same but for a slash at the end.
func samePath(a, b string) bool {
	a, _, _ = strings.Cut(a, "?")
	b, _, _ = strings.Cut(b, "?")
	return strings.TrimRight(a, "/") == strings.TrimRight(b, "/")
}

// leadsAstray says what became of following the redirect, for those who do.
func (t *trouble) leadsAstray() []string {
	if t.b.Judge.Redirects == balancer.RedirectsJudged || len(t.result.Steps) == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%s follows it, and there: %s.", itsName, t.result.Steps[len(t.result.Steps)-1].Text)}
}

// loop is for a page that redirects to itself.
func loop(t *trouble) *Finding {
	to, ok := t.leads()
	if !ok || to.scheme != t.place.scheme || to.port != t.place.port || to.path != t.base.path() || t.elsewhere(to) {
		return nil
	}
	f := &Finding{Sure: Certain, Software: t.soft.maker,
		Why: []string{fmt.Sprintf("The answer to %s is %s: the page redirects to itself.", t.base.line(), short(t.answer.http))},
		Fix: []string{"Give the balancer a health path that answers by itself."}}
	if t.answer.http.has("Set-Cookie") {
		f.Why = append(f.Why, "It sets a cookie with it, which browsers send the next time and balancers do not.")
	}
	if a := t.try(field("X-Forwarded-Proto", "https")); t.good(a) && t.steady() {
		f.Why = append(f.Why, fmt.Sprintf("With X-Forwarded-Proto: https the answer is %s: who redirects takes the request for one over http.", short(a.http)))
		f.Fix = []string{"Have the web server hand X-Forwarded-Proto on to the application, or exempt the path from its redirect to https."}
	}
	return f
}

// httpsRedirect is for the redirect from http to https, whoever makes it.
func httpsRedirect(t *trouble) *Finding {
	to, ok := t.leads()
	if !ok || t.place.scheme != "http" || to.scheme != "https" {
		return nil
	}
	samePage := samePath(to.path, t.base.path())
	if !samePage && (isLogin(to) || t.elsewhere(to)) {
		return nil
	}
	leadsTo := "the same page over https"
	switch {
	case !samePage:
		leadsTo = "another page over https"
	case t.elsewhere(to):
		leadsTo = "the same path over https, on " + clean(to.name)
	}
	why := []string{fmt.Sprintf("The answer to %s is %s: %s.", t.base.line(), short(t.answer.http), leadsTo)}
	why = append(why, t.leadsAstray()...)
	// Who trusts this field takes the request for one that came over https.
	trusted := t.try(field("X-Forwarded-Proto", "https"))
	trusts := trusted.counts() && trusted.http.get("Location") != t.answer.http.get("Location") && t.steady()
	if trusts {
		why = append(why, fmt.Sprintf("With X-Forwarded-Proto: https the answer is %s: whoever redirects trusts that field, which %s does not send.", short(trusted.http), itsName))
		if t.soft.maker == "" {
			t.soft = recognise(trusted.http)
		}
	}
	cause, sure := balancer.CauseHTTPSRedirect, Certain
	switch t.soft.maker {
	case django:
		cause = balancer.CauseDjangoSSL
	case rails:
		cause = balancer.CauseRailsSSL
	case express:
		cause = balancer.CauseExpressSSL
	case nginx, apache:
	default:
		sure = Likely
		if isDjangoRedirect(t.answer.http) && trusts {
			cause, t.soft = balancer.CauseDjangoSSL, software{maker: django, server: t.soft.server, why: "an empty redirect that trusts X-Forwarded-Proto"}
		}
	}
	// What a redirect looks like proves nobody's; that the page is there for who
	// says https does.
	if cause == balancer.CauseDjangoSSL && !(trusts && t.good(trusted)) || !samePage {
		sure = Likely
	}
	why = append(why, t.soft.says()...)
	f := t.found(cause, sure, why...)
	if t.soft.maker == "" {
		f.Ask = append(f.Ask, "Who redirects, the web server or the application? Ask the application's own port, past the web server, with hale explain.")
	}
	return f
}

func loginRedirect(t *trouble) *Finding {
	to, ok := t.leads()
	if !ok || !isLogin(to) {
		return nil
	}
	return t.found(balancer.CauseLoginRedirect, Likely, append(append([]string{fmt.Sprintf("The answer is %s, which is a place to log in.", short(t.answer.http))}, t.leadsAstray()...), t.soft.says()...)...)
}

func trailingSlash(t *trouble) *Finding {
	to, ok := t.leads()
	if !ok || !samePath(to.path, t.base.path()) || to.path == t.base.path() || to.scheme != t.place.scheme || t.elsewhere(to) {
		return nil
	}
	why := fmt.Sprintf("%s leads to %s, which differs in nothing but the slash.", clean(t.base.path()), clean(to.path))
	if a := t.try(path(to.path)); t.good(a) && t.steady() {
		return t.found(balancer.CauseTrailingSlash, Certain, why, fmt.Sprintf("Asking for %s gets %s.", clean(to.path), short(a.http)))
	}
	return t.found(balancer.CauseTrailingSlash, Likely, why)
}

// elsewhere reports whether a redirect leads to another host than was asked.
func (t *trouble) elsewhere(to place) bool {
	return !strings.EqualFold(to.name, t.base.hostname()) && !strings.EqualFold(to.name, t.place.name) && to.name != t.base.target.Address.Addr().String()
}

func siteRedirect(t *trouble) *Finding {
	to, ok := t.leads()
	if !ok || !t.elsewhere(to) {
		return nil
	}
	why := append([]string{fmt.Sprintf("The answer is %s: to another name than %s.", short(t.answer.http), t.sentHost())}, t.leadsAstray()...)
	a := t.try(host(to.name))
	if a.counts() && a.http.get("Location") != t.answer.http.get("Location") && t.steady() {
		why = append(why, fmt.Sprintf("With Host: %s the answer is %s.", clean(to.name), short(a.http)))
		return t.found(balancer.CauseSiteRedirect, Certain, append(why, t.soft.says()...)...)
	}
	if !samePath(to.path, t.base.path()) {
		return nil
	}
	return t.found(balancer.CauseSiteRedirect, Likely, append(why, t.soft.says()...)...)
}

// otherRedirect is for another page.
func otherRedirect(t *trouble) *Finding {
	to, ok := t.leads()
	if !ok {
		return nil
	}
	f := &Finding{Sure: Likely, Software: t.soft.maker, Why: []string{fmt.Sprintf("The page has moved: the answer is %s.", short(t.answer.http))}}
	if to.scheme != t.place.scheme || t.elsewhere(to) {
		f.Why = append(f.Why, t.leadsAstray()...)
	} else if a := t.try(path(to.path)); t.good(a) {
		f.Sure = Certain
		f.Why = append(f.Why, fmt.Sprintf("Asking for %s gets %s.", clean(to.path), short(a.http)))
		f.Fix = []string{fmt.Sprintf("Have %s ask for %s.", itsTitle, clean(to.path))}
		return f
	}
	f.Fix = []string{"Give the balancer a health path that answers by itself."}
	return f
}
