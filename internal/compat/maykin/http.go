package maykin

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	defaultHost = "http://localhost:8000"
	defaultPath = "/_healthz/livez/"
	// maxRedirects is how many redirects are followed.
	maxRedirects = 30
	// maxBody is how much is read of an answer.
	maxBody = 16 << 20
)

// healthCheck requests an HTTP endpoint: a final status below 400 is up.
func (t Tool) healthCheck(ctx context.Context, args []string) int {
	f := flag.NewFlagSet("health-check", flag.ContinueOnError)
	endpoint := f.String("endpoint", defaultPath, "")
	timeout := seconds(3 * time.Second)
	f.Var(&timeout, "timeout", "")
	if code, done := t.parse(f, args); done {
		return code
	}
	target, err := endpointURL(*endpoint)
	if err != nil {
		return t.usage(f.Name(), err)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(timeout))
	defer cancel()
	status, err := get(ctx, target)
	switch {
	case err != nil:
		return t.down(exitDown, "DOWN (%s)", nameOf(err))
	case status >= http.StatusBadRequest:
		return t.down(exitDown, "DOWN, response status code: %d", status)
	}
	fmt.Fprintf(t.Out, "UP, response status code: %d\n", status)
	return exitOK
}

// endpointURL completes an endpoint: a path is one of localhost:8000, a host
// alone is http, and no path is the liveness endpoint.
func endpointURL(endpoint string) (string, error) {
	switch {
	case endpoint == "" || strings.HasPrefix(endpoint, "/"):
		endpoint = defaultHost + endpoint
	case !strings.Contains(endpoint, "://"):
		endpoint = "http://" + endpoint
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", errors.New("--endpoint: not an HTTP URL; give one such as http://localhost:8000/_healthz/livez/")
	}
	if u.Path == "" {
		u.Path = defaultPath
	}
	return u.String(), nil
}

// get follows redirects and returns the final status.
func get(ctx context.Context, target string) (status int, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return 0, err
	}
	request.Header.Set("User-Agent", "maykin-common (hale)")
	client := &http.Client{
		Transport: &http.Transport{DisableKeepAlives: true, Proxy: nil},
		CheckRedirect: func(_ *http.Request, via []*http.Request) error {
			if len(via) > maxRedirects {
				return errTooManyRedirects
			}
			return nil
		},
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	// An answer that breaks off or hangs in its body is none.
	if _, err := io.CopyN(io.Discard, response.Body, maxBody); err != nil && err != io.EOF {
		return 0, err
	}
	return response.StatusCode, nil
}

var errTooManyRedirects = errors.New("too many redirects")

// nameOf is what the original calls an error: the name of the exception of
// Python's requests library.
func nameOf(err error) string {
	switch {
	case errors.Is(err, errTooManyRedirects):
		return "TooManyRedirects"
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "ChunkedEncodingError"
	case isTimeout(err):
		if connecting(err) {
			return "ConnectTimeout"
		}
		return "ReadTimeout"
	case isTLS(err):
		return "SSLError"
	default:
		return "ConnectionError"
	}
}

func isTimeout(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout() || errors.Is(err, context.DeadlineExceeded)
}

// connecting reports whether the error happened before there was a connection.
func connecting(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}

func isTLS(err error) bool {
	_, badCertificate := errors.AsType[*tls.CertificateVerificationError](err)
	_, alert := errors.AsType[tls.AlertError](err)
	return badCertificate || alert || errors.Is(err, http.ErrSchemeMismatch)
}
