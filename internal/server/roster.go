package server

import (
	"container/heap"
	"sync"
	"sync/atomic"
	"time"
)

// A roster holds the connections of a server and bounds their number.
//
// When it is full, a new connection takes the place of the one that has waited
// longest for its client: for a request, for the rest of one, or for the client
// to take its answer. So connections that were opened and left idle, or are
// dripped on, can't keep a balancer's probe out: it would take as many new ones
// as there are places between the probe's connect and its request.
//
// The connections are a heap by the time since when they wait, which is only
// put right when one has to go: a request costs the roster two atomic
// operations and no lock.
type roster struct {
	limit int
	now   func() time.Duration

	mu    sync.Mutex
	conns waiting
}

// A place is a connection's part of the roster's book-keeping.
type place struct {
	// since is when the connection began to wait, by the server's clock, or
	// one of the values below.
	since atomic.Int64

	// The following belong to the roster.
	index int   // in the heap; -1 outside
	key   int64 // what the heap goes by; never later than since
}

const (
	busy    = -1 // a Handler is at work for the connection; it can't be closed
	evicted = -2 // it has been closed to make room
)

// begin marks the connection busy; false if it has been evicted.
func (p *place) begin() bool { return p.since.Swap(busy) != evicted }

// done marks it as waiting since now.
func (p *place) done(now time.Duration) { p.since.Store(int64(now)) }

// admit takes c in, if need be in the place of another connection, which it
// returns for the caller to close. It reports false if there is no room because
// every connection is busy.
func (r *roster) admit(c *conn) (out *conn, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.conns) >= r.limit {
		if out = r.evict(); out == nil {
			return nil, false
		}
	}
	c.place.key = int64(r.now())
	c.place.since.Store(c.place.key)
	heap.Push(&r.conns, c)
	return out, true
}

// makeRoom removes up to most connections, and at most every second one, to be
// closed by the caller.
func (r *roster) makeRoom(most int) (out []*conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for range min(most, len(r.conns)/2) {
		if c := r.evict(); c != nil {
			out = append(out, c)
		}
	}
	return out
}

// evict removes the connection that has waited longest and returns it; nil if
// none waits. mu is held.
func (r *roster) evict() *conn {
	now := int64(r.now())
	for range len(r.conns) + 1 { // each is put right at most once
		c := r.conns[0]
		since := c.place.since.Load()
		if since == c.place.key && c.place.since.CompareAndSwap(since, evicted) {
			heap.Pop(&r.conns)
			return c
		}
		c.place.key = since
		if since == busy {
			c.place.key = now
		}
		heap.Fix(&r.conns, 0)
	}
	return nil
}

// remove takes c out. It may have been evicted before.
func (r *roster) remove(c *conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.place.index >= 0 {
		heap.Remove(&r.conns, c.place.index)
	}
}

// of returns the connections of a lane.
func (r *roster) of(l *lane) []*conn {
	r.mu.Lock()
	defer r.mu.Unlock()
	var conns []*conn
	for _, c := range r.conns {
		if c.lane == l {
			conns = append(conns, c)
		}
	}
	return conns
}

// waiting is a heap of connections, the least key first.
type waiting []*conn

// The methods of heap.Interface.

func (w waiting) Len() int           { return len(w) }
func (w waiting) Less(i, j int) bool { return w[i].place.key < w[j].place.key }
func (w waiting) Swap(i, j int) {
	w[i], w[j] = w[j], w[i]
	w[i].place.index, w[j].place.index = i, j
}

func (w *waiting) Push(x any) {
	c := x.(*conn)
	c.place.index = len(*w)
	*w = append(*w, c)
}

func (w *waiting) Pop() any {
	last := len(*w) - 1
	c := (*w)[last]
	(*w)[last] = nil
	*w = (*w)[:last]
	c.place.index = -1
	return c
}
