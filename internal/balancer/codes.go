package balancer

import (
	"fmt"
	"strconv"
	"strings"
)

// Codes are HTTP statuses, as ranges.
type Codes []Range

// A Range is the statuses from Low to High, both included.
type Range struct{ Low, High int }

// Contain reports whether the status is one of them. Without any range every
// status is.
func (c Codes) Contain(status int) bool {
	for _, r := range c {
		if r.Low <= status && status <= r.High {
			return true
		}
	}
	return len(c) == 0
}

// String gives them as people write them: 200, 200-399, or any.
func (c Codes) String() string {
	var parts []string
	for _, r := range c {
		if r.Low == r.High {
			parts = append(parts, strconv.Itoa(r.Low))
			continue
		}
		parts = append(parts, fmt.Sprintf("%d-%d", r.Low, r.High))
	}
	if len(parts) == 0 {
		return "any"
	}
	return strings.Join(parts, ", ")
}

// only is one status, and from is a range.
func only(status int) Codes    { return Codes{{status, status}} }
func from(low, high int) Codes { return Codes{{low, high}} }
