package explain

import (
	"fmt"
	"strings"
)

// These are how the balancers are told what to ask.

// scheme is what the balancer speaks, as commands and manifests call it.
func (t *trouble) scheme() string {
	if t.base.secure {
		return "HTTPS"
	}
	return "HTTP"
}

// setPath is how the balancer is told another path or other codes.
func (t *trouble) setPath(path string) string {
	path = quotedPath(path)
	switch t.b.Name {
	case "alb", "nlb":
		return fmt.Sprintf("aws elbv2 modify-target-group --target-group-arn ARN --health-check-path %s", path)
	case "elb":
		return fmt.Sprintf("aws elb configure-health-check --load-balancer-name NAME --health-check Target=%s:%d%s,Interval=30,Timeout=5,UnhealthyThreshold=2,HealthyThreshold=10", t.scheme(), t.base.target.Address.Port(), path)
	case "haproxy":
		return "option httpchk GET " + path
	case "kubelet":
		return fmt.Sprintf("httpGet: {scheme: %s, path: %s, port: %d}", t.scheme(), path, t.base.target.Address.Port())
	case "gcp":
		return fmt.Sprintf("gcloud compute health-checks update %s NAME --request-path=%s", strings.ToLower(t.scheme()), path)
	case "traefik", "consul", "caddy", "envoy", "nginx-plus":
		return fmt.Sprintf("set the health check's path of %s to %s", t.b.Title, path)
	default:
		return fmt.Sprintf("set the probe's path of %s to %s", t.b.Title, path)
	}
}

// quotedPath is a path fit for a command, as it may come from the other side.
func quotedPath(path string) string {
	if strings.ContainsRune(path, '\'') {
		return "/PATH"
	}
	if strings.ContainsAny(path, "$&;()*!?|<>#~`\\\" ") {
		return "'" + path + "'"
	}
	return path
}

// hostSetting is how the balancer is told another Host; "" if it can't be told.
func (t *trouble) hostSetting() string {
	name := t.siteName()
	switch t.b.Name {
	case "haproxy":
		return "http-check send meth GET uri " + t.base.path() + " ver HTTP/1.1 hdr Host " + name
	case "kubelet":
		return fmt.Sprintf("httpGet: {scheme: %s, path: %s, port: %d, httpHeaders: [{name: Host, value: %s}]}", t.scheme(), t.base.path(), t.base.target.Address.Port(), name)
	case "envoy":
		return "http_health_check: {path: " + t.base.path() + ", host: " + name + "}"
	case "gcp":
		return fmt.Sprintf("gcloud compute health-checks update %s NAME --host=%s", strings.ToLower(t.scheme()), name)
	case "app-gateway":
		return "set the probe's host name to " + name + ", or have it taken from the backend settings"
	case "traefik":
		return "healthCheck: {path: " + t.base.path() + ", hostname: " + name + "}"
	case "caddy":
		return "in health_headers, Host " + name
	case "consul":
		return `"header": {"Host": ["` + name + `"]}`
	case "nginx-plus":
		return "proxy_set_header Host " + name + ";"
	case "hetzner", "cloudflare", "route53", "front-door":
		return "set the health check's host name or domain to " + name
	case "f5":
		return `send "GET ` + t.base.path() + ` HTTP/1.1\r\nHost: ` + name + `\r\nConnection: close\r\n\r\n"`
	}
	return ""
}

// tlsName is how the balancer is told another name for TLS, by which it asks and
// which it verifies; "" if it can't be told.
func (t *trouble) tlsName(name string) string {
	switch t.b.Name {
	case "haproxy":
		server := t.base.target.Address.String()
		if t.base.proxy {
			server += " send-proxy-v2"
		}
		return "server web1 " + server + " check check-ssl verify none check-sni " + name
	case "envoy":
		return "transport_socket: {name: envoy.transport_sockets.tls, typed_config: {\"@type\": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext, sni: " + name + "}}"
	case "app-gateway":
		return "set the probe's host name to " + name + ", or have it taken from the backend settings"
	case "traefik":
		return "http: {serversTransports: {web: {serverName: " + name + "}}}, and serversTransport: web in the service"
	case "caddy":
		return "transport http {\n    tls_server_name " + name + "\n}"
	case "consul":
		return `"tls_server_name": "` + name + `"`
	case "nginx-plus":
		return "proxy_ssl_server_name on;\nproxy_ssl_name " + name + ";"
	case "front-door":
		return "set the origin's host name to " + name
	case "cloudflare", "route53":
		return "set the health check's host name or domain to " + name
	}
	return ""
}

// protocolSetting is how the balancer is told to use HTTP or HTTPS; "" where
// that is a tick in a form.
func (t *trouble) protocolSetting(protocol string) string {
	switch t.b.Name {
	case "alb", "nlb":
		return "aws elbv2 modify-target-group --target-group-arn ARN --health-check-protocol " + protocol
	case "elb":
		return fmt.Sprintf("aws elb configure-health-check --load-balancer-name NAME --health-check Target=%s:%d%s,Interval=30,Timeout=5,UnhealthyThreshold=2,HealthyThreshold=10", protocol, t.base.target.Address.Port(), mask(t.base.path()))
	case "kubelet":
		return fmt.Sprintf("httpGet: {scheme: %s, path: %s, port: %d}", protocol, mask(t.base.path()), t.base.target.Address.Port())
	case "haproxy":
		if protocol == "HTTPS" {
			return "server web1 " + t.base.target.Address.String() + " check check-ssl verify none"
		}
		return "server web1 " + t.base.target.Address.String() + " check no-check-ssl"
	case "traefik", "consul", "caddy":
		return strings.ToLower(protocol) + "://" + t.base.target.Address.String() + mask(t.base.path())
	}
	return ""
}
