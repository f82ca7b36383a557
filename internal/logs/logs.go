// Package logs keeps a log that nobody reads from holding up the agent.
package logs

import (
	"fmt"
	"io"
	"sync/atomic"
	"time"
)

// buffered is how many lines wait for a slow reader before lines are dropped.
const buffered = 4096

// patience is how long Close waits for the last lines to be written.
const patience = time.Second

// A Writer writes in the background, so that a write never blocks. When its
// reader is too slow, lines are dropped and counted, and the count is written
// when there is room again.
type Writer struct {
	lines   chan []byte
	stop    chan struct{}
	done    chan struct{}
	dropped atomic.Uint64
}

// New starts a writer to w. The caller closes it.
func New(w io.Writer) *Writer {
	l := &Writer{lines: make(chan []byte, buffered), stop: make(chan struct{}), done: make(chan struct{})}
	go l.run(w)
	return l
}

// Write takes a line, or drops it. It never fails.
func (l *Writer) Write(line []byte) (int, error) {
	select {
	case l.lines <- append([]byte(nil), line...):
	default:
		l.dropped.Add(1)
	}
	return len(line), nil
}

func (l *Writer) run(w io.Writer) {
	defer close(l.done)
	for {
		select {
		case line := <-l.lines:
			l.write(w, line)
			continue
		default:
		}
		select {
		case line := <-l.lines:
			l.write(w, line)
		case <-l.stop:
			if len(l.lines) == 0 {
				return
			}
		}
	}
}

func (l *Writer) write(w io.Writer, line []byte) {
	if n := l.dropped.Swap(0); n > 0 {
		_, _ = fmt.Fprintf(w, "%d lines of the log were dropped, as nobody read them\n", n)
	}
	_, _ = w.Write(line) // a log that can't be written is no reason to end
}

// Close writes what is left and ends the writer. It waits a second at most;
// a write that blocks for longer is left behind.
func (l *Writer) Close() {
	close(l.stop)
	select {
	case <-l.done:
	case <-time.After(patience):
	}
}
