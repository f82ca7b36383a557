package explain

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"reflect"
	"strings"
	"time"

	"hale/internal/balancer"
)

// The alerts that matter (RFC 8446, section 6).
const (
	alertHandshake   = 40
	alertBadCert     = 42
	alertInternal    = 80
	alertCertNeeded  = 116
	alertUnknownName = 112
)

// alertOf returns the number of the alert with which the server ended the
// connection; 0 for none. crypto/tls has a type of its own for it, a byte, that
// it does not export.
func alertOf(err error) int {
	e, ok := errors.AsType[*net.OpError](err)
	if !ok || e.Op != "remote error" {
		return 0
	}
	if v := reflect.ValueOf(e.Err); v.Kind() == reflect.Uint8 {
		return int(v.Uint())
	}
	return 0
}

func badCertificate(t *trouble) *Finding {
	state := t.answer.state
	_, why := checkCertificate(state, t.verifiedName(), t.p.Roots)
	all := []string{fmt.Sprintf("The certificate is for %s, from %s, and valid until %s: %s.", names(state.PeerCertificates[0]),
		clean(state.PeerCertificates[0].Issuer.String()), state.PeerCertificates[0].NotAfter.UTC().Format(time.DateTime), why)}
	if t.certCause == balancer.CauseUntrusted {
		f := t.found(t.certCause, Likely, all...)
		f.Ask = append(f.Ask, fmt.Sprintf("Which issuers does %s trust? Here it was those of this system; --ca FILE has explain trust others.", itsTitle))
		return f
	}
	return t.found(t.certCause, Certain, all...)
}

// saysHTTPSPort reports whether an answer complains of plain HTTP on a port for
// TLS: nginx, Apache, Go, Jetty and others do so in plain HTTP, or lead to https
// on the same port.
func (t *trouble) saysHTTPSPort(r *response) bool {
	if leadsOn(r) {
		to, err := place{scheme: "http", name: t.place.name, port: t.place.port, path: t.base.path()}.resolveReference(r.get("Location"))
		return err == nil && to.scheme == "https" && to.port == t.place.port
	}
	if r == nil || r.status != 400 {
		return false
	}
	for _, text := range []string{"plain HTTP request was sent to HTTPS port", "speaking plain HTTP to an SSL-enabled server port", "Client sent an HTTP request to an HTTPS server", "This combination of host and port requires TLS"} {
		if bytes.Contains(r.body, []byte(text)) {
			return true
		}
	}
	return false
}

// plainToTLS is for plain HTTP on a port that speaks TLS.
func plainToTLS(t *trouble) *Finding {
	if t.base.secure {
		return nil
	}
	if t.saysHTTPSPort(t.answer.http) {
		return t.found(balancer.CausePlainToTLS, Certain, "The server says itself that it got plain HTTP on a port for TLS.")
	}
	alert := bytes.HasPrefix(t.answer.first, []byte{0x15, 3})
	if t.answer.http != nil && t.answer.status() != 400 {
		return nil
	}
	name := ""
	if all := t.sites(); len(all) > 0 {
		name = all[0]
	}
	// gunicorn and others say nothing to what they take for half a request.
	a := t.try(both(secure(true, name), wait(2*time.Second)))
	if (a.stage > atTLS || alertOf(a.err) != 0) && t.steady() {
		return t.found(balancer.CausePlainToTLS, Certain, "A TLS handshake on the same port is answered with TLS.")
	}
	if alert {
		return t.found(balancer.CausePlainToTLS, Likely, "What came back is a TLS alert: "+quoted(t.answer.first)+".")
	}
	return nil
}

// tlsToPlain is for TLS on a port that speaks plain HTTP.
func tlsToPlain(t *trouble) *Finding {
	_, garbage := errors.AsType[tls.RecordHeaderError](t.answer.err)
	if alertOf(t.answer.err) != 0 {
		return nil // only who speaks TLS sends alerts
	}
	a := t.try(secure(false, ""))
	switch {
	case a.http != nil && !t.saysHTTPSPort(a.http) && t.steady():
		t.soft = recognise(a.http)
		return t.found(balancer.CauseTLSToPlain, Certain, fmt.Sprintf("The same request without TLS gets an answer: %s.", short(a.http)))
	case garbage && t.steady():
		return t.found(balancer.CauseTLSToPlain, Likely, "What the server answers to a TLS hello is not TLS.")
	}
	return nil
}

func noSNI(t *trouble) *Finding {
	alert := alertOf(t.answer.err)
	if t.base.sni != "" {
		return nil
	}
	for _, name := range append(t.sites(), "localhost") {
		if a := t.try(secure(true, name)); a.stage > atTLS {
			if !t.steady() {
				return nil
			}
			return t.found(balancer.CauseNoSNI, Certain, fmt.Sprintf("With the server name %s the handshake works; %s sends none.", clean(name), itsName))
		}
	}
	if alert == alertUnknownName {
		f := t.found(balancer.CauseNoSNI, Likely, "The server ends the handshake with the alert 112, unrecognized name, as nothing named a site; nginx does so with ssl_reject_handshake.")
		t.askSite(f, "By which name do visitors know the site?")
		return f
	}
	if alert == alertInternal && len(t.sites()) == 0 && t.steady() {
		f := t.found(balancer.CauseNoSNI, Likely, "The server ends the handshake with the alert 80, internal error: so do Caddy and others made in Go where nothing named a site that they have a certificate for.")
		t.askSite(f, "By which name do visitors know the site?")
		return f
	}
	return nil
}

// wantsSNI is for servers that take any handshake and then refuse a request that
// named no site in TLS: with 421 most, with 403 Apache if it is strict.
func wantsSNI(t *trouble) *Finding {
	if status := t.answer.status(); status != 421 && status != 403 && status != 400 || !t.base.secure || t.base.sni != "" {
		return nil
	}
	for _, name := range t.sites() {
		if a := t.try(secure(true, name)); t.better(a) {
			return t.found(balancer.CauseNoSNI, Certain, t.gets(), fmt.Sprintf("With the server name %s in TLS the answer is %s.", clean(name), short(a.http)))
		}
		// Some want the Host to be the same name: then it takes both.
		a := t.try(both(secure(true, name), host(name)))
		if t.better(a) && !t.better(t.try(host(name))) {
			return t.found(balancer.CauseNoSNI, Certain, t.gets(),
				fmt.Sprintf("With the server name %s in TLS, and the same as Host, the answer is %s; with the Host alone it is not.", clean(name), short(a.http)))
		}
	}
	return nil
}

// misdirected is for 421, which says that the connection is not one for this Host
// (RFC 9110, section 15.5.20), where no other name was found that helps.
func misdirected(t *trouble) *Finding {
	if t.answer.status() != 421 {
		return nil
	}
	why := append([]string{t.gets(), "421 says that this connection is not for this Host."}, t.soft.says()...)
	var f *Finding
	switch {
	case t.base.secure && t.base.sni == "":
		f = t.found(balancer.CauseNoSNI, Likely, append(why, fmt.Sprintf("%s sends no server name in TLS, and %s in the request.", itsTitle, t.sentHost()))...)
	case t.base.secure && !strings.EqualFold(t.base.sni, t.base.hostname()):
		f = t.found(balancer.CauseNoSNI, Likely, append(why, fmt.Sprintf("The server name in TLS is %s, and the request has %s.", clean(t.base.sni), t.sentHost()))...)
	default:
		f = t.found(balancer.CauseHostGuard, Likely, append(why, fmt.Sprintf("The request has %s.", t.sentHost()))...)
	}
	t.askSite(f, "By which name do visitors know the site?")
	return f
}

func clientCertificate(t *trouble) *Finding {
	alert := alertOf(t.answer.err)
	if !t.answer.wantsCert && alert != alertCertNeeded {
		return nil
	}
	return t.found(balancer.CauseClientCert, Certain, "The server asked for a client certificate, got none, and ended the handshake.")
}

// lateClientCertificate is for TLS 1.3, where the client thinks the handshake
// done before the server has looked at its certificate.
func lateClientCertificate(t *trouble) *Finding {
	if !t.base.secure || !t.answer.wantsCert {
		return nil
	}
	if alert := alertOf(t.answer.err); alert == alertCertNeeded || alert == alertBadCert || alert == alertHandshake {
		return t.found(balancer.CauseClientCert, Certain, fmt.Sprintf("The server asked for a client certificate, got none, and %s.", strings.TrimPrefix(inWords(t.answer.err), "the server ")))
	}
	return t.found(balancer.CauseClientCert, Likely, "The server asked for a client certificate, got none, and closed the connection.")
}

// textClientCertificate is for nginx and those like it, that say so in HTTP.
func textClientCertificate(t *trouble) *Finding {
	r := t.answer.http
	said := r.status == 400 && (bytes.Contains(r.body, []byte("No required SSL certificate was sent")) || bytes.Contains(r.body, []byte("The SSL certificate error")))
	if said || r.status == 495 || r.status == 496 {
		return t.found(balancer.CauseClientCert, Certain, "The server says itself that it wants a client certificate.")
	}
	if t.base.secure && t.answer.wantsCert && r.status == 403 {
		return t.found(balancer.CauseClientCert, Likely, "The server asked for a client certificate, got none, and answered 403.")
	}
	return nil
}

func slowHandshake(t *trouble) *Finding {
	if !isTimeout(t.answer.err) {
		return nil
	}
	if f := t.more(min(t.base.wait+patience, mostWait)); f != nil || !t.same(t.again) {
		return f
	}
	why := fmt.Sprintf("The connection was made, and the handshake not done within %s.", since(t.again.took))
	if tried := t.without((*answer).silent); tried != "" {
		why += " Nor was there an answer with " + tried + "."
	}
	return t.found(balancer.CauseBusyWorkers, Guess, why)
}
