package engine_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"hale/internal/engine"
	"hale/internal/kinds/kindtest"
	"hale/internal/servertest"
)

func client(t *testing.T, host string, env ...string) *engine.Client {
	t.Helper()
	c, err := engine.New(engine.Options{Host: host, Getenv: variables(env...)})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// variables is an environment of NAME=VALUE.
func variables(env ...string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		for _, pair := range env {
			if n, value, _ := strings.Cut(pair, "="); n == name {
				return value, true
			}
		}
		return "", false
	}
}

func named(t *testing.T, list []engine.Container, name string) engine.Container {
	t.Helper()
	i := slices.IndexFunc(list, func(c engine.Container) bool { return c.Name == name })
	if i < 0 {
		t.Fatalf("%s is not in the list of %d", name, len(list))
	}
	return list[i]
}

// What is told of a container, in a list and in full, by Docker.
func TestContainer(t *testing.T) {
	d := servertest.Docker(t)
	proxy := d.Proxy()
	kindtest.ExpectLeavesNothing(t)
	c := client(t, proxy.Host)
	network := d.Network()
	name := d.Run("--network", network, "-p", "127.0.0.1::80", "--expose", "9000/udp", "--label", "a=b", "--hostname", "inside",
		"--health-cmd", "echo not well; exit 3", "--health-interval", "300ms", "--health-retries", "2", "--health-start-period", "1ms", "--restart", "on-failure:3", d.Web())
	servertest.Wait(t, "unhealthy", func() error {
		// The image has no shell, so that the check can't be run.
		if got := d.Inspect(name, "{{.State.Health.Status}}"); got != "unhealthy" {
			return errors.New(got)
		}
		return nil
	})
	list, err := c.Containers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	full, err := c.Inspect(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	for what, got := range map[string]engine.Container{"list": named(t, list, name), "inspect": *full} {
		if got.ID != d.Inspect(name, "{{.Id}}") || got.Name != name || got.Image != d.Web() {
			t.Errorf("%s: got %s %s %s", what, got.ID, got.Name, got.Image)
		}
		if got.Labels["a"] != "b" || got.Labels["hale-test"] != "1" {
			t.Errorf("%s: got labels %v", what, got.Labels)
		}
		if s := got.State; s.Status != "running" || !s.Running || s.Health == nil || s.Health.Status != "unhealthy" {
			t.Errorf("%s: got state %+v", what, s)
		}
		if age := time.Since(got.Created); age < 0 || age > time.Hour {
			t.Errorf("%s: got created %v", what, got.Created)
		}
		if n := got.Networks[network]; got.NetworkMode != network || len(got.Networks) != 1 || n.IP != d.IP(name) || len(n.ID) != 64 {
			t.Errorf("%s: got network %s, %+v", what, got.NetworkMode, got.Networks)
		}
		if want := []engine.Port{{Number: 80, Proto: "tcp"}, {Number: 9000, Proto: "udp"}}; !slices.Equal(got.Exposed, want) {
			t.Errorf("%s: got exposed %v", what, got.Exposed)
		}
		if len(got.Published) != 1 || got.Published[0].HostIP != "127.0.0.1" || got.Published[0].Port != 80 || got.Published[0].HostPort == 0 {
			t.Errorf("%s: got published %v", what, got.Published)
		}
	}
	if full.Hostname != "inside" || full.RestartPolicy != "on-failure" || time.Since(full.State.StartedAt) > time.Hour || !full.State.FinishedAt.IsZero() {
		t.Errorf("got %+v", full)
	}
	if h := full.Healthcheck; h == nil || h.Interval != 300*time.Millisecond || h.Retries != 2 || h.StartPeriod != time.Millisecond || strings.Join(h.Test, " ") != "CMD-SHELL echo not well; exit 3" {
		t.Errorf("got %+v", h)
	}
	if h := full.State.Health; h.FailingStreak < 2 || h.LastExit == 0 || h.LastOutput == "" {
		t.Errorf("got %+v", h)
	}
	byID, err := c.Inspect(t.Context(), full.ID[:12])
	if err != nil || byID.Name != name {
		t.Errorf("by the id's beginning: got %v, %v", byID, err)
	}
	for _, none := range []string{"hale-test-none", "..", "a/b", "", "a b"} {
		if _, err := c.Inspect(t.Context(), none); !errors.Is(err, engine.ErrNotFound) {
			t.Errorf("%q: got %v", none, err)
		}
	}
	for _, request := range proxy.Requests() {
		if !strings.HasPrefix(request, "GET ") {
			t.Errorf("there was a request that is not a GET: %s", request)
		}
	}
}

// What happens to a container is told in Docker's words, by Docker and Podman.
func TestEvents(t *testing.T) {
	for name, start := range map[string]func(testing.TB) *servertest.DockerEngine{"docker": servertest.Docker, "podman": servertest.Podman} {
		t.Run(name, func(t *testing.T) {
			d := start(t)
			c := client(t, d.Host)
			busybox := d.Busybox()
			kindtest.ExpectLeavesNothing(t)
			begin := time.Now()
			s, err := c.Events(t.Context(), time.Time{})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			container := d.Run("--network", "none", busybox, "sleep", "1000")
			d.Docker("pause", container)
			d.Docker("unpause", container)
			d.Docker("kill", container)
			expect(t, s, container, "create", "start", "pause", "unpause", "kill", "die")
			d.Remove(container)
			expect(t, s, container, "destroy")
			// What was before is told to who asks for it.
			again, err := c.Events(t.Context(), begin)
			if err != nil {
				t.Fatal(err)
			}
			expect(t, again, container, "create", "start", "pause", "unpause", "kill", "die", "destroy")
			again.Close()
			again.Close()
			if _, err := again.Next(t.Context()); err == nil {
				t.Error("a closed stream has events")
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if _, err := s.Next(ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
			if _, err := c.Events(ctx, time.Time{}); !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// expect reads events until the container had those actions, in that order.
// There may be others between.
func expect(t *testing.T, s *engine.Stream, container string, actions ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var had []string
	for _, want := range actions {
		for {
			e, err := s.Next(ctx)
			if err != nil {
				t.Fatalf("waiting for %s after %v: %v", want, had, err)
			}
			if e.Name != container {
				continue
			}
			had = append(had, e.Action)
			if age := time.Since(e.Time); len(e.ID) != 64 || age < -time.Minute || age > time.Hour {
				t.Errorf("got %+v", e)
			}
			if e.Action == want {
				if want == "die" && e.ExitCode != 137 {
					t.Errorf("died with %d, want 137", e.ExitCode)
				}
				break
			}
		}
	}
}

func TestEventsOfNetworksAndHealth(t *testing.T) {
	d := servertest.Docker(t)
	c := client(t, d.Host)
	network := d.Network()
	s, err := c.Events(t.Context(), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	name := d.Run("--health-cmd", "true", "--health-interval", "100ms", d.Busybox())
	d.Docker("network", "connect", network, name)
	id := d.Inspect(name, "{{.Id}}")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	connected, healthy := false, false
	for !connected || !healthy {
		e, err := s.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		connected = connected || e.Action == "connect" && e.Network == network && e.ID == id
		healthy = healthy || e.Action == "health_status" && e.Detail == "healthy" && e.Name == name
		if strings.HasPrefix(e.Action, "exec") {
			t.Errorf("there is an event of a command: %+v", e)
		}
	}
}

// An engine that goes and comes back, and one that hangs.
func TestEngineGoesAndComes(t *testing.T) {
	d := servertest.Docker(t)
	proxy := d.Proxy()
	c := client(t, proxy.Host)
	kindtest.ExpectLeavesNothing(t)
	v, err := c.Version(t.Context())
	if err != nil || v.Name != "Docker" || v.Version == "" || v.API == "" {
		t.Fatalf("got %+v, %v", v, err)
	}
	s, err := c.Events(t.Context(), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()

	proxy.Hang()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	for what, ask := range map[string]func() error{
		"list":    func() error { _, err := c.Containers(ctx); return err },
		"inspect": func() error { _, err := c.Inspect(ctx, "any"); return err },
		"events":  func() error { _, err := c.Events(ctx, time.Time{}); return err },
		"next":    func() error { _, err := s.Next(ctx); return err },
	} {
		begin := time.Now()
		if err := ask(); !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) > 10*time.Second {
			t.Errorf("%s: got %v after %v", what, err, time.Since(begin))
		}
	}
	proxy.Break()
	for { // what happened to others' containers may be there still
		if _, err := s.Next(t.Context()); err != nil {
			break
		}
	}
	if _, err := c.Containers(t.Context()); err == nil || !strings.Contains(err.Error(), "no engine's socket at "+proxy.Socket) {
		t.Errorf("got %v", err)
	}
	proxy.Mend()
	if _, err := c.Containers(t.Context()); err != nil {
		t.Error(err)
	}
	proxy.Break()
}

func TestPodman(t *testing.T) {
	d := servertest.Podman(t)
	c := client(t, d.Host)
	v, err := c.Version(t.Context())
	if err != nil || v.Name != "Podman" {
		t.Fatalf("got %+v, %v", v, err)
	}
	name := d.Run("--network", "none", "--expose", "80", "--label", "a=b", d.Busybox(), "sleep", "1000")
	list, err := c.Containers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	full, err := c.Inspect(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	for what, got := range map[string]engine.Container{"list": named(t, list, name), "inspect": *full} {
		if got.Labels["a"] != "b" || got.State.Status != "running" || !got.State.Running || got.State.Health != nil || len(got.ID) != 64 {
			t.Errorf("%s: got %+v", what, got)
		}
	}
	if full.NetworkMode != "none" || full.Healthcheck != nil || full.RestartPolicy != "no" {
		t.Errorf("got %+v", full)
	}
	d.Docker("kill", name)
	servertest.Wait(t, "exited", func() error {
		got, err := c.Inspect(t.Context(), name)
		if err == nil && (got.State.Status != "exited" || got.State.ExitCode != 137 || got.State.FinishedAt.IsZero()) {
			err = errors.New(got.State.Status)
		}
		return err
	})
	if _, err := c.Inspect(t.Context(), "hale-test-none"); !errors.Is(err, engine.ErrNotFound) {
		t.Errorf("got %v", err)
	}
}

// An engine of the test's own is stopped and started again.
func TestEngineRestarts(t *testing.T) {
	d := servertest.OwnDocker(t)
	c := client(t, d.Host)
	name := d.Run("--restart", "always", d.Busybox())
	s, err := c.Events(t.Context(), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	d.Server.Stop()
	for {
		if _, err := s.Next(t.Context()); err != nil {
			break
		}
	}
	if _, err := c.Inspect(t.Context(), name); err == nil {
		t.Error("an engine that is stopped answers")
	}
	d.Server.Start()
	servertest.Wait(t, "the container", func() error {
		got, err := c.Inspect(t.Context(), name)
		if err == nil && !got.State.Running {
			err = errors.New(got.State.Status)
		}
		return err
	})
}
