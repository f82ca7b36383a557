package server

import (
	"bufio"
	"bytes"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestParseHead(t *testing.T) {
	type want struct {
		method, path, query, accept string
		persistent, bare, expects   bool
		body                        bool
		length                      int64
	}
	get := want{method: "GET", path: "/", persistent: true}
	with := func(w want, change func(*want)) want { change(&w); return w }
	for _, tt := range []struct {
		name, in string
		want     want
	}{
		{"HTTP/1.1", "GET / HTTP/1.1\r\n\r\n", get},
		{"HTTP/1.0", "GET / HTTP/1.0\r\n\r\n", with(get, func(w *want) { w.persistent = false })},
		{"HTTP/1.7", "GET / HTTP/1.7\r\n\r\n", get},
		{"no version", "GET /\r\n", with(get, func(w *want) { w.persistent, w.bare = false, true })},
		{"no version, a space", "GET /x \n", with(get, func(w *want) { w.path, w.persistent, w.bare = "/x", false, true })},
		{"line feeds", "GET / HTTP/1.1\nAccept: a\n\n", with(get, func(w *want) { w.accept = "a" })},
		{"mixed line ends", "GET / HTTP/1.1\r\nAccept: a\n\r\n", with(get, func(w *want) { w.accept = "a" })},
		{"lower case method", "get / HTTP/1.1\r\n\r\n", with(get, func(w *want) { w.method = "get" })},
		{"query", "GET /a?b?c=/d HTTP/1.1\r\n\r\n", with(get, func(w *want) { w.path, w.query = "/a", "b?c=/d" })},
		{"only a query", "GET ?b HTTP/1.1\r\n\r\n", with(get, func(w *want) { w.path, w.query = "", "b" })},
		{"not decoded", "GET /%6Civez/../x//y HTTP/1.1\r\n\r\n", with(get, func(w *want) { w.path = "/%6Civez/../x//y" })},
		{"high bytes", "GET /\xff HTTP/1.1\r\n\r\n", with(get, func(w *want) { w.path = "/\xff" })},
		{"asterisk", "OPTIONS * HTTP/1.1\r\n\r\n", with(get, func(w *want) { w.method, w.path = "OPTIONS", "*" })},
		{"authority", "CONNECT a:80 HTTP/1.1\r\n\r\n", with(get, func(w *want) { w.method, w.path = "CONNECT", "a:80" })},
		{"absolute", "GET http://h:80/livez?q HTTP/1.1\r\n\r\n", with(get, func(w *want) { w.path, w.query = "/livez", "q" })},
		{"absolute https", "GET HTTPS://h/livez HTTP/1.1\r\n\r\n", with(get, func(w *want) { w.path = "/livez" })},
		{"absolute without path", "GET http://h HTTP/1.1\r\n\r\n", get},
		{"absolute with a query only", "GET http://h?q HTTP/1.1\r\n\r\n", with(get, func(w *want) { w.query = "q" })},
		{"another scheme", "GET ftp://h/livez HTTP/1.1\r\n\r\n", with(get, func(w *want) { w.path = "ftp://h/livez" })},
		{"close", "GET / HTTP/1.1\r\nConnection: Close\r\n\r\n", with(get, func(w *want) { w.persistent = false })},
		{"close in a list", "GET / HTTP/1.1\r\nconnection: te ,close,x\r\n\r\n", with(get, func(w *want) { w.persistent = false })},
		{"close later", "GET / HTTP/1.1\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n", with(get, func(w *want) { w.persistent = false })},
		{"no close", "GET / HTTP/1.1\r\nConnection: closed\r\n\r\n", get},
		{"HTTP/1.0 keep-alive", "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", get},
		{"HTTP/1.0 keep-alive and close", "GET / HTTP/1.0\r\nConnection: Keep-Alive, close\r\n\r\n", with(get, func(w *want) { w.persistent = false })},
		{"first accept", "GET / HTTP/1.1\r\nACCEPT:\ta \r\nAccept: b\r\n\r\n", with(get, func(w *want) { w.accept = "a" })},
		{"length", "GET / HTTP/1.1\r\nContent-Length: 0012\r\n\r\n", with(get, func(w *want) { w.length, w.body = 12, true })},
		{"length 0", "GET / HTTP/1.1\r\nContent-Length: 0\r\n\r\n", get},
		{"length twice", "GET / HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n", with(get, func(w *want) { w.length, w.body = 2, true })},
		{"largest length", "GET / HTTP/1.1\r\nContent-Length: 9223372036854775799\r\n\r\n", with(get, func(w *want) { w.length, w.body = 9223372036854775799, true })},
		{"chunked", "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", with(get, func(w *want) { w.body = true })},
		{"expect", "GET / HTTP/1.1\r\nExpect: 100-continue\r\n\r\n", with(get, func(w *want) { w.expects = true })},
		{"no value", "GET / HTTP/1.1\r\nHost:\r\n\r\n", get},
		{"hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", get},
	} {
		t.Run(tt.name, func(t *testing.T) {
			const next = "GET /next HTTP/1.1\r\n"
			var h head
			n, f := parseHead([]byte(tt.in+next), &h)
			if n != len(tt.in) || f != faultNone {
				t.Fatalf("got length %d and fault %d, want %d and none", n, f, len(tt.in))
			}
			got := want{string(h.Method), string(h.Path), string(h.Query), string(h.Accept),
				h.persistent(), h.bare, h.expects, h.hasBody(), h.length}
			if got != tt.want {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
		})
	}
}

func TestParseHeadFaults(t *testing.T) {
	for in, want := range map[string]fault{
		"\x16\x03\x01":                               faultMalformed,
		" GET / HTTP/1.1\r\n":                        faultMalformed,
		"G\x00":                                      faultMalformed,
		"asdf\r\n":                                   faultMalformed,
		"GE(T / HTTP/1.1\r\n":                        faultMalformed,
		"\xe9\xe9\xe9":                               faultMalformed,
		"GET \r\n":                                   faultMalformed,
		"GET  / HTTP/1.1\r\n":                        faultMalformed,
		"GET / / HTTP/1.1\r\n":                       faultMalformed,
		"GET /\x00 HTTP/1.1\n":                       faultMalformed,
		"GET /\x7f HTTP/1.1\n":                       faultMalformed,
		"GET /\rx HTTP/1.1\n":                        faultMalformed,
		"GET x\r\n":                                  faultMalformed,
		"HELO mail\r\n":                              faultMalformed,
		"GET / HTTP/1.1x\r\n":                        faultMalformed,
		"GET / HTTP/11\r\n":                          faultMalformed,
		"GET / http/1.1\r\n":                         faultMalformed,
		"GET / HTTP/x.1\r\n":                         faultMalformed,
		"GET / HTTP/1.x\r\n":                         faultMalformed,
		"PRI * HTTP/2.0\r\n":                         faultVersion,
		"GET / HTTP/0.9\r\n":                         faultVersion,
		"GET / HTTP/3.7\r\n":                         faultVersion,
		"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\n":         faultMalformed,
		strings.Repeat("A", maxMethod+1):             faultMalformed,
		"GET / HTTP/1.1\r\nno colon\r\n":             faultMalformed,
		"GET / HTTP/1.1\r\n: no name\r\n":            faultMalformed,
		"GET / HTTP/1.1\r\nHost : a\r\n":             faultMalformed,
		"GET / HTTP/1.1\r\nX: a\r\n folded\r\n":      faultMalformed,
		"GET / HTTP/1.1\r\nX: a\x00b\r\n":            faultMalformed,
		"GET / HTTP/1.1\r\nX: a\rb\r\n":              faultMalformed,
		"GET / HTTP/1.1\r\nContent-Length:\r\n":      faultMalformed,
		"GET / HTTP/1.1\r\nContent-Length: -1\r\n":   faultMalformed,
		"GET / HTTP/1.1\r\nContent-Length: +1\r\n":   faultMalformed,
		"GET / HTTP/1.1\r\nContent-Length: 1, 1\r\n": faultMalformed,
		"GET / HTTP/1.1\r\nContent-Length: 0x1\r\n":  faultMalformed,
		"GET / HTTP/1.1\r\nContent-Length: 9223372036854775808\r\n":             faultMalformed,
		"GET / HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n":         faultMalformed,
		"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n":          faultMalformed,
		"GET / HTTP/1.1\r\nContent-Length: 0\r\nHost: a\r\nContent-Length: 2\n": faultMalformed,
	} {
		var h head
		if _, got := parseHead([]byte(in), &h); got != want {
			t.Errorf("%q: got fault %d, want %d", in, got, want)
		}
		// It is seen when the last line is there, and not before.
		short := in[:len(in)-1]
		if n, f := parseHead([]byte(short), &h); strings.HasSuffix(in, "\n") && strings.Contains(short, " ") &&
			in[0] == 'G' && in[1] == 'E' && in[2] == 'T' && (n != 0 || f != faultNone) {
			t.Errorf("%q: got length %d and fault %d before the line's end", short, n, f)
		}
	}
}

// seeds are beginnings of what checkers and others send.
var seeds = []string{
	"GET / HTTP/1.1\r\nHost: 10.0.0.1:25419\r\nConnection: close\r\nUser-Agent: ELB-HealthChecker/2.0\r\n\r\n",
	"GET /healthz HTTP/1.1\r\nHost: 10.1.2.3:80\r\nUser-Agent: kube-probe/1.31\r\nAccept: */*\r\nConnection: close\r\n\r\n",
	"GET / HTTP/1.1\r\nUser-Agent: GoogleHC/1.0\r\nConnection: Keep-alive\r\n\r\n",
	"OPTIONS / HTTP/1.0\r\n\r\n",
	"GET /\r\n\r\n",
	"GET / HTTP/1.0\n\n",
	"HEAD http://x/y?z HTTP/1.1\r\nHost: x\r\nAccept: text/plain, text/*, */*\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
	"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
	"GET / HTTP/1.0\r\nConnection: te, Keep-Alive\r\n\r\n",
	"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\nGET / HTTP/1.1\r\n\r\n",
	"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
	"OPTIONS * HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n",
}

// FuzzParseHead: never a panic; a head is found when its last byte is there,
// not before, and whatever follows; and what net/http understands is understood
// in the same way.
func FuzzParseHead(f *testing.F) {
	for _, seed := range seeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) > MaxHead {
			in = in[:MaxHead]
		}
		var h head
		n, fault := parseHead(in, &h)
		if n < 0 || n > len(in) {
			t.Fatalf("length %d of %d", n, len(in))
		}
		if fault == faultNone && n > 0 {
			checkPrefixes(t, in, n)
		}
		compare(t, in, n, fault, &h)
	})
}

// checkPrefixes checks that a head of n bytes is found with its last byte and
// stays what it is whatever follows.
func checkPrefixes(t *testing.T, in []byte, n int) {
	var h head
	if m, f := parseHead(in[:n], &h); m != n || f != faultNone {
		t.Fatalf("alone it has length %d and fault %d, with what follows %d", m, f, n)
	}
	for k := max(0, n-64); k < n; k++ {
		if m, f := parseHead(in[:k], &h); m != 0 || f != faultNone {
			t.Fatalf("%d of %d bytes have length %d and fault %d", k, n, m, f)
		}
	}
}

// compare compares with net/http what it understands of in.
func compare(t *testing.T, in []byte, n int, f fault, h *head) {
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(in)))
	if err != nil || r.ProtoMajor != 1 {
		return
	}
	if f != faultNone && forgiven(in, r.Header) {
		return
	}
	if f != faultNone || n == 0 {
		t.Fatalf("net/http understands it; got length %d and fault %d", n, f)
	}
	if got, want := string(h.Method), r.Method; got != want {
		t.Errorf("method: got %q, want %q", got, want)
	}
	if got, want := h.persistent(), !r.Close; got != want {
		t.Errorf("persistent: got %v, want %v", got, want)
	}
	if got, want := h.encoded, len(r.TransferEncoding) > 0; got != want && r.ProtoMinor > 0 {
		t.Errorf("encoded: got %v, want %v", got, want)
	}
	if want := r.ContentLength; want >= 0 && !h.encoded && h.length != want {
		t.Errorf("length: got %d, want %d", h.length, want)
	}
	if r.Method != "CONNECT" && (r.RequestURI[0] == '/' || r.URL.Host != "" && strings.HasPrefix(r.URL.Scheme, "http")) {
		path, err := url.PathUnescape(string(h.Path))
		if want := r.URL.Path; err != nil || path != want && !(path == "/" && want == "") {
			t.Errorf("path: got %q and %v, want %q", path, err, want)
		}
		if got, want := string(h.Query), r.URL.RawQuery; got != want {
			t.Errorf("query: got %q, want %q", got, want)
		}
	}
}

// forgiven reports whether ReadRequest understands something that net/http's
// server goes on to refuse, or that RFC 9112 tells a server to refuse: field
// names that are no tokens, folded lines, bare carriage returns and NULs.
func forgiven(in []byte, fields http.Header) bool {
	for name := range fields {
		if strings.ContainsFunc(name, func(r rune) bool { return r > 0x7f || !isToken(byte(r)) }) {
			return true
		}
	}
	in = bytes.ReplaceAll(in, []byte("\r\n"), []byte("\n"))
	return bytes.ContainsAny(in, "\r\x00") || bytes.Contains(in, []byte("\n ")) || bytes.Contains(in, []byte("\n\t"))
}
