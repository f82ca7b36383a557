package server

import (
	"container/list"
	"sync"
	"sync/atomic"
)

// A phase is what a connection is doing, as far as the roster cares.
type phase = uint32

const (
	// phaseFresh: it waits for its client – for a request, for the rest of one,
	// or for the client to take its answer – and is new, or has been answered
	// on, since the roster last looked.
	phaseFresh phase = iota
	// phaseWaiting: so it does, and nothing has happened since.
	phaseWaiting
	// phaseBusy: a Handler is at work for it. It can't be closed.
	phaseBusy
	// phaseEvicted: it has been closed to make room.
	phaseEvicted
)

// A roster holds the connections of a server and bounds their number.
//
// When it is full, a new connection takes the place of the one that has waited
// longest for its client, so that connections that were opened and left idle, or
// are dripped on, can't keep a balancer's probe out: it would take as many new
// ones as there are places between the probe's connect and its request. Which
// one has waited longest is found as the clock algorithm finds the page to
// replace: in the order of arrival, where one that was fresh is passed over
// once. So a request costs the roster one atomic exchange and no lock.
type roster struct {
	limit int

	mu    sync.Mutex
	conns list.List // of *conn; the front is looked at first
}

// A place is a connection's part of the roster's book-keeping.
type place struct {
	phase   atomic.Uint32
	element *list.Element // under roster.mu
}

// admit takes c in, if need be in the place of another connection, which it
// returns for the caller to close. It reports false if there is no room because
// every connection is busy.
func (r *roster) admit(c *conn) (evicted *conn, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.conns.Len() >= r.limit {
		if evicted = r.evict(); evicted == nil {
			return nil, false
		}
	}
	c.place.element = r.conns.PushBack(c)
	return evicted, true
}

// makeRoom removes up to most connections, and at most every second one, to be
// closed by the caller.
func (r *roster) makeRoom(most int) (evicted []*conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for range min(most, r.conns.Len()/2) {
		if c := r.evict(); c != nil {
			evicted = append(evicted, c)
		}
	}
	return evicted
}

// evict removes the connection that has waited longest for its client and
// returns it; nil if none waits. mu is held. In two rounds it has looked again
// at each that was fresh.
func (r *roster) evict() *conn {
	for range 2 * r.conns.Len() {
		front := r.conns.Front()
		c := front.Value.(*conn)
		if c.place.phase.CompareAndSwap(phaseWaiting, phaseEvicted) {
			r.conns.Remove(front)
			return c
		}
		c.place.phase.CompareAndSwap(phaseFresh, phaseWaiting)
		r.conns.MoveToBack(front)
	}
	return nil
}

// remove takes c out. It may have been evicted before.
func (r *roster) remove(c *conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conns.Remove(c.place.element)
}

// of returns the connections of a lane.
func (r *roster) of(l *lane) []*conn {
	r.mu.Lock()
	defer r.mu.Unlock()
	var conns []*conn
	for e := r.conns.Front(); e != nil; e = e.Next() {
		if c := e.Value.(*conn); c.lane == l {
			conns = append(conns, c)
		}
	}
	return conns
}

// begin marks the connection busy; false if it has been evicted.
func (p *place) begin() bool { return p.phase.Swap(phaseBusy) != phaseEvicted }

// done marks it as waiting for its client again.
func (p *place) done() { p.phase.Store(phaseFresh) }
