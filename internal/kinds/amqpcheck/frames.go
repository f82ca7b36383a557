package amqpcheck

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"

	"hale/internal/check"
)

const (
	// maxFrame is the size of the largest frame that is read. A broker's first
	// frame, the largest that a check gets, is of some hundred bytes.
	maxFrame = 64 << 10
	// maxFrames is how many frames a broker may send in place of the answer.
	maxFrames = 20
	// minFrameMax is the smallest frame size that a client may ask for.
	minFrameMax = 4096

	frameMethod    = 1
	frameHeartbeat = 8
	frameEnd       = 0xce
)

// protocolHeader is what a client says first: AMQP 0-9-1.
const protocolHeader = "AMQP\x00\x00\x09\x01"

// A method is what a broker or a client says: the number of its class and its
// own.
type method struct{ class, id uint16 }

// The methods that a check sends or may be sent.
var (
	connectionStart     = method{10, 10}
	connectionStartOK   = method{10, 11}
	connectionTune      = method{10, 30}
	connectionTuneOK    = method{10, 31}
	connectionOpen      = method{10, 40}
	connectionOpenOK    = method{10, 41}
	connectionClose     = method{10, 50}
	connectionCloseOK   = method{10, 51}
	connectionBlocked   = method{10, 60}
	connectionUnblocked = method{10, 61}
	channelOpen         = method{20, 10}
	channelOpenOK       = method{20, 11}
	channelClose        = method{20, 40}
	channelCloseOK      = method{20, 41}
	queueDeclare        = method{50, 10}
	queueDeclareOK      = method{50, 11}
)

// errForeign marks what is not of the protocol.
var errForeign = errors.New("not of AMQP 0-9-1")

// A refusal is the broker's closing the connection or the channel.
type refusal struct {
	method method
	code   int
	text   string
}

func (e *refusal) Error() string { return fmt.Sprintf("%s (code %d)", e.text, e.code) }

// blocked is the broker's word that it takes no messages.
type blocked struct{ why string }

func (e *blocked) Error() string { return e.why }

// A link is a connection that carries methods.
type link struct {
	net.Conn
	in *bufio.Reader
}

// send writes one method on a channel; 0 is the connection itself.
func (l *link) send(channel uint16, m method, arguments []byte) error {
	p := make([]byte, 0, 12+len(arguments))
	p = append(p, frameMethod)
	p = binary.BigEndian.AppendUint16(p, channel)
	p = binary.BigEndian.AppendUint32(p, uint32(4+len(arguments)))
	p = binary.BigEndian.AppendUint16(p, m.class)
	p = binary.BigEndian.AppendUint16(p, m.id)
	p = append(append(p, arguments...), frameEnd)
	_, err := l.Write(p)
	return err
}

// call sends a method and waits for its answer.
func (l *link) call(channel uint16, m method, args []byte, want method) (arguments, error) {
	// A broker that closes says why before it hangs up, which may fail the
	// write; what it said can be read all the same. If there is nothing to read,
	// then that says why.
	_ = l.send(channel, m, args)
	return l.receive(want)
}

// receive reads methods up to the one wanted and returns its arguments.
func (l *link) receive(want method) (arguments, error) {
	for range maxFrames {
		got, args, err := l.next()
		if err != nil {
			return nil, err
		}
		switch got {
		case want:
			return args, nil
		case connectionClose, channelClose:
			return nil, args.refusal(got)
		case connectionBlocked:
			why, err := args.short()
			if err != nil {
				return nil, err
			}
			return nil, &blocked{check.CleanText(why)}
		case method{}, connectionUnblocked:
		default:
			return nil, fmt.Errorf("%w: method %d.%d where %d.%d is due", errForeign, got.class, got.id, want.class, want.id)
		}
	}
	return nil, fmt.Errorf("%w: more than %d frames without an answer", errForeign, maxFrames)
}

// next reads one frame. A heartbeat has no method.
func (l *link) next() (method, arguments, error) {
	var header [7]byte
	if n, err := io.ReadFull(l.in, header[:]); err != nil {
		if n > 0 && header[0] != frameMethod && header[0] != frameHeartbeat {
			return method{}, nil, foreign(header[:n])
		}
		return method{}, nil, err
	}
	size := binary.BigEndian.Uint32(header[3:])
	if header[0] != frameMethod && header[0] != frameHeartbeat || size > maxFrame {
		return method{}, nil, foreign(header[:])
	}
	payload := make([]byte, size+1)
	if _, err := io.ReadFull(l.in, payload); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return method{}, nil, err
	}
	if payload[size] != frameEnd {
		return method{}, nil, fmt.Errorf("%w: a frame without its end", errForeign)
	}
	if header[0] == frameHeartbeat {
		return method{}, nil, nil
	}
	if size < 4 {
		return method{}, nil, fmt.Errorf("%w: a method of %d bytes", errForeign, size)
	}
	return method{binary.BigEndian.Uint16(payload), binary.BigEndian.Uint16(payload[2:])}, arguments(payload[4:size]), nil
}

// foreign says what stands where a frame should begin.
func foreign(header []byte) error {
	const alert = 0x15
	switch {
	case string(header[:min(len(header), 4)]) == protocolHeader[:4]:
		// A broker that speaks other versions says which, and hangs up.
		return fmt.Errorf("%w: the server speaks another version of AMQP", errForeign)
	case header[0] == alert:
		return fmt.Errorf("%w: it speaks TLS; write amqps://", errForeign)
	}
	return fmt.Errorf("%w: it begins with %q", errForeign, header)
}

// arguments are those of a method, of which each reading takes the first.
type arguments []byte

var errCut = fmt.Errorf("%w: a method that is cut off", errForeign)

func (a *arguments) take(n uint64) ([]byte, error) {
	if uint64(len(*a)) < n {
		return nil, errCut
	}
	taken := (*a)[:n]
	*a = (*a)[n:]
	return taken, nil
}

func (a *arguments) number(size uint64) (uint64, error) {
	b, err := a.take(size)
	if err != nil {
		return 0, err
	}
	var n uint64
	for _, x := range b {
		n = n<<8 | uint64(x)
	}
	return n, nil
}

func (a *arguments) sized(prefix uint64) (string, error) {
	n, err := a.number(prefix)
	if err != nil {
		return "", err
	}
	text, err := a.take(n)
	return string(text), err
}

func (a *arguments) short() (string, error) { return a.sized(1) }

func (a *arguments) long() (string, error) { return a.sized(4) }

// refusal reads the reason for closing.
func (a arguments) refusal(m method) error {
	code, err := a.number(2)
	if err != nil {
		return err
	}
	text, err := a.short()
	if err != nil {
		return err
	}
	return &refusal{method: m, code: int(code), text: check.CleanText(text)}
}

// appendShort appends a text of at most maxShort bytes.
func appendShort(to []byte, text string) []byte {
	return append(append(to, byte(len(text))), text...)
}

func appendLong(to []byte, text string) []byte {
	return append(binary.BigEndian.AppendUint32(to, uint32(len(text))), text...)
}
