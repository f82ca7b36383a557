package explain

import (
	"fmt"

	"hale/internal/balancer"
)

const nginxRedirect = `
# nginx: the server block that listens on port @PORT@. Without a return or
# rewrite outside of a location, as that would come first.
location = @PATH@ {
    proxy_pass http://127.0.0.1:8000;    # as in the block for https
    proxy_set_header Host $http_host;
    proxy_set_header X-Forwarded-Proto https;
}
location / {
    return 301 https://$host$request_uri;
}`

const apacheRedirect = `
# Apache: the VirtualHost of port @PORT@, in place of Redirect; the application
# as in the VirtualHost for https
RewriteEngine On
RewriteCond %{REQUEST_URI} !^/@RE@/?$
RewriteRule ^ https://%{HTTP_HOST}%{REQUEST_URI} [R=301,L]
ProxyPass "@PATH@" "http://127.0.0.1:8000@PATH@"
ProxyPreserveHost On
<Location "@PATH@">
    RequestHeader set X-Forwarded-Proto https
</Location>`

const caddyRedirect = `
# Caddyfile: a site for http of its own
http://:@PORT@ {
    handle @PATH@ {
        reverse_proxy 127.0.0.1:8000 {    # as in the site for https
            header_up X-Forwarded-Proto https
        }
    }
    handle {
        redir https://{host}{uri} permanent
    }
}`

const haproxyRedirect = `
# haproxy.cfg: the frontend that redirects
acl is_health path @PATH@
http-request set-header X-Forwarded-Proto https if is_health
http-request redirect scheme https unless { ssl_fc } || is_health
default_backend app    # as in the frontend for https`

const djangoRedirect = `
# settings.py; the expression is matched without the slash in front
SECURE_REDIRECT_EXEMPT = [r"^@RE@/?$"]`

const railsRedirect = `
# config/environments/production.rb
config.ssl_options = { redirect: { exclude: ->(request) { request.path == "@PATH@" } } }`

const expressRedirect = `
// before the middleware that redirects
app.get("@PATH@", (req, res) => res.status(200).send("ok"));`

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
