package server_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"hale/internal/server"
)

// A raw is bytes that a client sends, and what it gets.
type raw struct {
	name, send string
	want       []string // of each answer status and body
	closed     bool     // the last answer says so, and the connection ends
	rest       string   // is sent after the answers, which don't wait for it
	heads      bool     // the answers are to HEAD
	fin        bool     // the client shuts down its side after send
}

var raws = []raw{
	{name: "HTTP/1.0 without Host", send: "GET / HTTP/1.0\r\n\r\n", want: []string{"200 GET /"}, closed: true},
	{name: "HTTP/1.1", send: "GET / HTTP/1.1\r\nHost: a\r\n\r\n", want: []string{"200 GET /"}},
	{name: "HTTP/1.1 without Host", send: "GET / HTTP/1.1\r\n\r\n", want: []string{"200 GET /"}},
	{name: "two Hosts", send: "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", want: []string{"200 GET /"}},
	{name: "HTTP/1.2", send: "GET / HTTP/1.2\r\nHost: a\r\n\r\n", want: []string{"200 GET /"}},
	{name: "Connection: close", send: "GET / HTTP/1.1\r\nConnection: close\r\n\r\n", want: []string{"200 GET /"}, closed: true},
	{name: "HAProxy", send: "OPTIONS / HTTP/1.0\r\n\r\n", want: []string{"200 OPTIONS /"}, closed: true},
	{name: "OPTIONS *", send: "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", want: []string{"200 OPTIONS *"}},
	{name: "no version", send: "GET /\r\n", want: []string{"200 GET /"}, closed: true},
	{name: "F5", send: "GET /\r\n\r\n", want: []string{"200 GET /"}, closed: true},
	{name: "no version, line feed", send: "GET /\n", want: []string{"200 GET /"}, closed: true},
	{name: "no version, FIN", send: "GET /livez", fin: true, want: []string{"200 GET /livez"}, closed: true},
	{name: "no blank line, FIN", send: "GET /livez HTTP/1.1\r\nHost: a\r\n", fin: true, want: []string{"200 GET /livez"}, closed: true},
	{name: "half a line, FIN", send: "GET", fin: true, want: []string{"400 bad request"}, closed: true},
	{name: "request, FIN", send: "GET / HTTP/1.1\r\nHost: a\r\n\r\n", fin: true, want: []string{"200 GET /"}},
	{name: "nothing, FIN", send: "", fin: true, closed: true},
	{name: "line feeds", send: "GET / HTTP/1.0\n\n", want: []string{"200 GET /"}, closed: true},
	{name: "line feeds, kept alive", send: "GET / HTTP/1.1\nHost: a\n\nGET /b HTTP/1.1\r\n\r\n", want: []string{"200 GET /", "200 GET /b"}},
	{name: "leading line ends", send: "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", want: []string{"200 GET /"}},
	{name: "line ends between", send: "GET / HTTP/1.1\r\n\r\n\r\n\nGET / HTTP/1.1\r\n\r\n\r\n", want: []string{"200 GET /", "200 GET /"}},
	{name: "HEAD", send: "HEAD / HTTP/1.1\r\nHost: a\r\n\r\nHEAD / HTTP/1.1\r\n\r\n", heads: true, want: []string{"200 ", "200 "}},
	{name: "HEAD, HTTP/1.0", send: "HEAD / HTTP/1.0\r\n\r\n", heads: true, want: []string{"200 "}, closed: true},
	{name: "any method", send: "BREW /pot HTTP/1.1\r\n\r\n", want: []string{"200 BREW /pot"}},
	{name: "CONNECT", send: "CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", want: []string{"200 CONNECT a:80"}, closed: true},
	{name: "absolute target", send: "GET http://x/y?z HTTP/1.1\r\nHost: a\r\n\r\n", want: []string{"200 GET /y ?z"}},
	{name: "pipelined", send: "GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\nGET /3 HTTP/1.1\r\n\r\n", want: []string{"200 GET /1", "200 GET /2", "200 GET /3"}},
	{name: "pipelined after the last", send: "GET /1 HTTP/1.0\r\n\r\nGET /2 HTTP/1.1\r\n\r\n", want: []string{"200 GET /1"}, closed: true},
	{name: "HTTP/1.0 kept alive", send: strings.Repeat("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 2), want: []string{"200 GET /", "200 GET /"}},

	{name: "small body", send: "POST /a HTTP/1.1\r\nContent-Length: 5\r\n\r\nhelloGET /b HTTP/1.1\r\n\r\n", want: []string{"200 POST /a", "200 GET /b"}},
	{name: "small body of GET", send: "GET /a HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello", want: []string{"200 GET /a"}},
	{name: "no body", send: "POST / HTTP/1.1\r\nHost: a\r\n\r\n", want: []string{"200 POST /"}},
	{name: "largest body that is read", send: "POST /a HTTP/1.1\r\nContent-Length: 65536\r\n\r\n" + strings.Repeat("x", 65536) + "GET /b HTTP/1.1\r\n\r\n", want: []string{"200 POST /a", "200 GET /b"}},
	{name: "larger body", send: "POST /a HTTP/1.1\r\nContent-Length: 65537\r\n\r\n" + strings.Repeat("x", 65537) + "GET /b HTTP/1.1\r\n\r\n", want: []string{"200 POST /a"}, closed: true},
	{name: "huge body, not sent", send: "POST / HTTP/1.1\r\nContent-Length: 1000000000\r\n\r\nxx", want: []string{"200 POST /"}, closed: true},
	{name: "body after the answer", send: "POST / HTTP/1.1\r\nContent-Length: 100\r\n\r\nxx", rest: strings.Repeat("x", 98), want: []string{"200 POST /"}},
	{name: "chunked body", send: "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nGET /b HTTP/1.1\r\n\r\n", want: []string{"200 POST /"}, closed: true},
	{name: "two lengths of a body", send: "POST / HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", want: []string{"200 POST /"}, closed: true},
	{name: "unknown encoding", send: "POST / HTTP/1.1\r\nTransfer-Encoding: x\r\n\r\n", want: []string{"200 POST /"}, closed: true},
	{name: "Expect", send: "POST / HTTP/1.1\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n", want: []string{"200 POST /"}, closed: true},
	{name: "Expect, body sent", send: "POST / HTTP/1.1\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello", want: []string{"200 POST /"}, closed: true},
	{name: "Expect something else", send: "GET / HTTP/1.1\r\nExpect: foo\r\n\r\n", want: []string{"200 GET /"}, closed: true},

	{name: "negative length", send: "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", want: []string{"400 bad request"}, closed: true},
	{name: "contradicting lengths", send: "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx", want: []string{"400 bad request"}, closed: true},
	{name: "fields of 7.9 KiB", send: "GET / HTTP/1.1\r\nX: " + strings.Repeat("a", 7900) + "\r\n\r\n", want: []string{"200 GET /"}},
	{name: "fields of 9 KiB", send: "GET / HTTP/1.1\r\nX: " + strings.Repeat("a", 9000) + "\r\n\r\n", want: []string{"431 request header fields too large"}, closed: true},
	{name: "fields of 300 KiB", send: "GET / HTTP/1.1\r\nX: " + strings.Repeat("a", 300<<10) + "\r\n\r\n", want: []string{"431 request header fields too large"}, closed: true},
	{name: "fields without an end", send: "GET / HTTP/1.1\r\n" + strings.Repeat("X: a\r\n", 2000), want: []string{"431 request header fields too large"}, closed: true},
	{name: "target of 9 KiB", send: "GET /" + strings.Repeat("a", 9000), want: []string{"431 request header fields too large"}, closed: true},
	{name: "exactly MaxHead", send: "GET / HTTP/1.1\r\nX: " + strings.Repeat("a", server.MaxHead-23) + "\r\n\r\n", want: []string{"200 GET /"}},
	{name: "one byte more than MaxHead", send: "GET / HTTP/1.1\r\nX: " + strings.Repeat("a", server.MaxHead-22) + "\r\n\r\n", want: []string{"431 request header fields too large"}, closed: true},
	{name: "HTTP/2, not quite", send: "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", want: []string{"505 HTTP version not supported"}, closed: true},
	{name: "HTTP/3.7", send: "GET / HTTP/3.7\r\nHost: a\r\n\r\n", want: []string{"505 HTTP version not supported"}, closed: true},
	{name: "TLS", send: "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("\x00", 40), closed: true},
	{name: "PROXY 1", send: "PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\nGET / HTTP/1.1\r\n\r\n", want: []string{"400 bad request"}, closed: true},
	{name: "PROXY 2", send: "\r\n\r\n\x00\r\nQUIT\n\x20\x11\x00\x0c" + strings.Repeat("\x01", 12) + "GET / HTTP/1.1\r\n\r\n", want: []string{"400 bad request"}, closed: true},
	{name: "high bytes", send: strings.Repeat("\x80\xfe\xff", 200), want: []string{"400 bad request"}, closed: true},
	{name: "words", send: "asdf\r\n\r\n", want: []string{"400 bad request"}, closed: true},
	{name: "SMTP", send: "EHLO mail.example\r\n", want: []string{"400 bad request"}, closed: true},
	{name: "SSH", send: "SSH-2.0-OpenSSH_9.2p1\r\n", want: []string{"400 bad request"}, closed: true},
	{name: "space in a field's name", send: "GET / HTTP/1.1\r\nHost : a\r\n\r\n", want: []string{"400 bad request"}, closed: true},
	{name: "field without colon", send: "GET / HTTP/1.1\r\nfoo\r\n\r\n", want: []string{"400 bad request"}, closed: true},
	{name: "NUL in a field", send: "GET / HTTP/1.1\r\nX: a\x00b\r\n\r\n", want: []string{"400 bad request"}, closed: true},
	{name: "NUL in the target", send: "GET /\x00 HTTP/1.1\r\n\r\n", want: []string{"400 bad request"}, closed: true},
	{name: "folded field", send: "GET / HTTP/1.1\r\nX: a\r\n b\r\n\r\n", want: []string{"400 bad request"}, closed: true},
	{name: "fault after a good one", send: "GET / HTTP/1.1\r\n\r\n\x00", want: []string{"200 GET /", "400 bad request"}, closed: true},
}

// TestBytes sends each of raws, at once, on every transport.
func TestBytes(t *testing.T) {
	for _, transport := range transports {
		t.Run(transport.name, func(t *testing.T) {
			r := startOn(t, transport.listen(t), transport.dial, echo, server.Options{})
			for _, tt := range raws {
				t.Run(tt.name, func(t *testing.T) {
					t.Parallel()
					c := r.dial(t)
					// A write may fail when the answer is already there.
					if _, err := io.WriteString(c, tt.send); err != nil && !tt.closed {
						t.Fatal(err)
					}
					if tt.fin {
						closeWrite(t, c)
					}
					tt.check(t, c)
				})
			}
		})
	}
}

// TestBytesDripped sends those of raws that are not long byte by byte.
func TestBytesDripped(t *testing.T) {
	for _, transport := range transports[:2] {
		t.Run(transport.name, func(t *testing.T) {
			r := startOn(t, transport.listen(t), transport.dial, echo, server.Options{})
			for _, tt := range raws {
				if len(tt.send) > 500 {
					continue
				}
				t.Run(tt.name, func(t *testing.T) {
					t.Parallel()
					c := r.dial(t)
					for i := range len(tt.send) {
						if _, err := io.WriteString(c, tt.send[i:i+1]); err != nil {
							break // the answer is already there
						}
					}
					if tt.fin {
						closeWrite(t, c)
					}
					tt.check(t, c)
				})
			}
		})
	}
}

func closeWrite(t *testing.T, c net.Conn) {
	t.Helper()
	if err := c.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Error(err)
	}
}

// check reads the answers and checks that the connection is closed after them,
// or can still be used.
func (r raw) check(t *testing.T, c net.Conn) {
	t.Helper()
	b := bufio.NewReader(c)
	for i, want := range r.want {
		checkAnswer(t, b, want, r.closed && i == len(r.want)-1, r.heads)
	}
	if !r.closed && !r.fin {
		io.WriteString(c, r.rest+"GET /still HTTP/1.1\r\nConnection: close\r\n\r\n")
		checkAnswer(t, b, "200 GET /still", true, false)
	}
	checkClosed(t, b)
}

// checkAnswer reads an answer, whose status and body are to be want.
func checkAnswer(t *testing.T, b *bufio.Reader, want string, last, head bool) {
	t.Helper()
	method := http.MethodGet
	if head {
		method = http.MethodHead
	}
	response, err := http.ReadResponse(b, &http.Request{Method: method})
	if err != nil {
		t.Fatalf("instead of %q: %v", want, err)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprintf("%d %s", response.StatusCode, body); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if response.Close != last {
		t.Errorf("%s: got Connection: close %v, want %v", want, response.Close, last)
	}
	if head && response.ContentLength <= 0 {
		t.Errorf("%s: got Content-Length %d, want that of GET", want, response.ContentLength)
	}
	if server := response.Header.Values("Server"); len(server) > 0 {
		t.Errorf("%s: got Server %q, want none", want, server)
	}
	if date, err := http.ParseTime(response.Header.Get("Date")); err != nil || time.Since(date).Abs() > patience {
		t.Errorf("%s: got Date %v and %v, want now", want, date, err)
	}
}

// checkClosed checks that the server has closed the connection without a reset.
func checkClosed(t *testing.T, b *bufio.Reader) {
	t.Helper()
	if more, err := b.ReadByte(); err != io.EOF {
		t.Errorf("got byte %#x and %v, want the end of the connection", more, err)
	}
}

func TestHTTP10IsToldThatTheConnectionStays(t *testing.T) {
	r := start(t, fixed, server.Options{})
	c := r.dial(t)
	io.WriteString(c, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
	response, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := response.Header.Get("Connection"), "keep-alive"; got != want {
		t.Errorf("got Connection %q, want %q", got, want)
	}
}

// TestDropsAndAnswersAreCounted checks what the hooks are told.
func TestDropsAndAnswersAreCounted(t *testing.T) {
	r := start(t, fixed, server.Options{})
	for _, tt := range []struct {
		send, reason string
	}{
		{"asdf\r\n", server.DropMalformed},
		{"GET / HTTP/2.0\r\n\r\n", server.DropVersion},
		{strings.Repeat("GET", 10000), server.DropMalformed},
		{"GET /" + strings.Repeat("a", 10000), server.DropTooLarge},
		{"\x16\x03\x01", server.DropTLS},
	} {
		before := r.dropped(tt.reason)
		io.WriteString(r.dial(t), tt.send)
		r.awaitDrops(t, tt.reason, before+1)
	}
	c := r.dial(t)
	io.WriteString(c, strings.Repeat("GET / HTTP/1.1\r\n\r\n", 7))
	await(t, func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.answers[200] == 7 && r.answers[400] == 2 && r.answers[431] == 1 && r.answers[505] == 1
	})
}

// TestManyPipelined sends more requests than the buffer holds, of odd lengths.
func TestManyPipelined(t *testing.T) {
	for _, transport := range transports {
		t.Run(transport.name, func(t *testing.T) {
			r := startOn(t, transport.listen(t), transport.dial, echo, server.Options{})
			c := r.dial(t)
			const n = 2000
			go func() {
				for i := range n {
					fmt.Fprintf(c, "GET /%d HTTP/1.1\r\nX: %s\r\n\r\n", i, strings.Repeat("x", i%97))
				}
			}()
			b := bufio.NewReader(c)
			for i := range n {
				checkAnswer(t, b, fmt.Sprintf("200 GET /%d", i), false, false)
			}
		})
	}
}
