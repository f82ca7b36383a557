package celerycheck

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"hale/internal/check"
)

const (
	// cleaning is how long taking away what a run left in the broker may take,
	// besides the run itself. A command that runs the check once takes it for
	// stuck some 80 ms after its timeout, and what was wrong would be lost.
	cleaning = 50 * time.Millisecond
	// longest is how long a reply is waited for, whatever the timeout. What is
	// stored in Redis is stored for longer than this.
	longest = time.Minute
	// maxReply is the size of the largest reply that is read, in bytes. One is
	// about 500 bytes long.
	maxReply = 64 << 10
)

// ErrNoReply is what errors of a ping are when the broker works and the worker
// does not answer; see [errors.Is].
var ErrNoReply = errors.New("no reply to ping")

// A broker carries a ping to the workers and their replies back.
type broker interface {
	// ping sends p and waits for its reply until p.until. It leaves nothing in
	// the broker.
	ping(ctx context.Context, p *ping) error
	// target names the broker in messages.
	target() string
}

// checker is immutable once made.
type checker struct {
	broker broker
	worker string
}

// Check pings the worker once.
func (c *checker) Check(ctx context.Context) (string, error) {
	if err := c.broker.ping(ctx, newPing(ctx, c.broker.target(), c.worker)); err != nil {
		return "", err
	}
	return c.worker + ": pong", nil
}

// A ping is one message and what is known of it.
type ping struct {
	target string
	worker string
	// id tells this ping's reply from all others.
	id string
	// start is when it began, and until when its reply must have come: a little
	// before the run has to end, to leave time to clean up.
	start, until time.Time
	timeout      time.Duration
}

func newPing(ctx context.Context, target, worker string) *ping {
	p := &ping{target: target, worker: worker, id: rand.Text(), start: time.Now(), timeout: longest}
	p.until = p.start.Add(longest)
	if deadline, ok := ctx.Deadline(); ok && deadline.Before(p.until) {
		p.timeout = deadline.Sub(p.start)
		p.until = deadline.Add(-min(cleaning, p.timeout/8))
	}
	return p
}

// queueName is the name of a queue for replies. It is like those that Celery's
// own pings have, so that permissions made for those suffice.
func queueName(id, exchange string) string { return "hale-" + id + ".reply." + exchange }

// body is the message as kombu's Mailbox makes it. The reply goes to the
// exchange and routing key.
func (p *ping) body(exchange, routingKey string) []byte {
	return mustJSON(map[string]any{
		"method":      "ping",
		"arguments":   map[string]any{},
		"destination": []string{p.worker},
		"pattern":     nil,
		"matcher":     nil,
		"ticket":      p.id,
		"reply_to":    map[string]string{"exchange": exchange, "routing_key": routingKey},
	})
}

// mustJSON encodes what can be encoded.
func mustJSON(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return text
}

// judge says of a reply's body whether it is the worker's, and whether that is
// well. The body is a map of the worker's name to what it says. A worker whose
// task_serializer is not JSON answers in that too; then its name and the word
// have to do.
func (p *ping) judge(contentType string, body []byte) (mine bool, err error) {
	if contentType != "application/json" {
		return bytes.Contains(body, []byte(p.worker)) && bytes.Contains(body, []byte("pong")), nil
	}
	var replies map[string]map[string]any
	if err := json.Unmarshal(body, &replies); err != nil {
		return false, nil // not a reply to a ping
	}
	said, mine := replies[p.worker]
	if mine && said["ok"] != "pong" {
		return true, check.Failf(check.ReasonStatus, "%s: '%s' answers the ping with %s; see its log", p.target, p.worker, check.CleanText(fmt.Sprint(said)))
	}
	return mine, nil
}

// noReply is the failure of a ping that was waited for in vain. Known says what
// is known of why.
func (p *ping) noReply(known string) error {
	return check.Failf(check.ReasonTimeout, "%s: %w from '%s' within %v; %s", p.target, ErrNoReply, p.worker, inWords(p.timeout), known)
}

// nobody is the failure of a ping that no worker can have got.
func (p *ping) nobody(known string) error {
	return check.Failf(check.ReasonMissing, "%s: %w from '%s': %s", p.target, ErrNoReply, p.worker, known)
}

// inWords rounds a time as it was set: some of it is gone by the time the ping
// begins.
func inWords(timeout time.Duration) time.Duration {
	if timeout < 500*time.Millisecond {
		return timeout.Round(10 * time.Millisecond)
	}
	return timeout.Round(100 * time.Millisecond)
}

// gaveUp is the failure of a ping whose context ended first.
func (p *ping) gaveUp(ctx context.Context) error {
	return check.Failf(check.ReasonOf(ctx.Err()), "%s: '%s' had not answered the ping: %w", p.target, p.worker, ctx.Err())
}
