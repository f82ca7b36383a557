package explain

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"hale/internal/balancer"
)

// The bounds of what is read of an answer.
const (
	headLimit = 64 << 10
	bodyLimit = 64 << 10
)

// The ways in which the end of a body is known.
const (
	framedLength = "Content-Length"
	framedChunks = "chunked"
	framedClose  = "the end of the connection"
	framedNone   = "no body"
)

// A response is an answer over HTTP.
type response struct {
	version string // "" for HTTP/0.9
	status  int    // 0 for HTTP/0.9
	reason  string
	fields  []balancer.Field
	body    []byte // its first 64 KiB
	framing string
	// size is how long the body is: what was announced, or what was read.
	size int64
	// cut is true if there was more of the body than was read.
	cut bool
	// interim is the first interim answer (1xx) that came before; nil if none.
	interim *response
	// head is all up to the body, as it came.
	head []byte
	// malformed is true if what came with the head has chunks that are none.
	malformed bool
}

// get returns the value of a field; "" without one.
func (r *response) get(name string) string {
	if r == nil {
		return ""
	}
	for _, f := range r.fields {
		if strings.EqualFold(f.Name, name) {
			return f.Value
		}
	}
	return ""
}

// has reports whether there is such a field.
func (r *response) has(name string) bool {
	for _, f := range r.fields {
		if strings.EqualFold(f.Name, name) {
			return true
		}
	}
	return false
}

// String is the status line without the version, fit to be shown.
func (r *response) String() string {
	if r.version == "" {
		return "an answer without a status"
	}
	return strings.TrimSpace(strconv.Itoa(r.status) + " " + clean(r.reason))
}

var (
	errNotHTTP   = errors.New("what came is not HTTP")
	errLongHead  = errors.New("the answer's header does not end within 64 KiB")
	errBadChunks = errors.New("the answer's chunks are not as they should be")
)

// readResponse reads an answer, its head of at most 64 KiB and at most as much
// of its body. With an error the response is nil, or its head is whole and the
// body is not. Of bare, a request of HTTP/0.9, whatever comes is an answer; a
// connection that is closed without a byte is none. When the head is whole,
// headed is called.
func readResponse(r *bufio.Reader, method string, bare bool, headed func()) (*response, error) {
	start, err := r.Peek(5)
	if string(start) != "HTTP/" {
		if len(start) == 0 {
			return nil, err
		}
		if bare {
			headed()
			return readBare(r), nil
		}
		if err != nil && strings.HasPrefix("HTTP/", string(start)) {
			return nil, err
		}
		return nil, errNotHTTP
	}
	left := headLimit
	var interim *response
	for {
		answer, err := readHead(r, &left)
		if err != nil {
			return nil, err
		}
		// 100 Continue and 103 Early Hints come before the answer.
		if answer.status >= 100 && answer.status < 200 && answer.status != 101 {
			if interim == nil {
				interim = answer
			}
			continue
		}
		answer.interim = interim
		headed()
		return answer, answer.readBody(r, method)
	}
}

// readBare takes what has come as the body of HTTP/0.9.
func readBare(r *bufio.Reader) *response {
	body, _ := r.Peek(r.Buffered())
	return &response{body: append([]byte(nil), body...), size: int64(len(body)), framing: framedClose}
}

func readHead(r *bufio.Reader, left *int) (*response, error) {
	raw, err := readRaw(r, left)
	if err != nil {
		return nil, err
	}
	line, head := strings.TrimRight(string(raw), "\r\n"), raw
	version, rest, _ := strings.Cut(line, " ")
	code, reason, _ := strings.Cut(strings.TrimLeft(rest, " "), " ")
	status, err := strconv.Atoi(code)
	if err != nil || status < 100 || status > 999 {
		return nil, fmt.Errorf("%w: its status line is %q", errNotHTTP, clean(line))
	}
	a := &response{version: version, status: status, reason: strings.TrimSpace(reason)}
	for {
		raw, err := readRaw(r, left)
		if err != nil {
			return nil, err
		}
		head = append(head, raw...)
		line := strings.TrimRight(string(raw), "\r\n")
		if line == "" {
			a.head = head
			return a, nil
		}
		name, value, _ := strings.Cut(line, ":")
		a.fields = append(a.fields, balancer.Field{Name: strings.TrimSpace(name), Value: strings.TrimSpace(value)})
	}
}

// complaint is what Go's net/http says of the head, which refuses more than is
// needed to read it here: lines without a colon, lengths that contradict each
// other; nil if it has nothing against it.
func (r *response) complaint(method string) error {
	if len(r.head) == 0 {
		return nil // HTTP/0.9 has none, and HTTP/2 frames
	}
	_, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(r.head)), &http.Request{Method: method})
	return err
}

// readLine reads a line without its end; left is how many bytes it and its
// successors may have.
func readLine(r *bufio.Reader, left *int) (string, error) {
	raw, err := readRaw(r, left)
	return strings.TrimRight(string(raw), "\r\n"), err
}

// readRaw reads a line with its end.
func readRaw(r *bufio.Reader, left *int) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		if *left -= len(part); *left < 0 {
			return nil, errLongHead
		}
		line = append(line, part...)
		if err == nil {
			return line, nil
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return nil, unexpected(err)
		}
	}
}

// unexpected is err, unless it is the end of the connection where more had to
// come.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// readBody reads the body, as RFC 9112, section 6.3, has its end known.
func (a *response) readBody(r *bufio.Reader, method string) error {
	length, err := strconv.ParseInt(a.get("Content-Length"), 10, 64)
	hasLength := err == nil && length >= 0
	chunked := strings.Contains(strings.ToLower(a.get("Transfer-Encoding")), "chunked")
	switch {
	case method == "HEAD" || a.status == 204 || a.status == 304 || a.status == 101:
		a.framing = framedNone
		if hasLength {
			a.framing = framedLength
		}
		return nil
	case chunked:
		a.framing = framedChunks
		with, _ := r.Peek(r.Buffered())
		a.malformed = errors.Is((&response{}).readChunks(bufio.NewReader(bytes.NewReader(with))), errBadChunks)
		return a.readChunks(r)
	case hasLength:
		a.framing, a.size, a.cut = framedLength, length, length > bodyLimit
		a.body, err = io.ReadAll(io.LimitReader(r, min(length, bodyLimit)))
		if err == nil && int64(len(a.body)) < min(length, bodyLimit) {
			err = io.ErrUnexpectedEOF
		}
		return err
	default:
		a.framing = framedClose
		a.body, err = io.ReadAll(io.LimitReader(r, bodyLimit+1))
		a.bound()
		return err
	}
}

// bound cuts the body to what is kept.
func (a *response) bound() {
	a.size = int64(len(a.body))
	if len(a.body) > bodyLimit {
		a.body, a.cut = a.body[:bodyLimit], true
	}
}

func (a *response) readChunks(r *bufio.Reader) error {
	// The lines between chunks are bounded too, however small the chunks.
	lines := 4 * bodyLimit
	defer a.bound()
	for len(a.body) <= bodyLimit {
		line, err := readLine(r, &lines)
		if err != nil {
			return err
		}
		digits, _, _ := strings.Cut(line, ";")
		size, err := strconv.ParseUint(strings.TrimSpace(digits), 16, 62)
		if err != nil {
			return errBadChunks
		}
		if size == 0 {
			return readTrailer(r, &lines)
		}
		want := min(int64(size), bodyLimit+1-int64(len(a.body)))
		chunk, err := io.ReadAll(io.LimitReader(r, want))
		a.body = append(a.body, chunk...)
		if err == nil && int64(len(chunk)) < want {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
		if len(a.body) > bodyLimit {
			return nil
		}
		switch end, err := readLine(r, &lines); {
		case err != nil:
			return err
		case end != "":
			return errBadChunks
		}
	}
	return nil
}

// readTrailer reads to the empty line after the last chunk.
func readTrailer(r *bufio.Reader, left *int) error {
	for {
		line, err := readLine(r, left)
		if err != nil || line == "" {
			return err
		}
	}
}
