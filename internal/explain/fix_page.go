package explain

import (
	"fmt"

	"hale/internal/balancer"
)

const siteRedirectConfig = `
# nginx, in the server block that answers for the address. Without a return or
# rewrite outside of a location, as that would come first.
location = @PATH@ {
    proxy_pass http://127.0.0.1:8000;    # as in the site's block
    proxy_set_header Host @NAME@;
}`

// siteRedirectMoved is for a redirect that nginx itself makes.
const siteRedirectMoved = `
location / {
    return 301 $scheme://@NAME@$request_uri;
}`

// mendPage is for what the page itself answers.
func (t *trouble) mendPage(f *Finding) {
	switch f.Cause {
	case balancer.CauseSiteRedirect:
		f.Fix = []string{t.fixed("Have the web server ask the application for @PATH@ with the site's own Host, whatever Host came; or have hale answer the balancer (hale snippet nginx).")}
		f.Config = t.fixed(siteRedirectConfig)
		if f.Software == nginx {
			f.Config += "\n" + t.fixed(siteRedirectMoved)
		}
	case balancer.CauseLoginRedirect, balancer.CauseAuth:
		f.Fix = []string{"Ask a health path that needs no login, or exempt this one; never have the balancer accept the refusal, which a broken site gives too."}
		if f.Sure == Guess {
			// What forbids it is not known, so neither is the line that allows it.
			f.Fix = []string{"Find what forbids the path, and let the balancer's addresses in; or ask a health path that is open to all."}
			return
		}
		f.Config = t.openPath(f.Software)
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
		f.Fix = []string{fmt.Sprintf("Answer 200 in place of 204 (in nginx, where it says return 204: return 200 \"ok\";)%s.", t.orAccept("204"))}
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
		f.Config = t.fixed("# nginx: limit_req in location /, and none in the health path's own\nlocation = @PATH@ {\n    proxy_pass http://127.0.0.1:8000;    # as in location /\n}\nlocation / {\n    limit_req zone=…;\n    # …\n}")
	case balancer.CauseBotFilter:
		f.Config = t.fixed("# nginx: the health path before the filter\nlocation = @PATH@ {\n    proxy_pass http://127.0.0.1:8000;    # as in location /\n}")
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
func (t *trouble) openPath(software string) string {
	switch {
	case software == nginx:
		return t.fixed("# nginx\nlocation = @PATH@ {\n    auth_basic off;\n    proxy_pass http://127.0.0.1:8000;    # as in location /\n}")
	case software == apache:
		return t.fixed("# Apache\n<Location \"@PATH@\">\n    AuthType None\n    Require all granted\n</Location>")
	case software == django:
		return t.fixed("# urls.py: a view without login_required\npath(\"healthz\", lambda request: HttpResponse(\"ok\")),")
	}
	return ""
}
