// Package server is hale's public listener: it answers load balancers,
// orchestrators and people with a verdict, and does nothing else.
//
// It speaks HTTP/1.x by hand, because what asks is often not quite HTTP: a
// request line without a version, a head with bare line feeds, a missing Host,
// a body that never comes. Whatever can be understood is answered; the rest is
// refused or dropped, and the server goes on. docs/ARCHITECTURE.md has the
// reasons for not using net/http.
//
// One goroutine serves one connection:
//
//   - open looks at its first bytes: a PROXY protocol header (proxy.go), TLS
//     (tls.go), HTTP/2, which net/http takes over (http2.go, grpc.go), or
//     HTTP/1.x, which goes on here (open.go);
//   - wire moves its bytes, without the scheduler's help where the system
//     allows it (wire_linux.go), else through net.Conn (wire.go);
//   - parseHead, a pure function, understands a request (head.go);
//   - a [Handler] chooses a [Response], which is rendered beforehand
//     (response.go); [Verdicts] is hale's own;
//   - the roster bounds how many connections there are (roster.go).
//
// An answer is never held up: not by a body, which is read after it if it is
// small and not at all if it is not, and not by other connections. When all
// places are taken, the one that has waited longest for its client makes room
// for the new one. A connection that waits for its client holds no buffer.
package server
