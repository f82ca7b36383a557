package main

import (
	"log/slog"
	"testing"

	"hale/internal/check"
	"hale/internal/config"
)

// An agent's checks go without what only config show tells: with thousands of
// them it was a seventh of the memory.
func TestAgentsChecksAreLean(t *testing.T) {
	written := func() []*check.Check {
		return []*check.Check{{Name: "a", URL: "tcp://a", Options: []check.Setting{{Name: "x"}}, Lists: []check.Option{{Name: "y"}}}}
	}
	var got []*check.Check
	g := gather(&config.Config{Checks: written()}, nil, slog.New(slog.DiscardHandler), func(checks []*check.Check) { got = checks })
	for range 2 {
		if len(got) != 1 || got[0].Options != nil || got[0].Lists != nil || got[0].URL != "" {
			t.Errorf("got %+v", got)
		}
		g.write(written())
	}
}
