package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"hale/internal/servertest"
)

// TestSnippetFits: nginx with the snippet for a configuration asks the agent
// that runs with this configuration.
func TestSnippetFits(t *testing.T) {
	if !servertest.OwnNetwork(t) {
		return
	}
	var broken atomic.Bool
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if broken.Load() {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	t.Cleanup(app.Close)
	file := yaml(t, "listen: :5055\nadmin: off\ndefaults: {interval: 200ms}\nchecks:\n  web: "+app.URL+"/health\n")
	start(t, "hale", "serve", "--config", file)
	servertest.NginxHTTP(t, nginxHead+printed(t, "nginx", "--config", file))
	const site = "http://" + servertest.OwnAddress
	becomes(t, site+"/health", "200 ok")
	becomes(t, site+"/", "301 ")
	broken.Store(true)
	becomes(t, site+"/health", "503 fail")
	becomes(t, "http://127.0.0.1/_healthz/readyz/", "200 degraded")
	becomes(t, "http://127.0.0.1/_healthz/livez/", "200 ok")
	broken.Store(false)
	becomes(t, site+"/health", "200 ok")
	becomes(t, "http://127.0.0.1/_healthz/readyz/", "200 ok")
}

// TestSnippetOnDemand: a healthy hale that takes as long as its check is healthy
// through nginx too.
func TestSnippetOnDemand(t *testing.T) {
	if !servertest.OwnNetwork(t) {
		return
	}
	app := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(2500 * time.Millisecond) }))
	t.Cleanup(app.Close)
	file := yaml(t, "listen: :5055\nadmin: off\non_demand: true\nchecks:\n  web: {url: "+app.URL+"/health, interval: 60s, timeout: 30s}\n")
	start(t, "hale", "serve", "--config", file)
	servertest.NginxHTTP(t, nginxHead+printed(t, "nginx", "--config", file))
	becomes(t, "http://127.0.0.1:5055/livez", "200")
	const site = "http://" + servertest.OwnAddress
	if got := ask(site + "/health"); got != "200 ok" {
		t.Errorf("%s, and of hale itself %s", got, ask("http://127.0.0.1:5055/readyz"))
	}
}

// TestSnippetSidecar: hale with the sidecar's arguments answers as hale with the
// configuration does.
func TestSnippetSidecar(t *testing.T) {
	if !servertest.OwnNetwork(t) {
		return
	}
	app := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(app.Close)
	file := yaml(t, "listen: :5055\nfail_status: 429\ndegraded_status: 207\ndrain_delay: 1ms\ngrace: 7s\non_demand: true\nchecks:\n  web: "+app.URL+"/health\n")
	args := regexp.MustCompile(`(?m)^ +args: (\[.*\])$`).FindStringSubmatch(printed(t, "kubernetes", "--config", file))
	if args == nil {
		t.Fatal("there are no arguments")
	}
	var words []string
	if err := json.Unmarshal([]byte(args[1]), &words); err != nil {
		t.Fatal(err)
	}
	start(t, append([]string{"hale"}, words...)...)
	becomes(t, "http://127.0.0.1:5055/livez", "200 ok")
	becomes(t, "http://127.0.0.1:5055/readyz", "429 fail")
}

// TestSnippetOwnAddress: a check of an address that this host has tells of the
// application, and one of another host's does not.
func TestSnippetOwnAddress(t *testing.T) {
	if !servertest.OwnNetwork(t) {
		return
	}
	file := yaml(t, "checks:\n  other: http://192.0.2.77:8122/h\n  web: http://"+servertest.OwnAddress+":8123/h\n")
	if got := printed(t, "kubernetes", "--config", file); !strings.Contains(got, `"http://127.0.0.1:8123/h"`) {
		t.Errorf("the application's port is not 8123:\n%s", got)
	}
}

// nginxHead is a server by which is seen that nginx answers.
const nginxHead = "server { listen 127.0.0.1:$PORT; return 200; }\n"

// printed is what hale snippet prints.
func printed(t *testing.T, args ...string) string {
	t.Helper()
	var out, log bytes.Buffer
	if code := run(t.Context(), append([]string{"hale", "snippet"}, args...), streams{out: &out, err: &log}); code != exitOK {
		t.Fatalf("exit %d: %s", code, &log)
	}
	return out.String()
}

// becomes waits until a page answers with this beginning.
func becomes(t *testing.T, url, want string) {
	t.Helper()
	servertest.Wait(t, url+" to answer "+want, func() error {
		if got := ask(url); !strings.HasPrefix(got, want) {
			return errAnswer(got)
		}
		return nil
	})
}

// An errAnswer is an answer that is not the one wanted.
type errAnswer string

func (e errAnswer) Error() string { return "it answers " + string(e) }
