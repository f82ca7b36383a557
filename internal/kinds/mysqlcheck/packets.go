package mysqlcheck

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"

	"hale/internal/check"
)

// What a packet's first byte says, depending on where it stands.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_response_packets.html
const (
	packetOK         = 0x00
	packetMore       = 0x01 // more data of an authentication method
	packetLocalFile  = 0xfb // the server wants to read a file of ours
	packetEOF        = 0xfe
	packetAuthSwitch = 0xfe
	packetErr        = 0xff
)

// The commands that a check sends.
const (
	comQuit  = 0x01
	comQuery = 0x03
	comPing  = 0x0e
)

// What a client and a server agree on.
// https://dev.mysql.com/doc/dev/mysql-server/latest/group__group__cs__capabilities__flags.html
const (
	clientLongPassword     = 1 << 0
	clientConnectWithDB    = 1 << 3
	clientProtocol41       = 1 << 9
	clientSSL              = 1 << 11
	clientTransactions     = 1 << 13
	clientSecureConnection = 1 << 15
	clientPluginAuth       = 1 << 19

	// clientAlways is what every server of the last twenty years can do.
	clientAlways = clientLongPassword | clientProtocol41 | clientTransactions | clientSecureConnection
)

// utf8mb4 is the number of a collation that every server since 5.5.3 has:
// utf8mb4_general_ci.
const utf8mb4 = 45

// scrambleSize is the length of the random text that a password is proved with.
const scrambleSize = 20

// A greeting is what a server says first.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_handshake_v10.html
type greeting struct {
	version      string
	capabilities uint32
	scramble     []byte // scrambleSize bytes
	method       string // the default authentication method
}

func parseGreeting(p []byte) (greeting, error) {
	const protocol = 10
	version, rest, found := bytes.Cut(p[1:], []byte{0})
	// What follows the version: connection id 4, scramble 8, filler 1,
	// capabilities 2, character set 1, status 2, capabilities 2, length of the
	// scramble 1, reserved 10, the rest of the scramble 13, method.
	const fixed, second = 4 + 8 + 1 + 2 + 1 + 2 + 2 + 1 + 10, scrambleSize - 8
	if p[0] != protocol || !found || len(rest) < fixed+second {
		return greeting{}, fmt.Errorf("%w: it begins with %q", errForeign, p[:min(len(p), 20)])
	}
	g := greeting{
		// MariaDB puts this in front, lest replicas of old versions of MySQL
		// take it for an older one.
		version:      strings.TrimPrefix(string(version), "5.5.5-"),
		capabilities: uint32(binary.LittleEndian.Uint16(rest[13:])) | uint32(binary.LittleEndian.Uint16(rest[18:]))<<16,
		scramble:     append(append([]byte{}, rest[4:12]...), rest[fixed:fixed+second]...),
		method:       methodNative,
	}
	rest = rest[fixed+second:]
	if g.capabilities&clientPluginAuth != 0 && len(rest) > 1 {
		method, _, _ := bytes.Cut(rest[1:], []byte{0})
		g.method = string(method)
	}
	if g.capabilities&clientProtocol41 == 0 {
		return greeting{}, fmt.Errorf("%w: version %q is older than 4.1", errForeign, check.CleanText(g.version))
	}
	return g, nil
}

// mariaDB reports whether the server is MariaDB and not MySQL.
func (g greeting) mariaDB() bool { return strings.Contains(g.version, "MariaDB") }

// introduction is the beginning of the client's answer to the greeting, and all
// of it when it asks for TLS.
func introduction(capabilities uint32) []byte {
	p := binary.LittleEndian.AppendUint32(make([]byte, 0, 128), capabilities)
	p = binary.LittleEndian.AppendUint32(p, maxAnswer)
	p = append(p, utf8mb4)
	return append(p, make([]byte, 23)...)
}

// loginRequest is the client's answer to the greeting.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_handshake_response.html
func loginRequest(capabilities uint32, user, database, method string, proof []byte) []byte {
	if database != "" {
		capabilities |= clientConnectWithDB
	}
	p := introduction(capabilities)
	p = append(append(p, user...), 0)
	p = append(append(p, byte(len(proof))), proof...)
	if database != "" {
		p = append(append(p, database...), 0)
	}
	if capabilities&clientPluginAuth != 0 {
		p = append(append(p, method...), 0)
	}
	return p
}

// A serverError is an error of the server.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_err_packet.html
type serverError struct {
	code int
	text string
}

func (e *serverError) Error() string { return fmt.Sprintf("%s (error %d)", e.text, e.code) }

// parseError reads an error packet.
func parseError(p []byte) error {
	if len(p) < 3 {
		return fmt.Errorf("%w: an error of %d bytes", errForeign, len(p))
	}
	e := &serverError{code: int(binary.LittleEndian.Uint16(p[1:]))}
	text := p[3:]
	const state = len("#28000")
	if len(text) >= state && text[0] == '#' {
		text = text[state:]
	}
	const most = 200
	e.text = check.CleanText(string(text[:min(len(text), most)]))
	return e
}

// lengthEncoded reads a string that begins with its length, and returns what
// follows it. null is true for SQL's NULL.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_dt_integers.html
func lengthEncoded(p []byte) (text, rest []byte, null bool, err error) {
	broken := fmt.Errorf("%w: a value that is cut off", errForeign)
	if len(p) == 0 {
		return nil, nil, false, broken
	}
	size, skip := uint64(p[0]), 1
	switch p[0] {
	case 0xfb:
		return nil, p[1:], true, nil
	case 0xfc:
		skip = 3
	case 0xfd:
		skip = 4
	case 0xfe:
		skip = 9
	case 0xff:
		return nil, nil, false, broken
	}
	if len(p) < skip {
		return nil, nil, false, broken
	}
	if skip > 1 {
		var number [8]byte
		copy(number[:], p[1:skip])
		size = binary.LittleEndian.Uint64(number[:])
	}
	p = p[skip:]
	if size > uint64(len(p)) {
		return nil, nil, false, broken
	}
	return p[:size], p[size:], false, nil
}
