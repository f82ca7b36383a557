package celerycheck

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"hale/internal/check"
	"hale/internal/resp"
)

// How a ping goes through Redis, where kombu makes exchanges and queues of its
// own: kombu/transport/redis.py and virtual/exchange.py.
//
//   - All workers subscribe to the channel of the exchange celery.pidbox, so a
//     ping is a PUBLISH.
//   - A worker replies to a direct exchange: it reads the set of the exchange's
//     bindings (SMEMBERS) and pushes the reply to the list (LPUSH) of each queue
//     that is bound with the routing key. Without a binding it pushes nothing.
//
// So a run needs a binding and a list for as long as it waits, and one
// transaction makes both and sends the ping. Afterwards it takes away first the
// binding, then the list. The list of a check has the same name in all its runs,
// so that the next run would make an end of one that stayed all the same.
//
// What is left by a hale that is killed must go by itself. Redis can't let a
// set's member expire, but a set: hale's bindings are in sets of their own,
// those of its exchanges, and there are [slots] of these, used in turn for a
// [slot] each, so that each is left alone for long enough to expire, however
// many others ping. (One exchange per ping would not do: workers remember the
// names of exchanges for ever.) The list is made beforehand, with a placeholder
// in it and a time to live that a worker's LPUSH does not change. It lives
// longer than the binding can, so that a worker which answers late, because it
// was stopped, say, finds either both or no binding, and never makes a list
// that stays.
//
// The placeholder is also why the reply is not waited for with BRPOP, which
// would return it at once, but asked for now and then.
//
// A worker that finds a binding with another separator than its own does not skip
// it: the thread that takes remote control commands ends, and the worker answers
// nobody until it is restarted. So the workers' own bindings are looked at first.
const (
	slot  = time.Minute
	slots = 4
	// bindingLife is more than longest, and slot+bindingLife less than
	// slots*slot. listLife is more than slot+bindingLife.
	bindingLife = 90 * time.Second
	listLife    = 180 * time.Second

	placeholder = "-"
	// maxReplies is how many replies are read at once. There is more than one
	// only when several workers have the same name.
	maxReplies = 16
	// sample is how many of the workers' bindings are looked at. There may be
	// very many: one of every worker that was ever killed.
	sample = 16
)

const bindingsOf = "_kombu.binding."

// A redisBroker is immutable once made.
type redisBroker struct {
	server   *resp.Server
	exchange string
	prefix   string // before every key and channel
	channel  string // the workers subscribe to it
	sep      string
	// sepMark keeps bindings with another separator than kombu's apart from those
	// of other checks, in exchanges of their own.
	sepMark string
	queue   string // for the replies
	// suffix is what the name of a queue has at its end as a key, for the
	// priority of replies.
	suffix string
	login  []byte
	logins []string // the commands in login
}

func (c *Config) redisBroker(env check.Env) (*redisBroker, error) {
	b := &redisBroker{
		server: &resp.Server{
			Dial: env.Dial, Scheme: c.scheme, Address: check.Address(c.host, c.port),
			Username: c.Username, Password: c.Password.Reveal(), DB: c.db, Options: c.Options,
		},
		exchange: c.Exchange,
		prefix:   c.GlobalKeyprefix,
		channel:  c.GlobalKeyprefix + strings.ReplaceAll(c.FanoutPrefix, "{db}", strconv.Itoa(c.db)) + c.Exchange,
		sep:      c.Sep,
	}
	if b.sep == "" {
		b.sep = defaultSep
	}
	if b.sep != defaultSep {
		b.sepMark = "-" + hex.EncodeToString([]byte(b.sep))
	}
	b.queue = queueName(rand.Text(), b.exchange)
	// A reply has the priority 0. Its queue's key has the largest step that is
	// not larger; without one, Python's index -1 makes it the last. Step 0 has
	// no suffix.
	if c.PrioritySteps[0] != "0" {
		b.suffix = b.sep + c.PrioritySteps[len(c.PrioritySteps)-1]
	}
	if c.tls {
		var err error
		if b.server.TLS, err = c.Options.Config(c.tlsHost()); err != nil {
			return nil, err
		}
	}
	b.login, b.logins = b.server.AppendLogin(nil)
	return b, nil
}

func (b *redisBroker) target() string { return b.server.Target() }

// A letterbox is what one ping has in Redis.
type letterbox struct {
	exchange string // replies are sent to it
	bindings string // key of its set of bindings
	binding  string // the member of that
	list     string // key of the queue's list
}

func (b *redisBroker) letterbox(p *ping) letterbox {
	number := p.start.Unix() / int64(slot/time.Second) % slots
	exchange := "hale-" + strconv.FormatInt(number, 10) + b.sepMark + ".reply." + b.exchange
	return letterbox{
		exchange: exchange,
		bindings: b.prefix + bindingsOf + exchange,
		binding:  p.id + b.sep + b.sep + b.queue,
		list:     b.prefix + b.queue + b.suffix,
	}
}

func (b *redisBroker) ping(ctx context.Context, p *ping) error {
	conn, err := b.server.Connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	// First the login alone: if the database can't be selected, or the user is
	// another one, what follows would be done all the same.
	if command, err := b.logIn(conn); err != nil {
		return b.server.Explain(command, err)
	}
	if command, err := b.expectSep(conn, p.worker); err != nil {
		return b.server.Explain(command, err)
	}
	box := b.letterbox(p)
	// Redis may refuse everybody and hang up, and what it said can be read all
	// the same. A request that is cut off has no EXEC and stores nothing.
	cutOff := conn.Write(b.request(p, box)) != nil
	listeners, command, err := sent(conn)
	if err == nil {
		command, err = "LRANGE", b.await(ctx, conn, p, box, listeners)
	}
	// What is refused stores nothing, and what does not speak the protocol is
	// not spoken to.
	_, refused := errors.AsType[*resp.Refusal](err)
	_, malformed := errors.AsType[*resp.Malformed](err)
	if !cutOff && !refused && !malformed {
		cleanUp(conn, box, err == nil && listeners == 1)
	}
	return b.server.Explain(command, err)
}

// logIn logs in and selects the database, or returns the command whose reply is
// an error.
func (b *redisBroker) logIn(conn *resp.Conn) (command string, err error) {
	if len(b.logins) == 0 {
		return "", nil
	}
	_ = conn.Write(b.login)
	for _, command := range b.logins {
		if _, err := conn.Status(); err != nil {
			return command, err
		}
	}
	return "", nil
}

// expectSep fails when the workers store their bindings with another separator
// than this check would. Nothing is known of it, and nothing wrong, when there is
// no binding yet and when the user may not look.
func (b *redisBroker) expectSep(conn *resp.Conn, worker string) (command string, err error) {
	key := b.prefix + bindingsOf + b.exchange
	_ = conn.Write(resp.AppendCommand(nil, "SISMEMBER", key, b.sep+b.sep+worker+"."+b.exchange))
	if bound, err := conn.Int(); bound != 0 || err != nil {
		return "SISMEMBER", unlessForbidden(err)
	}
	// The worker is not bound with this separator, or has another name.
	_ = conn.Write(resp.AppendCommand(nil, "SRANDMEMBER", key, strconv.Itoa(sample)))
	n, err := conn.Array()
	if err != nil {
		return "SRANDMEMBER", unlessForbidden(err)
	}
	other := ""
	for range n {
		member, err := conn.Bulk(maxReply)
		if err != nil {
			return "SRANDMEMBER", err
		}
		if strings.Count(member, b.sep) == 2 { // three parts, as kombu wants it
			return "", nil
		}
		other = member
	}
	if other == "" {
		return "", nil
	}
	const most = 100
	return "", check.Failf(check.ReasonConfig, "%s: the workers use another separator than the option sep, which is %q: they have %q in %s; give the sep of their broker_transport_options. No ping was sent, as it would end the worker's remote control",
		b.target(), b.sep, other[:min(len(other), most)], key)
}

// unlessForbidden returns err unless it is that the user may not use a command.
func unlessForbidden(err error) error {
	if r, ok := errors.AsType[*resp.Refusal](err); ok && strings.HasPrefix(r.Text, "NOPERM") {
		return nil
	}
	return err
}

// request is the transaction that sends the ping.
func (b *redisBroker) request(p *ping, box letterbox) []byte {
	seconds := func(d time.Duration) string { return strconv.Itoa(int(d / time.Second)) }
	to := resp.AppendCommand(nil, "MULTI")
	to = resp.AppendCommand(to, "SADD", box.bindings, box.binding)
	to = resp.AppendCommand(to, "EXPIRE", box.bindings, seconds(bindingLife))
	to = resp.AppendCommand(to, "RPUSH", box.list, placeholder)
	to = resp.AppendCommand(to, "EXPIRE", box.list, seconds(listLife))
	to = resp.AppendCommand(to, "PUBLISH", b.channel, string(b.message(p, box)))
	return resp.AppendCommand(to, "EXEC")
}

// message is the ping in kombu's virtual transport, which has no properties of
// messages as AMQP does.
func (b *redisBroker) message(p *ping, box letterbox) []byte {
	return mustJSON(map[string]any{
		"body":             base64.StdEncoding.EncodeToString(p.body(box.exchange, p.id)),
		"content-encoding": "utf-8",
		"content-type":     "application/json",
		"headers":          map[string]any{"clock": 0, "expires": float64(p.until.UnixMilli()) / 1000},
		"properties": map[string]any{
			"delivery_mode": 1,
			"delivery_info": map[string]string{"exchange": b.exchange, "routing_key": ""},
			"priority":      0,
			"body_encoding": "base64",
			"delivery_tag":  p.id,
		},
	})
}

// sent reads the replies to request and returns how many clients listen on the
// channel, or the command whose reply is an error.
func sent(conn *resp.Conn) (listeners int, command string, err error) {
	stored := []string{"SADD", "EXPIRE", "RPUSH", "EXPIRE", "PUBLISH"}
	for _, command := range slices.Concat([]string{"MULTI"}, stored) {
		if _, err := conn.Status(); err != nil { // OK or QUEUED
			return 0, command, err
		}
	}
	if n, err := conn.Array(); err != nil || n != len(stored) {
		return 0, "EXEC", cmp.Or(err, error(&resp.Malformed{Text: "*" + strconv.Itoa(n), Want: "*5"}))
	}
	for _, command := range stored {
		if listeners, err = conn.Int(); err != nil {
			return 0, command, err
		}
	}
	return listeners, "", nil
}

// await waits for the reply. The longer it takes, the less often it asks.
func (b *redisBroker) await(ctx context.Context, conn *resp.Conn, p *ping, box letterbox, listeners int) error {
	ask := resp.AppendCommand(nil, "LRANGE", box.list, "0", strconv.Itoa(maxReplies-1))
	for {
		wait := min(max(time.Since(p.start)/8, time.Millisecond), 50*time.Millisecond, max(time.Until(p.until), 0))
		select {
		case <-ctx.Done():
			return p.gaveUp(ctx)
		case <-time.After(wait):
		}
		late := !time.Now().Before(p.until)
		err := conn.Write(ask)
		replied := false
		if err == nil {
			replied, err = readReplies(conn, p)
		}
		switch {
		case err != nil && errors.Is(ctx.Err(), context.Canceled):
			return p.gaveUp(ctx) // it broke the connection off
		case replied || err != nil:
			return err
		}
		if late {
			return p.noReply(b.hint(listeners))
		}
	}
}

// readReplies reads the list and reports whether the worker's reply is in it.
func readReplies(conn *resp.Conn, p *ping) (replied bool, err error) {
	n, err := conn.Array()
	if err != nil {
		return false, err
	}
	for range n {
		text, err := conn.Bulk(maxReply)
		if err != nil {
			return false, err
		}
		mine, fault := p.judgeMessage([]byte(text))
		if fault != nil {
			return true, fault
		}
		replied = replied || mine
	}
	return replied, nil
}

// judgeMessage is judge for a message of kombu's virtual transport.
func (p *ping) judgeMessage(text []byte) (mine bool, err error) {
	var m struct {
		Body        string `json:"body"`
		ContentType string `json:"content-type"`
		Headers     struct {
			Ticket string `json:"ticket"`
		} `json:"headers"`
		Properties struct {
			BodyEncoding string `json:"body_encoding"`
		} `json:"properties"`
	}
	if json.Unmarshal(text, &m) != nil || m.Headers.Ticket != p.id {
		return false, nil
	}
	body := []byte(m.Body)
	if m.Properties.BodyEncoding == "base64" {
		if body, err = base64.StdEncoding.DecodeString(m.Body); err != nil {
			return false, nil
		}
	}
	return p.judge(m.ContentType, body)
}

// hint says what the number of listeners tells.
func (b *redisBroker) hint(listeners int) string {
	switch listeners {
	case 0:
		return "no worker is connected to this broker and database: nobody listens on " + b.channel + "; a worker that runs all the same has lost its remote control and must be restarted, see its log"
	case 1:
		return "1 worker is connected: it hangs, or has another name; see celery status"
	default:
		return strconv.Itoa(listeners) + " workers are connected: this one hangs, or has another name; see celery status"
	}
}

// cleanUp takes away what request stored, whether or not the run's context has
// ended. Alone says that no other worker can be about to answer.
func cleanUp(conn *resp.Conn, box letterbox, alone bool) {
	conn.Outlive(cleaning)
	remove := resp.AppendCommand(nil, "DEL", box.list)
	// If any of this can't be done, the connection is broken and all expires.
	_ = conn.Write(resp.AppendCommand(nil, "SREM", box.bindings, box.binding))
	if !alone {
		// A worker, perhaps a second one of that name, may have read the binding
		// and not yet pushed its reply. So give it a moment; and let a list that
		// is made after all expire.
		time.Sleep(2 * time.Millisecond)
		_ = conn.Write(remove)
		time.Sleep(10 * time.Millisecond)
		remove = resp.AppendCommand(nil, "EXPIRE", box.list, "1")
	}
	_ = conn.Write(resp.AppendCommand(remove, "QUIT"))
	// The server hangs up when it has done all.
	_, _ = io.Copy(io.Discard, io.LimitReader(conn, maxReplies*maxReply))
}
