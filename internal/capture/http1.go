package capture

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"hale/internal/balancer"
)

// A headEnd says how a head ended.
type headEnd int

const (
	headWhole  headEnd = iota
	headOther          // the first line is no request line
	headBroken         // the peer closed, reset, or took too long
	headLong           // longer than MaxHead
)

// readHead reads until a head has ended: with a blank line, or with its first
// line if that has no version (as F5's monitors send) or is no request line.
func readHead(s *stream) ([]byte, headEnd, error) {
	for searched := 0; ; {
		if n, kind, ok := headLength(s.unread, searched); ok {
			return s.take(n), kind, nil
		}
		if len(s.unread) >= MaxHead {
			return s.take(MaxHead), headLong, nil
		}
		searched = len(s.unread)
		if err := s.more(); err != nil {
			return s.take(len(s.unread)), headBroken, err
		}
	}
}

// headLength returns the length of the head that b begins with, of which the
// first bytes were searched before.
func headLength(b []byte, searched int) (n int, kind headEnd, ok bool) {
	first := bytes.IndexByte(b[:min(len(b), MaxHead)], '\n')
	if first < 0 {
		return 0, 0, false
	}
	switch versionOf(string(bytes.TrimRight(b[:first], "\r"))) {
	case "":
		return first + 1, headOther, true
	case balancer.HTTP09:
		return first + 1, headWhole, true
	}
	from := max(first, searched-3)
	for _, end := range []string{"\n\r\n", "\n\n"} {
		if i := bytes.Index(b[from:], []byte(end)); i >= 0 && from+i+len(end) <= MaxHead && (!ok || from+i+len(end) < n) {
			n, ok = from+i+len(end), true
		}
	}
	return n, headWhole, ok
}

// versionOf returns the version of a request line; "" if it is none.
func versionOf(line string) balancer.Protocol {
	words := strings.Fields(line)
	if len(words) < 2 || strings.Trim(words[0], "ABCDEFGHIJKLMNOPQRSTUVWXYZ-_") != "" || len(words) > 3 {
		return ""
	}
	if len(words) == 2 {
		if words[1][0] != '/' && !strings.Contains(words[1], "://") {
			return ""
		}
		return balancer.HTTP09
	}
	if !strings.HasPrefix(words[2], "HTTP/") {
		return ""
	}
	return balancer.Protocol(words[2])
}

// parse fills in what a head says. The head's secrets are masked already.
func (a *Arrival) parse(head []byte) {
	a.keep(head)
	lines := strings.Split(string(head), "\n")
	line := strings.TrimRight(lines[0], "\r")
	a.Line = visible([]byte(line))
	if a.Protocol = balancer.Protocol(visible([]byte(versionOf(line)))); a.Protocol != "" {
		words := strings.Fields(line)
		a.Method = words[0]
		path, _, _ := strings.Cut(words[1], "?")
		a.Path = visible([]byte(path))
	}
	for _, line := range lines[1:] {
		line = strings.TrimRight(line, "\r")
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			continue
		}
		f := Field{visible([]byte(name)), visible([]byte(strings.TrimSpace(value)))}
		a.Fields = append(a.Fields, f)
		if strings.EqualFold(f.Name, "Host") && a.Host == nil {
			a.Host = &f.Value
		}
	}
}

// keep keeps what came, whose secrets are masked already.
func (a *Arrival) keep(raw []byte) {
	a.lines = nil
	for line := range bytes.Lines(raw) {
		a.lines = append(a.lines, visible(line))
	}
	a.Raw = strings.Join(a.lines, "")
}

// field returns a field's value; "" without one.
func (a *Arrival) field(name string) string {
	for _, f := range a.Fields {
		if strings.EqualFold(f.Name, name) {
			return f.Value
		}
	}
	return ""
}

// persistent reports whether the client wants to go on with the connection (RFC
// 9112, section 9.3).
func (a *Arrival) persistent() bool {
	option := lower(a.field("Connection"))
	switch a.Protocol {
	case balancer.HTTP11:
		return !strings.Contains(option, "close")
	case balancer.HTTP10:
		return strings.Contains(option, "keep-alive")
	default:
		return false
	}
}

// bodyLength returns how long the body is; false if it is not one to read: one
// in chunks, too long, or of a length that is no number.
func (a *Arrival) bodyLength() (length int64, ok bool) {
	if a.field("Transfer-Encoding") != "" {
		return 0, false
	}
	text := a.field("Content-Length")
	if text == "" {
		return 0, true
	}
	n, err := strconv.ParseUint(text, 10, 63)
	return int64(n), err == nil && n <= MaxHead
}

// goOn asks for the body if the client waits to be asked (RFC 9110, section
// 10.1.1). A body that is not read is not asked for: the answer comes at once.
// If that fails, so does reading the body.
func (a *Arrival) goOn(s *stream) {
	length, ok := a.bodyLength()
	if !ok || length == 0 || a.Protocol != balancer.HTTP11 || !strings.EqualFold(a.field("Expect"), "100-continue") {
		return
	}
	if _, err := io.WriteString(s.Conn, "HTTP/1.1 100 Continue\r\n\r\n"); err == nil {
		a.Answer = "100 Continue"
	}
}

// readBody reads and drops a short body, and reports whether the connection can
// go on after it.
func (a *Arrival) readBody(s *stream) bool {
	length, ok := a.bodyLength()
	if !ok {
		return false
	}
	var err error
	a.Body, err = io.CopyN(io.Discard, s, length)
	return err == nil
}

// answerHTTP1 answers a request, also one without a version: some of those who
// send such a one look for a status line.
func (a *Arrival) answerHTTP1(w io.Writer, code int, persistent bool) error {
	body := answerBody(code)
	connection := "close"
	if persistent {
		connection = "keep-alive"
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "HTTP/1.1 %s\r\n", statusText(code))
	if body != "" {
		fmt.Fprintf(&b, "Content-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\n", len(body))
	}
	fmt.Fprintf(&b, "Cache-Control: no-store\r\nConnection: %s\r\n\r\n", connection)
	if a.Method != http.MethodHead {
		b.WriteString(body)
	}
	if _, err := w.Write(b.Bytes()); err != nil {
		return err
	}
	if a.Answer != "" {
		a.Answer += ", then "
	}
	a.Answer += statusText(code) + ", Connection: " + connection
	return nil
}

// answerBody is the body of an answer; "" where there must be none (RFC 9110,
// sections 15.3.5 and 15.4.5).
func answerBody(code int) string {
	if code == http.StatusNoContent || code == http.StatusNotModified {
		return ""
	}
	return "hale capture\n"
}

func statusText(code int) string {
	return strings.TrimSpace(strconv.Itoa(code) + " " + http.StatusText(code))
}
