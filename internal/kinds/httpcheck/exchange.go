package httpcheck

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"sync"
	"time"

	"hale/internal/check"
)

// closeWait is how long the server has to close a connection first, as it was
// asked to. Whoever closes first keeps the port busy for a minute (TIME-WAIT,
// RFC 9293 section 3.6.1), and a client has only so many ports.
const closeWait = 50 * time.Millisecond

// buffers are what HTTP/1.1 needs while a request runs. They are small, for a
// thousand hanging checks hold a thousand of them.
type buffers struct {
	limit  io.LimitedReader
	reader *bufio.Reader
	writer *bufio.Writer
}

var buffersPool = sync.Pool{New: func() any {
	return &buffers{reader: bufio.NewReaderSize(nil, 2<<10), writer: bufio.NewWriterSize(nil, 1<<10)}
}}

// newBuffers returns buffers for a connection from which no more than maxHeader
// bytes are to be read.
func newBuffers(conn io.ReadWriter) *buffers {
	b := buffersPool.Get().(*buffers)
	b.limit = io.LimitedReader{R: conn, N: maxHeader}
	b.reader.Reset(&b.limit)
	b.writer.Reset(conn)
	return b
}

func (b *buffers) release() {
	b.limit.R = nil
	b.reader.Reset(nil)
	b.writer.Reset(nil)
	buffersPool.Put(b)
}

// request sends r and returns the answer, whose body the caller closes, and the
// time lost on a kept connection that turned out dead: that says nothing about
// the server. Home says that the request goes to the checked server.
func (c *checker) request(r *http.Request, home bool) (answer *http.Response, lost time.Duration, err error) {
	if home {
		start := time.Now()
		if l := c.kept.take(); l != nil {
			l.watch(r.Context())
			answer, err = c.exchange(l, r, home)
			if err == nil || r.Context().Err() != nil {
				return answer, 0, err
			}
			lost = time.Since(start)
		}
	}
	l, err := c.open(r, home)
	if err != nil {
		return nil, lost, err
	}
	answer, err = c.exchange(l, r, home)
	return answer, lost, err
}

// exchange sends r on l and reads the answer's headers. The connection is
// closed, or kept, when the answer's body is closed.
func (c *checker) exchange(l *link, r *http.Request, home bool) (*http.Response, error) {
	x := &exchange{link: l}
	answer, err := x.roundTrip(r)
	if err != nil {
		x.end()
		return nil, l.blame(err)
	}
	answer.Request, answer.TLS = r, l.tls
	if home && !answer.Close {
		x.kept = c.kept
	}
	x.body, answer.Body = answer.Body, x
	return answer, nil
}

// exchange is one request and its answer. It is the answer's body.
type exchange struct {
	link    *link
	body    io.ReadCloser // as it is read from the connection
	buffers *buffers      // nil over HTTP/2
	kept    *kept         // takes the connection afterwards; nil to close it
	ended   bool          // the body was read to its end
}

func (x *exchange) roundTrip(r *http.Request) (*http.Response, error) {
	if x.link.http2 != nil {
		answer, err := x.link.http2.RoundTrip(r)
		if err != nil && strings.Contains(err.Error(), "conn could not be established") {
			err = check.Failf(check.ReasonClosed, "the server closed the connection before HTTP/2 began")
		}
		return answer, err
	}
	b := newBuffers(x.link.conn)
	x.buffers = b
	var err error
	if proxy := x.link.proxy; proxy != nil {
		err = toProxy(r, proxy).WriteProxy(b.writer)
	} else {
		err = r.Write(b.writer)
	}
	if err == nil {
		err = b.writer.Flush()
	}
	answer, readErr := b.answer(r)
	if err != nil && readErr != nil && !isAlert(readErr) {
		return nil, fmt.Errorf("sending the request: %w", bare(err))
	}
	// A server may say why it did not read the request.
	return answer, readErr
}

// answer reads the headers of the answer to r (RFC 9112). Interim responses
// are passed over.
func (b *buffers) answer(r *http.Request) (*http.Response, error) {
	if err := expectHTTP(b.reader); err != nil {
		return nil, err
	}
	for {
		answer, err := http.ReadResponse(b.reader, r)
		switch {
		case err != nil && b.limit.N <= 0:
			return nil, check.Failf(check.ReasonProtocol, "the answer's headers are longer than 64 KiB")
		case errors.Is(err, io.ErrUnexpectedEOF):
			return nil, check.Failf(check.ReasonClosed, "the server closed the connection in the middle of the headers")
		case err != nil:
			return nil, fmt.Errorf("reading the headers: %w", bare(err))
		case answer.StatusCode >= 200 || answer.StatusCode == http.StatusSwitchingProtocols:
			b.limit.N = math.MaxInt64 // the body has a limit of its own
			return answer, nil
		}
	}
}

// expectHTTP waits for the first bytes of an answer and fails unless they are
// those of HTTP/1.x.
func expectHTTP(r *bufio.Reader) error {
	const start = "HTTP/"
	got, err := r.Peek(len(start))
	switch {
	case len(got) > 0 && string(got) != start[:len(got)]:
		got, _ = r.Peek(r.Buffered())
		return notHTTP(got)
	case errors.Is(err, io.EOF) && len(got) == 0:
		return check.Failf(check.ReasonClosed, "the server closed the connection without an answer")
	case errors.Is(err, io.EOF):
		return check.Failf(check.ReasonClosed, "the server closed the connection after %s", count(len(got), "byte"))
	case err != nil:
		return fmt.Errorf("waiting for the answer: %w", bare(err))
	}
	return nil
}

// notHTTP describes an answer by its first bytes.
func notHTTP(start []byte) error {
	hint := startOf(start)
	switch {
	case len(start) > 1 && start[0] == 21 && start[1] == 3: // an alert (RFC 8446, section 5.1)
		hint = "the port speaks TLS: use https://"
	case len(start) > 4 && start[0] == 0 && start[1] == 0 && start[3] == 4: // SETTINGS (RFC 9113, section 6.5)
		hint = "the port speaks HTTP/2 without TLS: set version to h2c"
	}
	return check.Failf(check.ReasonProtocol, "the answer is not HTTP/1.1; %s", hint)
}

// Read reads the body.
func (x *exchange) Read(p []byte) (int, error) {
	n, err := x.body.Read(p)
	x.ended = x.ended || errors.Is(err, io.EOF)
	return n, err
}

// Close keeps the connection, or closes it after the server did unless that
// takes too long. It leaves the body of HTTP/1.1 open, for closing that would
// read it to its end, which may never come.
func (x *exchange) Close() error {
	if x.link.http2 != nil {
		_ = x.body.Close()
	} else if x.kept == nil || !x.ended || x.buffers.reader.Buffered() > 0 {
		x.kept = nil
		x.awaitClose()
	}
	if x.kept != nil && x.link.unwatch() {
		x.kept.put(x.link)
		x.link = nil
	}
	x.end()
	return nil
}

// awaitClose waits until the server has closed the connection.
func (x *exchange) awaitClose() {
	raw := x.link.raw
	if n, err := peek(raw); n == 0 && err == nil {
		return // it has, and often by now
	}
	if raw.SetReadDeadline(time.Now().Add(closeWait)) != nil {
		return
	}
	_, _ = io.CopyN(io.Discard, x.buffers.reader, maxBody)
	if x.link.tls != nil {
		_, _ = raw.Read(make([]byte, 1)) // TLS ends before its connection does
	}
}

// end closes the connection, if it is still x's, and gives the buffers back.
func (x *exchange) end() {
	if x.link != nil {
		x.link.close()
	}
	if x.buffers != nil {
		x.buffers.release()
	}
}
