package balancer

import "slices"

// A CauseID names a reason for which a balancer calls a good site unhealthy.
type CauseID string

// The causes, in the order in which they are documented.
const (
	CauseDjangoHosts     CauseID = "django-allowed-hosts"
	CauseRailsHosts      CauseID = "rails-hosts"
	CauseASPNetHosts     CauseID = "aspnet-allowed-hosts"
	CauseHostGuard       CauseID = "host-guard"
	CauseRailsSSL        CauseID = "rails-force-ssl"
	CauseDjangoSSL       CauseID = "django-ssl-redirect"
	CauseExpressSSL      CauseID = "express-force-ssl"
	CauseHTTPSRedirect   CauseID = "https-redirect"
	CauseSiteRedirect    CauseID = "site-redirect"
	CauseDefaultServer   CauseID = "default-server"
	CauseNoHost          CauseID = "no-host"
	CauseLoginRedirect   CauseID = "login-redirect"
	CauseTrailingSlash   CauseID = "trailing-slash"
	CauseNotFound        CauseID = "not-found"
	CauseAuth            CauseID = "auth"
	CauseDependency      CauseID = "dependency-down"
	CauseNoContent       CauseID = "status-204"
	CauseMethod          CauseID = "method-refused"
	CauseFirewall        CauseID = "firewall"
	CauseLoopbackOnly    CauseID = "loopback-only"
	CauseLocalhost       CauseID = "localhost-ipv6"
	CauseTLSToPlain      CauseID = "tls-to-plaintext"
	CausePlainToTLS      CauseID = "plaintext-to-tls"
	CauseHTTP2           CauseID = "http2-only"
	CauseNoSNI           CauseID = "no-sni"
	CauseClientCert      CauseID = "client-certificate"
	CauseProxyExpected   CauseID = "proxy-protocol-expected"
	CauseProxyUnexpected CauseID = "proxy-protocol-unexpected"
	CauseRateLimit       CauseID = "rate-limit"
	CauseBotFilter       CauseID = "bot-filter"
	CauseSlow            CauseID = "slow"
	CauseSlowBoot        CauseID = "slow-boot"
	CauseExpired         CauseID = "certificate-expired"
	CauseWrongName       CauseID = "certificate-name"
	CauseUntrusted       CauseID = "certificate-untrusted"
	CauseLargeBody       CauseID = "large-body"
	CauseBusyWorkers     CauseID = "busy-workers"
	CauseBroken          CauseID = "application-error"
	CauseStopped         CauseID = "nothing-listens"
	CauseName            CauseID = "name"
	CauseUnframed        CauseID = "unframed-body"
	CauseGRPCStatus      CauseID = "grpc-status"
	CauseBrokenBody      CauseID = "broken-body"
	CauseMalformed       CauseID = "malformed-answer"
	CauseInterim         CauseID = "interim-answer"
	CauseOldTLS          CauseID = "old-tls"
)

// A Cause is why a balancer calls a good site unhealthy, and what mends it.
type Cause struct {
	ID CauseID
	// Title says it in a few words.
	Title string
	// Symptom is what the balancer, or the application's log, shows.
	Symptom string
	// Fix is what mends it, in words; the configuration for the software in
	// question is hale explain's.
	Fix string
	// Hidden is true if it can't be told from outside and has to be asked about.
	Hidden bool
	// Sources are where it was met.
	Sources []string
}

// Causes returns all causes in the order in which they are documented.
func Causes() []Cause { return slices.Clone(causes) }

// CauseOf returns the cause of a name. It panics if there is none, as the names
// are constants.
func CauseOf(id CauseID) Cause {
	for _, c := range causes {
		if c.ID == id {
			return c
		}
	}
	panic("balancer: no cause " + string(id))
}

var causes = []Cause{
	{ID: CauseDjangoHosts, Title: "Django's ALLOWED_HOSTS lacks the Host that the balancer sends",
		Symptom: "400; the log says Invalid HTTP_HOST header: '10.0.1.85:8000'",
		Fix:     "add the instance's own address to ALLOWED_HOSTS, or the subnet with django-allow-cidr, or answer the health path in a middleware placed first",
		Sources: []string{"ietf-tools/bibxml-service#122", "Cloud-CV/EvalAI#5208"}},
	{ID: CauseRailsHosts, Title: "Rails' host authorization lacks the Host that the balancer sends",
		Symptom: "403; the log says Blocked host: 10.0.5.23",
		Fix:     `config.host_authorization = { exclude: ->(r) { r.path == "/up" } }`,
		Sources: []string{"mastodon/mastodon#20238"}},
	{ID: CauseASPNetHosts, Title: "ASP.NET's AllowedHosts lacks the Host that the balancer sends",
		Symptom: "400 with Bad Request - Invalid Hostname",
		Fix:     "add the Host that the balancer sends to AllowedHosts, or set that to *; a path can't be exempted",
		Sources: []string{"dotnet/aspnetcore#41702"}},
	{ID: CauseHostGuard, Title: "the application or a guard in front of it refuses the Host that the balancer sends",
		Symptom: "400, 403 or 421 for this Host, and a good answer for the site's own",
		Fix:     "register the health route before the guard, or allow the Host that the balancer sends",
		Sources: []string{"nulab/backlog-mcp-server#214"}},
	{ID: CauseRailsSSL, Title: "Rails' force_ssl redirects to https",
		Symptom: "301 to https://",
		Fix:     `config.ssl_options = { redirect: { exclude: ->(r) { r.path == "/up" } } }`,
		Sources: []string{"Purple-Devs/health_check#25"}},
	{ID: CauseDjangoSSL, Title: "Django's SECURE_SSL_REDIRECT redirects to https",
		Symptom: "301 to https://",
		Fix:     `SECURE_REDIRECT_EXEMPT = [r"^health/?$"]`,
		Sources: []string{"mozilla/glam#109"}},
	{ID: CauseExpressSSL, Title: "an Express application redirects to https",
		Symptom: "301 or 302 to https://",
		Fix:     "register the health route before the redirect",
		Sources: []string{"artsy/metaphysics#1099"}},
	{ID: CauseHTTPSRedirect, Title: "the web server redirects http to https",
		Symptom: "301 to https:// while only 200 counts",
		Fix:     "nginx: a location = /healthz of its own, with the redirect moved into location /; Apache: RewriteCond %{REQUEST_URI} !^/healthz$",
		Sources: []string{"miraheze/puppet#2297"}},
	{ID: CauseSiteRedirect, Title: "the site redirects to its own name",
		Symptom: "301 to the site's name when the Host is an address, as WordPress does with siteurl",
		Fix:     "answer a health path in the web server, before the application",
		Sources: []string{"GoogleCloudPlatform/click-to-deploy#1161"}},
	{ID: CauseDefaultServer, Title: "another server block than the site's answers, as the Host is not its name",
		Symptom: "404, 444 (closed without an answer) or a page that is not the site's",
		Fix:     "add the health location to the default server",
		Sources: []string{"openreplay/openreplay#4477"}},
	{ID: CauseNoHost, Title: "the request has no Host field",
		Symptom: "400 from nginx, Jetty and others for HTTP/1.1 without Host",
		Fix:     "have the balancer send a Host, or accept requests without one",
		Sources: []string{"zulip/zulip#37848"}},
	{ID: CauseLoginRedirect, Title: "the path leads to a login page",
		Symptom: "302 to a login page; Target.ResponseCodeMismatch",
		Fix:     "ask a health path that needs no login",
		Sources: []string{"kubernetes-sigs/aws-load-balancer-controller#3846"}},
	{ID: CauseTrailingSlash, Title: "the path wants a slash at its end, or none",
		Symptom: "301 or 302 to the same path with or without the slash",
		Fix:     "give the balancer the exact path",
		Sources: []string{"camerahub/camerahub#790"}},
	{ID: CauseNotFound, Title: "nothing answers this path",
		Symptom: "404",
		Fix:     "set the balancer's health path to one that exists, or add it",
		Sources: []string{"kubernetes/ingress-nginx#9414"}},
	{ID: CauseAuth, Title: "the path wants authentication",
		Symptom: "401, or 403 with a demand for credentials",
		Fix:     "permit the health path without authentication; never have the balancer accept 401, which a broken site gives too",
		Sources: []string{"CDCgov/prime-simplereport#206"}},
	{ID: CauseDependency, Title: "the health page fails because something that the application depends on is down",
		Symptom: "503 with a report of components",
		Fix:     "mend the dependency; for liveness ask a page that does not depend on it",
		Sources: []string{"valtimo-platform/valtimo-backend-libraries#126"}},
	{ID: CauseNoContent, Title: "204, or another success, where the balancer demands 200",
		Symptom: "204 No Content, 202 Accepted",
		Fix:     "answer 200, or have the balancer accept the other status if it can",
		Sources: []string{"weaviate/weaviate#1039"}},
	{ID: CauseMethod, Title: "the method that the balancer uses is refused",
		Symptom: "404, 405 or 501 for HEAD or OPTIONS, and a good answer for GET",
		Fix:     "answer HEAD (or OPTIONS) like GET, or have the balancer use GET",
		Sources: []string{"patroni/patroni#2021"}},
	{ID: CauseFirewall, Title: "a firewall drops what is sent to the port",
		Symptom: "a timeout while connecting: no answer to SYN",
		Fix:     "allow the balancer's addresses: the load balancer's security group, Google's ranges, 168.63.129.16 of Azure",
		Sources: nil},
	{ID: CauseLoopbackOnly, Title: "the server listens on 127.0.0.1 only",
		Symptom: "refused from outside, well from inside",
		Fix:     "listen on 0.0.0.0 (and [::]), or on the address that the balancer asks",
		Sources: nil},
	{ID: CauseLocalhost, Title: "localhost is ::1 first, and the server listens on IPv4 only",
		Symptom: "refused for localhost, well for 127.0.0.1",
		Fix:     "name 127.0.0.1 instead of localhost, or listen on both",
		Sources: []string{"wrzonance/WrzDJ#279"}},
	{ID: CauseTLSToPlain, Title: "TLS is sent to a port that speaks plain HTTP",
		Symptom: `the handshake fails; the server's log shows "\x16\x03\x01…" 400`,
		Fix:     "have the balancer use http for this port, or give it the port that speaks TLS",
		Sources: nil},
	{ID: CausePlainToTLS, Title: "plain HTTP is sent to a port that speaks TLS",
		Symptom: "400 (nginx: The plain HTTP request was sent to HTTPS port), or the connection is closed",
		Fix:     "have the balancer use https for this port, or give it the port that speaks plain HTTP",
		Sources: nil},
	{ID: CauseHTTP2, Title: "the port and the balancer speak different versions of HTTP",
		Symptom: "the connection is closed or answered with HTTP/2 frames; of gRPC: code '200' must be within '0-99'",
		Fix:     "have the balancer ask over the version that the port speaks (of AWS, the target group's protocol version), or give it a port that speaks its own",
		Sources: []string{"kubernetes-sigs/aws-load-balancer-controller#2694", "kubernetes-sigs/aws-load-balancer-controller#2804"}},
	{ID: CauseNoSNI, Title: "the server wants a server name (SNI) that the balancer does not send",
		Symptom: "the handshake fails (HAProxy: Layer6 invalid response … SSL handshake failure), or 421",
		Fix:     "have the balancer send one (HAProxy: check-sni), or add a default certificate",
		Sources: nil},
	{ID: CauseClientCert, Title: "the server demands a client certificate",
		Symptom: "tls: client didn't provide a certificate; nginx: 400 No required SSL certificate was sent",
		Fix:     "answer health checks on a port of their own, without client certificates",
		Sources: []string{"mailgun/gubernator#124"}},
	{ID: CauseProxyExpected, Title: "the server wants a PROXY protocol header that the balancer does not send",
		Symptom: `the connection is closed; nginx's log says broken header: "" while reading PROXY protocol`,
		Fix:     "turn the PROXY protocol on in the balancer, or give health checks a port without it; accept the command LOCAL",
		Sources: []string{"kubernetes/ingress-nginx#6996"}},
	{ID: CauseProxyUnexpected, Title: "the balancer sends a PROXY protocol header that the server does not know",
		Symptom: "400 or a closed connection, and a good answer without the header",
		Fix:     "turn the PROXY protocol off in the balancer, or on in the server",
		Sources: []string{"kubernetes/kubernetes#57250"}},
	{ID: CauseRateLimit, Title: "a rate limit counts the balancer's requests",
		Symptom: "429, or 503 from nginx's limit_req",
		Fix:     "exempt the health path from the limit",
		Sources: []string{"WordPress/openverse#1924"}},
	{ID: CauseBotFilter, Title: "a filter against bots refuses the balancer's User-Agent, or the lack of one",
		Symptom: "403 for the balancer's request, and a good answer for a browser's",
		Fix:     "exempt the health path from the filter",
		Sources: []string{"fnando/browser#275"}},
	{ID: CauseSlow, Title: "the answer takes longer than the balancer waits",
		Symptom: "Target.Timeout",
		Fix:     "make the health path cheap, or the balancer's timeout longer",
		Sources: nil},
	{ID: CauseBusyWorkers, Title: "silent connections hold all of the server's workers",
		Symptom: "Target.Timeout: connecting works, and no answer comes",
		Fix:     "put a buffering proxy in front, or use threaded or asynchronous workers (gunicorn: --worker-class gthread)",
		Sources: []string{"benoitc/gunicorn#1296"}},
	{ID: CauseSlowBoot, Title: "the instance boots longer than its grace",
		Symptom: "instances are ended and made anew over and over",
		Fix:     "a grace longer than the boot",
		Hidden:  true,
		Sources: []string{"aws-solutions/centralized-logging-with-opensearch#202"}},
	{ID: CauseExpired, Title: "the certificate is expired, or not valid yet",
		Symptom: "the handshake fails for those who verify",
		Fix:     "renew the certificate, and have the server load it"},
	{ID: CauseWrongName, Title: "the certificate is not for the name that is asked for",
		Symptom: "the handshake fails for those who verify",
		Fix:     "have the balancer ask for a name that the certificate has, or get one that has it"},
	{ID: CauseUntrusted, Title: "the certificate's issuer is not known",
		Symptom: "the handshake fails for those who verify",
		Fix:     "send the whole chain, or have the balancer trust the issuer"},
	{ID: CauseLargeBody, Title: "the body is larger than the balancer reads",
		Symptom: "broken pipe in the server's log though the probe passes; a text behind the limit is not found",
		Fix:     "answer health checks with a short body"},
	{ID: CauseBroken, Title: "the application fails",
		Symptom: "500, 502, 503 or 504",
		Fix:     "mend the application: its log says what is wrong; the balancer is right"},
	{ID: CauseStopped, Title: "nothing listens on the port",
		Symptom: "connection refused",
		Fix:     "start the server, or correct the port"},
	{ID: CauseName, Title: "the name does not resolve",
		Symptom: "no such host",
		Fix:     "correct the name, or give the address"},
	{ID: CauseUnframed, Title: "the body has neither a Content-Length nor chunks",
		Symptom: "Classic Load Balancer calls it a failure though the status is 200",
		Fix:     "send a Content-Length",
		Sources: nil},
	{ID: CauseGRPCStatus, Title: "gRPC answers with another status than the balancer demands",
		Symptom: "Health checks failed with these codes: [0]",
		Fix:     "set the accepted gRPC status to what the service gives (12, UNIMPLEMENTED, at the default path; 0 with grpc.health.v1)",
		Sources: []string{"kubernetes-sigs/aws-load-balancer-controller#2804"}},
	{ID: CauseBrokenBody, Title: "the body breaks off, or its chunks are malformed",
		Symptom: "unexpected EOF; HAProxy: L7RSP, invalid response",
		Fix:     "send as many bytes as Content-Length says, and chunks as RFC 9112 has them; the server's log may show why it stops",
		Sources: nil},
	{ID: CauseMalformed, Title: "the answer's header is not as HTTP has it",
		Symptom: "of what is made in Go: malformed MIME header, or multiple Content-Length headers; HAProxy: L7RSP, invalid response",
		Fix:     "send a colon in each line of the header, and one Content-Length; who adds a field of its own, the application or a proxy, is to be mended",
		Sources: nil},
	{ID: CauseInterim, Title: "an interim answer such as 100 Continue comes before the answer, and nobody asked for it",
		Symptom: "HAProxy: L7STS, 100 Continue",
		Fix:     "send no interim answer to a request without Expect: 100-continue",
		Sources: nil},
	{ID: CauseOldTLS, Title: "the server does only TLS that is old or weak",
		Symptom: "remote error: tls: handshake failure, or protocol version not supported",
		Fix:     "have the server do TLS 1.2 with ECDHE at least, or TLS 1.3",
		Sources: nil},
}
