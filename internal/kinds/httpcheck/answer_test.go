package httpcheck_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"hale/internal/check"
	"hale/internal/servertest"
)

// TestAnswers is about what a server may rightly send.
func TestAnswers(t *testing.T) {
	chunked := "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nready \r\n8;x=y\r\nto serve\r\n0\r\nTrailer: x\r\n\r\n"
	for _, test := range []struct{ name, options, answer, note string }{
		{"content length", "body=ready", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nready", "200 in "},
		{"no content length", "body=ready", "HTTP/1.1 200 OK\r\n\r\nready", "200 in "},
		{"HTTP/1.0", "body=ready", "HTTP/1.0 200 OK\r\n\r\nready", "200 in "},
		{"no reason phrase", "", "HTTP/1.1 200\r\n\r\n", "200 in "},
		{"line feeds only", "body=ready", "HTTP/1.1 200 OK\nContent-Length: 5\n\nready", "200 in "},
		{"chunked", "body=ready to serve", chunked, "200 in "},
		{"interim", "body=ready", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\n\r\nready", "200 in "},
		{"HEAD with a length", "method=HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "200 in "},
		{"204 with a length", "", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", "204 in "},
		{"304", "status=304", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", "304 in "},
		{"status without a name", "status=299", "HTTP/1.1 299 Odd\r\n\r\n", "299 in "},
		{"headers of 60 KiB", "body=ready", "HTTP/1.1 200 OK\r\n" + strings.Repeat("X: "+strings.Repeat("y", 1000)+"\r\n", 60) + "\r\nready", "200 in "},
		{"body of 1 MiB", "body=ready", "HTTP/1.1 200 OK\r\n\r\nready" + strings.Repeat("x", 1<<20), "200 in "},
		{"body in the last of 64 KiB", "body=ready", "HTTP/1.1 200 OK\r\n\r\n" + strings.Repeat("x", 64<<10-5) + "ready", "200 in "},
		{"more than the length", "body=ready", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nreadyHTTP/1.1 500 Oops\r\n\r\n", "200 in "},
	} {
		t.Run(test.name, func(t *testing.T) {
			expectUp(t, run(t, "http://"+saying(t, test.answer)+"/#"+test.options), test.note)
		})
	}
}

// TestWrongAnswers is about what a server may not send.
func TestWrongAnswers(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	for _, test := range []struct {
		name, options, answer string
		reason                check.Reason
		message               string
	}{
		{"nothing", "", "", check.ReasonClosed, "the server closed the connection without an answer"},
		{"three bytes", "", "HTT", check.ReasonClosed, "the server closed the connection after 3 bytes"},
		{"half the headers", "", ok + "Content-Type: x\r\n", check.ReasonClosed, "the server closed the connection in the middle of the headers"},
		{"half the body", "", ok + "Content-Length: 10\r\n\r\nready", check.ReasonClosed, "the server closed the connection in the middle of the body, after 5 bytes"},
		{"half the body, to be matched", "body=x", ok + "Content-Length: 10\r\n\r\nr", check.ReasonClosed, "the server closed the connection in the middle of the body, after 1 byte"},
		{"half a chunk", "", ok + "Transfer-Encoding: chunked\r\n\r\n9\r\nready", check.ReasonClosed, "the server closed the connection in the middle of the body, after 5 bytes"},
		{"bad chunk", "", ok + "Transfer-Encoding: chunked\r\n\r\nhello\r\n", check.ReasonProtocol, "reading the body, after 0 bytes: invalid byte in chunk length"},
		{"interim only", "", "HTTP/1.1 100 Continue\r\n\r\n", check.ReasonClosed, "the server closed the connection in the middle of the headers"},
		{"switching protocols", "", "HTTP/1.1 101 Switching Protocols\r\n\r\n", check.ReasonStatus, "status 101 Switching Protocols, want 200-299"},
		{"bad status", "", "HTTP/1.1 2x0 OK\r\n\r\n", check.ReasonProtocol, `reading the headers: malformed HTTP status code "2x0"`},
		{"bad header", "", ok + "no colon\r\n\r\n", check.ReasonProtocol, `reading the headers: malformed MIME header: missing colon: "no colon"`},
		{"bad length", "", ok + "Content-Length: -5\r\n\r\n", check.ReasonProtocol, `reading the headers: bad Content-Length "-5"`},
		{"long headers", "", ok + strings.Repeat("X: "+strings.Repeat("y", 1000)+"\r\n", 70) + "\r\n", check.ReasonProtocol, "the answer's headers are longer than 64 KiB"},
		{"one long header", "", ok + "X: " + strings.Repeat("y", 70<<10) + "\r\n\r\n", check.ReasonProtocol, "the answer's headers are longer than 64 KiB"},
		{"long interim headers", "", strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 4000) + ok + "\r\n", check.ReasonProtocol, "the answer's headers are longer than 64 KiB"},
		{"SSH", "", "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", check.ReasonProtocol, `the answer is not HTTP/1.1; it starts with "SSH-2.0-OpenSSH_9.2p1 Debian-2"`},
		{"Redis", "", "-ERR unknown command 'GET'\r\n", check.ReasonProtocol, `the answer is not HTTP/1.1; it starts with "-ERR unknown command 'GET'"`},
		{"binary", "", "\x00\x01\x02\x03\x05\x06", check.ReasonProtocol, "the answer is not HTTP/1.1; it is not text"},
		{"TLS alert", "", "\x15\x03\x01\x00\x02\x02\x46", check.ReasonProtocol, "the answer is not HTTP/1.1; the port speaks TLS: use https://"},
		{"HTTP/2", "", "\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x05\x00\x00\x40\x00", check.ReasonProtocol, "the answer is not HTTP/1.1; the port speaks HTTP/2 without TLS: set version to h2c"},
		{"body beyond 64 KiB", "body=ready", ok + "\r\n" + strings.Repeat("x", 64<<10) + "ready", check.ReasonBody,
			`the body (its first 64 KiB) does not contain "ready"; it starts with "` + strings.Repeat("x", 99) + `…"`},
		{"binary body", "body=ready", ok + "\r\n\x1f\x8b\x08\x00", check.ReasonBody, `the body does not contain "ready"; it is not text`},
		{"body in another alphabet", "body=ready", ok + "\r\nнездоров\r\n\r\n  и точка", check.ReasonBody, `the body does not contain "ready"; it starts with "нездоров и точка"`},
		{"body cut within a letter", "body=ready", ok + "\r\nx" + strings.Repeat("é", 600), check.ReasonBody,
			`the body does not contain "ready"; it starts with "x` + strings.Repeat("é", 98) + `…"`},
		{"unknown status", "", "HTTP/1.1 599 Whatever\r\n\r\n", check.ReasonStatus, "status 599, want 200-299"},
		{"redirect without Location", "", "HTTP/1.1 302 Found\r\n\r\n", check.ReasonStatus, "status 302 Found, want 200-299"},
		{"no redirect", "", "HTTP/1.1 304 Not Modified\r\nLocation: /x\r\n\r\n", check.ReasonStatus, "status 304 Not Modified, want 200-299"},
	} {
		t.Run(test.name, func(t *testing.T) {
			url := "http://" + saying(t, test.answer) + "/"
			expectDown(t, run(t, url+"#"+test.options), test.reason, url, "GET $URL: "+test.message)
		})
	}
}

// TestBusyServer is about a server that answers without reading the request,
// whether the check notices that while it sends the request or not.
func TestBusyServer(t *testing.T) {
	const message = `GET $URL: status 503 Service Unavailable, want 200-299; the body starts with "full"`
	url := "http://" + servertest.Peer(t, func(conn net.Conn) { fmt.Fprint(conn, "HTTP/1.0 503 Busy\r\n\r\nfull") })
	expectDown(t, run(t, url), check.ReasonStatus, url, message)
	c := mustBuild(t, func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := check.Dial(ctx, network, address)
		return brokenPipe{conn}, err
	}, url)
	expectDown(t, once(t, c), check.ReasonStatus, url, message)
}

// brokenPipe is a connection to a peer that no longer reads.
type brokenPipe struct{ net.Conn }

func (brokenPipe) Write([]byte) (int, error) { return 0, syscall.EPIPE }

// TestFailureWithHangingBody sees that a bad status is told at once.
func TestFailureWithHangingBody(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	url := "http://" + servertest.Peer(t, func(conn net.Conn) {
		readRequest(conn)
		fmt.Fprint(conn, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 100\r\n\r\nno workers")
		<-release
	})
	got := run(t, url)
	expectDown(t, got, check.ReasonStatus, url, `GET $URL: status 503 Service Unavailable, want 200-299; the body starts with "no workers"`)
	if got.Took > 20*time.Second {
		t.Errorf("it took %v", got.Took)
	}
}

// TestEndlessAnswers ends soon although the answer does not.
func TestEndlessAnswers(t *testing.T) {
	endless := func(start, more string) string {
		return servertest.Peer(t, func(conn net.Conn) {
			readRequest(conn)
			_, err := conn.Write([]byte(start))
			for block := []byte(strings.Repeat(more, 1+(16<<10)/len(more))); err == nil; {
				_, err = conn.Write(block)
			}
		})
	}
	url := "http://" + endless("HTTP/1.1 200 OK\r\n", "X: y\r\n") + "/"
	expectDown(t, run(t, url), check.ReasonProtocol, url, "GET $URL: the answer's headers are longer than 64 KiB")
	url = "http://" + endless("HTTP/1.1 200 OK\r\nX: ", "y") + "/"
	expectDown(t, run(t, url), check.ReasonProtocol, url, "GET $URL: the answer's headers are longer than 64 KiB")
	url = "http://" + endless("HTTP/1.1 100 Continue\r\n", "\r\nHTTP/1.1 100 Continue\r\n") + "/"
	expectDown(t, run(t, url), check.ReasonProtocol, url, "GET $URL: the answer's headers are longer than 64 KiB")

	expectUp(t, run(t, "http://"+endless("HTTP/1.1 200 OK\r\n\r\nready", "x")+"/#body=ready"), "200 in ")
	expectUp(t, run(t, "http://"+endless("HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n", "x")+"/"), "200 in ")
	expectUp(t, run(t, "http://"+endless("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "5\r\nready\r\n")+"/"), "200 in ")
}

func TestSlow(t *testing.T) {
	url := "http://" + servertest.Peer(t, func(conn net.Conn) {
		r := readRequest(conn)
		if r.URL != nil && r.URL.Path == "/slow" {
			<-time.After(30 * time.Millisecond)
		}
		fmt.Fprint(conn, "HTTP/1.1 200 OK\r\n\r\n")
	})
	expectUp(t, run(t, url+"/fast#slow=59s"), "200 in ")
	got := run(t, url+"/slow#slow=20ms")
	if !got.Healthy() || got.Reason() != check.ReasonSlow || !check.IsWarning(got.Err) {
		t.Errorf("got %v, want a warning", got.Err)
	}
	if text := got.Text(); !strings.HasPrefix(text, "GET "+url+"/slow: 200 in ") || !strings.HasSuffix(text, "ms, slower than 20ms") {
		t.Errorf("the warning is %q", text)
	}
	if !strings.HasPrefix(got.Note, "200 in ") {
		t.Errorf("the note is %q", got.Note)
	}
}

// TestServerClosesFirst sees that the check waits for the server to close the
// connection, so that the server's port and not the check's own stays busy
// with it, but not for long.
func TestServerClosesFirst(t *testing.T) {
	for _, answer := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nready",
		"HTTP/1.1 204 No Content\r\n\r\n",
		"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy",
		"HTTP/1.1 301 Moved Permanently\r\nLocation: /x\r\nContent-Length: 4\r\n\r\nmove",
	} {
		first := make(chan error, 1)
		url := "http://" + servertest.Peer(t, func(conn net.Conn) {
			if r := readRequest(conn); !r.Close {
				first <- fmt.Errorf("there is no Connection: close in %v", r.Header)
				return
			}
			// Long before the check's patience ends, nothing has come.
			_ = conn.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
			_, _ = conn.Write([]byte(answer))
			_, err := conn.Read(make([]byte, 1))
			first <- err
		})
		run(t, url)
		if err, ok := (<-first).(net.Error); !ok || !err.Timeout() {
			t.Errorf("%.12q: the server saw %v before it closed, want nothing", answer, err)
		}
	}
	closed := make(chan error, 1)
	url := "http://" + servertest.Peer(t, func(conn net.Conn) {
		readRequest(conn)
		_, _ = conn.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
		_, err := conn.Read(make([]byte, 1))
		closed <- err
	})
	got := run(t, url)
	expectUp(t, got, "200 in ")
	if err := <-closed; err == nil {
		t.Error("the check did not close the connection")
	}
	if got.Took > 20*time.Second {
		t.Errorf("the check waited for %v", got.Took)
	}
}

// TestHandler is about Go's own server, which speaks HTTP in ways of its own.
func TestHandler(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/hints", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		fmt.Fprint(w, "ready")
	})
	mux.HandleFunc("/flush", func(w http.ResponseWriter, _ *http.Request) {
		for range 3 {
			fmt.Fprint(w, "piece ")
			_ = http.NewResponseController(w).Flush()
		}
	})
	mux.HandleFunc("/panic", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	url := goServer(t, mux, nil)
	for _, version := range []string{"1.1", "h2c"} {
		expectUp(t, run(t, url+"/hints#body=ready&version="+version), "200 in ")
		expectUp(t, run(t, url+"/flush#body=piece piece piece&version="+version), "200 in ")
	}
	expectDown(t, run(t, url+"/panic"), check.ReasonClosed, url, "GET $URL/panic: the server closed the connection without an answer")
	expectDown(t, run(t, url+"/panic#version=h2c"), check.ReasonProtocol, url, "GET $URL/panic: stream error: stream ID 1; INTERNAL_ERROR; received from peer")
}

// A server that sends the credentials back does not get them shown, in
// whatever form it has them.
func TestCredentialsThatComeBack(t *testing.T) {
	const encoded = "bWU6cEBzcyZ3JjxyZD4" // base64 of me:p@ss&w&<rd>, without its padding
	for _, test := range []struct{ name, back string }{
		{"basic authentication", encoded}, {"plain", "p@ss&w&<rd>"}, {"in HTML", "p@ss&amp;w&amp;&lt;rd&gt;"},
		{"in a query", "p%40ss%26w%26%3Crd%3E"},
	} {
		answer := "HTTP/1.1 302 Found\r\nLocation: /?back=" + test.back + "\r\nContent-Length: 0\r\n\r\n"
		for form, got := range map[string]check.Result{
			"in the URL": run(t, "http://me:p%40ss%26w%26%3Crd%3E@"+saying(t, answer)+"/"),
			"as options": run(t, "http://"+saying(t, answer)+"/#username=me&password=p%40ss%26w%26%3Crd%3E"),
		} {
			if got.Healthy() || strings.Contains(got.Err.Error(), test.back) || !strings.Contains(got.Err.Error(), check.Masked) {
				t.Errorf("%s, %s: %v", test.name, form, got.Err)
			}
		}
	}
}
