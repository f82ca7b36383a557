package docker

import (
	"context"
	"sync"
)

// A bell tells those who listen that something has changed. The zero bell is
// ready.
type bell struct {
	mu   sync.Mutex
	ears map[*func()]struct{}
}

// ring calls those who listen. They don't block.
func (b *bell) ring() {
	b.mu.Lock()
	ears := make([]func(), 0, len(b.ears))
	for ear := range b.ears {
		ears = append(ears, *ear)
	}
	b.mu.Unlock()
	for _, ear := range ears {
		ear()
	}
}

// listen calls f whenever the bell rings, until stop is called; once more is
// possible at that moment.
func (b *bell) listen(f func()) (stop func()) {
	ear := &f
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ears == nil {
		b.ears = map[*func()]struct{}{}
	}
	b.ears[ear] = struct{}{}
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.ears, ear)
	}
}

// watch is the Watch of a [check.Watcher].
func (b *bell) watch(ctx context.Context, changed func()) error {
	defer b.listen(changed)()
	<-ctx.Done()
	return ctx.Err()
}
