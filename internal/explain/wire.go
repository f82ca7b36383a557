package explain

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"net"
	"net/netip"
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
	wait    time.Duration // for all of it
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
	// How long after the start the connection and TLS stood, and all of it.
	connected, secured, took time.Duration
	state                    *tls.ConnectionState
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

// exchange asks a question. It returns when it is answered, when its time is up
// or ctx ends, and leaves no connection behind.
func exchange(ctx context.Context, q question, from netip.Addr) *answer {
	ctx, cancel := context.WithTimeout(ctx, q.wait)
	defer cancel()
	start := time.Now()
	a := &answer{}
	defer func() { a.took = time.Since(start) }()

	var d net.Dialer
	d.SetMultipathTCP(false)
	if from.IsValid() && from.Unmap().Is4() == q.addr.Addr().Unmap().Is4() {
		d.LocalAddr = &net.TCPAddr{IP: from.AsSlice()}
	}
	conn, err := d.DialContext(ctx, "tcp", q.addr.String())
	a.connected = time.Since(start)
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
		a.secured = time.Since(start)
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
// certificate can be told.
func handshake(ctx context.Context, conn net.Conn, q question, a *answer) (net.Conn, error) {
	config := &tls.Config{
		InsecureSkipVerify: true,
		ServerName:         q.sni,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			a.wantsCert = true
			return &tls.Certificate{}, nil
		},
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
	a.http, a.err = readResponse(bufio.NewReader(kept), q.method, q.speak == balancer.HTTP09)
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
