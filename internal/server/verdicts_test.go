package server_test

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"hale/internal/server"
	"hale/internal/verdict"
)

// groups are the verdicts that an Answerer knows. They tell the built-in groups
// apart as far as three outcomes can.
type groups map[string]verdict.Outcome

func (g groups) Answer(_ context.Context, group string) (verdict.Outcome, bool) {
	outcome, ok := g[group]
	return outcome, ok
}

func (g groups) AnswerUndrained(ctx context.Context, group string) (verdict.Outcome, bool) {
	return g.Answer(ctx, group)
}

func (groups) Draining() bool { return false }

// respond renders what the handler says to a GET of path, as a client sees it.
func respond(t *testing.T, h server.Handler, path, accept string) (response *http.Response, body string) {
	t.Helper()
	r := start(t, h, server.Options{})
	c := r.dial(t)
	defer c.Close()
	io.WriteString(c, "GET "+path+" HTTP/1.1\r\nAccept: "+accept+"\r\n\r\n")
	response, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(all)
}

func TestVerdictsPaths(t *testing.T) {
	for path, want := range map[string]string{
		"/livez": "live", "/livez/": "live", "/livez?verbose": "live", "/livez/?x=/readyz": "live",
		"/_healthz/livez/": "live", "/_healthz/livez": "live", "http://host:80/livez": "live",
		"/startupz": "startup", "/startupz/": "startup", "/_healthz/startupz/": "startup", "/_healthz/startupz": "startup",
		"/healthz": "all", "/healthz/": "all", "/_healthz/": "all", "/_healthz": "all", "/_healthz/healthz/": "all", "/_healthz?x": "all",
		"/readyz": "ready", "/readyz/": "ready", "/_healthz/readyz/": "ready", "/_healthz/readyz": "ready",
		"/group/live": "live", "/group/web": "web", "/group/web/": "web", "/group/web?x": "web",
		"/_healthz/group/web/": "web", "/_healthz/group/web": "web", "/_healthz/group/nosuch": "", "/_healthz/group/": "ready",
		"/group/nosuch": "", "/group/web/x": "", "/group/WEB": "", "/group/w%65b": "", "/group//": "",

		// Everything else is ready.
		"/": "ready", "/health_check": "ready", "*": "ready", "/group": "ready", "/group/": "ready", "?": "ready",
		"//livez": "ready", "/livez//": "ready", "/LIVEZ": "ready", "/Livez": "ready", "/l%69vez": "ready", "/./livez": "ready",
		"/x/../livez": "ready", "/livez/x": "ready", "/livezx": "ready", "livez": "ready", "/livez;x": "ready", "/livez#x": "ready",
		"/livez%2f": "ready", "/livez%00": "ready", "http://host": "ready", "http://livez": "ready", "/_healthz//livez": "ready",
		"/groups/web": "ready", "/_healthzlivez": "ready", "/_healthz/x": "ready", "/_healthz/group": "ready",
		"/_healthz/_healthz": "ready", "x?u=http://h/livez": "ready",
	} {
		var asked atomic.Value
		a := answerFunc(func(_ context.Context, group string) (verdict.Outcome, bool) {
			asked.Store(group)
			if group == "live" || group == "ready" || group == "startup" || group == "all" || group == "web" {
				return verdict.Pass, true
			}
			return verdict.Fail, false
		})
		response, body := respond(t, server.Verdicts(a, server.VerdictOptions{}), path, "")
		if want == "" {
			if response.StatusCode != 404 || body != "unknown group" {
				t.Errorf("%s: got %d %q, want 404 unknown group", path, response.StatusCode, body)
			}
			continue
		}
		if asked.Load() != want || response.StatusCode != 200 || body != "ok" {
			t.Errorf("%s: got %d %q of group %q, want 200 ok of %s", path, response.StatusCode, body, asked.Load(), want)
		}
	}
}

type answerFunc func(ctx context.Context, group string) (verdict.Outcome, bool)

func (f answerFunc) Answer(ctx context.Context, group string) (verdict.Outcome, bool) {
	return f(ctx, group)
}

func (f answerFunc) AnswerUndrained(ctx context.Context, group string) (verdict.Outcome, bool) {
	return f(ctx, group)
}

func (answerFunc) Draining() bool { return false }

// Beside an agent that tells of draining, a health check tells of health alone.
func TestVerdictsAsIfNotDraining(t *testing.T) {
	a := newChanging(condition{"draining", verdict.Fail, true, false})
	h := server.Verdicts(a, server.VerdictOptions{})
	for path, want := range map[string]int{
		"/readyz": 503, "/readyz?draining=ok": 200, "/?x=1&draining=ok": 200, "/readyz?draining=": 503,
		"/readyz?draining": 503, "/readyz?draining=no": 503, "/readyz?undraining=ok": 503, "/group/nosuch?draining=ok": 404,
	} {
		if r, _ := respond(t, h, path, ""); r.StatusCode != want {
			t.Errorf("%s: got %d, want %d", path, r.StatusCode, want)
		}
	}
	a.now.Store(&condition{"fail", verdict.Fail, false, false})
	if r, _ := respond(t, h, "/readyz?draining=ok", ""); r.StatusCode != 503 {
		t.Errorf("failing: got %d, want 503", r.StatusCode)
	}
}

func TestVerdictsOutcomes(t *testing.T) {
	const text, json = "text/plain; charset=utf-8", "application/health+json"
	liar := answerFunc(func(context.Context, string) (verdict.Outcome, bool) { return verdict.Pass, false })
	for _, tt := range []struct {
		answerer    server.Answerer
		failStatus  int
		accept      string
		status      int
		contentType string
		body        string
	}{
		{groups{"ready": verdict.Pass}, 503, "", 200, text, "ok"},
		{groups{"ready": verdict.Degraded}, 503, "", 200, text, "degraded"},
		{groups{"ready": verdict.Fail}, 503, "", 503, text, "fail"},
		{groups{"ready": verdict.Fail}, 500, "", 500, text, "fail"},
		{groups{"ready": verdict.Pass}, 503, json, 200, json, `{"status":"pass"}`},
		{groups{"ready": verdict.Degraded}, 503, json, 200, json, `{"status":"warn"}`},
		{groups{"ready": verdict.Fail}, 503, json, 503, json, `{"status":"fail"}`},
		{groups{"ready": verdict.Fail}, 500, "application/json", 500, json, `{"status":"fail"}`},
		// Not even an Answerer that knows nothing makes it pass.
		{groups{}, 503, "", 503, text, "fail"},
		{liar, 503, "", 503, text, "fail"},
		{groups{"ready": verdict.Outcome(7)}, 503, "", 503, text, "fail"},
	} {
		response, body := respond(t, server.Verdicts(tt.answerer, server.VerdictOptions{FailStatus: tt.failStatus}), "/", tt.accept)
		if response.StatusCode != tt.status || response.Header.Get("Content-Type") != tt.contentType || body != tt.body {
			t.Errorf("%v, %d, %q: got %d %s %q, want %d %s %q", tt.answerer, tt.failStatus, tt.accept,
				response.StatusCode, response.Header.Get("Content-Type"), body, tt.status, tt.contentType, tt.body)
		}
		if got, want := response.Header.Get("Cache-Control"), "no-store"; got != want {
			t.Errorf("%v: got Cache-Control %q, want %q", tt.answerer, got, want)
		}
		for name := range response.Header {
			switch name {
			case "Content-Type", "Content-Length", "Cache-Control", "Date":
			case "X-Envoy-Degraded":
				if body == "degraded" || strings.Contains(body, "warn") {
					continue
				}
				t.Errorf("%v: got the field %s with %q", tt.answerer, name, body)
			default:
				t.Errorf("%v: got the field %s, which nobody needs", tt.answerer, name)
			}
		}
	}
}

func TestVerdictsAccept(t *testing.T) {
	for accept, json := range map[string]bool{
		"":                                  false,
		"*/*":                               false,
		"text/plain":                        false,
		"text/plain, text/*, */*":           false, // Consul
		"text/html,application/xhtml+xml":   false,
		"application/*":                     false,
		"application/json":                  true,
		"APPLICATION/JSON ; charset=utf-8":  true,
		"application/health+json":           true,
		"application/json, text/plain, */*": true, // axios
		"text/plain;q=0.5, application/json;q=0.4": false,
		"text/plain;q=0.4, application/json;q=0.5": true,
		"application/json;q=0":                     false,
		"application/json; q=0.0, */*":             false,
		"application/json;q=nonsense":              true,
		"application/json;q=2":                     true,
		"application/json;q=-1":                    true,
		"application/json-patch+json":              false,
		",;,;q=,":                                  false,
	} {
		response, _ := respond(t, server.Verdicts(groups{"ready": verdict.Pass}, server.VerdictOptions{}), "/", accept)
		if got := response.Header.Get("Content-Type") == "application/health+json"; got != json {
			t.Errorf("%q: got JSON %v, want %v", accept, got, json)
		}
	}
}

// TestVerdictsMethods: the method does not matter.
func TestVerdictsMethods(t *testing.T) {
	r := start(t, server.Verdicts(groups{"ready": verdict.Fail, "live": verdict.Pass}, server.VerdictOptions{}), server.Options{})
	c := r.dial(t)
	b := bufio.NewReader(c)
	for _, method := range []string{"GET", "OPTIONS", "POST", "PUT", "DELETE", "PROPFIND"} {
		io.WriteString(c, method+" /readyz HTTP/1.1\r\n\r\n"+method+" /livez HTTP/1.1\r\n\r\n")
		checkAnswer(t, b, "503 fail", false, false)
		checkAnswer(t, b, "200 ok", false, false)
	}
	io.WriteString(c, "HEAD /readyz HTTP/1.1\r\n\r\n")
	checkAnswer(t, b, "503 ", false, true)
}

// TestVerdictsDegradedStatus: it is chosen by option and by query, and concerns
// the degraded verdict only.
func TestVerdictsDegradedStatus(t *testing.T) {
	a := groups{"ready": verdict.Degraded, "live": verdict.Pass, "all": verdict.Fail}
	for _, tt := range []struct {
		option, want int
		path         string
	}{
		{0, 200, "/"},
		{429, 429, "/"},
		{0, 429, "/?degraded=429"},
		{0, 429, "/readyz/?x=y&degraded=429"},
		{0, 429, "/?degraded=500&degraded=429"},
		{429, 200, "/?degraded=200"},
		{0, 599, "/?degraded=599"},
		{0, 299, "/group/ready?degraded=299"},
		{0, 200, "/livez?degraded=429"},
		{0, 503, "/healthz?degraded=200"},
		{0, 404, "/group/nosuch?degraded=429"},
		// What can't be a status is passed over.
		{429, 429, "/?degraded=204"},
		{0, 200, "/?degraded=304"},
		{0, 200, "/?degraded=100"},
		{0, 200, "/?degraded=199"},
		{0, 200, "/?degraded=600"},
		{0, 200, "/?degraded="},
		{0, 200, "/?degraded"},
		{0, 200, "/?degraded=+42"},
		{0, 200, "/?degraded=4299"},
		{0, 200, "/?DEGRADED=429"},
		{0, 200, "/?undegraded=429"},
	} {
		h := server.Verdicts(a, server.VerdictOptions{DegradedStatus: tt.option})
		for range 2 { // rendered, and found again
			response, _ := respond(t, h, tt.path, "")
			if got := response.StatusCode; got != tt.want {
				t.Errorf("%d, %s: got %d, want %d", tt.option, tt.path, got, tt.want)
			}
		}
	}
}

// TestVerdictsForEnvoy: which answers have the fields that Envoy obeys.
func TestVerdictsForEnvoy(t *testing.T) {
	const fails, degraded = "X-Envoy-Immediate-Health-Check-Fail", "X-Envoy-Degraded"
	for _, c := range conditions {
		for path, drains := range map[string]bool{"/": true, "/healthz": true, "/group/web": true, "/livez": false, "/startupz": false, "/group/nosuch": false} {
			for _, accept := range []string{"", "application/json"} {
				response, _ := respond(t, server.Verdicts(newChanging(c), server.VerdictOptions{}), path, accept)
				if got, want := response.Header.Get(fails) == "true", c.draining && drains; got != want {
					t.Errorf("%s, %s: got %s %v, want %v", c.name, path, fails, got, want)
				}
				if got, want := response.Header.Get(degraded) == "true", c.outcome == verdict.Degraded && path != "/group/nosuch"; got != want {
					t.Errorf("%s, %s: got %s %v, want %v", c.name, path, degraded, got, want)
				}
			}
		}
	}
}
