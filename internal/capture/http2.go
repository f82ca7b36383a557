package capture

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"hale/internal/balancer"
)

// Bounds on a connection of HTTP/2.
const (
	maxFrames      = 32       // shown of a request
	maxBetween     = 1000     // frames between two answers
	maxHeaderBytes = 16 << 10 // of a request's decoded header
	maxOpen        = 64       // requests whose body has not ended
)

// h2 speaks HTTP/2 with a client that began with its preface (RFC 9113, section
// 3.4): enough of it to be asked and to answer.
type h2 struct {
	*conn
	s       *stream
	framer  *http2.Framer
	encoder *hpack.Encoder
	block   bytes.Buffer // what encoder writes to
	first   *Arrival     // the next arrival: its frames until now
	open    map[uint32]*Arrival
}

// http2 serves a connection until it ends.
func (c *conn) http2(s *stream, first *Arrival) {
	h := &h2{conn: c, s: s, framer: http2.NewFramer(s.Conn, s), first: first, open: map[uint32]*Arrival{}}
	h.encoder = hpack.NewEncoder(&h.block)
	h.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	h.framer.MaxHeaderListSize = maxHeaderBytes
	first.Frames = append(first.Frames, visible([]byte(http2.ClientPreface)))
	first.Protocol = balancer.HTTP2
	err := h.framer.WriteSettings()
	s.within(patience)
	for n := 0; err == nil && n < maxBetween; n++ {
		var frame http2.Frame
		if frame, err = h.framer.ReadFrame(); err == nil {
			h.first.frame(describe(frame))
			var answered bool
			if answered, err = h.handle(frame); answered {
				n = 0
				s.within(idle)
			}
		}
	}
	h.ended(err)
}

// ended reports what was asked and not answered, or a connection on which
// nothing was asked.
func (h *h2) ended(err error) {
	for _, a := range h.open {
		a.Kind, a.Ended = Unfinished, "the request did not end: "+endedBy(err)
		h.report(a)
	}
	if h.nth == 0 && len(h.open) == 0 {
		h.first.Kind, h.first.Ended = Unfinished, "no request came: "+endedBy(err)
		h.report(h.first)
	}
}

// frame notes a frame.
func (a *Arrival) frame(text string) {
	if len(a.Frames) < maxFrames {
		a.Frames = append(a.Frames, text)
	}
}

// describe says in a line what a frame is.
func describe(f http2.Frame) string {
	text := f.Header().Type.String()
	if id := f.Header().StreamID; id != 0 {
		text += fmt.Sprintf(", stream %d", id)
	}
	if s, ok := f.(*http2.SettingsFrame); ok {
		if s.IsAck() {
			return text + ", ack"
		}
		_ = s.ForeachSetting(func(setting http2.Setting) error {
			if len(text) < 300 {
				text += fmt.Sprintf(", %s=%d", setting.ID, setting.Val)
			}
			return nil
		})
		return text
	}
	return text + fmt.Sprintf(", %d bytes", f.Header().Length)
}

// errEnd is the client's orderly end.
var errEnd = errors.New("the client said goodbye")

// handle does what a frame demands, and reports whether it answered a request.
func (h *h2) handle(frame http2.Frame) (answered bool, err error) {
	switch f := frame.(type) {
	case *http2.SettingsFrame:
		if !f.IsAck() {
			return false, h.framer.WriteSettingsAck()
		}
	case *http2.PingFrame:
		if !f.IsAck() {
			return false, h.framer.WritePing(true, f.Data)
		}
	case *http2.GoAwayFrame:
		return false, errEnd
	case *http2.RSTStreamFrame:
		delete(h.open, f.StreamID)
	case *http2.MetaHeadersFrame:
		return h.headers(f)
	case *http2.DataFrame:
		a := h.open[f.StreamID]
		if a == nil {
			return false, nil
		}
		if a.Body += int64(len(f.Data())); a.Body > MaxHead {
			return false, fmt.Errorf("a body of more than %d bytes", MaxHead)
		}
		if f.StreamEnded() {
			delete(h.open, f.StreamID)
			return true, h.answer(f.StreamID, a)
		}
	}
	return false, nil
}

// headers takes a request's header, or its trailers.
func (h *h2) headers(f *http2.MetaHeadersFrame) (answered bool, err error) {
	if a := h.open[f.StreamID]; a != nil {
		delete(h.open, f.StreamID)
		return true, h.answer(f.StreamID, a)
	}
	if len(h.open) >= maxOpen {
		return false, fmt.Errorf("more than %d requests whose body does not end", maxOpen)
	}
	a := h.first
	a.At, a.Kind, a.Protocol, a.Bytes = time.Now(), Request, balancer.HTTP2, int(f.Header().Length)
	a.pseudo(f.Fields)
	h.first = h.arrival()
	if !f.StreamEnded() {
		h.open[f.StreamID] = a
		return false, nil
	}
	return true, h.answer(f.StreamID, a)
}

// pseudo fills in a request from its decoded fields.
func (a *Arrival) pseudo(fields []hpack.HeaderField) {
	for _, f := range fields {
		value := maskTarget(f.Value)
		if balancer.Secret(f.Name) {
			value = maskValue(f.Name, f.Value)
		}
		field := Field{visible([]byte(f.Name)), visible([]byte(value))}
		a.Fields = append(a.Fields, field)
		switch f.Name {
		case ":method":
			a.Method = field.Value
		case ":path":
			path, _, _ := strings.Cut(field.Value, "?")
			a.Path = path
			a.Line = field.Value
		case ":authority":
			a.Host = &field.Value
		case "host":
			if a.Host == nil {
				a.Host = &field.Value
			}
		case "content-type":
			if strings.HasPrefix(f.Value, "application/grpc") {
				a.Protocol = balancer.GRPC
			}
		}
	}
	a.Line = a.Method + " " + a.Line
}

// The methods of gRPC's health service (grpc/grpc doc/health-checking.md).
const (
	grpcCheck = "/grpc.health.v1.Health/Check"
	grpcWatch = "/grpc.health.v1.Health/Watch"
)

// answer answers a request, and reports it.
func (h *h2) answer(id uint32, a *Arrival) error {
	var err error
	switch {
	case a.Protocol == balancer.GRPC && (a.Path == grpcCheck || a.Path == grpcWatch):
		err = h.health(id, a)
	case a.Protocol == balancer.GRPC:
		// UNIMPLEMENTED is what ALB accepts of its default path.
		a.Answer = "grpc-status 12, UNIMPLEMENTED"
		err = h.fields(id, true, ":status", "200", "content-type", "application/grpc", "grpc-status", "12", "grpc-message", "hale capture has no such method")
	default:
		body := answerBody(h.options.Code)
		a.Answer = statusText(h.options.Code)
		bare := body == "" || a.Method == "HEAD"
		err = h.fields(id, bare, ":status", strconv.Itoa(h.options.Code), "content-type", "text/plain; charset=utf-8", "cache-control", "no-store")
		if err == nil && !bare {
			err = h.framer.WriteData(id, true, []byte(body))
		}
	}
	if err != nil {
		a.Answer, a.Ended = "", "answering failed: "+endedBy(err)
	}
	h.report(a)
	return err
}

// health answers gRPC's health check: SERVING (1) for a success to --respond,
// else NOT_SERVING (2). A Watch stays open, as it is to tell of changes.
func (h *h2) health(id uint32, a *Arrival) error {
	status, word := byte(1), "SERVING"
	if h.options.Code >= 300 {
		status, word = 2, "NOT_SERVING"
	}
	a.Answer = "grpc-status 0, " + word
	if err := h.fields(id, false, ":status", "200", "content-type", "application/grpc"); err != nil {
		return err
	}
	// Not compressed, two bytes: field 1, a number.
	if err := h.framer.WriteData(id, false, []byte{0, 0, 0, 0, 2, 0x08, status}); err != nil {
		return err
	}
	if a.Path == grpcWatch {
		return nil
	}
	return h.fields(id, true, "grpc-status", "0")
}

// fields sends a header, or trailers.
func (h *h2) fields(id uint32, end bool, pairs ...string) error {
	h.block.Reset()
	for i := 0; i < len(pairs); i += 2 {
		if err := h.encoder.WriteField(hpack.HeaderField{Name: pairs[i], Value: pairs[i+1]}); err != nil {
			return err
		}
	}
	return h.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: h.block.Bytes(), EndStream: end, EndHeaders: true})
}

// isPreface reports whether the next bytes are HTTP/2's preface. It waits for
// more only as long as they may be.
func isPreface(s *stream) bool {
	for n := 1; n <= len(http2.ClientPreface); n++ {
		if s.peek(n) != nil || !strings.HasPrefix(http2.ClientPreface, string(s.unread[:n])) {
			return false
		}
	}
	return true
}
