package icmpcheck

import "bytes"

// The types of messages (RFC 792, RFC 4443, section 4).
const (
	echoReply    = 0
	echoRequest  = 8
	echoRequest6 = 128
	echoReply6   = 129
)

// header is the length of an echo message without its content: type, code,
// checksum, identifier and sequence number.
const header = 8

// sequence is the number of the only request of a run.
const sequence = 1

// echo is one echo request.
type echo struct {
	v6      bool
	id      [2]byte
	content [16]byte // random, so that no other reply is taken for the one to it
}

// request makes the message. For ICMPv6 the kernel fills in the checksum, which
// covers addresses too.
func (e *echo) request() []byte {
	m := make([]byte, header, header+len(e.content))
	m[0] = echoRequest
	if e.v6 {
		m[0] = echoRequest6
	}
	m[4], m[5], m[7] = e.id[0], e.id[1], sequence
	m = append(m, e.content[:]...)
	if !e.v6 {
		sum := checksum(m)
		m[2], m[3] = byte(sum>>8), byte(sum)
	}
	return m
}

// isReply reports whether m, perhaps with its IPv4 header in front, is the reply
// to the request. Only raw sockets get those of other identifiers.
func (e *echo) isReply(m []byte, raw bool) bool {
	want := byte(echoReply)
	if e.v6 {
		want = echoReply6
	} else if len(m) > 0 && m[0]>>4 == 4 {
		m = m[min(int(m[0]&0xf)*4, len(m)):]
	}
	return len(m) == header+len(e.content) && m[0] == want && m[1] == 0 && m[6] == 0 && m[7] == sequence &&
		(!raw || [2]byte(m[4:6]) == e.id) && bytes.Equal(m[header:], e.content[:])
}

// checksum is the internet checksum (RFC 1071) of a text of even length.
func checksum(text []byte) uint16 {
	var sum uint32
	for i := 0; i+1 < len(text); i += 2 {
		sum += uint32(text[i])<<8 | uint32(text[i+1])
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
