package httpcheck_test

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"hale/internal/check"
	"hale/internal/kinds/httpcheck"
	"hale/internal/kinds/kindtest"
	"hale/internal/servertest"
)

// TestContract runs the shared contract over every way of speaking HTTP.
func TestContract(t *testing.T) {
	for name, at := range map[string]struct {
		kind check.Kind
		url  func(address string) string
	}{
		"http":            {httpcheck.Kind(), func(a string) string { return "http://" + a + "/" }},
		"http follow":     {httpcheck.Kind(), func(a string) string { return "http://" + a + "/#follow=3&body=ready" }},
		"http keepalive":  {httpcheck.Kind(), func(a string) string { return "http://" + a + "/#keepalive" }},
		"http h2c":        {httpcheck.Kind(), func(a string) string { return "http://" + a + "/#version=h2c" }},
		"http proxy":      {httpcheck.Kind(), func(a string) string { return "http://app.example/#proxy=http://" + a }},
		"http socks":      {httpcheck.Kind(), func(a string) string { return "http://app.example/#proxy=socks5://" + a }},
		"https":           {httpcheck.KindTLS(), func(a string) string { return "https://" + a + "/" }},
		"https 1.1":       {httpcheck.KindTLS(), func(a string) string { return "https://" + a + "/#version=1.1" }},
		"https keepalive": {httpcheck.KindTLS(), func(a string) string { return "https://" + a + "/#keepalive" }},
		"https proxy":     {httpcheck.KindTLS(), func(a string) string { return "https://app.example/#proxy=http://" + a }},
	} {
		t.Run(name, func(t *testing.T) {
			kindtest.Network{Kind: at.kind, URL: at.url}.Run(t)
		})
	}
}

// TestHangs is about servers that begin well and then fall silent: the run
// ends in time all the same and leaves nothing.
func TestHangs(t *testing.T) {
	hanging := func(start string) func(net.Conn) {
		return func(conn net.Conn) {
			readRequest(conn)
			_, _ = conn.Write([]byte(start))
			_, _ = io.Copy(io.Discard, conn)
		}
	}
	silent := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	headers := hanging("HTTP/1.1 200 OK\r\nContent-")
	body := hanging("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nready")
	for name, url := range map[string]string{
		"in the headers":          "http://" + servertest.Peer(t, headers) + "/#",
		"after interim":           "http://" + servertest.Peer(t, hanging("HTTP/1.1 100 Continue\r\n\r\n")) + "/#",
		"in the body":             "http://" + servertest.Peer(t, body) + "/#",
		"in the body to match":    "http://" + servertest.Peer(t, body) + "/#body=x",
		"in a redirect's body":    "http://" + servertest.Peer(t, hanging("HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 10\r\n\r\n")) + "/#follow=1&keepalive",
		"in a failure's body":     "http://" + servertest.Peer(t, hanging("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 10\r\n\r\n")) + "/#",
		"over TLS":                tlsServer(t, &tls.Config{}, headers) + "/#insecure",
		"over TLS in the body":    tlsServer(t, &tls.Config{}, body) + "/#insecure",
		"over HTTP/2":             goServer(t, silent, nil) + "/#version=h2c",
		"over HTTP/2 with TLS":    goServer(t, silent, serverTLS(t)) + "/#insecure",
		"kept":                    "http://" + servertest.Peer(t, headers) + "/#keepalive",
		"behind a proxy":          "http://app.example/#proxy=http://" + servertest.Peer(t, headers),
		"behind a CONNECT":        "https://app.example/#proxy=http://" + servertest.Peer(t, headers),
		"behind a tunnel":         "https://app.example/#proxy=http://" + servertest.Peer(t, hanging("HTTP/1.1 200 OK\r\n\r\n")),
		"behind a SOCKS proxy":    "https://app.example/#proxy=socks5://" + servertest.Peer(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }),
		"HTTP/2 without settings": "http://" + servertest.Peer(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }) + "/#version=h2c",
	} {
		t.Run(name, func(t *testing.T) {
			kind := httpcheck.Kind()
			if strings.HasPrefix(url, "https") {
				kind = httpcheck.KindTLS()
			}
			c := kindtest.Build(t, kind, url)
			kindtest.ExpectLeavesNothing(t)
			result := kindtest.Run(t, t.Context(), c)
			kindtest.ExpectReason(t, result, check.ReasonTimeout)
		})
	}
}

// serverTLS is what a TLS server needs.
func serverTLS(t *testing.T) *tls.Config {
	t.Helper()
	certs := servertest.NewCerts(t, time.Hour, "app.example", "127.0.0.1")
	pair, err := tls.LoadX509KeyPair(certs.Cert, certs.Key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}}
}
