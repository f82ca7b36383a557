package celerycheck_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"hale/internal/servertest"
)

// helperURL makes a process of this test binary run one check and nothing else.
const helperURL = "HALE_TEST_CELERY_URL"

func TestMain(m *testing.M) {
	if url := os.Getenv(helperURL); url != "" {
		c, err := build(url)
		if err != nil {
			panic(err)
		}
		c.Run(context.Background(), nil)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// checkInProcess runs a check in a process of its own, which is returned to be
// killed.
func checkInProcess(t *testing.T, url string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), helperURL+"="+url)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd
}

func kill(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
}

// What a killed hale leaves in Redis expires, also when the worker answers after
// that; and once a binding has expired, no late answer is stored.
func TestRedisKilled(t *testing.T) {
	t.Parallel()
	s := servertest.Redis(t)
	url := "celery+redis://" + s.Addr
	w := servertest.Celery(t, "redis://"+s.Addr, worker)
	expectUp(t, worker, url)
	w.Pause()
	for i := range 2 {
		cmd := checkInProcess(t, url+"?worker="+worker)
		servertest.Wait(t, "the ping to be sent", func() error {
			if lists := ownLists(t, s); len(lists) <= i {
				return fmt.Errorf("lists: %v", lists)
			}
			return nil
		})
		kill(t, cmd)
	}
	left := ownKeys(t, s)
	for _, key := range left {
		if ttl := servertest.RedisCLI(t, s, "ttl", key); strings.HasPrefix(ttl, "-") || len(ttl) > 3 {
			t.Errorf("%q has the time to live %s, want some seconds", key, ttl)
		}
	}
	// One list is as if its time was over, and so is its binding.
	gone, list := ownLists(t, s)[0], ownLists(t, s)[1]
	for _, line := range redisKeys(t, s) {
		key, member, ok := strings.Cut(strings.TrimPrefix(line, "0 "), " ")
		if ok && strings.HasSuffix(member, gone) {
			servertest.RedisCLI(t, s, "srem", key, member)
		}
	}
	servertest.RedisCLI(t, s, "del", gone)
	left = ownKeys(t, s)

	w.Resume()
	servertest.Wait(t, "the worker to answer the ping of the killed hale", func() error {
		if n := servertest.RedisCLI(t, s, "llen", list); n != "2" {
			return fmt.Errorf("the list has %s elements", n)
		}
		return nil
	})
	expectUp(t, worker, url)
	expectSame(t, left, ownKeys(t, s))
	for _, key := range left {
		if ttl := servertest.RedisCLI(t, s, "ttl", key); strings.HasPrefix(ttl, "-") {
			t.Errorf("%q has the time to live %s after the answer, want some seconds", key, ttl)
		}
	}
}

// ownKeys returns hale's keys in database 0.
func ownKeys(t *testing.T, s *servertest.Server) []string {
	t.Helper()
	keys := strings.Fields(servertest.RedisCLI(t, s, "keys", "*hale-*"))
	slices.Sort(keys)
	return keys
}

// ownLists returns those of hale's keys that are the lists of replies.
func ownLists(t *testing.T, s *servertest.Server) []string {
	t.Helper()
	return slices.DeleteFunc(ownKeys(t, s), func(key string) bool { return !strings.HasPrefix(key, "hale-") })
}

// killedOnAMQP shows that what a killed hale leaves in RabbitMQ goes with its
// connection, and that its ping does not wait for the worker for long.
func killedOnAMQP(t *testing.T, r *servertest.RabbitMQServer, w *servertest.CeleryWorker, url string) {
	before := rabbitObjects(t, r)
	w.Pause()
	cmd := checkInProcess(t, url+"?worker="+worker)
	servertest.Wait(t, "the queue for the reply", func() error {
		if now := r.Ctl("list_queues", "name"); !strings.Contains(now, "hale-") {
			return fmt.Errorf("queues:\n%s", now)
		}
		return nil
	})
	kill(t, cmd)
	servertest.Wait(t, "the queue to be gone", func() error {
		if now := r.Ctl("list_queues", "name"); strings.Contains(now, "hale-") {
			return fmt.Errorf("queues:\n%s", now)
		}
		return nil
	})
	w.Resume()
	expectUp(t, worker, url)
	expectSame(t, before, rabbitObjects(t, r))
}
