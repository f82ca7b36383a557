package server

import (
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// A Response is an answer, rendered beforehand but for the date and what
// becomes of the connection. It does not change and is shared by all
// connections.
type Response struct {
	status int
	head   string // status line and fields, each with its line end
	body   string
	header http.Header // the fields once more, for HTTP/2
}

// NewResponse renders an answer. The status is final and one that allows a
// body: 200 to 599 but for 204 and 304. Each of fields is one more header field
// (Name: value). There is no Server field: nobody needs to know.
func NewResponse(status int, contentType, body string, fields ...string) *Response {
	var b strings.Builder
	b.WriteString("HTTP/1.1 " + strconv.Itoa(status) + " " + http.StatusText(status) + "\r\n")
	b.WriteString("Content-Type: " + contentType + "\r\n")
	b.WriteString("Content-Length: " + strconv.Itoa(len(body)) + "\r\n")
	header := http.Header{"Content-Type": {contentType}, "Content-Length": {strconv.Itoa(len(body))}}
	for _, field := range fields {
		b.WriteString(field + "\r\n")
		name, value, _ := strings.Cut(field, ":")
		header.Add(name, strings.TrimSpace(value))
	}
	return &Response{status: status, head: b.String(), body: body, header: header}
}

// Status returns the status code.
func (r *Response) Status() int { return r.status }

// ending is what becomes of a connection after an answer.
type ending uint8

const (
	// endOpen keeps it open, as HTTP/1.1 takes for granted.
	endOpen ending = iota
	// endKept keeps it open and says so, as HTTP/1.0 wants it.
	endKept
	// endClosed closes it.
	endClosed
)

// appendTo appends the whole answer to b; to a HEAD request it has no body.
func (r *Response) appendTo(b []byte, date string, e ending, isHead bool) []byte {
	b = append(b, r.head...)
	b = append(b, date...)
	switch e {
	case endClosed:
		b = append(b, "Connection: close\r\n"...)
	case endKept:
		b = append(b, "Connection: keep-alive\r\n"...)
	}
	b = append(b, "\r\n"...)
	if !isHead {
		b = append(b, r.body...)
	}
	return b
}

// A dateField is the Date field, rendered when it is needed and at most once a
// second: to render it for every answer would cost as much as the rest of it.
type dateField struct {
	cache atomic.Pointer[renderedDate]
}

type renderedDate struct {
	second int64 // by the server's clock
	field  string
}

// at returns the field, with its line end, at the given time since the server
// was made. It may be a second old.
func (d *dateField) at(now time.Duration) string {
	second := int64(now / time.Second)
	if c := d.cache.Load(); c != nil && c.second == second {
		return c.field
	}
	c := &renderedDate{second, "Date: " + time.Now().UTC().Format(http.TimeFormat) + "\r\n"}
	d.cache.Store(c)
	return c.field
}
