package capture

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Options say how to answer, and when to end.
type Options struct {
	// Code is the status that requests are answered with, 200 to 599.
	Code int
	// Count is after how many arrivals to end; 0 for never.
	Count int
}

// A Summary is what arrived altogether.
type Summary struct {
	Arrivals int
	// Dropped is how many connections were closed unseen, as there were
	// MaxConnections of them.
	Dropped int
	// Took is how long it was listened.
	Took time.Duration
	// Senders is how many arrivals came from each sender, by [Arrival.Sender].
	Senders map[string]int
}

// ErrBlocked says that what arrived last could not be shown.
var ErrBlocked = errors.New("the output takes no more: what arrived last is not shown, or in part")

// settle is how long showing what arrived may take after the context has ended.
const settle = time.Second

// Run answers what arrives at a listener, and shows each arrival, one at a time.
// It ends when the context does, after Count arrivals, or when show fails, which
// is its error, as is a listener that breaks. What was answered before the
// context ended is shown still, for up to a second: who got an answer must not
// be told that nothing arrived. It closes the listener, and returns when all its
// connections are closed and its goroutines have ended, but for a show that is
// blocked for that second: that is left behind, and the error is ErrBlocked.
func Run(ctx context.Context, l net.Listener, o Options, show func(*Arrival) error) (Summary, error) {
	begin := time.Now()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r := &run{options: o, cancel: cancel, slots: make(chan struct{}, MaxConnections),
		arrivals: make(chan *Arrival), over: make(chan struct{})}
	late := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		_ = l.Close()
		time.AfterFunc(settle, func() { close(late) })
	})
	defer stop()
	var workers sync.WaitGroup
	workers.Go(func() { r.accept(ctx, l, &workers) })
	idle := make(chan struct{})
	go func() {
		workers.Wait()
		close(idle)
	}()
	summary, failed := r.showAll(idle, late, show)
	cancel(nil)
	close(r.over)
	<-idle
	_ = l.Close()
	summary.Dropped, summary.Took = int(r.dropped.Load()), time.Since(begin)
	if broken, ok := errors.AsType[brokenError](context.Cause(ctx)); ok {
		return summary, broken.error
	}
	return summary, failed
}

// showAll shows what arrives until Count of it has, a show fails, it is late, or
// it is idle: then the context has ended, and every connection with it.
func (r *run) showAll(idle, late <-chan struct{}, show func(*Arrival) error) (Summary, error) {
	summary := Summary{Senders: map[string]int{}}
	book := &book{}
	for {
		select {
		case <-idle:
			return summary, nil
		case <-late:
			return summary, nil
		case a := <-r.arrivals:
			summary.Arrivals++
			a.Number = summary.Arrivals
			book.enter(a)
			summary.Senders[a.Sender()]++
			if err := patiently(late, func() error { return show(a) }); err != nil {
				return summary, err
			}
			if r.options.Count > 0 && summary.Arrivals >= r.options.Count {
				return summary, nil
			}
		}
	}
}

// patiently runs show, and leaves it alone if it is blocked when it is late.
func patiently(late <-chan struct{}, show func() error) error {
	done := make(chan error, 1)
	go func() { done <- show() }()
	select {
	case err := <-done:
		return err
	case <-late:
		return ErrBlocked
	}
}

// A brokenError is why a run ended that was not to end.
type brokenError struct{ error }

// A run is what the connections of a Run share.
type run struct {
	options  Options
	cancel   context.CancelCauseFunc
	slots    chan struct{}
	arrivals chan *Arrival
	over     chan struct{} // closed when no more arrivals are shown
	dropped  atomic.Int64
}

// accept gives each connection a goroutine, up to MaxConnections.
func (r *run) accept(ctx context.Context, l net.Listener, workers *sync.WaitGroup) {
	certificate := certificates()
	for {
		nc, err := l.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				_ = nc.Close()
			}
			return
		case errors.Is(err, net.ErrClosed):
			r.cancel(brokenError{fmt.Errorf("listening on %s: %w", l.Addr(), err)})
			return
		case err != nil:
			// Out of file descriptors, most likely; connections end by themselves.
			select {
			case <-ctx.Done():
			case <-time.After(50 * time.Millisecond):
			}
			continue
		}
		select {
		case r.slots <- struct{}{}:
		default:
			r.dropped.Add(1)
			_ = nc.Close()
			continue
		}
		c := &conn{nc: nc, options: r.options, certificate: certificate, from: addrPort(nc.RemoteAddr()), to: addrPort(nc.LocalAddr())}
		c.send = func(a *Arrival) {
			if ctx.Err() != nil && a.Answer == "" {
				return // it is not the peer who ended it
			}
			select {
			case r.arrivals <- a:
			case <-r.over:
			}
		}
		workers.Go(func() {
			defer func() { <-r.slots }()
			c.serve(ctx)
		})
	}
}
