package listeners

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"strings"
	"time"

	"hale/internal/check"
)

// wantsTLS reports whether an answer to a plain request asks for TLS: an alert
// (RFC 8446, section 6: type 21, version 3.x), or a page that says so, which
// web servers send with the status 400.
func wantsTLS(answer []byte) bool {
	if len(answer) > 1 && answer[0] == 21 && answer[1] == 3 {
		return true
	}
	line, _, _ := bytes.Cut(answer, []byte("\n"))
	return bytes.HasPrefix(line, []byte("HTTP/")) && bytes.Contains(line, []byte(" 400")) && bytes.Contains(bytes.ToUpper(answer), []byte("HTTPS"))
}

// secured makes a handshake and returns the candidates for what speaks TLS:
// https, if it may be that, and tls. The certificate is verified by the name
// that it has, if it can be; else the checks do not verify it.
func (r recogniser) secured(ctx context.Context, l listener, http bool) []candidate {
	chain := handshake(ctx, l)
	if len(chain) == 0 {
		return nil
	}
	name, problem := verified(chain)
	trust, about := options("server_name", name), "its certificate is verified for "+name
	if problem != "" {
		trust, about = options("insecure", "true"), "its certificate is not verified: "+problem
	}
	secure := candidate{scheme: "tls", options: trust, why: "it speaks TLS; " + about}
	if !http {
		return []candidate{secure}
	}
	page := candidate{scheme: "https", path: "/", options: append(anyAnswer(), trust...), why: "it answered GET / over TLS; " + about}
	return []candidate{page, secure}
}

// handshake returns the certificates that the listener shows, its own first.
func handshake(ctx context.Context, l listener) []*x509.Certificate {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn, err := dial(ctx, l)
	if err != nil {
		return nil
	}
	defer func() { _ = conn.Close() }()
	// What is verified is decided when the certificate is seen.
	secure := tls.Client(conn, &tls.Config{InsecureSkipVerify: true, ServerName: "localhost"})
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil
	}
	_ = secure.CloseWrite()
	return secure.ConnectionState().PeerCertificates
}

// verified returns the name by which the system trusts a certificate, or what
// is wrong with it.
func verified(chain []*x509.Certificate) (name, problem string) {
	for _, n := range chain[0].DNSNames {
		if !strings.HasPrefix(n, "*.") {
			name = n
			break
		}
	}
	if name == "" {
		return "", "it names no host"
	}
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{DNSName: name, Intermediates: between, CurrentTime: time.Now()})
	if err != nil {
		return "", check.CleanText(err.Error())
	}
	return name, ""
}
