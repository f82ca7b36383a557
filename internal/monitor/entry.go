package monitor

import (
	"container/heap"
	"context"
	"hash/fnv"
	"sync/atomic"
	"time"

	"hale/internal/check"
)

// An entry is one check in the monitor. What readers want is atomic; the rest
// is guarded by the monitor's mutex.
type entry struct {
	name  string
	hash  uint64
	check atomic.Pointer[check.Check]
	state atomic.Pointer[check.State]

	runs, skipped atomic.Uint64
	late          atomic.Int64 // nanoseconds
	waiting       atomic.Int64 // when the run was due that is queued in a pool, in Unix nanoseconds; 0 when none is

	due       time.Time
	index     int // in the heap; -1 when not in it
	running   bool
	stuck     bool // the run in flight was taken for a timeout already
	again     bool // another run is wanted as soon as the one in flight has ended
	removed   bool
	run       uint64 // counts runs, to tell a late guard from a current one
	started   time.Time
	stopWatch context.CancelFunc
}

func newEntry(c *check.Check) *entry {
	h := fnv.New64a()
	_, _ = h.Write([]byte(c.Name))
	e := &entry{name: c.Name, hash: mix(h.Sum64()), index: -1}
	e.check.Store(c)
	e.state.Store(&check.State{})
	return e
}

// mix spreads the bits of a hash: FNV leaves those of similar names similar.
func mix(h uint64) uint64 {
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}

// fraction is the entry's stable place in any span of time.
func (e *entry) fraction(of time.Duration) time.Duration {
	if of <= 0 {
		return 0
	}
	return time.Duration(float64(e.hash>>11) / (1 << 53) * float64(of))
}

// dueHeap orders entries by when they are due.
type dueHeap []*entry

var _ heap.Interface = (*dueHeap)(nil)

func (h dueHeap) Len() int           { return len(h) }
func (h dueHeap) Less(i, j int) bool { return h[i].due.Before(h[j].due) }
func (h dueHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push adds x, an *entry; for package heap.
func (h *dueHeap) Push(x any) {
	e := x.(*entry)
	e.index = len(*h)
	*h = append(*h, e)
}

// Pop removes the last element; for package heap.
func (h *dueHeap) Pop() any {
	old := *h
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	e.index = -1
	return e
}

// A pool bounds how many of its runs go on at once; the others wait in the
// order they were due.
type pool struct {
	limit, active int
	queue         []*entry
}

// watcherOf returns the entry's checker as a Watcher, or nil.
func watcherOf(e *entry) check.Watcher {
	w, _ := e.check.Load().Checker.(check.Watcher)
	return w
}
