package logs_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hale/internal/logs"
)

func TestWritesInOrder(t *testing.T) {
	var out bytes.Buffer
	w := logs.New(&out)
	var want strings.Builder
	for i := range 1000 {
		fmt.Fprintf(w, "line %d\n", i)
		fmt.Fprintf(&want, "line %d\n", i)
	}
	w.Close()
	if out.String() != want.String() {
		t.Errorf("got %d bytes, want %d", out.Len(), want.Len())
	}
}

// stuck is a writer that blocks until it is freed.
type stuck struct {
	free chan struct{}
	out  bytes.Buffer
}

func (s *stuck) Write(p []byte) (int, error) {
	<-s.free
	return s.out.Write(p)
}

func TestNeverBlocksAndCountsWhatItDrops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stuck{free: make(chan struct{})}
		w := logs.New(s)
		for range 10000 {
			_, _ = w.Write([]byte("x\n")) // would deadlock the bubble if it blocked
			synctest.Wait()
		}
		begin := time.Now()
		w.Close()
		if took := time.Since(begin); took != time.Second {
			t.Errorf("Close took %v while the reader was stuck, want its patience", took)
		}
		close(s.free)
		synctest.Wait()
		if got := s.out.String(); !strings.Contains(got, "5903 lines of the log were dropped") {
			t.Errorf("the drop is not told: %.80q", got)
		}
	})
}
