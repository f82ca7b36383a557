package celerycheck

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"hale/internal/check"
	"hale/internal/tlsconf"
)

// How a ping goes through RabbitMQ: it is published to the fanout exchange
// celery.pidbox, which the workers made, and they reply to an exchange and
// routing key that it names. Those are the default exchange and a queue's name,
// so that no exchange and no binding is needed.
//
// The queue is exclusive, so the broker deletes it when the connection ends,
// however it ends; it also expires. A ping that a worker does not fetch from its
// own queue in time expires too.
const queueExpires = 10 * time.Second

// An amqpBroker is immutable once made.
type amqpBroker struct {
	dial               check.DialFunc
	address            string
	shown              string
	username, password string
	vhost              string
	exchange           string
	tls                *tls.Config // nil without TLS
	options            tlsconf.Options
}

func (c *Config) amqpBroker(env check.Env) (*amqpBroker, error) {
	b := &amqpBroker{
		dial: env.Dial, address: check.Address(c.host, c.port), shown: c.shown(), vhost: c.vhost,
		// RabbitMQ's account for programs on its own host, as Celery has it.
		username: cmp.Or(c.Username, "guest"), password: cmp.Or(c.Password.Reveal(), "guest"),
		exchange: c.Exchange, options: c.Options,
	}
	var err error
	if c.tls {
		b.tls, err = c.Options.Config(c.tlsHost())
	}
	return b, err
}

func (b *amqpBroker) target() string { return b.shown }

func (b *amqpBroker) ping(ctx context.Context, p *ping) error {
	raw, err := b.dial(ctx, "tcp", b.address)
	if err != nil {
		return fmt.Errorf("%s: %w", b.shown, err)
	}
	defer raw.Close()
	// The client sets deadlines of its own, so that ending what it waits for
	// takes closing the connection.
	defer context.AfterFunc(ctx, func() { _ = raw.Close() })()
	conn := &watched{Conn: raw}
	if b.tls != nil {
		secure := tls.Client(raw, b.tls)
		if err := b.handshake(ctx, secure); err != nil {
			return err
		}
		conn.Conn = secure
	}
	client, err := amqp.Open(conn, b.config())
	loggedIn := err == nil
	if loggedIn {
		err = b.exchangePing(ctx, client, p)
	}
	if said, ok := errors.AsType[*amqp.Error](err); ok && said.Server {
		err = b.refused(p, said, loggedIn)
	} else if err != nil {
		err = b.explain(ctx, conn.fault(), err)
	}
	_ = client.CloseDeadline(time.Now().Add(cleaning))
	return err
}

func (b *amqpBroker) handshake(ctx context.Context, conn *tls.Conn) error {
	if err := conn.HandshakeContext(ctx); err != nil {
		return check.Failf(check.ReasonOf(err), "%s: %w; write %s:// if it is without TLS", b.shown, tlsconf.ExplainHandshake(err), schemeAMQP)
	}
	if err := b.options.CheckExpiry(conn.ConnectionState(), time.Now()); err != nil {
		return fmt.Errorf("%s: %w", b.shown, err)
	}
	return nil
}

func (b *amqpBroker) config() amqp.Config {
	properties := amqp.Table{"product": "hale", "connection_name": "hale"}
	return amqp.Config{
		SASL:       []amqp.Authentication{&login{b.username, b.password, properties}},
		Vhost:      b.vhost,
		Locale:     "en_US",
		FrameSize:  maxReply,
		ChannelMax: 1,
		Properties: properties,
	}
}

// login is the mechanism PLAIN (RFC 4616).
type login struct {
	username, password string
	properties         amqp.Table
}

// Mechanism returns the mechanism's name.
func (l *login) Mechanism() string { return "PLAIN" }

// Response returns what logs in. It is asked for right before the client's
// properties are sent, which is where a capability can be added that the client
// leaves out: that the broker says what was wrong with the login. It would
// otherwise be silent for some seconds and hang up.
// https://www.rabbitmq.com/docs/auth-notification
func (l *login) Response() string {
	if capabilities, ok := l.properties["capabilities"].(amqp.Table); ok {
		capabilities["authentication_failure_close"] = true
	}
	return "\x00" + l.username + "\x00" + l.password
}

// exchangePing sends the ping and waits for the reply.
func (b *amqpBroker) exchangePing(ctx context.Context, client *amqp.Connection, p *ping) error {
	channel, err := client.Channel()
	if err != nil {
		return err
	}
	const autoDelete, exclusive, autoAck = true, true, true
	expires := amqp.Table{"x-expires": int32(queueExpires / time.Millisecond)}
	queue, err := channel.QueueDeclare(queueName(p.id, b.exchange), false, autoDelete, exclusive, false, expires)
	if err != nil {
		return err
	}
	replies, err := channel.Consume(queue.Name, "", autoAck, exclusive, false, false, nil)
	if err != nil {
		return err
	}
	closed := channel.NotifyClose(make(chan *amqp.Error, 1))
	returned := channel.NotifyReturn(make(chan amqp.Return, 1))
	left := time.Until(p.until)
	const mandatory = true // to have it back when no worker has a queue for it
	err = channel.PublishWithContext(ctx, b.exchange, "", mandatory, false, amqp.Publishing{
		ContentType: "application/json", ContentEncoding: "utf-8", DeliveryMode: amqp.Transient,
		Headers:    amqp.Table{"clock": int64(0)},
		Expiration: strconv.FormatInt(max(left.Milliseconds(), 1), 10),
		Body:       p.body("", queue.Name),
	})
	if err != nil {
		return err
	}
	return b.await(ctx, p, replies, closed, returned)
}

func (b *amqpBroker) await(ctx context.Context, p *ping, replies <-chan amqp.Delivery, closed <-chan *amqp.Error, returned <-chan amqp.Return) error {
	timeout := time.NewTimer(time.Until(p.until))
	defer timeout.Stop()
	for {
		select {
		case reply, ok := <-replies:
			if !ok {
				replies = nil // closed says why
				continue
			}
			if ticket, _ := reply.Headers["ticket"].(string); ticket != p.id {
				continue
			}
			if mine, err := p.judge(reply.ContentType, reply.Body); mine {
				return err
			}
		case err, ok := <-closed:
			if !ok {
				return amqp.ErrClosed
			}
			return err
		case _, ok := <-returned:
			if !ok {
				returned = nil
				continue
			}
			return p.nobody("no worker is connected to this broker and virtual host: no queue is bound to the exchange " + b.exchange)
		case <-timeout.C:
			return p.noReply("at least one worker is connected: this one hangs, or has another name; see celery status")
		case <-ctx.Done():
			return p.gaveUp(ctx)
		}
	}
}

// explain makes of an error of the client, and of its connection's, what a
// person needs to know.
func (b *amqpBroker) explain(ctx context.Context, broken, err error) error {
	if _, ok := errors.AsType[*check.Error](err); ok {
		return err
	}
	if ctx.Err() != nil {
		return check.Failf(check.ReasonOf(ctx.Err()), "%s: no answer in AMQP: %w", b.shown, ctx.Err())
	}
	if broken != nil && !errors.Is(broken, errTooMuch) {
		hint := ""
		if b.tls == nil {
			hint = "; write " + schemeAMQPS + ":// if it speaks TLS"
		}
		return check.Failf(check.ReasonOf(broken), "%s: the connection broke: %w%s", b.shown, broken, hint)
	}
	return check.Failf(check.ReasonProtocol, "%s: does not speak AMQP 0-9-1: %w", b.shown, err)
}

// refused makes the failure of an error that the broker sent.
// https://www.rabbitmq.com/amqp-0-9-1-reference#constants
func (b *amqpBroker) refused(p *ping, said *amqp.Error, loggedIn bool) error {
	text := check.CleanText(said.Reason)
	switch {
	case said.Code == amqp.AccessRefused && loggedIn:
		return check.Failf(check.ReasonPermission, "%s: user %q may not do what a ping needs, which is to configure and read %s, and to write to the exchange %s: %s",
			b.shown, b.username, "hale-*.reply."+b.exchange, b.exchange, text)
	case said.Code == amqp.AccessRefused:
		return check.Failf(check.ReasonAuth, "%s: refuses the user name or password: %s", b.shown, text)
	case said.Code == amqp.NotAllowed:
		return check.Failf(check.ReasonMissing, "%s: there is no virtual host %q, or user %q may not use it: %s", b.shown, b.vhost, b.username, text)
	case said.Code == amqp.NotFound:
		return p.nobody("no worker has been connected to this broker and virtual host since it started: there is no exchange " + b.exchange)
	case said.Code == amqp.ConnectionForced:
		return check.Failf(check.ReasonLoading, "%s: the broker is shutting down: %s", b.shown, text)
	}
	return check.Failf(check.ReasonStatus, "%s: the broker answers with error %d: %s", b.shown, said.Code, text)
}

// maxRead is how many bytes are read of a connection. A run takes some 2 KiB.
const maxRead = 1 << 20

var errTooMuch = errors.New("sends more than it should")

// watched is a connection that reads no more than maxRead and remembers the
// first error of reading, which the client does not tell.
type watched struct {
	net.Conn
	mu    sync.Mutex
	read  int
	first error
}

// Read reads.
func (w *watched) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.read += n; w.read > maxRead {
		n, err = 0, errTooMuch
	}
	if w.first == nil {
		w.first = err
	}
	return n, err
}

func (w *watched) fault() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.first
}
