package explain

import (
	"errors"
	"fmt"
	"strings"

	"hale/internal/balancer"
)

// mendVersion is for different versions of HTTP.
func (t *trouble) mendVersion(f *Finding) {
	switch {
	case t.base.probe.Protocol == balancer.GRPC && errors.Is(t.answer.err, errHTTP1):
		f.Fix = []string{
			fmt.Sprintf("Give %s the port that speaks gRPC: port %d speaks HTTP/1.1.", t.b.Title, t.base.target.Address.Port()),
			"Or have it ask over HTTP in place of gRPC.",
		}
		f.Config = t.http1Setting()
	case t.base.probe.Protocol == balancer.GRPC:
		f.Fix = []string{fmt.Sprintf("Give %s the port that speaks gRPC, or have it ask over HTTP in place of gRPC.", t.b.Title)}
		f.Config = t.http2Setting(false)
	case t.wantsNewer():
		f.Fix = []string{fmt.Sprintf("Have %s ask over HTTP/1.1, which this port speaks.", t.b.Title)}
		f.Config = t.http11Setting()
		if f.Config == "" {
			f.Fix = []string{fmt.Sprintf("Have the port answer %s too: it is what %s asks over.", t.base.probe.Protocol, t.b.Title)}
		}
	default:
		t.mendHTTP2(f)
	}
	if t.b.Name == "alb" {
		f.Fix = append(f.Fix, "A target group's protocol version can't be changed: make a new one.")
	}
}

// wantsNewer reports whether it is HTTP/1.0, or one without a version, that the
// port does not speak, and not all of HTTP/1.
func (t *trouble) wantsNewer() bool {
	if isFrames(t.answer.first) {
		return false
	}
	for _, one := range t.tried {
		if one.got.http != nil && one.got.http.version == "HTTP/2" {
			return false
		}
	}
	switch t.base.probe.Protocol {
	case balancer.HTTP09:
		return true
	case balancer.HTTP10:
		return t.answer.status() == 426 || t.answer.status() == 505
	}
	return false
}

// http11Setting is how the balancer is told to ask over HTTP/1.1; "" if it can't
// be told.
func (t *trouble) http11Setting() string {
	host := t.hostName()
	switch t.b.Name {
	case "haproxy":
		return "option httpchk\nhttp-check send meth GET uri " + mask(t.base.path()) + " ver HTTP/1.1 hdr Host " + host
	case "nginx-plus":
		return "proxy_http_version 1.1;\nproxy_set_header Host " + host + ";"
	case "f5":
		return `send "GET ` + mask(t.base.path()) + ` HTTP/1.1\r\nHost: ` + host + `\r\nConnection: close\r\n\r\n"`
	}
	return ""
}

// mendHTTP2 is for a port that speaks HTTP/2 alone, which may be gRPC, and a
// balancer that asks over HTTP/1.
func (t *trouble) mendHTTP2(f *Finding) {
	f.Config = t.http2Setting(true)
	if f.Config != "" {
		f.Fix = []string{fmt.Sprintf("Have %s check over HTTP/2 or gRPC, whichever the port speaks; or serve HTTP/1.1 on this port too, or on one for health checks.", t.b.Title)}
		if t.b.Name == "gcp" && !t.base.secure {
			f.Fix = append(f.Fix, "Its health checks of protocol HTTP2 come over TLS only, which this port does not speak.")
		}
		return
	}
	f.Fix = []string{fmt.Sprintf("%s checks health over HTTP/1 only: serve HTTP/1.1 on this port too, or on one for health checks.", t.b.Title)}
	if _, tcp := t.b.Probe(balancer.TCP); tcp {
		f.Fix = append(f.Fix, "Or have it check TCP alone, which sees no more than that something listens.")
	}
}

// http2Setting is how the balancer is told to ask over HTTP/2, and over gRPC if
// that is wanted; "" if it can't be told.
func (t *trouble) http2Setting(grpc bool) string {
	p, addr := mask(t.base.path()), t.base.target.Address
	if t.base.probe.Protocol == balancer.GRPC {
		p = "/"
	}
	http, rpc := "", ""
	switch t.b.Name {
	case "alb":
		http, rpc = t.targetGroup("HTTP2"), t.targetGroup("GRPC")
	case "gcp":
		if t.base.secure {
			http = fmt.Sprintf("gcloud compute health-checks create http2 NAME --port=%d --request-path=%s", addr.Port(), p)
		}
		rpc = fmt.Sprintf("gcloud compute health-checks create grpc NAME --port=%d", addr.Port())
	case "haproxy":
		http = "option httpchk\nhttp-check send meth GET uri " + p + " ver HTTP/2 hdr Host " + t.hostName() + "\nserver web1 " + addr.String() + " check check-proto h2"
		if t.base.secure {
			http = strings.TrimSuffix(http, "check-proto h2") + "check-ssl verify none check-alpn h2"
		}
	case "kubelet":
		rpc = fmt.Sprintf("grpc: {port: %d}", addr.Port())
	case "consul":
		http, rpc = fmt.Sprintf(`"h2ping": "%s", "h2ping_use_tls": %v`, addr, t.base.secure), fmt.Sprintf(`"grpc": "%s", "grpc_use_tls": %v`, addr, t.base.secure)
	case "traefik":
		if !t.base.secure {
			http = fmt.Sprintf(`servers: [{url: "h2c://%s"}]`, addr)
		}
		rpc = "healthCheck: {mode: grpc}"
	case "caddy":
		http = "transport http {\n    versions h2c 2\n}"
	case "envoy":
		const cluster = "\n# in the cluster's typed_extension_protocol_options, in HttpProtocolOptions\nexplicit_http_config: {http2_protocol_options: {}}"
		http, rpc = "http_health_check: {path: "+p+", codec_client_type: HTTP2}"+cluster, "grpc_health_check: {}"+cluster
	case "nginx-plus":
		rpc = "grpc_pass grpc://UPSTREAM;\nhealth_check type=grpc;"
	}
	switch {
	case !grpc || rpc == "":
		return http
	case http == "":
		return "# if it is gRPC\n" + rpc
	}
	return http + "\n\n# or, if it is gRPC\n" + rpc
}

// http1Setting is how the balancer is told to ask over HTTP/1.1 in place of gRPC.
func (t *trouble) http1Setting() string {
	addr := t.base.target.Address
	switch t.b.Name {
	case "alb":
		return t.targetGroup("HTTP1")
	case "gcp":
		return fmt.Sprintf("gcloud compute health-checks create %s NAME --port=%d --request-path=/", strings.ToLower(t.scheme()), addr.Port())
	case "kubelet":
		return fmt.Sprintf("httpGet: {scheme: %s, path: /, port: %d}", t.scheme(), addr.Port())
	case "consul":
		return fmt.Sprintf(`"http": "%s://%s/"`, strings.ToLower(t.scheme()), addr)
	case "traefik":
		return "healthCheck: {mode: http, path: /}"
	case "envoy":
		return "http_health_check: {path: /}"
	case "nginx-plus":
		return "proxy_pass " + strings.ToLower(t.scheme()) + "://UPSTREAM;\nhealth_check uri=/;"
	}
	return ""
}

// targetGroup makes a target group of a protocol version.
func (t *trouble) targetGroup(version string) string {
	return fmt.Sprintf("aws elbv2 create-target-group --name NAME --protocol %s --protocol-version %s --port %d --vpc-id VPC", t.scheme(), version, t.base.target.Address.Port())
}
