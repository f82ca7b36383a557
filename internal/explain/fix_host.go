package explain

import (
	"fmt"
	"strings"

	"hale/internal/balancer"
)

const djangoHosts = `
# settings.py
ALLOWED_HOSTS += ["@HOST@"]

# or a middleware that answers first, and needs no list: the first of MIDDLEWARE
class HealthMiddleware:
    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        if request.path == "@PATH@":
            return HttpResponse("ok")    # from django.http
        return self.get_response(request)`

const railsHosts = `
# config/environments/production.rb
config.host_authorization = { exclude: ->(request) { request.path == "@PATH@" } }`

const aspnetHosts = `
// Program.cs: before the host filter
app.MapWhen(c => c.Request.Path == "@PATH@", b => b.Run(c => c.Response.WriteAsync("ok")));`

const nginxDefault = `
# nginx: the server block with default_server on port @PORT@ (the first one, if
# none has it)
location = @PATH@ {
    proxy_pass http://127.0.0.1:8000;    # as in the site's block
    proxy_set_header Host @NAME@;
}`

const apacheDefault = `
# Apache: the first VirtualHost of port @PORT@ answers for unknown hosts
<VirtualHost *:@PORT@>
    # the application as in the site's own
    ProxyPass "@PATH@" "http://127.0.0.1:8000@PATH@"
    ProxyPreserveHost On
    RequestHeader set Host "@NAME@"
</VirtualHost>`

// mendHost is for what minds the Host.
func (t *trouble) mendHost(f *Finding) {
	switch f.Cause {
	case balancer.CauseDjangoHosts:
		f.Config = t.fixed(djangoHosts)
		if t.base.host() == "" && t.base.target.Address.Addr().String() != "127.0.0.1" {
			f.Config = strings.Replace(f.Config, "]", `, "127.0.0.1"]`, 1)
		}
		f.Fix = []string{t.fixed("Add @HOST@ to ALLOWED_HOSTS, or answer @PATH@ in a middleware placed first; hale snippet django prints both.")}
		switch t.base.probe.Host {
		case balancer.HostBalancer:
			f.Fix = append(f.Fix, "This Host is the address of one of the balancer's nodes (explain puts its own in its place): allow the balancer's subnets, with django-allow-cidr, or use the middleware.")
		case balancer.HostAddress, balancer.HostBareAddress, balancer.HostAddressPort:
			f.Fix = append(f.Fix, "The address is another on each instance: have it found at start, not written down.")
		case balancer.HostNone:
			f.Fix = append(f.Fix, "Without a Host Django takes the address on which its own web server (gunicorn, say) listens: 127.0.0.1 if a proxy is in front of it.")
		}
	case balancer.CauseRailsHosts:
		f.Config = t.fixed(railsHosts)
	case balancer.CauseASPNetHosts:
		f.Config = t.fixed(aspnetHosts)
	case balancer.CauseDefaultServer:
		f.Fix = []string{t.fixed("Have @PATH@ answered by the default server too, the one for hosts that no other block names.")}
		if t.soft.maker == apache {
			f.Config = t.fixed(apacheDefault)
		} else if t.soft.maker == nginx || t.soft.maker == "" {
			f.Fix = append(f.Fix, "In nginx it is a location in the block with default_server; hale snippet nginx prints one.")
			f.Config = t.fixed(nginxDefault)
		}
	}
	if !t.base.probe.HostFixed {
		if setting := t.hostSetting(); setting != "" {
			f.Fix = append(f.Fix, fmt.Sprintf("Or have %s send the site's Host: %s", t.b.Title, mask(setting)))
		}
	}
}
