package tcpcheck

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"regexp"
	"strconv"
	"time"

	"hale/internal/check"
)

// exchange is the check that a port answers with the expected text.
type exchange struct {
	connector
	send []byte // may be empty
	want pattern
}

// Check connects, sends and reads until the expected text has come.
func (e *exchange) Check(ctx context.Context) (string, error) {
	conn, err := e.open(ctx)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	past := time.Unix(1, 0)
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(past) })
	defer stop()

	if len(e.send) > 0 {
		if _, err := conn.Write(e.send); err != nil {
			return "", check.Failf(check.ReasonOf(err), "sending to %s: %w", e.where, err)
		}
	}
	got, err := readUntil(conn, e.want)
	if err != nil {
		return "", e.explain(got, err)
	}
	return "answered " + shown(got), nil
}

// errTooLong ends the reading of an answer that goes on without end.
var errTooLong = errors.New("too long")

// readUntil reads until want is in what was read, which it returns.
func readUntil(conn net.Conn, want pattern) ([]byte, error) {
	got := make([]byte, 0, 512)
	for {
		if len(got) == cap(got) {
			if len(got) == MaxRead {
				return got, errTooLong
			}
			bigger := make([]byte, len(got), min(8*cap(got), MaxRead))
			copy(bigger, got)
			got = bigger
		}
		n, err := conn.Read(got[len(got):cap(got)])
		got = got[:len(got)+n]
		if n > 0 && want.in(got, n) {
			return got, nil
		}
		if err != nil {
			return got, err
		}
	}
}

// explain says why the expected text did not come.
func (e *exchange) explain(got []byte, err error) error {
	switch {
	case errors.Is(err, errTooLong):
		return check.Failf(check.ReasonBody, "%s sent %s and more, want %s within the first %d KiB", e.where, shown(got), e.want, MaxRead>>10)
	case errors.Is(err, io.EOF) && len(got) > 0:
		return check.Failf(check.ReasonBody, "%s sent %s and closed the connection, want %s", e.where, shown(got), e.want)
	case errors.Is(err, io.EOF):
		return check.Failf(check.ReasonClosed, "%s closed the connection without a word, want %s", e.where, e.want)
	case check.ReasonOf(err) == check.ReasonTimeout && len(got) > 0:
		return check.Failf(check.ReasonTimeout, "%s sent %s, want %s", e.where, shown(got), e.want)
	case check.ReasonOf(err) == check.ReasonTimeout:
		return check.Failf(check.ReasonTimeout, "%s took the connection and sent nothing, want %s", e.where, e.want)
	case check.ReasonOf(err) == check.ReasonReset:
		return check.Failf(check.ReasonReset, "%s broke the connection before it sent %s: %w", e.where, e.want, cause(err))
	default:
		return check.Failf(check.ReasonOf(err), "reading from %s: %w", e.where, err)
	}
}

// maxShown is how many bytes of an answer a message shows.
const maxShown = 80

// shown quotes the start of an answer.
func shown(got []byte) string {
	if len(got) > maxShown {
		return strconv.Quote(string(got[:maxShown])) + "…"
	}
	return strconv.Quote(string(got))
}

// A pattern recognizes the expected answer.
type pattern interface {
	// in reports whether it is in got, whose last n bytes are new.
	in(got []byte, n int) bool
	// String describes it.
	String() string
}

// literal is a text to be contained in the answer.
type literal string

func (l literal) in(got []byte, n int) bool {
	from := max(0, len(got)-n-len(l))
	return bytes.Contains(got[from:], []byte(l))
}

func (l literal) String() string { return shown([]byte(l)) }

// expression is a regular expression to match what has come so far.
type expression struct{ *regexp.Regexp }

func (x expression) in(got []byte, _ int) bool { return x.Match(got) }

func (x expression) String() string { return "a match of " + shown([]byte(x.Regexp.String())) }
