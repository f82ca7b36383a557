package server

import (
	"context"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// HTTP/2 is net/http's: its framing leaves no room for the liberties that
// HTTP/1.x checkers take, and its server withstands the known floods. Of
// net/http's server nothing else is used; connections come to it one by one,
// after their first bytes were looked at.

const (
	// maxStreams is how many requests a client may have under way on a
	// connection.
	maxStreams = 64
	// pingAfter is how long a client of a Watch may be silent before it is
	// asked whether it is still there, and pingWait how long it may take to say
	// so.
	pingAfter, pingWait = 30 * time.Second, 15 * time.Second
)

// An http2Side serves the HTTP/2 connections of a lane. It costs nothing until
// the first one comes.
type http2Side struct {
	server        *http.Server
	handed        chan net.Conn
	mu            sync.Mutex
	started, shut bool
	closed        chan struct{} // closed with the listener that it is to server
	closing       sync.Once
	finished      chan struct{} // closed when server.Serve has returned
}

func newHTTP2Side(work context.Context, s *Server) *http2Side {
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	return &http2Side{
		handed: make(chan net.Conn), closed: make(chan struct{}), finished: make(chan struct{}),
		server: &http.Server{
			Handler:                      http.HandlerFunc(s.serveStream),
			Protocols:                    &protocols,
			DisableGeneralOptionsHandler: true,
			IdleTimeout:                  s.idleTimeout,
			MaxHeaderBytes:               MaxHead,
			ErrorLog:                     log.New(io.Discard, "", 0), // nothing is logged for a request
			BaseContext:                  func(net.Listener) context.Context { return work },
			ConnContext: func(ctx context.Context, c net.Conn) context.Context {
				return context.WithValue(ctx, connKey{}, c.(*handedConn).conn)
			},
			HTTP2: &http.HTTP2Config{
				MaxConcurrentStreams:          maxStreams,
				MaxReadFrameSize:              16 << 10,
				MaxReceiveBufferPerConnection: 64 << 10,
				MaxReceiveBufferPerStream:     64 << 10,
				SendPingTimeout:               pingAfter,
				PingTimeout:                   pingWait,
				WriteByteTimeout:              s.writeTimeout,
			},
		},
	}
}

// connKey is the key of a stream's *conn in its context.
type connKey struct{}

// A handedConn is a connection that net/http serves.
type handedConn struct {
	replayed
	conn   *conn
	once   sync.Once
	closed chan struct{}
}

// Close closes it, once.
func (h *handedConn) Close() error {
	err := h.Conn.Close()
	h.once.Do(func() { close(h.closed) })
	return err
}

// serveHTTP2 serves HTTP/2 until the connection ends.
func (c *conn) serveHTTP2() {
	h := &handedConn{replayed: replayed{Conn: c.over, bytes: c.in.take()}, conn: c, closed: make(chan struct{})}
	c.streams.handed.Store(true)
	if c.lane.http2.serve(h) {
		<-h.closed
	}
}

// serve hands a connection over. It reports false if the side has ended.
func (x *http2Side) serve(h *handedConn) bool {
	x.mu.Lock()
	if !x.started && !x.shut {
		x.started = true
		go func() {
			defer close(x.finished)
			x.server.Serve(x) // ends with an error that says that it was ended
		}()
	}
	shut := x.shut
	x.mu.Unlock()
	if shut {
		return false
	}
	select {
	case x.handed <- h:
		return true
	case <-x.closed:
		return false
	}
}

// end tells all clients that the server goes away. The function that it returns
// ends what is left, and waits for it.
func (x *http2Side) end() (cut func()) {
	x.mu.Lock()
	x.shut = true
	started := x.started
	x.mu.Unlock()
	x.Close()
	if !started {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		x.server.Shutdown(ctx)
	}()
	return func() {
		cancel()
		<-done
		x.server.Close()
		<-x.finished
	}
}

// The methods of net.Listener, for net/http.

// Accept waits for a connection that is handed over.
func (x *http2Side) Accept() (net.Conn, error) {
	select {
	case c := <-x.handed:
		return c, nil
	case <-x.closed:
		return nil, net.ErrClosed
	}
}

// Close makes Accept fail.
func (x *http2Side) Close() error {
	x.closing.Do(func() { close(x.closed) })
	return nil
}

// Addr is no address that anything could be sent to.
func (x *http2Side) Addr() net.Addr { return &net.TCPAddr{} }

// streams are the requests under way on an HTTP/2 connection. The roster sees
// one connection: it is busy while a Handler is at work for any of them.
type streams struct {
	handed atomic.Bool // net/http has the connection
	mu     sync.Mutex
	busy   int
}

// begin marks the connection busy; false if it has been evicted.
func (c *conn) begin() bool {
	c.streams.mu.Lock()
	defer c.streams.mu.Unlock()
	if c.streams.busy == 0 && !c.place.begin() {
		return false
	}
	c.streams.busy++
	return true
}

// done undoes begin.
func (c *conn) done() {
	c.streams.mu.Lock()
	defer c.streams.mu.Unlock()
	if c.streams.busy--; c.streams.busy == 0 {
		c.place.done(c.server.now())
	}
}

// work runs answer while the connection counts as busy. One that has been
// evicted ends here.
func (c *conn) work(answer func()) {
	if !c.begin() {
		panic(http.ErrAbortHandler)
	}
	defer c.done()
	answer()
}

// serveStream answers a request that came over HTTP/2.
func (s *Server) serveStream(w http.ResponseWriter, r *http.Request) {
	defer func() {
		if value := recover(); value != nil {
			if value != http.ErrAbortHandler {
				s.log.Error("answering failed; the stream was reset", "panic", value, "stack", string(debug.Stack()))
			}
			panic(http.ErrAbortHandler)
		}
	}()
	c := r.Context().Value(connKey{}).(*conn)
	request := Request{Method: []byte(r.Method)}
	request.Path, request.Query = splitTarget([]byte(r.RequestURI))
	if accept := r.Header.Get("Accept"); accept != "" {
		request.Accept = []byte(accept)
	}
	if isGRPC(r) {
		call := &grpcCall{server: s, conn: c, w: w, r: r, control: http.NewResponseController(w)}
		call.serve(&request)
		return
	}
	var response *Response
	c.work(func() { response = s.respond(r.Context(), &request) })
	maps.Copy(w.Header(), response.header)
	control := http.NewResponseController(w)
	control.SetWriteDeadline(time.Now().Add(s.writeTimeout))
	w.WriteHeader(response.status)
	if r.Method != http.MethodHead {
		io.WriteString(w, response.body)
	}
	s.onAnswer(response.status)
	// To return resets the stream if its body has not been read. RFC 9113,
	// section 8.1, allows that, but some clients forget the answer then (curl
	// 7.88). So a small body is waited for a little, after the answer.
	if 0 < r.ContentLength && r.ContentLength <= maxBody && control.Flush() == nil {
		control.SetReadDeadline(time.Now().Add(min(lingerTime, s.headTimeout)))
		io.Copy(io.Discard, r.Body)
	}
}
