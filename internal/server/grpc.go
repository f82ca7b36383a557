package server

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"hale/internal/check"
	"hale/internal/verdict"
)

// gRPC, as far as health checks need it (grpc.io: the protocol over HTTP/2, and
// the health checking protocol, grpc.health.v1). Messages are so small that they
// are read and written here.
//
//   - Check and Watch of grpc.health.v1.Health: the service is a group's name,
//     "" is ready. A pass and a degraded verdict are SERVING, a failing one
//     NOT_SERVING. Check gives an unknown group as the status NOT_FOUND, Watch as
//     SERVICE_UNKNOWN.
//   - Any other method, /AWS.ALB/healthcheck among them: UNIMPLEMENTED, which is
//     what ALB takes for healthy – but only as long as the verdict of the path,
//     read like one of HTTP/1.x, does not fail. Else it is UNAVAILABLE.
//   - ALB does not look into a message. So to one that says it is
//     ELB-HealthChecker a failing Check has the status UNAVAILABLE, or accepting
//     0 would make every instance healthy.

const (
	checkMethod = "/grpc.health.v1.Health/Check"
	watchMethod = "/grpc.health.v1.Health/Watch"
	// maxMessage is the size in bytes of the largest message that is read.
	maxMessage = 4 << 10
	// drainInterval is how often a Watch looks whether the instance is draining.
	drainInterval = 250 * time.Millisecond
	// maxWatches is how many Watches a server has at a time.
	maxWatches = 1024
)

// A code is a gRPC status (google.golang.org/grpc/codes).
type code int

const (
	codeOK                code = 0
	codeInvalidArgument   code = 3
	codeDeadlineExceeded  code = 4
	codeNotFound          code = 5
	codeResourceExhausted code = 8
	codeUnimplemented     code = 12
	codeUnavailable       code = 14
)

// The statuses of grpc.health.v1.HealthCheckResponse.
const (
	serving        = 1
	notServing     = 2
	serviceUnknown = 3
)

// isGRPC reports whether a request is a gRPC call.
func isGRPC(r *http.Request) bool {
	t := r.Header.Get("Content-Type")
	rest, ok := strings.CutPrefix(t, "application/grpc")
	return ok && (rest == "" || rest[0] == '+' || rest[0] == ';')
}

// A grpcCall is a call under way.
type grpcCall struct {
	server  *Server
	conn    *conn
	w       http.ResponseWriter
	r       *http.Request
	control *http.ResponseController
	begun   bool // a message has been sent
}

// serve answers the call.
func (g *grpcCall) serve(request *Request) {
	ctx, cancel := callContext(g.r)
	defer cancel()
	v, ok := g.server.handler.(*verdicts)
	switch {
	case ok && string(request.Path) == checkMethod:
		g.check(ctx, v)
	case ok && string(request.Path) == watchMethod:
		g.watch(ctx, v)
	default:
		g.other(ctx, v, request)
	}
}

// callContext is the call's context, which ends when the client no longer
// waits. A Grpc-Timeout that can't be read is passed over.
func callContext(r *http.Request) (context.Context, context.CancelFunc) {
	text := r.Header.Get("Grpc-Timeout")
	units := map[byte]time.Duration{'H': time.Hour, 'M': time.Minute, 'S': time.Second,
		'm': time.Millisecond, 'u': time.Microsecond, 'n': time.Nanosecond}
	if n := len(text) - 1; 0 < n && n <= 8 {
		amount, err := strconv.ParseUint(text[:n], 10, 32)
		if unit := units[text[n]]; err == nil && unit > 0 && time.Duration(amount) < 1000*time.Hour/unit {
			return context.WithTimeout(r.Context(), time.Duration(amount)*unit)
		}
	}
	return context.WithCancel(r.Context())
}

// check answers Check.
func (g *grpcCall) check(ctx context.Context, v *verdicts) {
	group, c := g.readService()
	if c != codeOK {
		g.end(c, "the request is not a HealthCheckRequest that can be read", 400)
		return
	}
	var status byte
	g.conn.work(func() { status = servingOf(ctx, v, group) })
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		g.end(codeDeadlineExceeded, "the verdict was not there in time", 503)
	case status == serviceUnknown:
		g.end(codeNotFound, "unknown service", 404)
	case status == notServing && strings.HasPrefix(g.r.UserAgent(), "ELB-HealthChecker/"):
		g.end(codeUnavailable, "not serving", 503)
	case g.send(status) == nil && status == serving:
		g.end(codeOK, "", 200)
	default:
		g.end(codeOK, "", 503)
	}
}

// watch answers Watch until the client or the server ends. The connection does
// not count as busy meanwhile, and to look is not to hear from the client: when
// places are short, a Watch goes before a probe that has just come.
func (g *grpcCall) watch(ctx context.Context, v *verdicts) {
	defer g.server.watches.Add(-1)
	if g.server.watches.Add(1) > maxWatches {
		g.end(codeResourceExhausted, "too many watches", 503)
		return
	}
	group, c := g.readService()
	if c != codeOK {
		g.end(c, "the request is not a HealthCheckRequest that can be read", 400)
		return
	}
	tick := min(v.watchInterval, drainInterval)
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	var asked time.Time
	draining := false
	for last := byte(0); ; {
		status := last
		// Draining is told soon even where to ask for the verdict costs more.
		if now := v.answerer.Draining(); now != draining || time.Since(asked) >= v.watchInterval-tick/2 {
			draining, asked = now, time.Now()
			status = servingOf(ctx, v, group)
		}
		if status != last && ctx.Err() == nil {
			if g.send(status) != nil {
				return
			}
			last = status
		}
		select {
		case <-ticker.C:
		case <-g.conn.lane.ending:
			g.end(codeUnavailable, "the server is ending", 503)
			return
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				g.end(codeDeadlineExceeded, "the time for the call is over", 200)
			}
			return
		}
	}
}

// other answers any other method.
func (g *grpcCall) other(ctx context.Context, v *verdicts, request *Request) {
	healthy, known := false, true
	g.conn.work(func() {
		if v == nil {
			healthy = g.server.respond(ctx, request).status < 400
			return
		}
		group, named := groupOf(request.Path)
		outcome, ok := v.answerer.Answer(ctx, group)
		healthy, known = ok && outcome.OK(), ok || !named
	})
	switch {
	case !known:
		g.end(codeNotFound, "unknown group", 404)
	case healthy:
		g.end(codeUnimplemented, "healthy; there is no such method", 200)
	default:
		g.end(codeUnavailable, "not healthy", 503)
	}
}

// servingOf returns a group's status; "" is ready.
func servingOf(ctx context.Context, v *verdicts, group string) byte {
	if group == "" {
		group = check.GroupReady
	}
	switch outcome, ok := v.answerer.Answer(ctx, group); {
	case !ok:
		return serviceUnknown
	case outcome == verdict.Pass, outcome == verdict.Degraded:
		return serving
	default:
		return notServing
	}
}

// readService reads the request's message and returns the service it names. A
// request without any message counts as an empty one.
func (g *grpcCall) readService() (service string, c code) {
	g.control.SetReadDeadline(time.Now().Add(g.server.headTimeout))
	defer g.control.SetReadDeadline(time.Time{})
	var prefix [5]byte // whether it is compressed, and its length
	if _, err := io.ReadFull(g.r.Body, prefix[:]); err == io.EOF {
		return "", codeOK
	} else if err != nil {
		return "", readCode(err)
	}
	length := binary.BigEndian.Uint32(prefix[1:])
	switch {
	case prefix[0] != 0: // compressed; nobody said that this is understood
		return "", codeInvalidArgument
	case length > maxMessage:
		return "", codeResourceExhausted
	}
	message := make([]byte, length)
	if _, err := io.ReadFull(g.r.Body, message); err != nil {
		return "", readCode(err)
	}
	service, ok := parseService(message)
	if !ok {
		return "", codeInvalidArgument
	}
	return service, codeOK
}

// readCode is the status for a message that could not be read.
func readCode(err error) code {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return codeDeadlineExceeded
	}
	return codeInvalidArgument
}

// parseService returns the field service, number 1, of a HealthCheckRequest
// (protobuf.dev: encoding). The last one counts, and other fields are skipped.
func parseService(b []byte) (service string, ok bool) {
	for len(b) > 0 {
		tag, n := binary.Uvarint(b)
		if n <= 0 || tag>>3 == 0 {
			return "", false
		}
		b = b[n:]
		var size uint64
		switch tag & 7 {
		case 0: // varint
			if _, n = binary.Uvarint(b); n <= 0 {
				return "", false
			}
			size = uint64(n)
		case 1: // 64 bits
			size = 8
		case 2: // bytes after their length
			if size, n = binary.Uvarint(b); n <= 0 {
				return "", false
			}
			b = b[n:]
		case 5: // 32 bits
			size = 4
		default:
			return "", false
		}
		if size > uint64(len(b)) {
			return "", false
		}
		if tag>>3 == 1 {
			if service = string(b[:size]); tag&7 != 2 || !utf8.ValidString(service) {
				return "", false
			}
		}
		b = b[size:]
	}
	return service, true
}

// send sends a HealthCheckResponse.
func (g *grpcCall) send(status byte) error {
	if !g.begun {
		g.begun = true
		g.header()
	}
	g.control.SetWriteDeadline(time.Now().Add(g.server.writeTimeout))
	// Not compressed, two bytes: field 1 is the varint status.
	if _, err := g.w.Write([]byte{0, 0, 0, 0, 2, 1 << 3, status}); err != nil {
		return err
	}
	if err := g.control.Flush(); err != nil {
		return err
	}
	return g.control.SetWriteDeadline(time.Time{})
}

func (g *grpcCall) header() {
	h := g.w.Header()
	h["Content-Type"] = []string{"application/grpc"}
	h["Grpc-Accept-Encoding"] = []string{"identity"}
	h["Content-Length"] = nil // gRPC has none, and net/http is not to add one
}

// end ends the call: in a trailer after a message, else in the header. The HTTP
// status is always 200; answered is the one that says the same, for OnAnswer.
func (g *grpcCall) end(c code, message string, answered int) {
	prefix := http.TrailerPrefix
	if !g.begun {
		prefix = ""
		g.header()
	}
	g.w.Header()[prefix+"Grpc-Status"] = []string{strconv.Itoa(int(c))}
	if message != "" {
		g.w.Header()[prefix+"Grpc-Message"] = []string{message}
	}
	g.control.SetWriteDeadline(time.Now().Add(g.server.writeTimeout))
	if !g.begun {
		g.w.WriteHeader(http.StatusOK)
	}
	g.server.onAnswer(answered)
}
