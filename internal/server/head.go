package server

import (
	"bytes"
	"math"
	"strings"
)

// MaxHead is the size in bytes of the largest request line and header section
// that is read. Checkers send less than 1 KiB.
const MaxHead = 8 << 10

// maxMethod is longer than any registered method.
const maxMethod = 32

// A head is the beginning of a request, as far as the answer depends on it.
// The Host is no part of it: the answer is the same for every one, for none and
// for two.
type head struct {
	Request
	// bare is a request line without a version, as in HTTP/0.9. Nothing
	// belongs to the request after it.
	bare bool
	// old is HTTP/1.0, where the connection stays open only on request.
	old bool
	// closes and keeps are the close and keep-alive of Connection fields.
	closes, keeps bool
	// length is the Content-Length; 0 if there is none, and sized is false.
	length int64
	sized  bool
	// encoded is true if there is a Transfer-Encoding, of whatever kind.
	encoded bool
	// expects is true if the client awaits a go-ahead for its body.
	expects bool
}

// A fault is why a head is not understood.
type fault uint8

const (
	faultNone fault = iota
	faultMalformed
	faultVersion // another major version than 1
)

// parseHead reads the head at the start of b, which begins with the request
// line, into h. It returns the head's length, or 0 if b does not hold all of it
// yet and nothing is wrong with it so far.
//
// It is RFC 9112, but forgives what does no harm to an answer that is the same
// for everyone: a line may end with a line feed alone (section 2.2), the version
// may be missing, and so may the Host. What would leave unclear where the
// request ends is a fault.
func parseHead(b []byte, h *head) (n int, f fault) {
	*h = head{}
	space, f := methodEnd(b)
	if space == 0 {
		return 0, f
	}
	line, n := cutLine(b)
	if n == 0 {
		return 0, faultNone
	}
	h.Method = line[:space]
	if f := h.parseTarget(line[space+1:]); f != faultNone || h.bare {
		return n, f
	}
	for {
		line, size := cutLine(b[n:])
		if size == 0 {
			return 0, faultNone
		}
		n += size
		if len(line) == 0 {
			return n, faultNone
		}
		if !h.parseField(line) {
			return n, faultMalformed
		}
	}
}

// methodEnd returns where the method at the start of b ends, or 0 if it does
// not end yet or is none. It tells garbage from a request by the first bytes.
func methodEnd(b []byte) (int, fault) {
	for i, c := range b {
		switch {
		case c == ' ' && i > 0:
			return i, faultNone
		case !isToken(c) || i == maxMethod:
			return 0, faultMalformed
		}
	}
	return 0, faultNone
}

// cutLine returns the first line of b without its end, and its length with it;
// 0 if b holds no line end.
func cutLine(b []byte) (line []byte, n int) {
	end := bytes.IndexByte(b, '\n')
	if end < 0 {
		return nil, 0
	}
	line = b[:end]
	if end > 0 && line[end-1] == '\r' {
		line = line[:end-1]
	}
	return line, end + 1
}

// parseTarget reads what follows the method in the request line: the target and
// the version, which is missing in a bare request.
func (h *head) parseTarget(rest []byte) fault {
	target, version := rest, []byte(nil)
	if i := bytes.LastIndexByte(rest, ' '); i >= 0 {
		target, version = rest[:i], rest[i+1:]
	}
	if len(target) == 0 {
		return faultMalformed
	}
	for _, c := range target {
		if c <= ' ' || c == 0x7f {
			return faultMalformed
		}
	}
	h.Path, h.Query = splitTarget(target)
	if len(version) == 0 {
		h.bare = true
		if target[0] != '/' {
			return faultMalformed
		}
		return faultNone
	}
	if len(version) != 8 || string(version[:5]) != "HTTP/" || !isDigit(version[5]) || version[6] != '.' || !isDigit(version[7]) {
		return faultMalformed
	}
	if version[5] != '1' {
		return faultVersion
	}
	h.old = version[7] == '0'
	return faultNone
}

// splitTarget returns the path and the query of a request target.
func splitTarget(target []byte) (path, query []byte) {
	path, query, _ = bytes.Cut(target, []byte("?"))
	if bytes.HasPrefix(path, []byte("/")) {
		return path, query
	}
	scheme, rest, ok := bytes.Cut(path, []byte("://"))
	if !ok || !equalFold(scheme, "http") && !equalFold(scheme, "https") {
		return path, query
	}
	if slash := bytes.IndexByte(rest, '/'); slash >= 0 {
		return rest[slash:], query
	}
	return []byte("/"), query
}

// parseField reads one header field. It reports whether the field is well
// formed and, if its value matters here, the value is too.
func (h *head) parseField(line []byte) bool {
	name, value, ok := bytes.Cut(line, []byte(":"))
	if !ok || len(name) == 0 {
		return false
	}
	for _, c := range name {
		if !isToken(c) {
			return false
		}
	}
	if bytes.IndexByte(value, 0) >= 0 || bytes.IndexByte(value, '\r') >= 0 {
		return false
	}
	value = bytes.Trim(value, " \t")
	switch {
	case equalFold(name, "accept"):
		if h.Accept == nil {
			h.Accept = value
		}
	case equalFold(name, "connection"):
		h.parseConnection(value)
	case equalFold(name, "content-length"):
		return h.parseLength(value)
	case equalFold(name, "transfer-encoding"):
		h.encoded = true
	case equalFold(name, "expect"):
		h.expects = true
	}
	return true
}

// parseConnection reads the value of a Connection field.
func (h *head) parseConnection(value []byte) {
	for token := range bytes.SplitSeq(value, []byte(",")) {
		token = bytes.Trim(token, " \t")
		h.closes = h.closes || equalFold(token, "close")
		h.keeps = h.keeps || equalFold(token, "keep-alive")
	}
}

// parseLength reads the value of a Content-Length field. Several must agree.
func (h *head) parseLength(value []byte) bool {
	var length int64
	for _, c := range value {
		if !isDigit(c) || length > (math.MaxInt64-9)/10 {
			return false
		}
		length = 10*length + int64(c-'0')
	}
	if len(value) == 0 || h.sized && length != h.length {
		return false
	}
	h.sized, h.length = true, length
	return true
}

// persistent reports whether the client wishes the connection to stay open
// (RFC 9112, section 9.3).
func (h *head) persistent() bool {
	return !h.bare && !h.closes && (!h.old || h.keeps)
}

// hasBody reports whether anything may follow the head.
func (h *head) hasBody() bool { return h.length > 0 || h.encoded }

// isToken reports whether c may be part of a method or a field's name (RFC
// 9110, section 5.6.2).
func isToken(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', isDigit(c):
		return true
	default:
		return c > ' ' && c < 0x7f && strings.IndexByte("\"(),/:;<=>?@[\\]{}", c) < 0
	}
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// equalFold reports whether b is lower, a string in lower case, but for the
// case of its ASCII letters.
func equalFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}
