package httpcheck_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"hale/internal/check"
	"hale/internal/kinds/httpcheck"
	"hale/internal/servertest"
)

// build makes a check whose timeout is far longer than any answer takes.
func build(t *testing.T, dial check.DialFunc, url string, options ...check.Option) (*check.Check, error) {
	t.Helper()
	registry, err := check.NewRegistry(check.Env{Dial: dial}, httpcheck.Kind(), httpcheck.KindTLS())
	if err != nil {
		t.Fatal(err)
	}
	policy := check.DefaultPolicy()
	policy.Interval, policy.Timeout = time.Minute, time.Minute
	return registry.Build(check.Spec{URL: url, Options: options, Policy: policy})
}

// mustBuild is build for a check that is right.
func mustBuild(t *testing.T, dial check.DialFunc, url string, options ...check.Option) *check.Check {
	t.Helper()
	c, err := build(t, dial, url, options...)
	if err != nil {
		t.Fatalf("build %s: %v", url, err)
	}
	return c
}

// once runs a built check once.
func once(t *testing.T, c *check.Check) check.Result {
	t.Helper()
	return c.Run(t.Context(), func(v any, stack []byte) { t.Errorf("panic: %v\n%s", v, stack) })
}

// run builds a check and runs it once.
func run(t *testing.T, url string, options ...check.Option) check.Result {
	t.Helper()
	return once(t, mustBuild(t, nil, url, options...))
}

// expectUp fails the test unless the run was healthy and its note starts as
// wanted.
func expectUp(t *testing.T, got check.Result, note string) {
	t.Helper()
	if got.Err != nil || !strings.HasPrefix(got.Note, note) {
		t.Errorf("got note %q, error %v; want %q …", got.Note, got.Err, note)
	}
}

// expectDown fails the test unless the run failed for the reason with exactly
// the message, in which $URL stands for a URL.
func expectDown(t *testing.T, got check.Result, reason check.Reason, url, message string) {
	t.Helper()
	if got.Healthy() {
		t.Errorf("healthy (%s), want %s", got.Note, reason)
		return
	}
	if got.Reason() != reason {
		t.Errorf("reason %s (%v), want %s", got.Reason(), got.Err, reason)
	}
	if want := strings.ReplaceAll(message, "$URL", url); got.Err.Error() != want {
		t.Errorf("message\n got %s\nwant %s", got.Err, want)
	}
}

// value makes an option as a file gives it.
func value(name string, values ...string) check.Option {
	return check.Option{Name: name, Values: values}
}

// pairs makes an option that is a map.
func pairs(name string, entries ...[2]string) check.Option {
	return check.Option{Name: name, IsMap: true, Pairs: entries}
}

// saying serves connections by reading a request and writing the answer as it
// stands.
func saying(t *testing.T, answer string) string {
	t.Helper()
	return servertest.Peer(t, func(conn net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
			_, _ = conn.Write([]byte(answer))
		}
	})
}

// eventually fails the test unless the condition comes true.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// dialing returns a dialer that tells what it was asked to dial and connects to
// address instead; with none it fails.
func dialing(address string, tell func(network, address string)) check.DialFunc {
	return func(ctx context.Context, network, asked string) (net.Conn, error) {
		if tell != nil {
			tell(network, asked)
		}
		if address == "" {
			return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
		}
		return check.Dial(ctx, "tcp", address)
	}
}

// readRequest reads a request; an empty one when it is broken.
func readRequest(conn net.Conn) *http.Request {
	r, err := http.ReadRequest(bufio.NewReader(conn))
	if err != nil {
		return &http.Request{}
	}
	return r
}

// goServer serves handler with Go's own server, which speaks HTTP/1.1 and
// HTTP/2 with TLS and without, and returns its URL.
func goServer(t *testing.T, handler http.Handler, config *tls.Config) string {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetHTTP1(true)
	server.Config.Protocols.SetHTTP2(true)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	if config != nil {
		server.TLS = config
		server.EnableHTTP2 = true
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	return server.URL
}
