package check_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"hale/internal/check"
	"hale/internal/servertest"
)

func TestReasonOf(t *testing.T) {
	wrap := func(err error) error {
		return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", err)}
	}
	for _, test := range []struct {
		err  error
		want check.Reason
	}{
		{nil, check.ReasonNone},
		{errors.New("what"), check.ReasonOther},
		{check.Failf(check.ReasonRole, "a replica"), check.ReasonRole},
		{fmt.Errorf("redis: %w", check.Failf(check.ReasonRole, "a replica")), check.ReasonRole},
		{check.Failf(check.ReasonBody, "no: %w", context.DeadlineExceeded), check.ReasonBody},
		{errors.Join(errors.New("what"), check.Failf(check.ReasonAuth, "no")), check.ReasonAuth},
		{context.DeadlineExceeded, check.ReasonTimeout},
		{os.ErrDeadlineExceeded, check.ReasonTimeout},
		{wrap(syscall.ETIMEDOUT), check.ReasonTimeout},
		{fmt.Errorf("x: %w", context.Canceled), check.ReasonCanceled},
		{wrap(syscall.ECONNREFUSED), check.ReasonRefused},
		{wrap(syscall.ECONNRESET), check.ReasonReset},
		{wrap(syscall.ECONNABORTED), check.ReasonReset},
		{wrap(syscall.EPIPE), check.ReasonReset},
		{wrap(syscall.EHOSTUNREACH), check.ReasonUnreachable},
		{wrap(syscall.EHOSTDOWN), check.ReasonUnreachable},
		{wrap(syscall.ENETUNREACH), check.ReasonUnreachable},
		{wrap(syscall.ENETDOWN), check.ReasonUnreachable},
		{wrap(syscall.EADDRNOTAVAIL), check.ReasonUnreachable},
		{wrap(syscall.EACCES), check.ReasonPermission},
		{wrap(syscall.ENOENT), check.ReasonMissing},
		{io.EOF, check.ReasonClosed},
		{fmt.Errorf("x: %w", io.ErrUnexpectedEOF), check.ReasonClosed},
		{&net.DNSError{Err: "no such host", Name: "h", IsNotFound: true}, check.ReasonDNS},
		{&net.DNSError{Err: "i/o timeout", Name: "h", IsTimeout: true}, check.ReasonDNS},
		{x509.UnknownAuthorityError{}, check.ReasonTLS},
		{errors.Join(errors.New("what"), fmt.Errorf("x: %w", errors.New("tls: no cipher suite supported by both client and server"))), check.ReasonTLS},
		{errors.New("titles: none"), check.ReasonOther},
	} {
		if got := check.ReasonOf(test.err); got != test.want {
			t.Errorf("%v: got %q, want %q", test.err, got, test.want)
		}
	}
}

func TestReasonOfRefusedDial(t *testing.T) {
	_, err := check.Dial(t.Context(), "tcp", servertest.FreeAddress(t))
	if got := check.ReasonOf(err); got != check.ReasonRefused {
		t.Errorf("%v: got %q", err, got)
	}
}

// A name server that refuses the question is a DNS error, not a refused one.
func TestReasonOfDNS(t *testing.T) {
	dialer := net.Dialer{Resolver: &net.Resolver{
		PreferGo: true,
		Dial: func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
		},
	}}
	_, err := dialer.DialContext(t.Context(), "tcp", "db.example:80")
	if got := check.ReasonOf(err); got != check.ReasonDNS {
		t.Errorf("%v: got %q", err, got)
	}
}

func TestReasonOfTimeouts(t *testing.T) {
	client, server := net.Pipe()
	defer client.Close()
	defer server.Close()
	if err := client.SetReadDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	_, err := client.Read(make([]byte, 1))
	if got := check.ReasonOf(err); got != check.ReasonTimeout {
		t.Errorf("%v: got %q", err, got)
	}
}

// What real handshakes fail with.
func TestReasonOfTLS(t *testing.T) {
	quiet := func(config *tls.Config) *httptest.Server {
		s := httptest.NewUnstartedServer(http.NotFoundHandler())
		s.Config.ErrorLog = log.New(io.Discard, "", 0)
		s.TLS = config
		s.StartTLS()
		t.Cleanup(s.Close)
		return s
	}
	server := quiet(nil)
	trusting := x509.NewCertPool()
	trusting.AddCert(server.Certificate())
	wantsCertificate := quiet(&tls.Config{ClientAuth: tls.RequireAnyClientCert})
	old := quiet(&tls.Config{MinVersion: tls.VersionTLS13})
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)

	for _, test := range []struct {
		name   string
		server *httptest.Server
		config *tls.Config
	}{
		{"unknown authority", server, &tls.Config{ServerName: "example.com"}},
		{"wrong name", server, &tls.Config{ServerName: "other.example", RootCAs: trusting}},
		{"expired", server, &tls.Config{ServerName: "example.com", RootCAs: trusting, Time: func() time.Time { return time.Now().AddDate(500, 0, 0) }}},
		{"not TLS", plain, &tls.Config{InsecureSkipVerify: true}},
		{"client certificate wanted", wantsCertificate, &tls.Config{InsecureSkipVerify: true}},
		{"client certificate wanted, TLS 1.2", wantsCertificate, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12}},
		{"no common version", old, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12}},
	} {
		conn, err := tls.Dial("tcp", test.server.Listener.Addr().String(), test.config)
		if err == nil {
			_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
			_, err = conn.Read(make([]byte, 1)) // TLS 1.3 refuses late
			_ = conn.Close()
		}
		if got := check.ReasonOf(fmt.Errorf("https://h: %w", err)); got != check.ReasonTLS {
			t.Errorf("%s: %v: got %q", test.name, err, got)
		}
	}
}

func TestErrorsKeepTheirCause(t *testing.T) {
	err := check.Failf(check.ReasonRefused, "tcp://h:1: %w", syscall.ECONNREFUSED)
	if !errors.Is(err, syscall.ECONNREFUSED) || err.Error() != "tcp://h:1: connection refused" || check.IsWarning(err) {
		t.Errorf("got %v", err)
	}
	warning := check.Warnf(check.ReasonSlow, "took %v", time.Second)
	if !check.IsWarning(fmt.Errorf("x: %w", warning)) || !strings.HasSuffix(warning.Error(), "took 1s") {
		t.Errorf("got %v", warning)
	}
	if check.IsWarning(nil) || check.IsWarning(check.Failf(check.ReasonOther, "x: %w", warning)) {
		t.Error("a failure is taken for a reservation")
	}
}
