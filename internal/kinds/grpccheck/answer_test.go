package grpccheck_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"hale/internal/check"
	"hale/internal/kinds/grpccheck"
	"hale/internal/kinds/kindtest"
	"hale/internal/servertest"
)

// answer makes a handler that answers with a body and trailers.
func answer(contentType, body string, trailers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(http.StatusOK)
		_, _ = w.Write([]byte(body))
		w.(http.Flusher).Flush()
		for i := 0; i < len(trailers); i += 2 {
			w.Header().Set(http.TrailerPrefix+trailers[i], trailers[i+1])
		}
	}
}

const (
	kind   = "application/grpc"
	served = "\x00\x00\x00\x00\x02\x08\x01"
)

// TestAnswers is about what servers other than the gRPC library may send.
func TestAnswers(t *testing.T) {
	for _, test := range []struct {
		name    string
		handler http.HandlerFunc
	}{
		{"plain", answer(kind, served, "grpc-status", "0")},
		{"with the encoding named", answer(kind+"+proto", served, "grpc-status", "0", "grpc-message", "")},
		{"with other fields", answer(kind, "\x00\x00\x00\x00\x1a\x08\x00\x08\x01\x10\x96\x01\x1a\x03abc\x21abcdefgh\x2dabcd", "grpc-status", "0")},
	} {
		t.Run(test.name, func(t *testing.T) { expectServing(t, run(t, "grpc://"+serveHTTP2(t, test.handler))) })
	}
}

func TestWrongAnswers(t *testing.T) {
	onlyHeaders := func(pairs ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			for i := 0; i < len(pairs); i += 2 {
				w.Header().Set(pairs[i], pairs[i+1])
			}
		}
	}
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	for _, test := range []struct {
		name    string
		handler http.HandlerFunc
		reason  check.Reason
		text    string
	}{
		{"only trailers", onlyHeaders("grpc-status", "14", "grpc-message", "gone %C3%A0 la carte"), check.ReasonStatus, "is not available, or what is behind it is not (UNAVAILABLE: gone à la carte)"},
		{"only trailers, OK", onlyHeaders("grpc-status", "0"), check.ReasonProtocol, "the answer has the status OK and no message"},
		{"no body", answer(kind, "", "grpc-status", "0"), check.ReasonProtocol, "the answer has the status OK and no message"},
		{"no status", answer(kind, served), check.ReasonProtocol, "the answer ends without a status of gRPC; see what is in front of the server"},
		{"no status, no body", onlyHeaders(), check.ReasonProtocol, "the answer ends without a status of gRPC"},
		{"wrong status", answer(kind, served, "grpc-status", "x"), check.ReasonProtocol, `ends the call with the status "x", which is not one of gRPC`},
		{"status after a message", answer(kind, served, "grpc-status", "13"), check.ReasonStatus, "has a fault of its own (INTERNAL)"},
		{"badly escaped", onlyHeaders("grpc-status", "13", "grpc-message", "100%"), check.ReasonStatus, "(INTERNAL: 100%)"},
		{"empty message", answer(kind, "\x00\x00\x00\x00\x00", "grpc-status", "0"), check.ReasonStatus, "the server is UNKNOWN"},
		{"another status", answer(kind, "\x00\x00\x00\x00\x02\x08\x09", "grpc-status", "0"), check.ReasonProtocol, "answers with the status 9, which the health service does not have"},
		{"compressed", answer(kind, "\x01\x00\x00\x00\x02\x08\x01", "grpc-status", "0"), check.ReasonProtocol, "the answer is compressed"},
		{"short message", answer(kind, "\x00\x00\x00\x00\x05\x08\x01", "grpc-status", "0"), check.ReasonProtocol, "the answer of 7 bytes is not one message of gRPC"},
		{"two messages", answer(kind, served+served, "grpc-status", "0"), check.ReasonProtocol, "the answer of 14 bytes is not one message of gRPC"},
		{"broken prefix", answer(kind, "\x00\x00", "grpc-status", "0"), check.ReasonProtocol, "the answer of 2 bytes is not one message of gRPC"},
		{"broken tag", answer(kind, "\x00\x00\x00\x00\x01\xff", "grpc-status", "0"), check.ReasonProtocol, "its answer is not a message of protocol buffers"},
		{"broken number", answer(kind, "\x00\x00\x00\x00\x02\x08\xff", "grpc-status", "0"), check.ReasonProtocol, "its answer is not a message of protocol buffers"},
		{"broken text", answer(kind, "\x00\x00\x00\x00\x03\x12\x05a", "grpc-status", "0"), check.ReasonProtocol, "its answer is not a message of protocol buffers"},
		{"huge text", answer(kind, "\x00\x00\x00\x00\x0b\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "grpc-status", "0"), check.ReasonProtocol, "its answer is not"},
		{"wrong type", answer(kind, "\x00\x00\x00\x00\x01\x0f", "grpc-status", "0"), check.ReasonProtocol, "its answer is not a message of protocol buffers"},
		{"long message", answer(kind, strings.Repeat("x", 5000), "grpc-status", "0"), check.ReasonProtocol, "the answer has more than 4096 bytes, which is not the health service's"},
		{"a page", answer("text/html", "<p>hello"), check.ReasonProtocol, `speaks HTTP/2 but not gRPC: its answer is of the type "text/html"`},
		{"gRPC for browsers", answer("application/grpc-web", served), check.ReasonProtocol, `its answer is of the type "application/grpc-web"`},
		{"no page", status(404), check.ReasonStatus, "answers with the HTTP status 404 Not Found; a gRPC server answers every call with 200: see what is in front of it"},
		{"bad gateway", status(502), check.ReasonStatus, "answers with the HTTP status 502 Bad Gateway"},
		{"odd", status(599), check.ReasonStatus, "answers with the HTTP status 599;"},
		{"unauthorized", status(401), check.ReasonAuth, "answers with the HTTP status 401 Unauthorized"},
		{"forbidden", status(403), check.ReasonPermission, "answers with the HTTP status 403 Forbidden"},
		{"aborted", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, check.ReasonProtocol, "stream error: "},
		{"huge headers", onlyHeaders("grpc-status", "0", "x", strings.Repeat("y", 80<<10)), check.ReasonProtocol, "connection error: "},
	} {
		t.Run(test.name, func(t *testing.T) {
			url := "grpc://" + serveHTTP2(t, test.handler)
			kindtest.ExpectLeavesNothing(t)
			result := run(t, url)
			expectFailure(t, result, test.reason, test.text)
			if !strings.HasPrefix(result.Text(), url+": ") || strings.Count(result.Text(), url) != 1 {
				t.Errorf("%q does not name the target once, at its beginning", result.Text())
			}
		})
	}
}

// TestEndless is about answers without end, which are not waited for, and those
// that stop in the middle, which are until the time is up.
func TestEndless(t *testing.T) {
	for name, test := range map[string]struct {
		handler http.HandlerFunc
		reason  check.Reason
	}{
		"body": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			for {
				if _, err := fmt.Fprint(w, strings.Repeat("x", 1<<10)); err != nil {
					return
				}
			}
		}, check.ReasonProtocol},
		"no end": {func(w http.ResponseWriter, r *http.Request) {
			answer(kind, served)(w, r)
			<-r.Context().Done()
		}, check.ReasonTimeout},
		"no headers": {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, check.ReasonTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			c := kindtest.Build(t, grpccheck.Kind(), "grpc://"+serveHTTP2(t, test.handler))
			kindtest.ExpectLeavesNothing(t)
			kindtest.ExpectReason(t, kindtest.Run(t, t.Context(), c), test.reason)
		})
	}
}

// TestNotHTTP2 is about nginx, which speaks HTTP/1 on its port.
func TestNotHTTP2(t *testing.T) {
	web := servertest.Nginx(t, "return 200;")
	url := "grpc://" + web.Addr
	expectFailure(t, run(t, url), check.ReasonProtocol, url+": speaks HTTP/1, and gRPC needs HTTP/2; see whether the port is right, and whether it wants TLS")

	// Redis answers a request that it takes for one of another protocol with an
	// error, and some servers for HTTP/1 answer HTTP/2 with a page and no head.
	redis := servertest.Redis(t)
	url = "grpc://" + redis.Addr
	expectFailure(t, run(t, url), check.ReasonProtocol, url+`: does not speak HTTP/2, which gRPC needs: its answer begins with "-ERR `)
	page, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer page.Close()
	go func() {
		for {
			conn, err := page.Accept()
			if err != nil {
				return
			}
			// First what HTTP/2 begins with, then the page until the other side ends.
			_, _ = io.ReadFull(conn, make([]byte, len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")))
			_, _ = conn.Write([]byte("<!DOCTYPE HTML>\n<html><title>Error 505"))
			_, _ = io.Copy(io.Discard, conn)
			_ = conn.Close()
		}
	}()
	url = "grpc://" + page.Addr().String()
	expectFailure(t, run(t, url), check.ReasonProtocol, url+`: does not speak HTTP/2, which gRPC needs: its answer begins with "<!DOCTYPE HTML>\n<htm"`)

	// One server refuses in the handshake, the other does not know of ALPN.
	certs := servertest.NewCerts(t, time.Hour, "127.0.0.1")
	port := servertest.FreePort(t)
	servertest.Nginx(t, fmt.Sprintf("listen 127.0.0.1:%d ssl; ssl_certificate %s; ssl_certificate_key %s; return 200;", port, certs.Cert, certs.Key))
	without := httptest.NewUnstartedServer(http.NotFoundHandler())
	without.Listener = tls.NewListener(without.Listener, serverTLS(t, certs, false))
	without.Start()
	defer without.Close()
	for _, address := range []string{check.Address("127.0.0.1", port), without.Listener.Addr().String()} {
		url := "grpcs://" + address
		expectFailure(t, run(t, url+"?ca="+certs.CA), check.ReasonTLS, url+": speaks TLS and does not agree to HTTP/2 (ALPN h2), which gRPC needs; see what is in front of the server")
	}
}
