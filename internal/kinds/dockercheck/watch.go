package dockercheck

import (
	"context"
	"sync"
	"time"

	"hale/internal/engine"
)

const (
	// minPause and maxPause are between two tries to reach an engine: the pause
	// doubles with each that fails.
	minPause = 100 * time.Millisecond
	maxPause = 5 * time.Second
	// patience is how long an engine may take to begin with its events.
	patience = 30 * time.Second
)

// Watch calls changed when something happens to the container, when the engine
// is lost, and when it is back. It returns only when ctx ends.
func (c *checker) Watch(ctx context.Context, changed func()) error {
	s := c.hub.subscribe(c.host, c.client, c.name)
	defer c.hub.leave(s)
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.token:
			changed()
		}
	}
}

// A hub has one stream of events for each engine of which a container is
// watched.
type hub struct {
	mu    sync.Mutex
	feeds map[string]*feed // by the engine's address as it was given
}

// A feed reads the events of one engine. It exists while there are
// subscriptions.
type feed struct {
	hub    *hub
	client *engine.Client
	subs   map[*subscription]bool
	cancel context.CancelFunc
	ended  chan struct{} // closed when its goroutine has ended
}

// A subscription is to what happens to one container.
type subscription struct {
	feed  *feed
	host  string
	name  string        // or id; see isID
	token chan struct{} // holds one when something happened
}

func newHub() *hub { return &hub{feeds: map[string]*feed{}} }

// subscribe begins to listen. The subscription has a token at once, for what
// happened before went unnoticed.
func (h *hub) subscribe(host string, client *engine.Client, name string) *subscription {
	h.mu.Lock()
	defer h.mu.Unlock()
	f := h.feeds[host]
	if f == nil {
		ctx, cancel := context.WithCancel(context.Background())
		f = &feed{hub: h, client: client, subs: map[*subscription]bool{}, cancel: cancel, ended: make(chan struct{})}
		h.feeds[host] = f
		go f.run(ctx)
	}
	s := &subscription{feed: f, host: host, name: name, token: make(chan struct{}, 1)}
	f.subs[s] = true
	s.tell()
	return s
}

// leave ends a subscription. The last one waits until nothing is left of the
// engine's feed.
func (h *hub) leave(s *subscription) {
	f := s.feed
	h.mu.Lock()
	delete(f.subs, s)
	last := len(f.subs) == 0
	if last {
		delete(h.feeds, s.host)
	}
	h.mu.Unlock()
	if last {
		f.cancel()
		<-f.ended
	}
}

// run reads events until ctx ends. After the loss of the engine it tries again,
// with pauses.
func (f *feed) run(ctx context.Context) {
	defer close(f.ended)
	pause := minPause
	for {
		began := time.Now()
		f.listen(ctx)
		if time.Since(began) > maxPause {
			pause = minPause // it was reached
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		pause = min(2*pause, maxPause)
	}
}

// listen reads events until the engine is lost.
func (f *feed) listen(ctx context.Context) {
	opening, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	stream, err := f.client.Events(opening, time.Time{})
	if err != nil {
		return
	}
	defer stream.Close()
	f.tell(engine.Event{}) // what happened meanwhile went unnoticed
	for {
		e, err := stream.Next(ctx)
		if err != nil {
			f.tell(engine.Event{}) // that the engine is lost, too, is news
			return
		}
		f.tell(e)
	}
}

// tell tells those whom an event concerns; one without a container is for all.
func (f *feed) tell(e engine.Event) {
	f.hub.mu.Lock()
	defer f.hub.mu.Unlock()
	for s := range f.subs {
		// A renamed container may be the one that a check had, or has now.
		if e.ID == "" || e.Action == "rename" || s.name == e.Name || isID(e.ID, s.name) {
			s.tell()
		}
	}
}

// tell never blocks: one token is as good as many.
func (s *subscription) tell() {
	select {
	case s.token <- struct{}{}:
	default:
	}
}
