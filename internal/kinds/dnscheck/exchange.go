package dnscheck

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"hale/internal/check"
)

// maxUDP is how long a reply over UDP may be to a client that does not say
// otherwise (RFC 1035, section 4.2.1), and some more.
const maxUDP = 1500

// ask sends the query to a server and returns its reply.
func (c *checker) ask(ctx context.Context, server string) (*dnsmessage.Parser, dnsmessage.Header, error) {
	id, query, err := c.query()
	if err != nil {
		return nil, dnsmessage.Header{}, err
	}
	if !c.tcp {
		parser, header, err := c.overUDP(ctx, server, id, query)
		if err != nil || !header.Truncated {
			return parser, header, err
		}
	}
	parser, header, err := c.overTCP(ctx, server, id, query)
	if err != nil && !c.tcp {
		err = fmt.Errorf("the reply does not fit into UDP: %w", err)
	}
	return parser, header, err
}

// query makes the query with a random identifier. In front of it is its length,
// as TCP needs it.
func (c *checker) query() (id uint16, query []byte, err error) {
	var random [2]byte
	_, _ = rand.Read(random[:]) // never fails
	id = binary.BigEndian.Uint16(random[:])
	b := dnsmessage.NewBuilder(make([]byte, 2, 2+512), dnsmessage.Header{ID: id, RecursionDesired: true})
	if err := errors.Join(b.StartQuestions(), b.Question(c.question)); err != nil {
		return 0, nil, err
	}
	query, err = b.Finish()
	if err != nil {
		return 0, nil, err
	}
	binary.BigEndian.PutUint16(query, uint16(len(query)-2))
	return id, query, nil
}

// overUDP waits for the reply to the query and ignores all else.
func (c *checker) overUDP(ctx context.Context, server string, id uint16, query []byte) (*dnsmessage.Parser, dnsmessage.Header, error) {
	conn, done, err := c.connect(ctx, "udp", server)
	if err != nil {
		return nil, dnsmessage.Header{}, err
	}
	defer done()
	if _, err := conn.Write(query[2:]); err != nil {
		return nil, dnsmessage.Header{}, fmt.Errorf("sending the query: %w", err)
	}
	buffer := make([]byte, maxUDP)
	for ignored := 0; ; ignored++ {
		n, err := conn.Read(buffer)
		if err != nil {
			if ignored > 0 {
				err = fmt.Errorf("%w (of what came, %d packets, nothing is a reply to the query)", err, ignored)
			}
			return nil, dnsmessage.Header{}, fmt.Errorf("no reply: %w", err)
		}
		if parser, header, err := c.parse(buffer[:n], id); err == nil {
			return parser, header, nil
		}
	}
}

// overTCP sends and reads messages with their lengths in front (RFC 1035,
// section 4.2.2).
func (c *checker) overTCP(ctx context.Context, server string, id uint16, query []byte) (*dnsmessage.Parser, dnsmessage.Header, error) {
	conn, done, err := c.connect(ctx, "tcp", server)
	if err != nil {
		return nil, dnsmessage.Header{}, err
	}
	defer done()
	if _, err := conn.Write(query); err != nil {
		return nil, dnsmessage.Header{}, fmt.Errorf("sending the query over TCP: %w", err)
	}
	var length [2]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return nil, dnsmessage.Header{}, fmt.Errorf("no reply over TCP: %w", err)
	}
	reply := make([]byte, binary.BigEndian.Uint16(length[:]))
	if _, err := io.ReadFull(conn, reply); err != nil {
		return nil, dnsmessage.Header{}, fmt.Errorf("no complete reply over TCP: %w", err)
	}
	parser, header, err := c.parse(reply, id)
	if err != nil {
		return nil, dnsmessage.Header{}, check.Failf(check.ReasonProtocol, "over TCP: what comes is not a reply to the query: %w", err)
	}
	return parser, header, nil
}

// connect opens a connection that gives up when ctx ends.
func (c *checker) connect(ctx context.Context, network, server string) (conn net.Conn, done func(), err error) {
	conn, err = c.dial(ctx, network, server)
	if err != nil {
		return nil, nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	return conn, func() { stop(); _ = conn.Close() }, nil
}

var (
	errNoReply  = errors.New("it is not a reply")
	errID       = errors.New("its identifier is another")
	errQuestion = errors.New("its question is another")
)

// parse reads a message up to its answers. An error says that it is not a reply
// to the query.
func (c *checker) parse(message []byte, id uint16) (*dnsmessage.Parser, dnsmessage.Header, error) {
	parser := new(dnsmessage.Parser)
	header, err := parser.Start(message)
	switch {
	case err != nil:
		return nil, header, err
	case header.ID != id:
		return nil, header, errID
	case !header.Response || header.OpCode != 0:
		return nil, header, errNoReply
	}
	question, err := parser.Question()
	if err != nil {
		return nil, header, err
	}
	if question.Type != c.question.Type || question.Class != c.question.Class || !strings.EqualFold(question.Name.String(), c.question.Name.String()) {
		return nil, header, errQuestion
	}
	if _, err := parser.Question(); !errors.Is(err, dnsmessage.ErrSectionDone) {
		return nil, header, errQuestion
	}
	return parser, header, nil
}
