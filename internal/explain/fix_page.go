package explain

import (
	"fmt"
	"strconv"

	"hale/internal/balancer"
)

// mendPage is for what the page itself answers.
func (t *trouble) mendPage(f *Finding) {
	switch f.Cause {
	case balancer.CauseSiteRedirect:
		f.Fix = []string{t.fixed("Have the web server ask the application for @PATH@ with the site's own Host, whatever Host came; or have hale answer the balancer (hale snippet nginx).")}
		f.Config = t.configOf(siteRedirects)
		if moved := siteRedirectsMoved[f.Software]; moved != "" {
			f.Config += "\n" + t.fixed(moved)
		}
	case balancer.CauseLoginRedirect, balancer.CauseAuth:
		f.Fix = []string{"Ask a health path that needs no login, or exempt this one; never have the balancer accept the refusal, which a broken site gives too."}
		if f.Sure == Guess {
			// What forbids it is not known, so neither is the line that allows it.
			f.Fix = []string{"Find what forbids the path, and let the balancer's addresses in; or ask a health path that is open to all."}
			return
		}
		f.Config = t.openPath(f)
	case balancer.CauseTrailingSlash:
		if to := t.exactPath(); to != "" {
			f.Fix = []string{"Give the balancer the exact path, " + clean(to) + "."}
			f.Config = mask(t.setPath(to))
		}
	case balancer.CauseNotFound:
		f.Fix = []string{fmt.Sprintf("Set the balancer's health path to one that exists, or have the server answer %s.", clean(t.base.path()))}
		f.Config = "# the balancer\n" + mask(t.setPath("/PATH-THAT-EXISTS"))
		if f.Software == nginx {
			f.Config = t.fixed("# nginx, in the server block that answers for this Host\nlocation = @PATH@ {\n    proxy_pass http://127.0.0.1:8000;    # to what knows whether all is well\n}\n\n# or the balancer\n") + "\n" + mask(t.setPath("/PATH-THAT-EXISTS"))
		}
	case balancer.CauseNoContent:
		status := strconv.Itoa(t.answer.status())
		f.Fix = []string{fmt.Sprintf("Answer 200 in place of %s (in nginx, where it says return %s: return 200 \"ok\";)%s.", status, status, t.orAccept(status))}
		if t.b.Name == "alb" {
			f.Config = "aws elbv2 modify-target-group --target-group-arn ARN --matcher HttpCode=200-299"
		}
	case balancer.CauseMethod:
		f.Fix = []string{fmt.Sprintf("Answer %s like GET, or have %s use GET.", t.base.probe.Method, t.b.Title)}
		switch t.b.Name {
		case "haproxy":
			f.Config = mask("option httpchk GET " + t.base.path())
		case "front-door":
			f.Config = "az afd origin-group update … --probe-request-type GET"
		}
	case balancer.CauseRateLimit:
		f.Fix = []string{"Exempt the health path from the limit."}
		f.Config = t.refusalOf(limits)
	case balancer.CauseBotFilter:
		t.meet()
		f.Config = t.refusalOf(botFilters)
	case balancer.CauseSlow:
		f.Fix = []string{fmt.Sprintf("Make %s cheap (what is slow is looked at in the background; hale serve does that), or the balancer's timeout of %s longer.", clean(t.base.path()), t.wait())}
		if t.b.Name == "alb" || t.b.Name == "nlb" {
			f.Config = "aws elbv2 modify-target-group --target-group-arn ARN --health-check-timeout-seconds 30 --health-check-interval-seconds 60"
		}
	case balancer.CauseBusyWorkers:
		f.Config = "# gunicorn\ngunicorn --worker-class gthread --workers 2 --threads 8 …"
		f.Ask = append(f.Ask, "Is it gunicorn with sync workers, or another server with one worker per connection? Who holds them: ss -tnp on the machine shows connections that wait.")
	case balancer.CauseUnframed:
		f.Config = "# nginx buffers answers of an application over HTTP/1.1 and sends chunks:\nproxy_http_version 1.1;"
	case balancer.CauseBroken:
		if f.Software == haproxy && f.Sure == Likely {
			f.Fix = []string{"Mend the servers behind HAProxy; or, if they are well, have HAProxy choose their backend for the balancer's Host too (default_backend)."}
		}
	case balancer.CauseDependency:
		if f.Software == own {
			f.Fix = []string{"A check of hale's fails, or it is draining or has just started: on the instance, hale status says which. If the check should not take the instance out of traffic, give it impact: warn."}
		}
		if f.Software == spring {
			f.Config = "# application.properties: groups of their own\nmanagement.endpoint.health.probes.enabled=true\n# and the balancer asks /actuator/health/readiness, or /actuator/health/liveness"
		}
	}
}

// exactPath is the path with a slash at its end if it has none, and without one
// if it has.
func (t *trouble) exactPath() string {
	if to, ok := t.leads(); ok {
		return to.path
	}
	return otherSlash(t.base.path())
}

// orAccept says that the balancer may be told to accept a status, if it may.
func (t *trouble) orAccept(status string) string {
	if t.b.Judge.Settable == "" {
		return "; " + t.b.Title + " can't be told to accept " + status
	}
	return ", or have " + t.b.Title + " accept " + status + " (" + t.b.Judge.Settable + " can be set)"
}

// openPath lets the health path in without a login.
func (t *trouble) openPath(f *Finding) string {
	switch f.Software {
	case haproxy, caddy:
		if f.Cause != balancer.CauseAuth {
			return "" // a login by redirects is not theirs
		}
	case django:
		return t.fixed("# urls.py: a view without login_required\npath(\"healthz\", lambda request: HttpResponse(\"ok\")),")
	}
	return t.fixed(openPaths[f.Software])
}

// configOf is the configuration for the web server that answered, or in front of
// the application that did; nginx's where nobody is known.
func (t *trouble) configOf(configs map[string]string) string {
	web := t.soft.webServer()
	if web == "" {
		web = nginx
	}
	return t.fixed(configs[web])
}

// refusalOf is the same for what refuses by itself: an application's own refusal
// is none of the web server's.
func (t *trouble) refusalOf(configs map[string]string) string {
	if t.soft.maker != "" && !isWebServer(t.soft.maker) {
		return ""
	}
	return t.configOf(configs)
}
