package engine

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"time"

	"hale/internal/check"
)

// send makes a request, which is never anything but a GET, on a connection of
// its own. The connection breaks when ctx ends; closing the answer's body closes
// it. Another status than 200 is an error.
func (c *Client) send(ctx context.Context, path string) (*http.Response, error) {
	base := "http://docker"
	if c.address != "" {
		base = "http://" + c.address // all that comes of it is the header Host
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, base+path, nil)
	if err != nil {
		return nil, fmt.Errorf("asking the engine: %w", err)
	}
	request.Close = true
	request.Header.Set("User-Agent", "hale")
	conn, err := c.connect(ctx)
	if err != nil {
		return nil, c.explain(ended(ctx, err))
	}
	// A deadline in the past ends whatever the connection is waiting for.
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	hangUp := func() {
		stop()
		_ = conn.Close()
	}
	answer, err := c.exchange(conn, request)
	if err != nil {
		hangUp()
		return nil, c.explain(ended(ctx, err))
	}
	answer.Body = &body{answer.Body, ctx, hangUp}
	if answer.StatusCode == http.StatusOK {
		return answer, nil
	}
	defer answer.Body.Close()
	return nil, c.refused(answer, path)
}

// ended returns the error of ctx, if it has ended, in place of what that led to.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

var errNotHTTP = errors.New("it does not speak HTTP")

// exchange sends the request and reads the head of the answer.
func (c *Client) exchange(conn net.Conn, request *http.Request) (*http.Response, error) {
	if err := request.Write(conn); err != nil {
		return nil, err
	}
	from := &bounded{conn, maxHead}
	answer, err := http.ReadResponse(bufio.NewReader(from), request)
	if errors.Is(err, errTooLarge) || check.ReasonOf(err) == check.ReasonOther {
		return nil, errNotHTTP
	}
	from.left = math.MaxInt64 // who reads the body has a bound for it
	return answer, err
}

// connect opens the connection of one request.
func (c *Client) connect(ctx context.Context) (net.Conn, error) {
	if len(c.sockets) > 0 {
		return c.dial(ctx, "unix", c.socket())
	}
	conn, err := c.dial(ctx, "tcp", c.address)
	if err != nil {
		return nil, err
	}
	// A stream of events may be silent for days. Without these probes it would
	// stay so when the engine's host is gone.
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3})
	}
	if c.tls == nil {
		return conn, nil
	}
	secure := tls.Client(conn, c.tls)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return secure, nil
}

// A body is an answer's, on a connection that ends with it.
type body struct {
	io.ReadCloser
	ctx    context.Context
	hangUp func()
}

func (b *body) Read(into []byte) (int, error) {
	n, err := b.ReadCloser.Read(into)
	if err != nil && err != io.EOF {
		err = ended(b.ctx, err)
	}
	return n, err
}

// Close closes the connection. What was not read of the answer is not.
func (b *body) Close() error {
	b.hangUp()
	return nil
}

// bounded reads at most left bytes. Unlike with [io.LimitReader] that there is
// more is an error.
type bounded struct {
	r    io.Reader
	left int64
}

func (b *bounded) Read(into []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooLarge
	}
	n, err := b.r.Read(into[:min(int64(len(into)), b.left)])
	b.left -= int64(n)
	return n, err
}
