package dockerstatus

import (
	"context"
	"time"

	"hale/internal/check"
	"hale/internal/monitor"
	"hale/internal/server"
)

// The answers, as the original gives them.
const plainText, noStore = "text/plain; charset=utf-8", "Cache-Control: no-store"

var (
	passed = server.NewResponse(200, plainText, "OK", noStore)
	failed = server.NewResponse(500, plainText, "Fail", noStore)
)

// answers answers any URL and any method: 200 if there are as many targets that
// are well as there should be.
func answers(m *monitor.Monitor, targets int, interval time.Duration) server.Handler {
	return server.HandlerFunc(func(context.Context, *server.Request) *server.Response {
		now, well := time.Now(), 0
		for _, state := range m.All() {
			if isWell(state, now, interval) {
				well++
			}
		}
		if well < targets {
			return failed
		}
		return passed
	})
}

// isWell reports whether the last result is good and not older than two
// intervals. That is shorter than hale's own bound, and the original's.
func isWell(s check.State, now time.Time, interval time.Duration) bool {
	if s.Status == check.Unknown || !s.Last.Healthy() {
		return false
	}
	return now.Sub(s.Last.At.Add(s.Last.Took)) <= 2*interval
}
