package explain

import (
	"fmt"
	"strings"

	"hale/internal/balancer"
)

// mendWire is for TLS, PROXY headers and versions of HTTP.
func (t *trouble) mendWire(f *Finding) {
	t.meet()
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
		f.Config = t.certificateDemand()
	case balancer.CauseWrongName:
		f.Fix = []string{fmt.Sprintf("Have %s ask for a name that the certificate has (%s), or get a certificate for %s.", t.b.Title, names(t.answer.state.PeerCertificates[0]), clean(t.verifiedName()))}
		if name := t.certificateName(); name != "" {
			f.Config = t.tlsName(name)
		}
		if isNameless(t.answer.state.PeerCertificates[0]) {
			f.Fix = []string{fmt.Sprintf("Get a certificate with a subjectAltName for %s (openssl req: -addext subjectAltName=DNS:NAME, or IP:ADDRESS).", clean(t.verifiedName()))}
			f.Config = ""
		}
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
			f.Config = t.edgeConfig(withoutProxy)
		}
	case balancer.CauseProxyUnexpected:
		if t.b.Name == "nlb" {
			f.Config = "aws elbv2 modify-target-group-attributes --target-group-arn ARN --attributes Key=proxy_protocol_v2.enabled,Value=false"
		} else {
			f.Config = t.edgeConfig(withProxy)
		}
	case balancer.CauseHTTP2:
		t.mendVersion(f)
	}
}

func (t *trouble) mendSNI(f *Finding) {
	f.Fix = []string{fmt.Sprintf("Add a default certificate to the server, for clients that name no site; then %s needs no server name.", t.b.Title)}
	edge := t.soft.edge()
	switch {
	case edge != "":
		f.Config = t.fixed(defaultCertificates[edge])
	case alertOf(t.answer.err) == alertInternal:
		f.Config = t.fixed(defaultCertificates[caddy])
	default:
		f.Config = t.fixed(defaultCertificates[nginx] + "\n" + defaultCertificates[haproxy])
	}
	switch setting := t.tlsName(t.hostName()); {
	case setting == "":
	case t.b.Name == "haproxy":
		f.Fix = append(f.Fix, "Or have HAProxy send a name, with check-sni.")
		f.Config = setting
	case strings.Contains(setting, "\n"):
		f.Config += fmt.Sprintf("\n\n# or have %s send a name\n%s", t.b.Title, setting)
	default:
		f.Fix = append(f.Fix, fmt.Sprintf("Or have %s send one: %s", t.b.Title, setting))
	}
}

// meet fills in who takes the connections, where the balancer got no answer that
// would tell: another request may have got one.
func (t *trouble) meet() {
	if t.answer.http != nil || t.soft.server != "" {
		return
	}
	for _, one := range t.tried {
		if r := one.got.http; r != nil && r.has("Server") {
			met := recognise(r)
			t.soft.server, t.soft.small = met.server, met.small
		}
	}
}

// edgeConfig is the configuration for who takes the connections; for those that
// are met most where nobody is known.
func (t *trouble) edgeConfig(configs map[string]string) string {
	if edge := t.soft.edge(); edge != "" {
		return t.fixed(configs[edge])
	}
	return t.fixed(configs[nginx] + "\n" + configs[apache] + "\n" + configs[haproxy])
}

// certificateDemand is the configuration that demands a certificate, but not for
// the path. nginx refuses in HTTP, so that who refuses in TLS is another.
func (t *trouble) certificateDemand() string {
	edge := t.soft.edge()
	switch {
	case edge != "":
		return t.fixed(clientCertificates[edge])
	case t.answer.http == nil:
		return t.fixed(clientCertificates[apache] + "\n" + clientCertificates[haproxy] + "\n" + clientCertificates[caddy])
	}
	return t.fixed(clientCertificates[nginx])
}
