package docker

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"hale/internal/engine"
)

// That the engine tells nothing more of a container does not end its checks, and
// the log does not say so.
func TestEngineTellsNothingOfAContainer(t *testing.T) {
	client, err := engine.New(engine.Options{Host: "unix:///nowhere"})
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	r := newRules(t)
	r.env.Log = slog.New(slog.NewTextHandler(&log, nil))
	f := &following{source: open(client, r), latest: map[string]int{}, started: map[string]bool{}, dirty: map[string]bool{}, trouble: map[string]error{}, flush: time.NewTimer(time.Hour)}
	f.vantage, f.known = host, map[string]bool{"n1": true}
	known := container(80)
	f.learn(inspection{job: job{id: known.ID}, container: known, joint: joint{owner: known}})
	for _, id := range []string{known.ID, "other"} {
		f.learn(inspection{job: job{id: id}, err: errors.New("it is stopped")})
	}
	for _, want := range []string{
		`"a container can't be asked about, and is checked by what was known of it" container=id `,
		`"a container can't be asked about, and is not checked" container=other `,
	} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %s:\n%s", want, log.String())
		}
	}
	if p := f.tracked[known.ID].plan; !p.dials() {
		t.Errorf("it is not asked any more: %s", shown(p))
	}
}
