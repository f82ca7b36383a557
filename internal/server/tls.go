package server

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// lookInterval is the least time between two looks at certificate files.
	lookInterval = time.Second
	// lookWait is how long a handshake waits for a look. It is bounded since
	// files may be on a file system that hangs.
	lookWait = 100 * time.Millisecond
	// maxPEM is the size in bytes of the largest certificate or key file that
	// is read.
	maxPEM = 1 << 20
)

// NewTLS makes the TLS side of a listener: TLS 1.2 or later, with HTTP/2 and
// HTTP/1.1 by ALPN.
//
// The certificate and its key come from files, which are looked at again when
// there is a handshake, though not more often than each second. Files that can't
// be used any more are logged, once for each change, and the certificate that
// was there before stays in use. With both names "" a certificate is made when
// the first handshake needs it, signed by itself: most checkers verify none.
// With clientCAFile, clients must present a certificate that one of its issuers
// has signed.
//
// An error says which file can't be used, and why.
func NewTLS(certFile, keyFile, clientCAFile string, log *slog.Logger) (*tls.Config, error) {
	if (certFile == "") != (keyFile == "") {
		return nil, errors.New("TLS needs both a certificate file and a key file, or neither to have one made; only one of them is given")
	}
	s := &secrets{certFile: certFile, keyFile: keyFile, log: log}
	if log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	for _, name := range []string{certFile, keyFile, clientCAFile} {
		if name != "" {
			s.files = append(s.files, name)
		}
	}
	s.clientCAFile = clientCAFile
	s.seen = s.look()
	config, err := s.load()
	if err != nil {
		return nil, err
	}
	s.current.Store(config)
	// The outer one is what session tickets belong to, whatever is reloaded.
	outer := config.Clone()
	outer.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if len(s.files) > 0 {
			s.refresh(hello.Context())
		}
		return withoutALPN(s.current.Load(), hello), nil
	}
	return outer, nil
}

// withoutALPN returns the configuration for a client that offers only protocols
// that are not spoken here, such as http/1.0. Without ALPN it is answered in
// HTTP/1.x all the same; RFC 7301, section 3.2, would have the handshake fail.
func withoutALPN(config *tls.Config, hello *tls.ClientHelloInfo) *tls.Config {
	known := func(offered string) bool { return slices.Contains(config.NextProtos, offered) }
	if len(hello.SupportedProtos) == 0 || slices.ContainsFunc(hello.SupportedProtos, known) {
		return config
	}
	config = config.Clone()
	config.NextProtos = nil
	return config
}

// secrets are what TLS takes from files.
type secrets struct {
	certFile, keyFile, clientCAFile string
	files                           []string // those that are given
	log                             *slog.Logger
	current                         atomic.Pointer[tls.Config]

	mu      sync.Mutex
	looking chan struct{} // closed when the look in flight ends; nil if there is none
	looked  time.Time     // when the last look began
	seen    []os.FileInfo // of files, at the last look; nil for one that is not there
}

// refresh sees that the files are looked at, unless that was done just now, and
// waits a little for it. There is never more than one look: if the file system
// hangs, one goroutine hangs with it and TLS goes on.
func (s *secrets) refresh(ctx context.Context) {
	s.mu.Lock()
	if s.looking == nil && time.Since(s.looked) >= lookInterval {
		done := make(chan struct{})
		s.looking, s.looked = done, time.Now()
		go func() {
			s.reload()
			s.mu.Lock()
			s.looking = nil
			s.mu.Unlock()
			close(done)
		}()
	}
	done := s.looking
	s.mu.Unlock()
	if done == nil {
		return
	}
	timer := time.NewTimer(lookWait)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// reload loads the files again if one of them has changed. Only one goroutine
// at a time does.
func (s *secrets) reload() {
	now := s.look()
	if slices.EqualFunc(s.seen, now, sameFile) {
		return
	}
	s.seen = now
	config, err := s.load()
	if err != nil {
		s.log.Error("the changed TLS files can't be used; those from before stay in use", "error", err)
		return
	}
	s.current.Store(config)
	s.log.Info("the TLS files have changed; the new ones are in use", "certificate", s.certFile)
}

func (s *secrets) look() []os.FileInfo {
	var infos []os.FileInfo
	for _, name := range s.files {
		info, err := os.Stat(name)
		if err != nil {
			info = nil
		}
		infos = append(infos, info)
	}
	return infos
}

// sameFile reports whether a file is as it was.
func sameFile(a, b os.FileInfo) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

// load makes a configuration of the files as they are.
func (s *secrets) load() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}}
	if s.certFile == "" {
		config.GetCertificate = madeCertificates()
	} else {
		pair, err := loadPair(s.certFile, s.keyFile)
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{pair}
	}
	if s.clientCAFile != "" {
		pem, err := readPEM(s.clientCAFile)
		if err != nil {
			return nil, fmt.Errorf("can't read the client CA file: %w", err)
		}
		config.ClientCAs = x509.NewCertPool()
		if !config.ClientCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("the client CA file %s holds no certificate in PEM", s.clientCAFile)
		}
		config.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return config, nil
}

func loadPair(certFile, keyFile string) (tls.Certificate, error) {
	cert, err := readPEM(certFile)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("can't read the certificate file: %w", err)
	}
	key, err := readPEM(keyFile)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("can't read the key file: %w", err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("the certificate %s and the key %s can't be used together: %w", certFile, keyFile, err)
	}
	return pair, nil
}

// readPEM reads a regular file that is not too large.
func readPEM(name string) ([]byte, error) {
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a regular file", name)
	case info.Size() > maxPEM:
		return nil, fmt.Errorf("%s has %d bytes, more than a PEM file of %d", name, info.Size(), maxPEM)
	}
	return os.ReadFile(name)
}

// madeCertificates returns a function that makes a certificate when it is first
// needed; another one for the rare client that knows RSA only, as its key takes
// a tenth of a second.
func madeCertificates() func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	usual := sync.OnceValues(func() (*tls.Certificate, error) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, err
		}
		return selfSigned(key)
	})
	old := sync.OnceValues(func() (*tls.Certificate, error) {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return nil, err
		}
		return selfSigned(key)
	})
	return func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		made, err := usual()
		if err != nil || hello.SupportsCertificate(made) == nil {
			return made, err
		}
		if rsa, err := old(); err == nil && hello.SupportsCertificate(rsa) == nil {
			return rsa, nil
		}
		return made, nil // the handshake says what does not fit
	}
}

// selfSigned makes a certificate for those who verify none.
func selfSigned(key crypto.Signer) (*tls.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: "health check"},
		NotBefore:    now.Add(-24 * time.Hour), // clocks differ
		NotAfter:     now.AddDate(10, 0, 0),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}
