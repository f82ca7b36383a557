package explain

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"hale/internal/balancer"
)

// A grpcAnswer is what gRPC gave.
type grpcAnswer struct {
	status  string // the number; "" if none came
	message string
	// serving is the status in the answer's message: 1 is SERVING
	// (grpc/health/v1/health.proto).
	serving int
}

// The bounds of what is read of an answer over HTTP/2.
const (
	framesLimit  = 256
	messageLimit = 16 << 10
)

// talk2 speaks HTTP/2 with prior knowledge (RFC 9113, section 3.3): one request
// on a stream, and its answer.
func talk2(conn net.Conn, q question, a *answer) {
	a.stage = atRequest
	kept := &keeper{conn: conn}
	_, writeErr := conn.Write(request2(q))
	framer := http2.NewFramer(conn, kept)
	framer.SetMaxReadFrameSize(1 << 14)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	framer.MaxHeaderListSize = headLimit
	a.err = read2(framer, q, a)
	// gunicorn takes the preface for a request of HTTP/2.0 and answers in kind; a
	// frame that begins so would be longer than any may be.
	if a.http == nil && bytes.HasPrefix(kept.first.Bytes(), []byte("HTTP/")) {
		a.err = errHTTP1
		bufio.NewReader(kept).ReadSlice('\n') // so that the whole line is kept
	}
	a.first = kept.first.Bytes()
	switch {
	case a.err == nil:
		a.stage = atEnd
	case a.http != nil:
		a.stage = atBody
	case len(a.first) == 0 && writeErr != nil:
		a.err = writeErr
	}
}

var errHTTP1 = errors.New("HTTP/2 was answered as HTTP/1 is")

// request2 are the bytes of a request, of gRPC with a message.
func request2(q question) []byte {
	var fields bytes.Buffer
	encoder := hpack.NewEncoder(&fields)
	field := func(name, value string) {
		if value != "" {
			encoder.WriteField(hpack.HeaderField{Name: name, Value: value})
		}
	}
	grpc := q.speak == balancer.GRPC
	scheme := "http"
	if q.tls {
		scheme = "https"
	}
	field(":method", q.method)
	field(":scheme", scheme)
	field(":path", q.send)
	field(":authority", q.host)
	if grpc {
		field("te", "trailers")
		field("content-type", "application/grpc")
	}
	field("user-agent", q.agent)

	var b bytes.Buffer
	b.WriteString(http2.ClientPreface)
	framer := http2.NewFramer(&b, nil)
	// The buffer takes everything.
	framer.WriteSettings(http2.Setting{ID: http2.SettingEnablePush, Val: 0})
	framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: fields.Bytes(), EndHeaders: true, EndStream: !grpc})
	if grpc {
		framer.WriteData(1, true, healthRequest(q.service))
	}
	return b.Bytes()
}

// healthRequest is a HealthCheckRequest in gRPC's framing: a byte that says that
// it is not compressed, four of length, and the service as field 1.
func healthRequest(service string) []byte {
	service = service[:min(len(service), 100)] // so that a byte holds its length
	var message []byte
	if service != "" {
		message = append([]byte{1<<3 | 2, byte(len(service))}, service...)
	}
	return append([]byte{0, 0, 0, 0, byte(len(message))}, message...)
}

// read2 reads to the end of the answer.
func read2(framer *http2.Framer, q question, a *answer) error {
	var message []byte
	for range framesLimit {
		frame, err := framer.ReadFrame()
		if err != nil {
			return unexpected(err)
		}
		ended := false
		switch f := frame.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				framer.WriteSettingsAck()
			}
		case *http2.PingFrame:
			if !f.IsAck() {
				framer.WritePing(true, f.Data)
			}
		case *http2.MetaHeadersFrame:
			if f.StreamID == 1 {
				take2(f, a)
				ended = f.StreamEnded()
			}
		case *http2.DataFrame:
			message = append(message, f.Data()...)
			ended = f.StreamEnded() || len(message) > messageLimit
		case *http2.RSTStreamFrame:
			return fmt.Errorf("the request was refused with RST_STREAM, %v", f.ErrCode)
		case *http2.GoAwayFrame:
			if f.ErrCode != http2.ErrCodeNo {
				return fmt.Errorf("the connection was ended with GOAWAY, %v", f.ErrCode)
			}
		}
		if ended {
			if a.http == nil {
				return io.ErrUnexpectedEOF
			}
			a.http.body, a.http.size = message, int64(len(message))
			if a.grpc != nil {
				a.grpc.serving = servingStatus(message)
			}
			return nil
		}
	}
	return fmt.Errorf("no answer within %d frames", framesLimit)
}

// take2 takes the fields of a head or of a trailer.
func take2(f *http2.MetaHeadersFrame, a *answer) {
	if a.http == nil {
		a.http = &response{version: "HTTP/2", framing: framedLength}
		a.headed = time.Since(a.start)
	}
	for _, field := range f.Fields {
		switch field.Name {
		case ":status":
			a.http.status, _ = strconv.Atoi(field.Value)
		case "grpc-status":
			a.ensure().status = clean(field.Value)
		case "grpc-message":
			text, err := url.PathUnescape(field.Value)
			if err != nil {
				text = field.Value
			}
			a.ensure().message = clean(text)
		}
		if !strings.HasPrefix(field.Name, ":") {
			a.http.fields = append(a.http.fields, balancer.Field{Name: field.Name, Value: field.Value})
		}
	}
}

func (a *answer) ensure() *grpcAnswer {
	if a.grpc == nil {
		a.grpc = &grpcAnswer{}
	}
	return a.grpc
}

// servingStatus reads the one field of a HealthCheckResponse: five bytes of
// gRPC's framing, then field 1 as a varint. Without it the status is 0.
func servingStatus(message []byte) int {
	if len(message) < 7 || message[0] != 0 || message[5] != 1<<3 {
		return 0
	}
	if binary.BigEndian.Uint32(message[1:5]) > uint32(len(message)-5) {
		return 0
	}
	value, n := binary.Uvarint(message[6:])
	if n <= 0 || value > 100 {
		return 0
	}
	return int(value)
}
