package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	// maxEvent bounds an event's length: it has all the labels of a container.
	maxEvent = 4 << 20
	// keptEvents is how many events wait for [Stream.Next]. An engine drops
	// those for which there is no room.
	keptEvents = 1024
	maxDetail  = 64
)

// An Event is something that happened to a container.
type Event struct {
	// Time is when, by the engine's clock.
	Time time.Time
	// Action is what: create, start, die, kill, oom, stop, pause, unpause,
	// restart, rename, update, health_status, destroy … – in the words of
	// Docker, also when Podman uses others – and of a network connect or
	// disconnect. Commands that are run in a container are left out.
	Action string
	// Detail is the status after health_status.
	Detail string
	// ID and Name are the container's; Name is "" for connect and disconnect.
	ID, Name string
	// Network is the network's name for connect and disconnect.
	Network string
	// ExitCode is that of a container that died.
	ExitCode int
}

// A Stream has the events of an engine. It must be closed.
type Stream struct {
	events chan Event // closed when there are no more
	err    error      // why; to be read when events is closed
	cancel context.CancelFunc
}

var errStreamClosed = errors.New("the stream of events was closed")

// Events begins to listen for what happens to containers, and for their being
// connected to networks and disconnected. A since that is not zero has the
// events from then on come first. ctx is for the beginning: the stream outlives
// it. One that is silent is healthy or not: an engine that hangs sends nothing.
func (c *Client) Events(ctx context.Context, since time.Time) (*Stream, error) {
	query := url.Values{"filters": {`{"type":["container","network"]}`}}
	if !since.IsZero() {
		query.Set("since", fmt.Sprintf("%d.%09d", since.Unix(), since.Nanosecond()))
	}
	lasting, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, cancel)
	answer, err := c.get(lasting, "/events?"+query.Encode())
	if !stop() && err == nil {
		_ = answer.Body.Close()
		err = c.explain(ctx.Err())
	}
	if err != nil {
		cancel()
		if ctx.Err() != nil {
			err = c.explain(ctx.Err())
		}
		return nil, err
	}
	s := &Stream{events: make(chan Event, keptEvents), cancel: cancel}
	go s.read(lasting, c, answer)
	return s, nil
}

// read passes on the events until the stream ends.
func (s *Stream) read(ctx context.Context, c *Client, answer *http.Response) {
	defer close(s.events)
	defer answer.Body.Close()
	from := &bounded{r: answer.Body}
	d := json.NewDecoder(from)
	for {
		from.left = maxEvent
		var e happened
		if err := d.Decode(&e); err != nil {
			s.err = c.explain(err)
			if ctx.Err() != nil {
				s.err = errStreamClosed
			}
			return
		}
		event, ok := e.event()
		if !ok {
			continue
		}
		select {
		case s.events <- event:
		case <-ctx.Done():
			s.err = errStreamClosed
			return
		}
	}
}

// Next waits for the next event. When ctx ends nothing is lost: Next may be
// called again. After any other error there are no more events, and the error
// says why; the engine ended, in most cases.
func (s *Stream) Next(ctx context.Context) (Event, error) {
	select {
	case <-ctx.Done():
		return Event{}, ctx.Err()
	case e, ok := <-s.events:
		if !ok {
			return Event{}, s.err
		}
		return e, nil
	}
}

// Close ends the stream and waits until nothing is left of it. A call of Next
// that waits returns then. Close may be called again.
func (s *Stream) Close() {
	s.cancel()
	for range s.events {
		// until it is closed
	}
}

// happened is an event as engines tell it.
type happened struct {
	Type, Action string
	Actor        struct {
		ID         string
		Attributes map[string]string
	}
	TimeNano int64
}

// event returns the event, and whether it is one to be passed on.
func (h happened) event() (Event, bool) {
	attributes := h.Actor.Attributes
	e := Event{Time: time.Unix(0, h.TimeNano).UTC()}
	action, detail, _ := strings.Cut(h.Action, ": ")
	e.Action = strings.TrimSpace(action)
	switch h.Type {
	case "container":
		e.ID, e.Name = h.Actor.ID, strings.TrimPrefix(attributes["name"], "/")
	case "network":
		e.ID, e.Network = attributes["container"], attributes["name"]
		return e, e.ID != "" && (e.Action == "connect" || e.Action == "disconnect")
	default:
		return e, false
	}
	switch e.Action {
	case "health_status":
		e.Detail = detail[:min(len(detail), maxDetail)]
	case "remove": // Podman's word
		e.Action = "destroy"
	}
	if e.Action == "die" {
		code, _ := strconv.Atoi(attributes["exitCode"])
		e.ExitCode = code
	}
	return e, e.ID != "" && !strings.HasPrefix(e.Action, "exec")
}
