package capture

import (
	"net"
	"net/netip"
	"strings"

	"hale/internal/balancer"
)

// An Objection is what an application may refuse an arrival for.
type Objection struct {
	// Causes are those of the table, which name what mends it.
	Causes []balancer.CauseID `json:"causes"`
	Text   string             `json:"text"`
}

// objections lists what applications and servers are known to object to.
func objections(a *Arrival) (all []Objection) {
	add := func(text string, causes ...balancer.CauseID) { all = append(all, Objection{causes, text}) }
	if a.Proxy != nil {
		add("a PROXY protocol header comes first: a server that does not expect one answers 400 or closes", balancer.CauseProxyUnexpected)
	}
	if a.TLS != nil {
		add("TLS: a port that speaks plain HTTP answers 400 and logs "+a.TLS.First, balancer.CauseTLSToPlain)
		if a.TLS.ServerName == "" {
			add("TLS without a server name (SNI): a server that has certificates by name, or refuses without one, breaks off", balancer.CauseNoSNI)
		}
		if strings.Contains(a.TLS.Failed, "certificate") {
			add("this client verifies certificates: one that is expired, for another name, or of an unknown issuer is refused, as hale's self-signed one was",
				balancer.CauseUntrusted, balancer.CauseWrongName, balancer.CauseExpired)
		}
	}
	switch a.Kind {
	case Connect:
		if a.holds() {
			add("it waits to be told something, as HAProxy's agent-check does, which reads a line such as up: an application that waits for a request never says one")
			break
		}
		add("nothing is asked: the port being open is enough, however broken the application is", balancer.CauseBroken)
	case Silent:
		add("a silent connection holds a worker of a server that has one for each connection (gunicorn's sync workers)", balancer.CauseBusyWorkers)
	case Request:
		request(a, add)
	}
	return all
}

// request adds what is objected to in a request.
func request(a *Arrival, add func(string, ...balancer.CauseID)) {
	switch a.Protocol {
	case balancer.HTTP09:
		add("a request line without a version: most servers answer 400, or a page without a status line")
	case balancer.HTTP10:
		add("HTTP/1.0: the connection is closed after the answer, and an answer in chunks can't be read")
	case balancer.HTTP2, balancer.GRPC:
		if a.TLS == nil {
			add("HTTP/2 without TLS and without asking: a server of HTTP/1.1 answers 400 or closes", balancer.CauseHTTP2)
		}
	}
	host(a, add)
	if a.Protocol != balancer.GRPC {
		if a.TLS == nil && !strings.Contains(lower(a.field("X-Forwarded-Proto")+a.field("Forwarded")), "https") {
			add("plain HTTP without X-Forwarded-Proto: https: Django's SECURE_SSL_REDIRECT, Rails' force_ssl and a redirect in the web server answer 301 to https",
				balancer.CauseDjangoSSL, balancer.CauseRailsSSL, balancer.CauseExpressSSL, balancer.CauseHTTPSRedirect)
		}
		if a.Method != "GET" && a.Method != "POST" {
			add(a.Method+": some frameworks answer it with 404, 405 or 501", balancer.CauseMethod)
		}
	}
	if a.field("User-Agent") == "" {
		add("no User-Agent: filters against bots answer 403", balancer.CauseBotFilter)
	}
}

// host adds what is objected to in the Host field.
func host(a *Arrival, add func(string, ...balancer.CauseID)) {
	if a.Host == nil || *a.Host == "" {
		if a.Protocol == balancer.HTTP11 {
			add("HTTP/1.1 without a Host: nginx, Apache, Jetty and Go answer 400", balancer.CauseNoHost)
		} else {
			add("no Host: the default server answers, and Django takes the server's own name for it", balancer.CauseNoHost, balancer.CauseDefaultServer)
		}
		return
	}
	name := *a.Host
	if h, _, err := net.SplitHostPort(name); err == nil {
		name = h
	}
	if _, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
		add("the Host is an address, "+*a.Host+": Django (ALLOWED_HOSTS) and ASP.NET (AllowedHosts) answer 400, Rails (config.hosts) 403, and nginx's default server answers instead of the site's",
			balancer.CauseDjangoHosts, balancer.CauseRailsHosts, balancer.CauseASPNetHosts, balancer.CauseHostGuard, balancer.CauseDefaultServer)
	} else if !strings.Contains(name, ".") && name != "localhost" {
		add("the Host is "+*a.Host+", a name without a domain: an application that lists its hosts refuses it", balancer.CauseDjangoHosts, balancer.CauseRailsHosts, balancer.CauseHostGuard)
	}
}
