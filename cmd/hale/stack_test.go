package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"hale/internal/admin"
	"hale/internal/servertest"
)

// TestStack is the main job: beside nginx, Redis, PostgreSQL and ZooKeeper, hale
// answers 200 while all is well; each broken in turn – stopped, or hanging –
// makes exactly its own check fail and the answer 503; and 200 comes back.
func TestStack(t *testing.T) {
	nginx := servertest.Nginx(t, "location /health { return 200 'fine'; }")
	redis := servertest.Redis(t)
	postgres := servertest.Postgres(t)
	zookeeper := servertest.ZooKeeper(t)
	public, private := servertest.FreeAddress(t), servertest.FreeAddress(t)
	start(t, "hale", "serve", "--listen", public, "--admin", private, "--log-level", "error",
		"http://"+nginx.Addr+"/health#name=web&interval=1s",
		"redis://"+redis.Addr+"#name=cache&interval=1s",
		"postgres://"+postgres.Addr+"#name=db&interval=1s",
		"zookeeper://"+zookeeper.Addr+"#name=zk&interval=1s",
		"tcp://"+redis.Addr+"#name=port&interval=1s&groups=other")
	expectAnswer(t, public, 200)

	for _, test := range []struct {
		name, check string
		hurt, mend  func()
		reason      string
	}{
		{"nginx stopped", "web", nginx.Stop, nginx.Start, "refused"},
		{"nginx hangs", "web", nginx.Pause, nginx.Resume, "timeout"},
		{"Redis stopped", "cache", redis.Stop, redis.Start, "refused"},
		{"Redis hangs", "cache", redis.Pause, redis.Resume, "timeout"},
		{"PostgreSQL stopped", "db", postgres.Stop, postgres.Start, "refused"},
		{"ZooKeeper killed", "zk", zookeeper.Kill, zookeeper.Start, "refused"},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.hurt()
			expectAnswer(t, public, 503)
			if down := downChecks(t, private); !slices.Equal(down, []string{test.check + " " + test.reason}) {
				t.Errorf("down: %q, want %s for %s and nothing else", down, test.check, test.reason)
			}
			test.mend()
			expectAnswer(t, public, 200)
		})
	}
}

// start runs hale in this process until the test ends, and fails the test if
// it does not end well.
func start(t *testing.T, args ...string) {
	t.Helper()
	t.Setenv("HALE_CHECKS", "")
	ctx, cancel := context.WithCancel(context.Background())
	var log lockedBuffer
	ended := make(chan int, 1)
	go func() { ended <- run(ctx, args, streams{out: io.Discard, err: &log}) }()
	t.Cleanup(func() {
		cancel()
		select {
		case code := <-ended:
			if code != exitOK {
				t.Errorf("hale exited with %d: %s", code, log.String())
			}
		case <-time.After(20 * time.Second):
			t.Error("hale does not end")
		}
	})
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func expectAnswer(t *testing.T, address string, status int) {
	t.Helper()
	want := fmt.Sprint(status)
	got := ""
	for begin := time.Now(); time.Since(begin) < 30*time.Second; <-time.After(20 * time.Millisecond) {
		if got = ask("http://" + address + "/readyz"); matches(got, want, "") {
			return
		}
	}
	t.Fatalf("the answer is %q, want %d", got, status)
}

// downChecks returns the checks that are down, each with its reason.
func downChecks(t *testing.T, address string) []string {
	t.Helper()
	response, err := http.Get("http://" + address + "/api/v1/status")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var status admin.Status
	if err := json.NewDecoder(response.Body).Decode(&status); err != nil {
		t.Fatal(err)
	}
	var down []string
	for _, c := range status.Checks {
		if c.Status != "up" && slices.Contains(c.Groups, "ready") {
			down = append(down, strings.TrimSpace(c.Name+" "+c.Last.Reason))
		}
	}
	return down
}
