package explain

import (
	"fmt"
	"strconv"
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

// ASP.NET's host filter comes before all of Program.cs, which can't answer a path
// in front of it.
const aspnetHosts = `
// appsettings.json, or AllowedHosts in the environment; "*" allows all
{
  "AllowedHosts": "@NAME@;@HOST@"
}`

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
	case balancer.CauseHostGuard:
		if t.noDjangoHost() {
			f.Fix = []string{
				fmt.Sprintf("Have %s send another Host, one that is the name of a host: adding %s to ALLOWED_HOSTS does not help.", t.b.Title, clean(t.base.hostname())),
				t.fixed("Or answer @PATH@ in a middleware placed first, which looks at no Host; hale snippet django prints one."),
			}
		}
	case balancer.CauseRailsHosts:
		f.Config = t.fixed(railsHosts)
	case balancer.CauseASPNetHosts:
		f.Fix = []string{t.fixed("Add @HOST@ to AllowedHosts, or set it to *; a path can't be exempted, as the host filter comes before all of Program.cs.")}
		if t.changingHost() {
			f.Fix = append(f.Fix, "The address is another on each instance: set AllowedHosts in the environment when the application starts.")
		}
		f.Config = t.fixed(aspnetHosts)
	case balancer.CauseDefaultServer:
		f.Fix = []string{t.fixed("Have @PATH@ answered by the default server too, the one for hosts that no other block names.")}
		refuses := strconv.Itoa(t.answer.status())
		if t.answer.http == nil {
			refuses = "444"
		}
		if web := t.soft.webServer(); web == nginx || web == "" {
			f.Fix = append(f.Fix, "In nginx it is a location in the block with default_server, whose return has to move into location /; hale snippet nginx prints one.")
		}
		f.Config = strings.ReplaceAll(t.configOf(defaultServers), "@REFUSES@", refuses)
	}
	if !t.base.probe.HostFixed && (t.p.Site == "" || !strings.EqualFold(t.base.hostname(), t.p.Site)) {
		if setting := t.hostSetting(); setting != "" {
			f.Fix = append(f.Fix, fmt.Sprintf("Or have %s send the site's Host: %s", t.b.Title, mask(setting)))
		}
	}
}

// changingHost reports whether the balancer sends an address that is another for
// each instance or node.
func (t *trouble) changingHost() bool {
	switch t.base.probe.Host {
	case balancer.HostBalancer, balancer.HostAddress, balancer.HostBareAddress, balancer.HostAddressPort:
		return isAddress(t.base.hostname())
	}
	return false
}
