package redischeck

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"hale/internal/check"
)

// maxLine is the length of the longest line of a reply, in bytes. An error
// reply may be longer and is cut off.
const maxLine = 1024

// A refusal is an error reply, without the leading minus sign.
type refusal struct{ text string }

func (e *refusal) Error() string { return e.text }

// malformed is a reply that is none.
type malformed struct {
	text string // how it begins
	want string
}

func (e *malformed) Error() string {
	const most = 40
	return fmt.Sprintf("%q, want %s", check.CleanText(e.text[:min(len(e.text), most)]), e.want)
}

// appendCommand appends a command as an array of bulk strings.
func appendCommand(to []byte, name string, args ...string) []byte {
	to = fmt.Appendf(to, "*%d\r\n$%d\r\n%s\r\n", 1+len(args), len(name), name)
	for _, arg := range args {
		to = fmt.Appendf(to, "$%d\r\n%s\r\n", len(arg), arg)
	}
	return to
}

// reader reads replies, of which no part may be longer than maxLine.
type reader struct{ buf *bufio.Reader }

func newReader(r io.Reader) *reader { return &reader{bufio.NewReaderSize(r, maxLine)} }

// line reads one line that begins with the type and returns it without that
// and its end.
func (r *reader) line(typ byte, want string) (string, error) {
	slice, err := r.buf.ReadSlice('\n')
	text := string(slice)
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		if text[0] != '-' {
			return "", &malformed{text, want}
		}
	case err != nil && (text == "" || errors.Is(err, os.ErrDeadlineExceeded)):
		return "", err
	case err != nil:
		return "", &malformed{text, want}
	case len(text) < len("+\r\n") || text[len(text)-2] != '\r':
		return "", &malformed{text, want}
	default:
		text = text[:len(text)-2]
	}
	switch text[0] {
	case typ:
		return text[1:], nil
	case '-':
		return "", &refusal{text[1:]}
	}
	return "", &malformed{text, want}
}

// status reads a simple string.
func (r *reader) status() (string, error) { return r.line('+', "a status") }

// count reads the number in a line that begins with the type.
func (r *reader) count(typ byte) (int, error) {
	text, err := r.line(typ, "a number after "+string(typ))
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, &malformed{string(typ) + text, "a number"}
	}
	return n, nil
}

// bulk reads a bulk string.
func (r *reader) bulk() (string, error) {
	n, err := r.count('$')
	if err != nil {
		return "", err
	}
	if n < 0 || n > maxLine {
		return "", &malformed{"$" + strconv.Itoa(n), fmt.Sprintf("a string of at most %d bytes", maxLine)}
	}
	text := make([]byte, n+len("\r\n"))
	if _, err := io.ReadFull(r.buf, text); err != nil {
		return "", err
	}
	return string(text[:n]), nil
}

// masterNote reads on in the reply of a master: its offset and how many
// replicas it has.
func (r *reader) masterNote() (string, error) {
	if _, err := r.count(':'); err != nil {
		return "", err
	}
	replicas, err := r.count('*')
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("master, replicas: %d", replicas), nil
}

// replicaNote reads on in the reply of a replica: its master's host and port,
// and how the link to it is.
func (r *reader) replicaNote() (string, error) {
	host, err := r.bulk()
	if err != nil {
		return "", err
	}
	port, err := r.count(':')
	if err != nil {
		return "", err
	}
	link, err := r.bulk()
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("replica of %s, link %s", check.Address(host, port), link), nil
}
