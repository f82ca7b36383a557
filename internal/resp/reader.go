package resp

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"hale/internal/check"
)

// MaxLine is the length of the longest line of a reply, in bytes. An error
// reply may be longer and is cut off.
const MaxLine = 1024

// A Refusal is an error reply, without the leading minus sign.
type Refusal struct{ Text string }

// Error returns the reply.
func (e *Refusal) Error() string { return e.Text }

// A Malformed is a reply that is none of the protocol, or not of the type or
// size that is right.
type Malformed struct {
	Text string // how it begins
	Want string
}

// Error says what was found and what would be right.
func (e *Malformed) Error() string {
	const most = 40
	return fmt.Sprintf("%q, want %s", check.CleanText(e.Text[:min(len(e.Text), most)]), e.Want)
}

// AppendCommand appends a command as an array of bulk strings.
func AppendCommand(to []byte, name string, args ...string) []byte {
	to = fmt.Appendf(to, "*%d\r\n$%d\r\n%s\r\n", 1+len(args), len(name), name)
	for _, arg := range args {
		to = fmt.Appendf(to, "$%d\r\n%s\r\n", len(arg), arg)
	}
	return to
}

// A Reader reads replies, of which no line may be longer than [MaxLine]. Its
// methods return a [*Refusal] when the reply is an error, a [*Malformed] when
// it is not as it should be, or what reading led to.
type Reader struct{ buf *bufio.Reader }

// NewReader makes a reader.
func NewReader(r io.Reader) *Reader { return &Reader{bufio.NewReaderSize(r, MaxLine)} }

// line reads one line that begins with the type and returns it without that
// and its end.
func (r *Reader) line(typ byte, want string) (string, error) {
	slice, err := r.buf.ReadSlice('\n')
	text := string(slice)
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		if text[0] != '-' {
			return "", &Malformed{text, want}
		}
	case err != nil && (text == "" || errors.Is(err, os.ErrDeadlineExceeded)):
		return "", err
	case err != nil:
		return "", &Malformed{text, want}
	case len(text) < len("+\r\n") || text[len(text)-2] != '\r':
		return "", &Malformed{text, want}
	default:
		text = text[:len(text)-2]
	}
	switch text[0] {
	case typ:
		return text[1:], nil
	case '-':
		return "", &Refusal{text[1:]}
	}
	return "", &Malformed{text, want}
}

// Status reads a simple string.
func (r *Reader) Status() (string, error) { return r.line('+', "a status") }

// Int reads an integer.
func (r *Reader) Int() (int, error) { return r.number(':') }

// Array reads the number of an array's elements, which are read next. It is
// negative for the nil array.
func (r *Reader) Array() (int, error) { return r.number('*') }

// number reads the number in a line that begins with the type.
func (r *Reader) number(typ byte) (int, error) {
	text, err := r.line(typ, "a number after "+string(typ))
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, &Malformed{string(typ) + text, "a number"}
	}
	return n, nil
}

// Bulk reads a bulk string of at most so many bytes.
func (r *Reader) Bulk(most int) (string, error) {
	n, err := r.number('$')
	if err != nil {
		return "", err
	}
	if n < 0 || n > most {
		return "", &Malformed{"$" + strconv.Itoa(n), fmt.Sprintf("a string of at most %d bytes", most)}
	}
	text := make([]byte, n+len("\r\n"))
	if _, err := io.ReadFull(r.buf, text); err != nil {
		return "", err
	}
	return string(text[:n]), nil
}
