package explain

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"slices"
	"time"

	"hale/internal/balancer"
)

// A question is one exchange: where to connect, what to send, how long to wait.
// Equal questions are asked once; see player.ask.
type question struct {
	addr  netip.AddrPort
	proxy bool // a PROXY protocol header comes first
	tls   bool
	sni   string
	speak balancer.Protocol
	// send are the bytes of HTTP/1.x; of HTTP/2 and gRPC it is the path, and
	// host and agent stand in fields of their own.
	send, method, host, agent string
	// service is whose health gRPC is asked for; "" is the server's.
	service string
	// modern has TLS done as Go's own clients do it.
	modern bool
	wait   time.Duration // for all of it
	// connect bounds the connection, and body the reading of the body after the
	// head; 0 is as long as wait.
	connect, body time.Duration
}

// key is what makes questions equal: all but how long is waited.
func (q question) key() question {
	q.wait, q.connect, q.body = 0, 0, 0
	return q
}

// answeredBy reports whether an answer to an equal question is one to this: it
// was not given up earlier than this would be.
func (q question) answeredBy(a *answer) bool {
	if a == nil || a.stage == atEnd || !isTimeout(a.err) {
		return a != nil
	}
	took, wait := a.took, q.wait
	switch {
	case a.stage == atConnect && q.connect > 0:
		wait = min(wait, q.connect)
	case a.stage == atBody && q.body > 0:
		took, wait = a.took-a.headed, q.body
	}
	return took >= wait-slack
}

// A stage is how far an exchange came.
type stage int

const (
	atConnect stage = iota
	atTLS
	atRequest // sent, and no whole head came
	atBody    // a head came, and its body did not end
	atEnd
)

// An answer is what became of a question. It has an error unless it is at the
// end.
type answer struct {
	stage stage
	err   error
	start time.Time
	// How long after the start the connection and TLS stood, the head was whole,
	// and all of it.
	connected, secured, headed, took time.Duration
	state                            *tls.ConnectionState
	// wantsCert is true if the server asked for a client certificate.
	wantsCert bool
	// first are the first bytes that came, for what is no HTTP.
	first []byte
	http  *response // nil unless a head came
	grpc  *grpcAnswer
}

// status is the answer's; 0 if there is none.
func (a *answer) status() int {
	if a == nil || a.http == nil {
		return 0
	}
	return a.http.status
}

// silent reports whether the connection was made and not one byte came in time.
func (a *answer) silent() bool {
	return a.stage == atRequest && len(a.first) == 0 && isTimeout(a.err)
}

// within is the answer as one sees it who waits so long and no longer, and for
// the body's end too if ends is true. An answer that others waited for may be
// too late for this one.
func (a *answer) within(w balancer.Wait, ends bool) *answer {
	late := func(at stage, took time.Duration) *answer {
		return &answer{stage: at, err: context.DeadlineExceeded, start: a.start, connected: min(a.connected, took), secured: min(a.secured, took), took: took, wantsCert: a.wantsCert}
	}
	connect, head := w.All, w.All
	if w.All == 0 {
		connect, head = w.Connect, a.connected+w.Status
	}
	headed := a.headed
	if a.http == nil {
		headed = a.took
	}
	switch {
	case a.connected > connect:
		return late(atConnect, connect)
	case a.stage >= atTLS && a.secured > head, a.stage == atTLS && a.took > head:
		return late(atTLS, head)
	case a.stage >= atRequest && (a.http != nil || a.stage == atRequest) && headed > head:
		seen := late(atRequest, head)
		seen.first, seen.state = a.first, a.state
		if a.http != nil {
			seen.first = nil // what was there of the head by then is not known
		}
		return seen
	case ends && a.http != nil && w.All > 0 && a.took > w.All:
		seen := *a
		seen.stage, seen.err, seen.took = atBody, context.DeadlineExceeded, w.All
		return &seen
	}
	return a
}

// exchange asks a question. It returns when it is answered, when its time is up
// or ctx ends, and leaves no connection behind.
func exchange(ctx context.Context, q question, from netip.Addr) *answer {
	ctx, cancel := context.WithTimeout(ctx, q.wait)
	defer cancel()
	a := &answer{start: time.Now()}
	defer func() { a.took = time.Since(a.start) }()

	d := net.Dialer{Timeout: q.connect}
	d.SetMultipathTCP(false)
	if from.IsValid() && from.Unmap().Is4() == q.addr.Addr().Unmap().Is4() {
		d.LocalAddr = &net.TCPAddr{IP: from.AsSlice()}
	}
	conn, err := d.DialContext(ctx, "tcp", q.addr.String())
	a.connected = time.Since(a.start)
	if err != nil {
		a.err = err
		return a
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()

	if q.proxy {
		// What fails here shows in the reading.
		conn.Write(balancer.ProxyLocal())
	}
	if q.tls {
		a.stage = atTLS
		secured, err := handshake(ctx, conn, q, a)
		a.secured = time.Since(a.start)
		if err != nil {
			a.err = err
			return a
		}
		// The raw connection is closed as it is: no close_notify may block.
		conn = secured
	}
	switch {
	case q.speak == balancer.TCP || q.speak == balancer.SSL:
		a.stage = atEnd
	case q.speak == balancer.HTTP2 || q.speak == balancer.GRPC:
		talk2(conn, q, a)
	default:
		talk(conn, q, a)
	}
	return a
}

// handshake does TLS. Nothing is verified here, so that what is wrong with a
// certificate can be told; and all that Go can do is offered, as most balancers
// take servers that are older than Go's own clients do.
func handshake(ctx context.Context, conn net.Conn, q question, a *answer) (net.Conn, error) {
	config := &tls.Config{
		InsecureSkipVerify: true,
		ServerName:         q.sni,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			a.wantsCert = true
			return &tls.Certificate{}, nil
		},
	}
	if !q.modern {
		config.MinVersion = tls.VersionTLS10
		for _, suite := range slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites()) {
			config.CipherSuites = append(config.CipherSuites, suite.ID)
		}
	}
	if q.speak == balancer.HTTP2 || q.speak == balancer.GRPC {
		config.NextProtos = []string{"h2"}
	}
	secured := tls.Client(conn, config)
	err := secured.HandshakeContext(ctx)
	state := secured.ConnectionState()
	if len(state.PeerCertificates) > 0 {
		a.state = &state
	}
	return secured, err
}

// talk sends HTTP/1.x and reads the answer.
func talk(conn net.Conn, q question, a *answer) {
	a.stage = atRequest
	_, writeErr := conn.Write([]byte(q.send))
	kept := &keeper{conn: conn}
	stop := func() bool { return true }
	a.http, a.err = readResponse(bufio.NewReader(kept), q.method, q.speak == balancer.HTTP09, func() {
		a.headed = time.Since(a.start)
		if q.body > 0 {
			// Like the end of the whole time, this only ever sets a time that
			// is past, so neither undoes the other.
			stop = time.AfterFunc(q.body, func() { conn.SetDeadline(time.Unix(1, 0)) }).Stop
		}
	})
	stop()
	a.first = kept.first.Bytes()
	switch {
	case a.http == nil && len(a.first) == 0 && a.err != nil && writeErr != nil:
		a.err = writeErr
	case a.http != nil && a.err != nil:
		a.stage = atBody
	case a.http != nil:
		a.stage = atEnd
	}
}

// A keeper keeps the first bytes that are read from a connection.
type keeper struct {
	conn  net.Conn
	first bytes.Buffer
}

// kept is how many bytes a keeper keeps.
const kept = 512

func (k *keeper) Read(p []byte) (int, error) {
	n, err := k.conn.Read(p)
	if room := kept - k.first.Len(); room > 0 {
		k.first.Write(p[:min(n, room)])
	}
	return n, err
}
