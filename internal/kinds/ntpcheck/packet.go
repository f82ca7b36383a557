package ntpcheck

import (
	"encoding/binary"
	"time"
)

// The parts of a packet's first byte (RFC 5905, section 7.3).
const (
	version        = 4
	modeClient     = 3
	modeServer     = 4
	unsynchronised = 3 // the leap indicator of a server that has no time
)

// packetLength is how long a packet is without extensions.
const packetLength = 48

// epoch is where NTP's time begins, in seconds of Unix' time: 1900.
const epoch = -2208988800

// timestamp is a time in NTP's form: seconds since 1900, and in the lower half
// their fraction. It is cut off at 32 bits of seconds, so that only differences
// mean something, those of less than 68 years.
type timestamp uint64

func timestampOf(t time.Time) timestamp {
	seconds := uint64(t.Unix()-epoch) << 32
	return timestamp(seconds | uint64(t.Nanosecond())<<32/uint64(time.Second))
}

// since returns the time from u to t.
func (t timestamp) since(u timestamp) time.Duration {
	d := int64(t - u)
	const half = 32
	fraction := (d & (1<<half - 1)) * int64(time.Second) >> half
	return time.Duration(d>>half)*time.Second + time.Duration(fraction)
}

// packet is a server's reply.
type packet struct {
	leap, stratum     int
	reference         string
	receive, transmit timestamp
}

// request makes a request with a number in the place of the time at which it is
// sent. Servers do not look at it.
func request(nonce [8]byte) []byte {
	p := make([]byte, packetLength)
	p[0] = version<<3 | modeClient
	copy(p[40:], nonce[:])
	return p
}

// parse reads a reply; ok is false when it is not one to the request with the
// number.
func parse(p []byte, nonce [8]byte) (reply packet, ok bool) {
	if len(p) < packetLength || p[0]&7 != modeServer || [8]byte(p[24:32]) != nonce {
		return packet{}, false
	}
	return packet{
		leap: int(p[0] >> 6), stratum: int(p[1]), reference: string(p[12:16]),
		receive:  timestamp(binary.BigEndian.Uint64(p[32:])),
		transmit: timestamp(binary.BigEndian.Uint64(p[40:])),
	}, true
}

// offset is how far the server's clock is ahead of this host's, given when the
// request was sent and how long the reply was in coming: half of the sum of how
// far it seemed to be on the way there and on the way back.
func (p packet) offset(sent time.Time, took time.Duration) time.Duration {
	there := p.receive.since(timestampOf(sent))
	back := p.transmit.since(timestampOf(sent.Add(took)))
	return there/2 + back/2
}
