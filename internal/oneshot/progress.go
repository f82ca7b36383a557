package oneshot

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"hale/internal/check"
)

// A progress is the line that tells a person at a terminal what is waited for.
// It shows nothing elsewhere.
type progress struct {
	to     io.Writer // nil for none
	ticker *time.Ticker
	tick   <-chan time.Time // when the line wants to be shown again
}

func (p *Program) newProgress(quiet bool) *progress {
	if quiet || !IsTerminal(p.Err) {
		return &progress{}
	}
	ticker := time.NewTicker(time.Second)
	return &progress{to: p.Err, ticker: ticker, tick: ticker.C}
}

// IsTerminal reports whether a person may be looking at what is written to w, and
// a line may be written over.
func IsTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb" && f.Name() != os.DevNull
}

// show shows the line anew.
func (g *progress) show(checks []*check.Check, known []believed, stable, took time.Duration) {
	if g.to == nil {
		return
	}
	var parts []string
	for i, c := range checks {
		switch b := known[i]; {
		case b.ready(stable):
		case b.runs == 0:
			parts = append(parts, c.Name)
		case !b.since.IsZero():
			parts = append(parts, c.Name+" (healthy)")
		default:
			parts = append(parts, fmt.Sprintf("%s (%s)", c.Name, b.last.Reason()))
		}
	}
	const width = 78
	text := []rune(fmt.Sprintf("waiting %v for %s", took.Truncate(time.Second), strings.Join(parts, ", ")))
	if len(text) > width {
		text = append(text[:width-1], '…')
	}
	fmt.Fprintf(g.to, "\r%s\x1b[K", string(text))
}

// end takes the line away.
func (g *progress) end() {
	if g.to == nil {
		return
	}
	g.ticker.Stop()
	fmt.Fprint(g.to, "\r\x1b[K")
	g.to = nil
}
