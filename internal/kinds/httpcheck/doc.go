// Package httpcheck is the kinds http and https: it requests a URL and judges
// the status, the body, where a redirect leads, the certificate and the time
// that the answer took.
//
// One run is one request on a connection of its own, closed before the run
// ends, plus one for every redirect that may be followed. HTTP/1.1 is written
// and read right in the run's goroutine: a check costs no goroutine of its own
// and, while it waits, little more than its connection. HTTP/2, proxies and
// connections that are kept go through [net/http.Transport].
//
// What is read of an answer is bounded: 64 KiB of headers, interim responses
// included, and 64 KiB of the body. Without a body option the body is read to
// the same bound, so that an answer that breaks off is a failure.
//
// Headers and credentials are sent to the checked server only, never to where
// a redirect leads, and no error or note holds one. The proxy settings of the
// environment count only when a check asks for them.
package httpcheck
