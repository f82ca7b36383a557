package ownip

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"
	"unicode"
)

const (
	// oneRequest is how long one request may take. Metadata services are a hop
	// away and answer within milliseconds.
	oneRequest = time.Second
	// oneConnect is how long connecting may take of that.
	oneConnect = 500 * time.Millisecond
	// maxAnswer bounds an answer's body in bytes: the metadata of an ECS task
	// with ten containers is about 20 KiB.
	maxAnswer = 64 << 10
	// maxShown is how many bytes of an answer an error shows.
	maxShown = 200
)

// newClient makes a client that goes where it is told: to no proxy, after no
// redirect. It keeps no connections.
func newClient(dial func(context.Context, string, string) (net.Conn, error)) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			DisableKeepAlives:      true,
			DisableCompression:     true,
			MaxResponseHeaderBytes: 16 << 10,
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				ctx, cancel := context.WithTimeout(ctx, oneConnect)
				defer cancel()
				conn, err := dial(ctx, network, address)
				if err != nil {
					return nil, &connectError{err}
				}
				return conn, nil
			},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// A connectError is a connection that could not be made.
type connectError struct{ error }

func (e *connectError) Unwrap() error { return e.error }

// A reply is an answer of a metadata service.
type reply struct {
	request string // method and URL, for errors
	status  int
	header  http.Header
	body    string
}

// refused returns an error that tells what came in place of what was wanted.
func (r reply) refused(want string) error {
	if r.status != http.StatusOK {
		return fmt.Errorf("%s answered %d %s, want %s", r.request, r.status, http.StatusText(r.status), want)
	}
	return fmt.Errorf("%s answered %q, want %s", r.request, harmless(r.body), want)
}

// addr reads the body as an address.
func (r reply) addr() (netip.Addr, error) {
	addr, err := netip.ParseAddr(strings.TrimSpace(r.body))
	if r.status != http.StatusOK || err != nil || usable(addr) != nil || addr.Zone() != "" {
		return netip.Addr{}, r.refused("the instance's IP address")
	}
	return addr.Unmap(), nil
}

// send sends a request and reads the answer, for [oneRequest] at most.
func (f *finder) send(ctx context.Context, method, url string, header ...string) (reply, error) {
	ctx, cancel := context.WithTimeout(ctx, oneRequest)
	defer cancel()
	got := reply{request: method + " " + harmless(url)}
	request, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return got, fmt.Errorf("%s: not a URL", got.request)
	}
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	request.Header.Set("User-Agent", "hale")
	response, err := f.client.Do(request)
	if err != nil {
		return got, &sendError{got.request, err}
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil {
		return got, &sendError{got.request, err}
	}
	got.status, got.header, got.body = response.StatusCode, response.Header, string(body)
	if len(body) > maxAnswer {
		return got, fmt.Errorf("%s answered with more than %d KiB", got.request, maxAnswer>>10)
	}
	return got, nil
}

// A sendError is a request without an answer.
type sendError struct {
	request string
	err     error
}

func (e *sendError) Unwrap() error { return e.err }

// Error says what happened in few words: what the libraries say repeats the
// URL, and may hold what the other side sent.
func (e *sendError) Error() string {
	return e.request + ": " + e.what()
}

func (e *sendError) what() string {
	_, connecting := errors.AsType[*connectError](e.err)
	name, isDNS := errors.AsType[*net.DNSError](e.err)
	switch {
	case errors.Is(e.err, context.Canceled):
		return "given up, as hale is to end"
	case errors.Is(e.err, syscall.ECONNREFUSED):
		return "the connection was refused: no metadata service is there"
	case isDNS:
		return fmt.Sprintf("the name %s does not resolve", harmless(name.Name))
	case connecting && timedOut(e.err):
		return fmt.Sprintf("no connection within %v", oneConnect)
	case connecting:
		return harmless(e.err.Error())
	case timedOut(e.err):
		return fmt.Sprintf("connected, but no answer within %v", oneRequest)
	}
	return "connected, but what came is not an answer in HTTP: " + harmless(bare(e.err).Error())
}

// bare takes off what repeats the URL.
func bare(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}

func timedOut(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || isTimeout(err)
}

func isTimeout(err error) bool {
	e, ok := errors.AsType[net.Error](err)
	return ok && e.Timeout()
}

// silent reports whether a connection was made and no answer came on it.
func silent(err error) bool {
	_, sent := errors.AsType[*sendError](err)
	_, connecting := errors.AsType[*connectError](err)
	return sent && !connecting && timedOut(err)
}

// harmless returns the beginning of a text without characters that could mean
// something to a terminal.
func harmless(text string) string {
	cut := len(text) > maxShown
	if cut {
		text = text[:maxShown]
	}
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			return '.'
		}
		return r
	}, strings.ToValidUTF8(text, "."))
	if cut {
		return text + "…"
	}
	return text
}

// base returns the URL of a metadata service: the variable's, or the one that
// its cloud has.
func (f *finder) base(variable, otherwise string) (string, error) {
	text := f.options.Getenv(variable)
	if text == "" {
		return otherwise, nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("the environment variable %s is not the URL of a metadata service; write http://HOST:PORT", variable)
	}
	return strings.TrimRight(text, "/"), nil
}
