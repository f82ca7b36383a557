package capture

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A Hello is what a TLS client offered (RFC 8446, section 4.1.2).
type Hello struct {
	// ServerName is the SNI; "" without one.
	ServerName string `json:"server_name"`
	// ALPN are the protocols, and Versions those of TLS, in the client's order.
	ALPN     []string `json:"alpn"`
	Versions []string `json:"versions"`
	// Ciphers is how many cipher suites it offered.
	Ciphers int `json:"ciphers"`
	// First are the first bytes, as a server that speaks plain HTTP logs them.
	First string `json:"first_bytes"`
	// Agreed says what the handshake led to; "" if it failed.
	Agreed string `json:"agreed,omitempty"`
	// Failed says why the handshake failed; "" if it did not.
	Failed string `json:"failed,omitempty"`

	ancient bool // nothing newer than SSL 3.0 was offered
	refused bool // it was the client who ended the handshake
}

// maxNames bounds the lists of a hello.
const maxNames = 16

func helloOf(info *tls.ClientHelloInfo, first string) *Hello {
	h := &Hello{ServerName: short([]byte(info.ServerName), 255), First: first, Ciphers: len(info.CipherSuites), ALPN: []string{}, Versions: []string{}}
	for _, name := range info.SupportedProtos[:min(maxNames, len(info.SupportedProtos))] {
		h.ALPN = append(h.ALPN, short([]byte(name), 64))
	}
	for _, v := range info.SupportedVersions[:min(maxNames, len(info.SupportedVersions))] {
		// GREASE values mean nothing (RFC 8701).
		if v&0x0f0f != 0x0a0a {
			h.Versions = append(h.Versions, tls.VersionName(v))
		}
	}
	return h
}

// isHandshake reports whether bytes begin a TLS record with a handshake.
func isHandshake(b []byte) bool { return len(b) >= 2 && b[0] == 0x16 && b[1] == 0x03 }

// handshake answers a TLS handshake with the given certificate. It returns the
// stream within, or the reason of its failure in a.TLS.Failed.
func handshake(s *stream, a *Arrival, certificate func() (*tls.Certificate, error)) (*stream, bool) {
	first := visible(s.unread[:min(11, len(s.unread))])
	config := &tls.Config{
		// Whoever is so old is to be seen too; nothing is kept secret here.
		MinVersion:     tls.VersionTLS10,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return certificate() },
	}
	config.GetConfigForClient = func(info *tls.ClientHelloInfo) (*tls.Config, error) {
		a.TLS = helloOf(info, first)
		own := config.Clone()
		own.GetConfigForClient = nil
		// TLS 1.3 would hide why a client breaks off.
		if slices.Contains(info.SupportedVersions, tls.VersionTLS12) {
			own.MaxVersion = tls.VersionTLS12
		}
		// With a protocol in common one is chosen, and else none, as crypto/tls
		// would break off.
		for _, p := range []string{"h2", "http/1.1"} {
			if slices.Contains(info.SupportedProtos, p) {
				own.NextProtos = append(own.NextProtos, p)
			}
		}
		return own, nil
	}
	conn := tls.Server(s, config)
	err := conn.Handshake()
	if a.TLS == nil {
		a.TLS = &Hello{First: first, ALPN: []string{}, Versions: []string{}}
	}
	if err != nil {
		a.TLS.fail(err)
		if strings.HasPrefix(first, `\x16\x03\x00`) && len(a.TLS.Versions) == 0 {
			a.TLS.Versions = append(a.TLS.Versions, "SSL 3.0")
			a.TLS.ancient = true
			a.TLS.Failed = "nothing newer than SSL 3.0 is offered, which hale refuses, as servers of today do"
		}
		return nil, false
	}
	state := conn.ConnectionState()
	a.TLS.Agreed = tls.VersionName(state.Version)
	if state.NegotiatedProtocol != "" {
		a.TLS.Agreed += ", " + state.NegotiatedProtocol
	}
	return &stream{Conn: conn}, true
}

// fail says why a handshake failed; a client's alert most often says that it
// verifies certificates.
func (h *Hello) fail(err error) {
	h.Failed = short([]byte(err.Error()), 200)
	if alert, ok := strings.CutPrefix(h.Failed, "remote error: tls: "); ok {
		h.Failed, h.refused = "the client broke off: "+alert, true
	} else if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) {
		h.refused = true
	}
}

// brokenOff says who ended a failed handshake.
func (h *Hello) brokenOff() string {
	if h.refused {
		return "the client broke off before its request"
	}
	return "the handshake failed before a request"
}

// certificates makes one self-signed certificate, when it is first needed.
func certificates() func() (*tls.Certificate, error) {
	return sync.OnceValues(func() (*tls.Certificate, error) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, fmt.Errorf("making a key: %w", err)
		}
		now := time.Now()
		template := &x509.Certificate{
			SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "hale capture, self-signed"},
			NotBefore: now.Add(-time.Hour), NotAfter: now.Add(7 * 24 * time.Hour),
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		}
		der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
		if err != nil {
			return nil, fmt.Errorf("making a certificate: %w", err)
		}
		return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
	})
}
