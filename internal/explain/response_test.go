package explain_test

import (
	"strings"
	"testing"

	"hale/internal/explain"
)

func TestAnswersAreRead(t *testing.T) {
	for _, c := range []struct {
		name, text, method string
		bare               bool
		status             int
		framing, body      string
		size               int64
		fails              string
	}{
		{name: "a length", text: "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nwell", status: 200, framing: "Content-Length", body: "wel", size: 3},
		{name: "bare line feeds", text: "HTTP/1.0 200\nContent-Length: 2\n\nok", status: 200, framing: "Content-Length", body: "ok", size: 2},
		{name: "chunks", text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nA: b\r\n\r\n", status: 200, framing: "chunked", body: "abcde", size: 5},
		{name: "until the end", text: "HTTP/1.1 200 OK\r\n\r\nall of it", status: 200, framing: "the end of the connection", body: "all of it", size: 9},
		{name: "HEAD", method: "HEAD", text: "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", status: 200, framing: "Content-Length"},
		{name: "204", text: "HTTP/1.1 204 No Content\r\n\r\n", status: 204, framing: "no body"},
		{name: "early hints", text: "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", status: 200, framing: "Content-Length"},
		{name: "HTTP/0.9", bare: true, text: "a page", framing: "the end of the connection", body: "a page", size: 6},
		{name: "nothing to HTTP/0.9", bare: true, text: "", fails: "EOF"},
		{name: "cut short", text: "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nwell", status: 200, framing: "Content-Length", body: "well", size: 9, fails: "unexpected EOF"},
		{name: "a broken chunk", text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", status: 200, framing: "chunked", fails: "chunks"},
		{name: "nothing", text: "", fails: "EOF"},
		{name: "another protocol", text: "SSH-2.0-OpenSSH_9.2\r\n", fails: "not HTTP"},
		{name: "no status", text: "HTTP/1.1 OK\r\n\r\n", fails: "status line"},
		{name: "a head cut short", text: "HTTP/1.1 200 OK\r\nServer: x", fails: "unexpected EOF"},
		{name: "a head without end", text: "HTTP/1.1 200 OK\r\n" + strings.Repeat("A: b\r\n", 20_000), fails: "64 KiB"},
		{name: "a line without end", text: "HTTP/1.1 200 OK\r\nA: " + strings.Repeat("b", 100_000), fails: "64 KiB"},
	} {
		t.Run(c.name, func(t *testing.T) {
			method := c.method
			if method == "" {
				method = "GET"
			}
			status, framing, body, size, err := explain.Read(c.text, method, c.bare)
			if status != c.status || framing != c.framing || body != c.body || size != c.size {
				t.Errorf("got %d, %q, %q, %d; want %d, %q, %q, %d", status, framing, body, size, c.status, c.framing, c.body, c.size)
			}
			if (err == nil) != (c.fails == "") || err != nil && !strings.Contains(err.Error(), c.fails) {
				t.Errorf("got the error %v, want %q", err, c.fails)
			}
		})
	}
}

func TestABodyIsKeptToItsBound(t *testing.T) {
	long := strings.Repeat("x", 200<<10)
	for name, text := range map[string]string{
		"length": "HTTP/1.1 200 OK\r\nContent-Length: 204800\r\n\r\n" + long,
		"close":  "HTTP/1.1 200 OK\r\n\r\n" + long,
		"chunks": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n32000\r\n" + long + "\r\n0\r\n\r\n",
		"tiny":   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + strings.Repeat("1\r\nx\r\n", 200<<10),
	} {
		_, _, body, _, _ := explain.Read(text, "GET", false)
		if len(body) > 64<<10 {
			t.Errorf("%s: %d bytes are kept, want at most 64 KiB", name, len(body))
		}
	}
}

func TestWhatIsShownIsHarmless(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"plain – text", "plain – text"},
		{"a\x1b[2Jb\nc", `a\x1b[2Jb\x0ac`},
		{"/in?next=1&access_token=abc.def&x=2", "/in?next=1&access_token=…&x=2"},
		{"https://me:secret@host/", "https://…@host/"},
		{"/x?password=p%20q", "/x?password=…"},
		{"https://sso.example/cb#access_token=SECRET123&x=1", "https://sso.example/cb#access_token=…&x=1"},
		{"/x?jwt=SECRET123", "/x?jwt=…"},
		{"/in?next=/up%3Ftoken%3Dab%20c%26x%3D1&y=2", "/in?next=/up%3Ftoken%3D…%26x%3D1&y=2"},
	} {
		if got := explain.Clean(c.text); got != c.want {
			t.Errorf("Clean(%q) = %q, want %q", c.text, got, c.want)
		}
	}
	// What is masked once is masked again, with the text around it.
	if once := explain.Clean("/cb#id_token=SECRET") + ": only 200"; explain.Mask(once) != "/cb#id_token=…: only 200" {
		t.Errorf("masked twice it is %q", explain.Mask(once))
	}
	if got := explain.Clean(strings.Repeat("ä", 5000)); len(got) > 400 {
		t.Errorf("a text of 10,000 bytes is shown with %d", len(got))
	}
}

func TestTargets(t *testing.T) {
	for _, c := range []struct{ target, want, fails string }{
		{target: "http://10.0.0.1/x", want: "http://10.0.0.1/x"},
		{target: "HTTP://Host:8080", want: "http://Host:8080"},
		{target: "https://[::1]:8443/a%20b?c=d", want: "https://[::1]:8443/a%20b?c=d"},
		{target: "tcp://h:1/", want: "tcp://h:1/"},
		{target: "10.0.0.1:80/x", fails: "did you mean http://10.0.0.1:80/x?"},
		{target: "me:secret@host", fails: "no scheme"},
		{target: "ftp://h", fails: `the scheme "ftp" is none of grpc, grpcs, http, https, tcp, tls`},
		{target: "http://me:secret@h/", fails: "no user and no password"},
		{target: "http:///x", fails: "no host"},
		{target: "http://h:99999/", fails: "not a number from 1 to 65535"},
		{target: "tcp://h", fails: "no port"},
		{target: "tcp://h:1/x", fails: "has no path"},
		{target: "http://h/%zz", fails: "not one"},
		{target: "http://me:secret@h:x/", fails: "not one"},
		{target: "http://h/?a b", fails: "%20"},
		{target: "http://me:secret#ret@h/", fails: "%23"},
		{target: "http://me:secret?ret@h/", fails: "%23"},
		{target: "http://me:secret/ret@h/", fails: "%23"},
		{target: "http://me:secret%zz@h/", fails: "%23"},
		{target: "http://bücher.example/ä", want: "http://xn--bcher-kva.example/%C3%A4"},
		{target: "http://BÜCHER.example", want: "http://xn--bcher-kva.example"},
		{target: "http://a\u00adb\u2260.example/", fails: "no name of a host"},
		{target: "", fails: "the URL is empty"},
		{target: "/tmp/x", fails: "did you mean http://HOST:PORT/tmp/x?"},
	} {
		got, err := explain.Parse(c.target)
		if c.fails == "" && (err != nil || got != c.want) {
			t.Errorf("%s: got %s, %v; want %s", c.target, got, err, c.want)
		}
		if c.fails != "" && (err == nil || !strings.Contains(err.Error(), c.fails)) {
			t.Errorf("%s: got the error %v, want %q", c.target, err, c.fails)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error holds the password: %v", c.target, err)
		}
	}
}
