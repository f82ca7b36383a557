package capture

import (
	"net/netip"
	"slices"
	"strconv"
	"time"
)

// A Pace is how often something arrives.
type Pace struct {
	// Seen is how many came.
	Seen int `json:"seen"`
	// Every is the median of the last intervals between them, 0 for the first.
	Every Seconds `json:"every_s,omitzero"`
	// Least and Most are the shortest and the longest of those.
	Least Seconds `json:"least_s,omitzero"`
	Most  Seconds `json:"most_s,omitzero"`
	// Senders is from how many addresses they came; counted up to maxSenders.
	Senders int `json:"senders"`
}

// Seconds is a duration that JSON has in seconds.
type Seconds time.Duration

// MarshalJSON writes the seconds with three decimals.
func (s Seconds) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, time.Duration(s).Seconds(), 'f', 3, 64), nil
}

// String writes the seconds with one decimal, of less than one the milliseconds.
func (s Seconds) String() string {
	if s < Seconds(time.Second) {
		return strconv.FormatFloat(1000*time.Duration(s).Seconds(), 'f', 1, 64) + " ms"
	}
	return strconv.FormatFloat(time.Duration(s).Seconds(), 'f', 1, 64) + " s"
}

// Bounds on what a meter remembers.
const (
	maxGaps    = 16
	maxTracked = 1024
	maxSenders = 256
)

// A meter measures the intervals between arrivals of the same kind. Its times
// are given to it; it is for one goroutine.
type meter struct{ tracks map[string]*track }

type track struct {
	last    time.Time
	seen    int
	gaps    []Seconds
	senders map[netip.Addr]bool
	// first is the number of the arrival that the last ones are like, and look
	// what those look like.
	first int
	look  uint64
}

// seen notes an arrival of a key from an address, and returns what is known of the
// key. Of more than maxTracked keys the one that was seen longest ago is
// forgotten.
func (m *meter) seen(key string, from netip.Addr, at time.Time) *track {
	t := m.tracks[key]
	if t == nil {
		m.makeRoom()
		t = &track{senders: map[netip.Addr]bool{}}
		m.tracks[key] = t
	} else {
		t.gaps = append(t.gaps, Seconds(at.Sub(t.last)))
		t.gaps = t.gaps[max(0, len(t.gaps)-maxGaps):]
	}
	t.last = at
	t.seen++
	if len(t.senders) < maxSenders {
		t.senders[from] = true
	}
	return t
}

func (m *meter) makeRoom() {
	if m.tracks == nil {
		m.tracks = map[string]*track{}
	}
	if len(m.tracks) < maxTracked {
		return
	}
	oldest := ""
	for key, t := range m.tracks {
		if oldest == "" || t.last.Before(m.tracks[oldest].last) {
			oldest = key
		}
	}
	delete(m.tracks, oldest)
}

func (t *track) pace() Pace {
	p := Pace{Seen: t.seen, Senders: len(t.senders)}
	if len(t.gaps) == 0 {
		return p
	}
	sorted := slices.Sorted(slices.Values(t.gaps))
	p.Every, p.Least, p.Most = sorted[len(sorted)/2], sorted[0], sorted[len(sorted)-1]
	if len(sorted)%2 == 0 {
		p.Every = (sorted[len(sorted)/2-1] + sorted[len(sorted)/2]) / 2
	}
	return p
}
