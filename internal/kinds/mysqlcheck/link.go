package mysqlcheck

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

const (
	// maxAnswer is how many bytes a server may send in one run.
	maxAnswer = 256 << 10
	// maxGreeting is how long its first packet may be, which is below 200 bytes.
	maxGreeting = 4 << 10
	// anySize is what a packet's length can't exceed.
	anySize = 1<<24 - 1
	// headerSize is the size of a packet's header: three bytes of length, the
	// lowest first, and one of sequence.
	headerSize = 4
	// readBuffer holds all that most runs receive.
	readBuffer = 1 << 10
)

// errTooMuch is why reading ends.
var errTooMuch = fmt.Errorf("more than %d KiB of answer", maxAnswer>>10)

// errForeign marks what is not of the protocol.
var errForeign = errors.New("not of the MySQL protocol")

// A link is a connection that carries packets, and that ends what it waits for
// when its context does.
type link struct {
	net.Conn          // with TLS, if it is encrypted
	raw      net.Conn // as it was dialled
	unwatch  func() bool

	in       *bufio.Reader
	sequence byte // of the next packet
	left     int  // how many bytes may still be read
	encrypts bool // the connection can't be listened to
}

func newLink(ctx context.Context, conn net.Conn) *link {
	l := &link{Conn: conn, raw: conn, in: bufio.NewReaderSize(conn, readBuffer), left: maxAnswer}
	// A deadline in the past ends whatever the connection is waiting for.
	l.unwatch = context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	return l
}

func (l *link) close() {
	l.unwatch()
	_ = l.Conn.Close()
}

// receive reads one packet of at least one and at most so many bytes.
func (l *link) receive(most int) ([]byte, error) {
	var header [headerSize]byte
	if _, err := io.ReadFull(l.in, header[:]); err != nil {
		return nil, err
	}
	size := int(header[0]) | int(header[1])<<8 | int(header[2])<<16
	switch {
	case size == 0:
		return nil, fmt.Errorf("%w: an empty packet", errForeign)
	case size > most:
		return nil, fmt.Errorf("%w: it begins with %q", errForeign, header[:])
	case size+headerSize > l.left:
		return nil, errTooMuch
	}
	l.left -= size + headerSize
	packet := make([]byte, size)
	if _, err := io.ReadFull(l.in, packet); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	// An error may come unasked, and then counts from zero.
	if header[3] != l.sequence && packet[0] != packetErr {
		return nil, fmt.Errorf("%w: packet %d where %d is due", errForeign, header[3], l.sequence)
	}
	l.sequence = header[3] + 1
	return packet, nil
}

// send writes one packet.
func (l *link) send(body []byte) error {
	packet := make([]byte, headerSize, headerSize+len(body))
	packet[0], packet[1], packet[2], packet[3] = byte(len(body)), byte(len(body)>>8), byte(len(body)>>16), l.sequence
	l.sequence++
	_, err := l.Write(append(packet, body...))
	return err
}

// command sends a command, with which the count of packets begins anew.
func (l *link) command(code byte, argument string) error {
	l.sequence = 0
	return l.send(append([]byte{code}, argument...))
}

// goodbye tells the server that the client leaves, as it wants to be told. It
// never waits: five bytes have room in the kernel.
func (l *link) goodbye() {
	_ = l.raw.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
	_ = l.command(comQuit, "")
}
