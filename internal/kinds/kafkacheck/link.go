package kafkacheck

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"

	"github.com/twmb/franz-go/pkg/kmsg"

	"hale/internal/check"
)

// MaxAnswer is how many bytes of an answer are read: enough for a topic of some
// 5000 partitions with three replicas each.
const MaxAnswer = 256 << 10

// link is a connection to a broker.
type link struct {
	conn     net.Conn
	calls    int32
	during   string // what is going on, for messages
	asked    string // what to do about the broker asking for a client certificate; "" when it did not
	answered bool   // the first call was
}

// malformed is what came in place of an answer.
type malformed struct{ text string }

func (e *malformed) Error() string { return e.text }

// call sends a request and reads the answer to it
// (https://kafka.apache.org/protocol#protocol_messages). Both have their length
// in four bytes before them and a number of their own.
func (l *link) call(request kmsg.Request, answer kmsg.Response) error {
	l.calls++
	l.during = kmsg.NameForKey(request.Key())
	answer.SetVersion(request.GetVersion())
	formatter := kmsg.NewRequestFormatter(kmsg.FormatterClientID("hale"))
	if _, err := l.conn.Write(formatter.AppendRequest(nil, request, l.calls)); err != nil {
		return err
	}
	const headLen = 8
	var head [headLen]byte
	if n, err := io.ReadFull(l.conn, head[:]); err != nil {
		if n > 0 && check.ReasonOf(err) == check.ReasonClosed {
			return notKafka(head[:n])
		}
		return err
	}
	size, number := binary.BigEndian.Uint32(head[:4]), binary.BigEndian.Uint32(head[4:])
	switch {
	case size < headLen-4 || number != uint32(l.calls):
		return notKafka(head[:])
	case size > MaxAnswer:
		return check.Failf(check.ReasonProtocol, "the answer to %s has %d bytes, more than the %d that are read", l.during, size, MaxAnswer)
	}
	// The buffer grows with what comes, not with what is announced.
	var body bytes.Buffer
	want := int64(size) - (headLen - 4)
	if n, err := io.CopyN(&body, l.conn, want); err != nil {
		return fmt.Errorf("after %d of %d bytes: %w", n, want, err)
	}
	if err := answer.ReadFrom(body.Bytes()); err != nil {
		return &malformed{fmt.Sprintf("its answer to %s can't be read: %v", l.during, err)}
	}
	l.answered = true
	return nil
}

// notKafka describes an answer that is none by its first bytes.
func notKafka(start []byte) error {
	const alert = 21 // the type of a TLS record (RFC 8446, section 5.1)
	if start[0] == alert && len(start) > 1 && start[1] == 3 {
		return &malformed{"speaks TLS; write kafkas://"}
	}
	return &malformed{fmt.Sprintf("is not Kafka: its answer begins with %q", start)}
}
