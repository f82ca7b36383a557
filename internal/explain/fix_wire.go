package explain

import (
	"fmt"
	"strings"

	"hale/internal/balancer"
)

// mendWire is for TLS, PROXY headers and versions of HTTP.
func (t *trouble) mendWire(f *Finding) {
	switch f.Cause {
	case balancer.CauseTLSToPlain:
		f.Fix = []string{fmt.Sprintf("Have %s use http for port %d, or give it the port that speaks TLS.", t.b.Title, t.base.target.Address.Port())}
		f.Config = t.protocolSetting("HTTP")
	case balancer.CausePlainToTLS:
		f.Fix = []string{fmt.Sprintf("Have %s use https for port %d, or give it the port that speaks plain HTTP.", t.b.Title, t.base.target.Address.Port())}
		f.Config = t.protocolSetting("HTTPS")
	case balancer.CauseNoSNI:
		t.mendSNI(f)
	case balancer.CauseClientCert:
		f.Fix = []string{fmt.Sprintf("Answer %s on a port of its own, without client certificates.", clean(t.base.path()))}
		if t.b.TLS.ClientCertificate {
			f.Fix = append(f.Fix, fmt.Sprintf("Or give %s a certificate to show; it can.", t.b.Title))
		}
		f.Config = t.fixed("# nginx: ask for a certificate, and demand it only where it is needed\nssl_verify_client optional;\nlocation / {\n    if ($ssl_client_verify != SUCCESS) { return 403; }\n    # …\n}\nlocation = @PATH@ {\n    proxy_pass http://127.0.0.1:8000;    # as in location /\n}")
	case balancer.CauseWrongName:
		f.Fix = []string{fmt.Sprintf("Have %s ask for a name that the certificate has (%s), or get a certificate for %s.", t.b.Title, names(t.answer.state.PeerCertificates[0]), clean(t.verifiedName()))}
		f.Config = t.hostSetting()
	case balancer.CauseUntrusted:
		f.Fix = []string{fmt.Sprintf("Send the whole chain (nginx: ssl_certificate with the certificate first and the ones between after it), or have %s trust the issuer.", t.b.Title)}
	case balancer.CauseProxyExpected:
		f.Fix = []string{"Give health checks a port without the PROXY protocol, or have the balancer send it."}
		switch t.b.Name {
		case "nlb":
			f.Config = "aws elbv2 modify-target-group-attributes --target-group-arn ARN --attributes Key=proxy_protocol_v2.enabled,Value=true"
		case "haproxy":
			f.Config = "server web1 " + t.base.target.Address.String() + " send-proxy-v2 check check-send-proxy"
		default:
			f.Config = t.fixed("# nginx: a second port for health checks, without proxy_protocol\nlisten @PORT@ proxy_protocol;\nlisten 8081;")
		}
	case balancer.CauseProxyUnexpected:
		if t.b.Name == "nlb" {
			f.Config = "aws elbv2 modify-target-group-attributes --target-group-arn ARN --attributes Key=proxy_protocol_v2.enabled,Value=false"
		} else {
			f.Config = t.fixed("# nginx\nlisten @PORT@ proxy_protocol;")
		}
	case balancer.CauseHTTP2:
		t.mendVersion(f)
	}
}

func (t *trouble) mendSNI(f *Finding) {
	f.Fix = []string{fmt.Sprintf("Add a default certificate to the server, for clients that name no site; then %s needs no server name.", t.b.Title)}
	switch t.b.Name {
	case "haproxy":
		f.Fix = append(f.Fix, "Or have HAProxy send a name, with check-sni.")
		f.Config = t.fixed("server web1 @ADDR@:@PORT@ check check-ssl verify none check-sni @NAME@")
	case "alb", "nlb", "elb", "gcp", "azure-lb", "kubelet":
	default:
		f.Fix = append(f.Fix, fmt.Sprintf("Or have %s send one: %s", t.b.Title, t.hostSetting()))
	}
	if f.Config == "" {
		f.Config = t.fixed("# nginx: the default server, in place of ssl_reject_handshake\nserver {\n    listen @PORT@ ssl default_server;\n    ssl_certificate     /etc/nginx/default.pem;\n    ssl_certificate_key /etc/nginx/default.key;\n    location = @PATH@ {\n        proxy_pass http://127.0.0.1:8000;    # as in the site's block\n        proxy_set_header Host @NAME@;\n        proxy_set_header X-Forwarded-Proto https;\n    }\n    location / { return 404; }\n}")
	}
}

// mendVersion is for different versions of HTTP.
func (t *trouble) mendVersion(f *Finding) {
	_, two := t.b.Probe(balancer.HTTP2)
	switch {
	case t.b.Name == "alb":
		f.Fix = append(f.Fix, "A target group's protocol version can't be changed: make a new one.")
		kind := "HTTP2"
		if t.base.probe.Protocol == balancer.GRPC {
			kind = "HTTP1"
		}
		f.Config = "aws elbv2 create-target-group --name NAME --protocol HTTP --protocol-version " + kind + " --port " + t.fixed("@PORT@") + " --vpc-id VPC"
	case t.base.probe.Protocol == balancer.HTTP10, t.base.probe.Protocol == balancer.HTTP09:
		f.Fix = []string{fmt.Sprintf("Have %s ask over a version that the port speaks.", t.b.Title)}
		f.Config = t.hostSetting()
	case !two:
		f.Fix = []string{fmt.Sprintf("%s checks health over HTTP/1 only: serve HTTP/1.1 on this port too, or on one for health checks.", t.b.Title)}
	}
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
