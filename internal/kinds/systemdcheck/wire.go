package systemdcheck

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
)

const (
	// maxFields is how many bytes a message's header fields may have: names
	// and paths, of at most 255 bytes each but for the path.
	maxFields = 16 << 10
	// maxBody is how many bytes of a message's body are kept. What is longer
	// is not an answer to what is asked here.
	maxBody = 16 << 10
	// maxMessage is the specification's.
	maxMessage = 128 << 20
)

// Types of messages.
const (
	typeCall   = 1
	typeReply  = 2
	typeError  = 3
	typeSignal = 4
)

// Codes of header fields.
const (
	fieldPath        = 1
	fieldInterface   = 2
	fieldMember      = 3
	fieldErrorName   = 4
	fieldReplySerial = 5
	fieldDestination = 6
	fieldSignature   = 8
)

// A call is a method call whose arguments are strings.
type call struct {
	destination, path, iface, member string
	args                             []string
}

// append writes the call as a message.
func (c call) append(buf []byte, serial uint32) []byte {
	order := binary.LittleEndian
	var body, signature []byte
	for _, arg := range c.args {
		body = appendString(body, arg)
		signature = append(signature, 's')
	}
	var fields []byte
	add := func(code, kind byte, text string) {
		if text == "" {
			return
		}
		fields = append(pad(fields, 8), code, 1, kind, 0)
		if kind == 'g' {
			fields = append(append(append(fields, byte(len(text))), text...), 0)
			return
		}
		fields = appendString(fields, text)
	}
	add(fieldPath, 'o', c.path)
	add(fieldInterface, 's', c.iface)
	add(fieldMember, 's', c.member)
	add(fieldDestination, 's', c.destination)
	add(fieldSignature, 'g', string(signature))

	message := []byte{'l', typeCall, 0, 1}
	message = order.AppendUint32(message, uint32(len(body)))
	message = order.AppendUint32(message, serial)
	message = order.AppendUint32(message, uint32(len(fields)))
	message = pad(append(message, fields...), 8)
	return append(append(buf, message...), body...)
}

func appendString(buf []byte, s string) []byte {
	buf = binary.LittleEndian.AppendUint32(pad(buf, 4), uint32(len(s)))
	return append(append(buf, s...), 0)
}

// pad appends zeros up to a multiple of n.
func pad(buf []byte, n int) []byte {
	for len(buf)%n != 0 {
		buf = append(buf, 0)
	}
	return buf
}

// A message is what is read of a message that came.
type message struct {
	kind               byte
	replyTo            uint32
	path, member, name string // name is that of an error
	order              binary.ByteOrder
	signature          string
	body               []byte // nil when it is longer than maxBody
}

var errMalformed = errors.New("not a message of D-Bus")

// readMessage reads one message.
func readMessage(r *bufio.Reader) (message, error) {
	var head [16]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return message{}, err
	}
	m := message{kind: head[1], order: binary.LittleEndian}
	switch {
	case head[0] == 'B':
		m.order = binary.BigEndian
	case head[0] != 'l':
		return message{}, errMalformed
	}
	bodyLen, fieldsLen := m.order.Uint32(head[4:]), m.order.Uint32(head[12:])
	if head[3] != 1 || fieldsLen > maxFields || bodyLen > maxMessage {
		return message{}, errMalformed
	}
	fields := make([]byte, (fieldsLen+7)/8*8)
	if _, err := io.ReadFull(r, fields); err != nil {
		return message{}, midway(err)
	}
	if !m.readFields(fields[:fieldsLen]) {
		return message{}, errMalformed
	}
	if bodyLen > maxBody {
		_, err := io.CopyN(io.Discard, r, int64(bodyLen))
		return m, midway(err)
	}
	m.body = make([]byte, bodyLen)
	_, err := io.ReadFull(r, m.body)
	return m, midway(err)
}

// midway turns the end of the stream into its end before it should be.
func midway(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func (m *message) readFields(fields []byte) bool {
	d := decoder{buf: fields, order: m.order}
	for d.at < len(d.buf) && !d.failed {
		d.align(8)
		code := d.byte()
		text, number := d.variant()
		switch code {
		case fieldPath:
			m.path = text
		case fieldMember:
			m.member = text
		case fieldErrorName:
			m.name = text
		case fieldReplySerial:
			m.replyTo = uint32(number)
		case fieldSignature:
			m.signature = text
		}
	}
	return !d.failed
}

// value reads the body of a reply that is one variant of a basic type.
func (m *message) value() (text string, number uint64, ok bool) {
	if m.signature != "v" {
		return "", 0, false
	}
	d := decoder{buf: m.body, order: m.order}
	text, number = d.variant()
	return text, number, !d.failed
}

// text reads the body of an error, which begins with a message for people.
func (m *message) text() string {
	if len(m.signature) == 0 || m.signature[0] != 's' {
		return ""
	}
	d := decoder{buf: m.body, order: m.order}
	text := d.string()
	if d.failed {
		return ""
	}
	return text
}

// A decoder reads values. After the first that is not there it has failed, and
// reads nothing but zeros.
type decoder struct {
	buf    []byte
	at     int
	order  binary.ByteOrder
	failed bool
}

// take returns the next n bytes.
func (d *decoder) take(n uint64) []byte {
	if d.failed || n > uint64(len(d.buf)-d.at) {
		d.failed = true
		return nil
	}
	taken := d.buf[d.at : d.at+int(n)]
	d.at += int(n)
	return taken
}

func (d *decoder) align(n int) { d.take(uint64((n - d.at%n) % n)) }

func (d *decoder) byte() byte {
	if b := d.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *decoder) uint32() uint32 {
	d.align(4)
	if b := d.take(4); b != nil {
		return d.order.Uint32(b)
	}
	return 0
}

func (d *decoder) uint64() uint64 {
	d.align(8)
	if b := d.take(8); b != nil {
		return d.order.Uint64(b)
	}
	return 0
}

func (d *decoder) string() string {
	text := string(d.take(uint64(d.uint32())))
	d.byte() // NUL
	return text
}

func (d *decoder) signature() string {
	text := string(d.take(uint64(d.byte())))
	d.byte() // NUL
	return text
}

// variant reads a value of a basic type, with its type before it.
func (d *decoder) variant() (text string, number uint64) {
	switch d.signature() {
	case "s", "o":
		return d.string(), 0
	case "g":
		return d.signature(), 0
	case "u":
		return "", uint64(d.uint32())
	case "i":
		return "", uint64(int64(int32(d.uint32())))
	case "t":
		return "", d.uint64()
	default:
		d.failed = true
		return "", 0
	}
}
