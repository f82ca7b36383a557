package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

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
	file := filepath.Join(t.TempDir(), "hale.yaml")
	text := "listen: :5055\nadmin: off\ndefaults: {interval: 200ms}\nchecks:\n  web: " + app.URL + "/health\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, log bytes.Buffer
	if code := run(t.Context(), []string{"hale", "snippet", "nginx", "--config", file}, streams{out: &out, err: &log}); code != exitOK {
		t.Fatalf("exit %d: %s", code, &log)
	}
	start(t, "hale", "serve", "--config", file)
	servertest.NginxHTTP(t, "server { listen 127.0.0.1:$PORT; return 200; }\n"+out.String())
	becomes := func(url, want string) {
		t.Helper()
		servertest.Wait(t, url+" to answer "+want, func() error {
			if got := ask(url); !strings.HasPrefix(got, want) {
				return errAnswer(got)
			}
			return nil
		})
	}
	const site = "http://" + servertest.OwnAddress
	becomes(site+"/health", "200 ok")
	becomes(site+"/", "301 ")
	broken.Store(true)
	becomes(site+"/health", "503 fail")
	becomes("http://127.0.0.1/_healthz/readyz/", "200 degraded")
	becomes("http://127.0.0.1/_healthz/livez/", "200 ok")
	broken.Store(false)
	becomes(site+"/health", "200 ok")
	becomes("http://127.0.0.1/_healthz/readyz/", "200 ok")
}

// An errAnswer is an answer that is not the one wanted.
type errAnswer string

func (e errAnswer) Error() string { return "it answers " + string(e) }
