package explain

import (
	"fmt"

	"hale/internal/balancer"
)

const nginxRedirect = `
# nginx: the server block that listens on port {port}. Without a return or
# rewrite outside of a location, as that would come first.
location = {path} {
    proxy_pass http://127.0.0.1:8000;    # as in the block for https
    proxy_set_header Host $http_host;
    proxy_set_header X-Forwarded-Proto https;
}
location / {
    return 301 https://$host$request_uri;
}`

const apacheRedirect = `
# Apache: the VirtualHost of port {port}, in place of Redirect
RewriteEngine On
RewriteCond %{REQUEST_URI} !^/{re}$
RewriteRule ^ https://%{HTTP_HOST}%{REQUEST_URI} [R=301,L]`

const caddyRedirect = `
# Caddyfile: a site for http of its own
http://:{port} {
    handle {path} {
        respond "ok" 200
    }
    handle {
        redir https://{host}{uri} permanent
    }
}`

const haproxyRedirect = `
# haproxy.cfg: the frontend that redirects
http-request return status 200 content-type text/plain string ok if { path {path} }
http-request redirect scheme https unless { ssl_fc } || { path {path} }`

const djangoRedirect = `
# settings.py; the expression is matched without the slash in front
SECURE_REDIRECT_EXEMPT = [r"^{re}/?$"]`

const railsRedirect = `
# config/environments/production.rb
config.ssl_options = { redirect: { exclude: ->(request) { request.path == "{path}" } } }`

const expressRedirect = `
// before the middleware that redirects
app.get("{path}", (req, res) => res.status(200).send("ok"));`

// mendRedirect is for redirects to https.
func (t *trouble) mendRedirect(f *Finding) {
	f.Fix = []string{fmt.Sprintf("Have %s answered without a redirect, over plain http.", clean(t.base.path()))}
	switch {
	case f.Cause == balancer.CauseDjangoSSL:
		f.Fix = append(f.Fix, "Exempt the path in Django's settings; hale snippet django prints them.")
		f.Config = t.fixed(djangoRedirect)
		if t.base.path() == "/" {
			f.Config = "# settings.py; the expression is matched without the slash in front\nSECURE_REDIRECT_EXEMPT = [r\"^$\"]    # better: a health path of its own"
		}
	case f.Cause == balancer.CauseRailsSSL:
		f.Config = t.fixed(railsRedirect)
	case f.Cause == balancer.CauseExpressSSL:
		f.Config = t.fixed(expressRedirect)
	case f.Software == nginx:
		f.Fix = append(f.Fix, "Give it a location of its own in the server block, with the redirect moved into location /; hale snippet nginx prints one.")
		f.Config = t.fixed(nginxRedirect)
	case f.Software == apache:
		f.Config = t.fixed(apacheRedirect)
	case f.Software == caddy:
		f.Config = t.fixed(caddyRedirect)
	case f.Software == haproxy:
		f.Config = t.fixed(haproxyRedirect)
	default:
		f.Fix = append(f.Fix, "In nginx that is a location of its own (hale snippet nginx), in Apache a RewriteCond, in an application an exemption from its redirect.")
	}
	if t.b.Judge.Settable != "" && t.b.Judge.Redirects == balancer.RedirectsJudged {
		f.Fix = append(f.Fix, fmt.Sprintf("Do not have %s accept the redirect: it comes also when the application is down.", t.b.Title))
	}
}
