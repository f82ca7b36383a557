package grpccheck

import (
	"encoding/binary"
	"errors"
	"io"
	"net/url"

	"hale/internal/check"
)

const (
	// prefixLen is the length of what precedes a message: a byte that says
	// whether it is compressed, and its length in four (PROTOCOL-HTTP2.md,
	// "Length-Prefixed-Message").
	prefixLen = 5
	// maxMessage is the greatest length of an answer's message, in bytes. That
	// of the health service has two.
	maxMessage = 4 << 10
)

// request returns a HealthCheckRequest with its prefix. Its one field is
// `string service = 1`, which is left out when it is empty
// (https://protobuf.dev/programming-guides/encoding/).
func request(service string) []byte {
	const serviceField = 1<<3 | 2
	var m []byte
	if service != "" {
		m = binary.AppendUvarint([]byte{serviceField}, uint64(len(service)))
		m = append(m, service...)
	}
	return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(m))), m...)
}

// readMessage reads the one message of an answer, up to the answer's end, and
// returns it without its prefix. It is nil when there is none.
func readMessage(r io.Reader) ([]byte, error) {
	all, err := io.ReadAll(io.LimitReader(r, prefixLen+maxMessage+1))
	if err != nil || len(all) == 0 {
		return nil, err
	}
	if len(all) > prefixLen+maxMessage {
		return nil, check.Failf(check.ReasonProtocol, "the answer has more than %d bytes, which is not the health service's", maxMessage)
	}
	if len(all) < prefixLen || int(binary.BigEndian.Uint32(all[1:])) != len(all)-prefixLen {
		return nil, check.Failf(check.ReasonProtocol, "the answer of %d bytes is not one message of gRPC", len(all))
	}
	if all[0] != 0 {
		return nil, check.Failf(check.ReasonProtocol, "the answer is compressed, which it must not be without being asked for")
	}
	return all[prefixLen:], nil
}

var errMessage = errors.New("not a message of protocol buffers")

// servingStatus returns the one field of a HealthCheckResponse, `ServingStatus
// status = 1`; 0 when it is left out. Fields of later versions are passed over.
func servingStatus(m []byte) (uint64, error) {
	const statusField = 1 << 3
	var status uint64
	for len(m) > 0 {
		tag, n := binary.Uvarint(m)
		if n <= 0 {
			return 0, errMessage
		}
		m = m[n:]
		size := 0
		switch tag & 7 { // the wire type
		case 0:
			var v uint64
			if v, size = binary.Uvarint(m); size <= 0 {
				return 0, errMessage
			}
			if tag == statusField {
				status = v
			}
		case 1:
			size = 8
		case 2:
			length, n := binary.Uvarint(m)
			if n <= 0 || length > maxMessage {
				return 0, errMessage
			}
			size = n + int(length)
		case 5:
			size = 4
		default:
			return 0, errMessage
		}
		if size > len(m) {
			return 0, errMessage
		}
		m = m[size:]
	}
	return status, nil
}

// unescape decodes grpc-message, which is percent-encoded; what is not is left
// as it is.
func unescape(text string) string {
	if decoded, err := url.PathUnescape(text); err == nil {
		return decoded
	}
	return text
}
