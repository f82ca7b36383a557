package explain

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"

	"hale/internal/balancer"
)

// judgeTLS is the step of TLS.
func (w *walk) judgeTLS() bool {
	a := w.answer
	sni := "no server name sent"
	if w.base.sni != "" {
		sni = "server name " + clean(w.base.sni)
	}
	marks := w.assumed(balancer.FactSNI, balancer.FactVerify)
	if a.stage == atTLS {
		return w.step(StepTLS, false, a.took, "the handshake failed (%s): %s%s", sni, inWords(a.err), marks)
	}
	if a.state == nil {
		return w.step(StepTLS, true, a.secured-a.connected, "%s, without a certificate%s", sni, marks)
	}
	leaf := a.state.PeerCertificates[0]
	about := fmt.Sprintf("%s, %s, certificate for %s until %s", tls.VersionName(a.state.Version), sni, names(leaf), leaf.NotAfter.UTC().Format(time.DateOnly))
	cause, why := checkCertificate(a.state, w.verifiedName(), w.p.Roots)
	switch {
	case cause == "":
		return w.step(StepTLS, true, a.secured-a.connected, "%s%s", about, marks)
	case w.b.TLS.Verify:
		w.certCause = cause
		return w.step(StepTLS, false, a.secured, "%s: %s%s", about, why, marks)
	}
	if cause == balancer.CauseExpired {
		w.remark(cause, fmt.Sprintf("The certificate's validity is from %s to %s; %s does not look at it, and visitors' browsers do.",
			leaf.NotBefore.UTC().Format(time.DateOnly), leaf.NotAfter.UTC().Format(time.DateOnly), w.b.Title))
	}
	return w.step(StepTLS, true, a.secured-a.connected, "%s; %s, which %s does not verify%s", about, why, w.b.Name, marks)
}

// verifiedName is the name that the certificate must have; "" is any.
func (w *walk) verifiedName() string {
	t := w.base.target
	switch {
	case w.b.TLS.SNI == balancer.HostNone:
		return ""
	case t.Host != "":
		return withoutPort(t.Host)
	case w.b.TLS.SNI == balancer.HostLoopback:
		return "127.0.0.1"
	default:
		return t.Name
	}
}

// names are those of a certificate, the first few.
func names(leaf *x509.Certificate) string {
	var all []string
	all = append(all, leaf.DNSNames...)
	for _, ip := range leaf.IPAddresses {
		all = append(all, ip.String())
	}
	if isNameless(leaf) && leaf.Subject.CommonName != "" {
		all = append(all, leaf.Subject.CommonName+" (in its CN alone)")
	}
	if len(all) == 0 {
		all = append(all, "no name")
	}
	if len(all) > 4 {
		all = append(all[:4], "…")
	}
	return clean(strings.Join(all, ", "))
}

// isNameless reports whether a certificate has no subjectAltName. A name in the
// CN alone has not counted since RFC 9525 and, in browsers and in Go, for longer.
func isNameless(leaf *x509.Certificate) bool {
	return len(leaf.DNSNames)+len(leaf.IPAddresses)+len(leaf.URIs)+len(leaf.EmailAddresses) == 0
}

// checkCertificate verifies what a server showed. The cause is "" if all is
// well. An untrusted certificate is told apart from an expired one and from one
// of another name.
func checkCertificate(state *tls.ConnectionState, name string, roots *x509.CertPool) (balancer.CauseID, string) {
	leaf := state.PeerCertificates[0]
	now := time.Now()
	if now.After(leaf.NotAfter) || now.Before(leaf.NotBefore) {
		return balancer.CauseExpired, fmt.Sprintf("the certificate is valid from %s to %s", leaf.NotBefore.UTC().Format(time.DateTime), leaf.NotAfter.UTC().Format(time.DateTime))
	}
	if name != "" {
		switch err := leaf.VerifyHostname(name); {
		case err != nil && isNameless(leaf):
			return balancer.CauseWrongName, "it has no subjectAltName, and a name in the CN alone no longer counts"
		case err != nil:
			return balancer.CauseWrongName, fmt.Sprintf("the certificate is not for %s", clean(name))
		}
	}
	between := x509.NewCertPool()
	for _, c := range state.PeerCertificates[1:] {
		between.AddCert(c)
	}
	_, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: now})
	if e, ok := errors.AsType[x509.CertificateInvalidError](err); ok && e.Reason == x509.Expired {
		return balancer.CauseExpired, "a certificate in the chain is expired"
	}
	if err != nil {
		return balancer.CauseUntrusted, fmt.Sprintf("the certificate's issuer, %s, is not trusted here", clean(leaf.Issuer.String()))
	}
	return "", ""
}
