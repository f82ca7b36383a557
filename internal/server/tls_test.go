package server_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hale/internal/server"
	"hale/internal/verdict"
)

// writePair writes a certificate of the name, which may sign others, and its
// key. It returns both as they are used in TLS.
func writePair(t *testing.T, name, certFile, keyFile string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, certFile, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	writeFile(t, keyFile, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})))
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func writeFile(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// nameOf connects and returns the name of the certificate that is presented.
func nameOf(t *testing.T, r *running) string {
	t.Helper()
	c, err := tls.Dial("tcp", r.address.String(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0].Subject.CommonName
}

// TestCertificateIsReloaded, and a bad one is not.
func TestCertificateIsReloaded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writePair(t, "first.test", cert, key)
	var log lockedBuffer
	config, err := server.NewTLS(cert, key, "", slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	r := start(t, fixed, server.Options{TLS: config})
	if got := nameOf(t, r); got != "first.test" {
		t.Errorf("got %s, want first.test", got)
	}
	writePair(t, "second.test", cert, key)
	await(t, func() bool { return nameOf(t, r) == "second.test" })
	writeFile(t, cert, "nonsense")
	await(t, func() bool { nameOf(t, r); return strings.Contains(log.String(), "stay in use") })
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	await(t, func() bool { nameOf(t, r); return strings.Contains(log.String(), "no such file") })
	for range 20 {
		if got := nameOf(t, r); got != "second.test" {
			t.Fatalf("got %s, want second.test", got)
		}
	}
	if got := strings.Count(log.String(), "stay in use"); got != 2 {
		t.Errorf("got %d complaints, want one for each change:\n%s", got, log.String())
	}
	writePair(t, "third.test", cert, key)
	await(t, func() bool { return nameOf(t, r) == "third.test" })
}

func TestNewTLSErrors(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writePair(t, "a.test", cert, key)
	writePair(t, "b.test", filepath.Join(dir, "other.pem"), filepath.Join(dir, "otherkey.pem"))
	big := filepath.Join(dir, "big")
	writeFile(t, big, strings.Repeat("x", 2<<20))
	for _, tt := range []struct{ cert, key, ca, want string }{
		{cert, "", "", "only one of them"},
		{"", key, "", "only one of them"},
		{"/nosuch", key, "", "can't read the certificate file"},
		{cert, dir, "", "not a regular file"},
		{big, key, "", "more than"},
		{cert, filepath.Join(dir, "otherkey.pem"), "", "can't be used together"},
		{cert, key, key, "no certificate in PEM"},
		{cert, key, "/nosuch", "can't read the client CA file"},
		{"", "", "/nosuch", "can't read the client CA file"},
	} {
		_, err := server.NewTLS(tt.cert, tt.key, tt.ca, nil)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v: got %v, want %q", tt, err, tt.want)
		}
		if err != nil && strings.Contains(err.Error(), "PRIVATE KEY") {
			t.Errorf("%v shows the key", err)
		}
	}
}

// TestVerifiedCertificate: a client that verifies is content, and one without
// the certificate that is demanded is not served.
func TestVerifiedCertificate(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	ca, caKey := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "cakey.pem")
	writePair(t, "hale.test", cert, key)
	mine := writePair(t, "client.test", ca, caKey)
	config, err := server.NewTLS(cert, key, ca, nil)
	if err != nil {
		t.Fatal(err)
	}
	r := start(t, fixed, server.Options{TLS: config})
	roots := x509.NewCertPool()
	text, _ := os.ReadFile(cert)
	roots.AppendCertsFromPEM(text)
	var protocols http.Protocols
	protocols.SetHTTP2(true)
	transport := &http.Transport{Protocols: &protocols, TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "hale.test", Certificates: []tls.Certificate{mine}}}
	defer transport.CloseIdleConnections()
	answer, err := (&http.Client{Transport: transport, Timeout: patience}).Get("https://" + r.address.String())
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	without := tls.Client(r.dial(t), &tls.Config{RootCAs: roots, ServerName: "hale.test"})
	// In TLS 1.3 the client is done before the server knows.
	if _, err := without.Read(make([]byte, 1)); err == nil || !strings.Contains(err.Error(), "certificate required") {
		t.Errorf("without a certificate: got %v, want that one is required", err)
	}
	r.awaitDrops(t, server.DropTLS, 1)
	ask(t, r.dial(t)) // plainly, none is needed
}

// TestTLSHandshakesEnd: one that does not come, or is none, is ended, and others
// are answered meanwhile.
func TestTLSHandshakesEnd(t *testing.T) {
	t.Parallel()
	r := startVersatile(t, fixed, server.Options{HeadTimeout: 300 * time.Millisecond})
	garbage := r.dial(t)
	io.WriteString(garbage, "\x16\x03\x01\x00\x05garbage, and no ClientHello")
	r.awaitDrops(t, server.DropTLS, 1)
	io.Copy(io.Discard, garbage)
	for _, begin := range []string{"\x16", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"} {
		before := r.dropped(server.DropHeadTimeout)
		c := r.dial(t)
		io.WriteString(c, begin)
		r.awaitDrops(t, server.DropHeadTimeout, before+1)
		io.Copy(io.Discard, c)
	}
	silent := tls.Client(r.dial(t), &tls.Config{InsecureSkipVerify: true})
	if err := silent.Handshake(); err != nil { // and no request
		t.Fatal(err)
	}
	checkClosed(t, bufio.NewReader(silent))
	r.awaitDrops(t, server.DropHeadTimeout, 3)
}

// TestShutdownBeforeAnything: connections of which nobody knows yet what is
// spoken on them end at once.
func TestShutdownBeforeAnything(t *testing.T) {
	r := startVersatile(t, fixed, server.Options{})
	for _, begin := range []string{"", "\r\n", "PROXY", "PROXY TCP4 10.0", "PRI * HTTP", "\x16", "\x16\x03\x01\x02\x00"} {
		io.WriteString(r.dial(t), begin)
	}
	ask(t, r.dial(t)) // the others have been accepted by now
	begun := time.Now()
	if err := r.stop(); err != nil {
		t.Error(err)
	}
	if took := time.Since(begun); took > patience/2 {
		t.Errorf("it took %v", took)
	}
}

// TestTLSIsDripped: the ClientHello may come byte by byte.
func TestTLSIsDripped(t *testing.T) {
	each(t, fixed, server.Options{TLS: selfMade(t)}, func(t *testing.T, r *running) {
		c := tls.Client(drip{r.dial(t)}, &tls.Config{InsecureSkipVerify: true})
		ask(t, c)
	})
}

func selfMade(t *testing.T) *tls.Config {
	t.Helper()
	config, err := server.NewTLS("", "", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// A drip sends each byte by itself.
type drip struct{ net.Conn }

func (d drip) Write(b []byte) (int, error) {
	send(d.Conn, string(b), true)
	return len(b), nil
}

// TestTLSIsEvicted: handshakes that are not finished and idle TLS connections
// make room.
func TestTLSIsEvicted(t *testing.T) {
	r := startVersatile(t, fixed, server.Options{MaxConnections: 2})
	unfinished := r.dial(t)
	io.WriteString(unfinished, "\x16\x03\x01")
	idle := tls.Client(r.dial(t), &tls.Config{InsecureSkipVerify: true})
	ask(t, idle)
	for range 4 {
		ask(t, r.dial(t))
	}
	for name, c := range map[string]net.Conn{"unfinished": unfinished, "idle": idle} {
		if _, err := io.Copy(io.Discard, c); isTimeout(err) {
			t.Errorf("%s: the connection is still there", name)
		}
	}
	if r.dropped(server.DropEvicted) == 0 {
		t.Error("none was evicted")
	}
}

// TestOpenSSL: Debian's openssl is content with the handshake.
func TestOpenSSL(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Fatal("openssl is needed (apt-get install openssl)")
	}
	r := startVersatile(t, server.Verdicts(groups{"ready": verdict.Pass}, server.VerdictOptions{}), server.Options{})
	for _, tt := range []struct{ args, want string }{
		{"-tls1_3 -alpn h2", "ALPN protocol: h2"},
		{"-tls1_2 -alpn http/1.1", "ALPN protocol: http/1.1"},
		{"-tls1_2 -noservername", "No ALPN negotiated"},
		{"-alpn http/1.0", "No ALPN negotiated"},
		{"-tls1_2 -cipher ECDHE-RSA-AES128-GCM-SHA256", "Server public key is 2048 bit"},
		{"-tls1_3 -sigalgs RSA-PSS+SHA256", "Server public key is 2048 bit"},
		{"-tls1_3", "Server public key is 256 bit"},
	} {
		cmd := exec.CommandContext(t.Context(), openssl, append([]string{"s_client", "-connect", r.address.String(), "-ign_eof"}, strings.Fields(tt.args)...)...)
		cmd.Stdin = strings.NewReader("GET / HTTP/1.0\r\n\r\n")
		out, _ := cmd.CombinedOutput()
		if !strings.Contains(string(out), tt.want) || !strings.Contains(string(out), "HTTP/1.1 200 OK") {
			t.Errorf("openssl s_client %s: got\n%s\nwant %s and 200", tt.args, out, tt.want)
		}
	}
	out, _ := exec.CommandContext(t.Context(), openssl, "s_client", "-connect", r.address.String(), "-tls1_1", "-cipher", "ALL:@SECLEVEL=0").CombinedOutput()
	if !strings.Contains(string(out), "protocol version") {
		t.Errorf("TLS 1.1: got\n%s\nwant a complaint about the version", out)
	}
}
