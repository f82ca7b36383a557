package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"hale/internal/check"
	"hale/internal/engine"
	"hale/internal/kinds/kindtest"
)

// recorded is an engine that answers with what was written down. A path that is
// not there is answered as a proxy that lets nothing else through does.
func recorded(t *testing.T, version string, answers map[string]string) *engine.Client {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, ok := answers[r.URL.Path]
		switch {
		case r.URL.Path == "/version":
			fmt.Fprint(w, version)
		case !ok:
			w.WriteHeader(http.StatusForbidden)
		case strings.HasSuffix(text, ".json"):
			http.ServeFile(w, r, filepath.Join("testdata", text))
		default:
			fmt.Fprint(w, text)
		}
	}))
	t.Cleanup(server.Close)
	return client(t, "tcp://"+server.Listener.Addr().String())
}

const version124 = `{"Version":"1.12.6","ApiVersion":"1.24"}`

func TestRecordedList(t *testing.T) {
	c := recorded(t, version124, map[string]string{"/v1.24/containers/json": "list-swarm.json"})
	list, err := c.Containers(t.Context())
	if err != nil || len(list) != 7 {
		t.Fatalf("got %d, %v", len(list), err)
	}
	web := list[0]
	if web.Name != "shop_web.1.k3v0dq2m8h1n5r7t9w4x6y8z0" || web.NetworkMode != "bridge" || web.Networks["shop_default"] != (engine.Network{ID: "def", IP: "10.0.1.5"}) || len(web.Networks) != 2 {
		t.Errorf("got %+v", web)
	}
	if !web.State.Running || web.State.Health.Status != "healthy" || web.Labels["com.docker.swarm.service.name"] != "shop_web" || !web.Created.Equal(time.Unix(1_700_000_000, 0)) {
		t.Errorf("got %+v", web)
	}
	if list[1].Name != "db" || !reflect.DeepEqual(list[1].State, engine.State{Status: "exited", ExitCode: 137}) {
		t.Errorf("got %+v", list[1])
	}
	if list[2].Name != "" || !list[2].State.Dead || list[2].State.Running {
		t.Errorf("got %+v", list[2])
	}
	if list[3].State.Health.Status != "starting" || list[4].State.Health != nil || !list[4].State.Paused || !list[4].State.Running {
		t.Errorf("got %+v and %+v", list[3], list[4])
	}
	if s := list[6].State; s.Status != "exited" || s.ExitCode != 3 || s.Running {
		t.Errorf("got %+v", s)
	}
	if s := list[5].State; !s.Restarting || s.ExitCode != 4 {
		t.Errorf("got %+v", s)
	}
}

func TestRecordedInspect(t *testing.T) {
	c := recorded(t, version124, map[string]string{"/v1.24/containers/old/json": "inspect-1.24.json"})
	got, err := c.Inspect(t.Context(), "old")
	if err != nil {
		t.Fatal(err)
	}
	if got.State.Health != nil || got.Healthcheck != nil || got.RestartCount != 2 || got.RestartPolicy != "always" || !got.State.FinishedAt.IsZero() {
		t.Errorf("got %+v", got)
	}
	if fmt.Sprint(got.Exposed, got.Published) != "[53/udp 80/tcp] [{0.0.0.0 8080 80 tcp}]" {
		t.Errorf("got %v %v", got.Exposed, got.Published)
	}
}

func TestVersions(t *testing.T) {
	for answer, want := range map[string]string{
		version124: "1.24",
		`{"ApiVersion":"1.41","MinAPIVersion":"1.12"}`:                "1.41",
		`{"ApiVersion":"1.99","MinAPIVersion":"1.44"}`:                "1.51",
		`{"ApiVersion":"2.0"}`:                                        "1.51",
		`{"Version":"1.10.3","ApiVersion":"1.22"}`:                    "too old: Docker 1.10.3 has API 1.22, and hale needs 1.24, which Docker has since 1.12; update it",
		`{"Version":"40","ApiVersion":"1.99","MinAPIVersion":"1.90"}`: "too new: Docker 40 wants API 1.90 or later, and hale knows 1.51; update hale",
		`{}`:                     "is not Docker's API: it does not tell the version of its API",
		`{"ApiVersion":"1.x"}`:   "is not Docker's API: it does not tell the version of its API",
		`<html>`:                 "is not Docker's API: invalid character",
		`[]`:                     "is not Docker's API",
		strings.Repeat("[", 100): "asking the engine at tcp://",
	} {
		v, err := recorded(t, answer, nil).Version(t.Context())
		if err == nil && v.API != want || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %+v, %v; want %s", answer, v, err, want)
		}
		if reason := check.ReasonOf(err); reason == check.ReasonOther {
			t.Errorf("%s: no reason for %v", answer, err)
		}
	}
}

// An engine that answers with faults.
func TestFaults(t *testing.T) {
	for name, test := range map[string]struct {
		status     int
		body, kind string
		reason     check.Reason
		want       string
	}{
		"none":     {404, `{"message":"No such container: x"}`, "application/json", check.ReasonMissing, ": no such container"},
		"podman":   {404, `{"cause":"no such container","message":"no container with name or ID \"x\" found: no such container","response":404}`, "application/json", check.ReasonMissing, ": no such container"},
		"web":      {404, "404 page not found", "text/html", check.ReasonProtocol, "is not Docker's API: status 404 for GET /v1.24/containers/x/json; is the address right?"},
		"redirect": {301, "", "", check.ReasonProtocol, "is not Docker's API: status 301"},
		"proxy":    {403, "<html>Forbidden", "text/html", check.ReasonPermission, "does not let hale GET /v1.24/containers/x/json (status 403); hale needs to GET /version, /containers/json, /containers/NAME/json and /events"},
		"fault":    {500, `{"message":"storage \u0007 broke"}`, "application/json", check.ReasonStatus, ": status 500 for GET /v1.24/containers/x/json: storage broke"},
		"tls":      {400, "Client sent an HTTP request to an HTTPS server.", "", check.ReasonTLS, ": it wants TLS; set DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH"},
		"no json":  {200, "hello", "text/plain", check.ReasonProtocol, "is not Docker's API: invalid character"},
		"empty":    {200, "{}", "", check.ReasonProtocol, "is not Docker's API: a container was expected"},
		"half":     {200, `{"Id":"x`, "", check.ReasonClosed, "unexpected EOF; it may be restarting"},
		"wrong":    {200, `{"Id":7}`, "", check.ReasonProtocol, "is not Docker's API: json: cannot unmarshal"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/version" {
					fmt.Fprint(w, version124)
					return
				}
				w.Header().Set("Content-Type", test.kind)
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(test.status)
				fmt.Fprint(w, test.body)
			}))
			defer server.Close()
			_, err := client(t, server.URL).Inspect(t.Context(), "x")
			if check.ReasonOf(err) != test.reason || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %q: %v\nwant %q: %s", check.ReasonOf(err), err, test.reason, test.want)
			}
		})
	}
}

// Ten thousand containers are read, and no more memory is used than what is kept
// of them. A list that does not end is refused.
func TestLongList(t *testing.T) {
	content, err := os.ReadFile("testdata/list-swarm.json")
	if err != nil {
		t.Fatal(err)
	}
	var one bytes.Buffer
	one.Write(content[bytes.IndexByte(content, '{'):bytes.Index(content, []byte("},\n  {\n"))])
	one.WriteByte('}')
	count := 10_000
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/version" {
			fmt.Fprint(w, version124)
			return
		}
		fmt.Fprint(w, "[")
		for i := range count {
			if i > 0 {
				fmt.Fprint(w, ",")
			}
			if _, err := w.Write(one.Bytes()); err != nil {
				return
			}
		}
		fmt.Fprint(w, "]")
	}))
	defer server.Close()
	c := client(t, server.URL)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	list, err := c.Containers(t.Context())
	runtime.GC()
	runtime.ReadMemStats(&after)
	if err != nil || len(list) != count || list[count-1].State.Status != "running" {
		t.Fatalf("got %d, %v", len(list), err)
	}
	if kept := int64(after.HeapAlloc) - int64(before.HeapAlloc); kept > 64<<20 {
		t.Errorf("%d containers take %d bytes", count, kept)
	}
	count = 1 << 30
	if _, err := c.Containers(t.Context()); check.ReasonOf(err) != check.ReasonSize || !strings.Contains(err.Error(), "has more than 50000 containers") {
		t.Errorf("got %v", err)
	}
}

// Answers and events that do not end are not read to their end.
func TestEndless(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/version" {
			fmt.Fprint(w, version124)
			return
		}
		fmt.Fprint(w, `{"Id":"`)
		junk := bytes.Repeat([]byte("x"), 1<<16)
		for {
			if _, err := w.Write(junk); err != nil {
				return
			}
		}
	}))
	defer server.Close()
	kindtest.ExpectLeavesNothing(t)
	c := client(t, server.URL)
	if _, err := c.Inspect(t.Context(), "x"); check.ReasonOf(err) != check.ReasonSize {
		t.Errorf("got %v", err)
	}
	s, err := c.Events(t.Context(), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Next(t.Context()); check.ReasonOf(err) != check.ReasonSize {
		t.Errorf("got %v", err)
	}
}

// The version is agreed upon anew when an engine has become another one.
func TestAnotherEngine(t *testing.T) {
	api := "1.41"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/version":
			fmt.Fprintf(w, `{"ApiVersion":%q}`, api)
		case strings.HasPrefix(r.URL.Path, "/v"+api+"/"):
			fmt.Fprint(w, "[]")
		default:
			w.WriteHeader(400)
			fmt.Fprint(w, `{"message":"client version is too new"}`)
		}
	}))
	defer server.Close()
	c := client(t, server.URL)
	if _, err := c.Containers(t.Context()); err != nil {
		t.Error(err)
	}
	api = "1.30"
	if _, err := c.Containers(t.Context()); err == nil || !strings.Contains(err.Error(), "client version is too new") {
		t.Errorf("got %v", err)
	}
	if _, err := c.Containers(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestCancelled(t *testing.T) {
	c := recorded(t, version124, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Containers(ctx); !errors.Is(err, context.Canceled) || check.ReasonOf(err) != check.ReasonCanceled {
		t.Errorf("got %v", err)
	}
}
