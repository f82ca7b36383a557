package agentcheck

import (
	"fmt"

	"hale/internal/verdict"
)

// Line returns what HAProxy is told, without the line end. The weight is that
// of a degraded instance, in percent; 0 leaves HAProxy's weights alone.
//
// The reason behind the sharp is the same for every failure: whoever can reach
// the port learns no more than from the public listener.
func Line(outcome verdict.Outcome, draining bool, weight int) string {
	switch {
	case draining:
		return "drain"
	case outcome == verdict.Pass && weight > 0:
		return "ready up 100%"
	case outcome == verdict.Degraded && weight > 0:
		return fmt.Sprintf("ready up %d%%", weight)
	case outcome == verdict.Pass, outcome == verdict.Degraded:
		return "ready up"
	default:
		// A server that was drained before stays so until it is ready.
		return "ready down #not healthy"
	}
}
