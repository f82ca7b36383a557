package dockerstatus

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"time"

	"hale/internal/check"
	"hale/internal/discover/links"
)

// reporter tells each result, to the log and to Graylog.
type reporter struct {
	targets map[string]links.Target // by the check's name
	log     *slog.Logger
	gelf    *gelf // nil is none
}

// Ran tells of a run.
func (r *reporter) Ran(c *check.Check, result check.Result, late time.Duration) {
	target := r.targets[c.Name]
	level, text := slog.LevelInfo, target.Name+" is OK: "+result.Text()
	if !result.Healthy() {
		level, text = slog.LevelError, target.Name+" fails: "+result.Text()
	}
	r.log.Log(context.Background(), level, text, "took", result.Took, "late", late)
	if r.gelf != nil {
		r.gelf.send(target, result, text)
	}
}

// Skipped is not told of: the run that still goes on will be.
func (r *reporter) Skipped(*check.Check) {}

const (
	// queued is how many messages wait for a name server before some are
	// dropped.
	queued = 1024
	// dialTimeout is how long finding Graylog's address may take.
	dialTimeout = 5 * time.Second
	// addressAge is how long that address is used: another may get the name.
	addressAge = time.Minute
	// complaintGap is the least time between two complaints in the log.
	complaintGap = time.Minute
)

// The severities of syslog (RFC 5424, section 6.2.1), which GELF has.
const (
	severityError = 3
	severityInfo  = 6
)

// message is one result as Graylog takes it (GELF 1.1). It is far below the 8 KiB
// over which a message has to be sent in chunks.
type message struct {
	Version   string  `json:"version"`
	Host      string  `json:"host"`
	Text      string  `json:"short_message"`
	Timestamp float64 `json:"timestamp"` // seconds since 1970
	Level     int     `json:"level"`
	Status    string  `json:"_status_host"`
	CheckHost string  `json:"_status_check_host"`
}

// gelf sends results to Graylog over UDP.
type gelf struct {
	address, localName string
	log                *slog.Logger
	queue              chan []byte

	// These are run's.
	conn       net.Conn
	dialed     time.Time
	complained time.Time
}

func newGELF(address, localName string, log *slog.Logger) *gelf {
	return &gelf{address: address, localName: localName, log: log, queue: make(chan []byte, queued)}
}

// send takes a result to be sent, or drops it. It never blocks.
func (g *gelf) send(t links.Target, r check.Result, text string) {
	m := message{
		Version: "1.1", Host: check.CleanText(g.localName), Text: check.CleanText(text),
		Timestamp: float64(r.At.Add(r.Took).UnixMilli()) / 1000, Level: severityInfo,
		Status: check.CleanText(t.Name), CheckHost: check.CleanText(t.Host),
	}
	if !r.Healthy() {
		m.Level = severityError
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(m); err != nil {
		g.log.Debug("a result could not be written as GELF", "error", err)
		return
	}
	select {
	case g.queue <- bytes.TrimSpace(b.Bytes()):
	default:
		g.log.Debug("a result is not sent to Graylog: too many wait already")
	}
}

// run sends until ctx ends, and then what still waits if that takes no time.
func (g *gelf) run(ctx context.Context) {
	defer g.hangUp()
	for {
		select {
		case m := <-g.queue:
			g.deliver(ctx, m)
			continue
		default:
		}
		select {
		case m := <-g.queue:
			g.deliver(ctx, m)
		case <-ctx.Done():
			if len(g.queue) == 0 {
				return
			}
		}
	}
}

// deliver sends a message, twice if need be: that the last one did not arrive is
// known when the next one is sent.
func (g *gelf) deliver(ctx context.Context, m []byte) {
	var err error
	for range 2 {
		if err = g.dial(ctx); err != nil {
			break
		}
		_ = g.conn.SetWriteDeadline(time.Now().Add(dialTimeout))
		if _, err = g.conn.Write(m); err == nil {
			return
		}
		g.hangUp()
	}
	if ctx.Err() == nil && time.Since(g.complained) > complaintGap {
		g.complained = time.Now()
		g.log.Warn("results do not reach Graylog; see GRAYLOG_HOST and GRAYLOG_PORT", "graylog", g.address, "error", err)
	}
}

// dial makes the socket, unless there is a young one.
func (g *gelf) dial(ctx context.Context) error {
	if g.conn != nil && time.Since(g.dialed) < addressAge {
		return nil
	}
	g.hangUp()
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "udp", g.address)
	if err != nil {
		return err
	}
	g.conn, g.dialed = conn, time.Now()
	return nil
}

func (g *gelf) hangUp() {
	if g.conn != nil {
		_ = g.conn.Close()
		g.conn = nil
	}
}
