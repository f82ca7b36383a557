package snippet_test

import (
	"cmp"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"hale/internal/servertest"
	"hale/internal/snippet"
)

// on serves HTTP on an address of this network until the test ends.
func on(t *testing.T, address string, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	s := &httptest.Server{Listener: l, Config: &http.Server{Handler: handler}}
	s.Start()
	t.Cleanup(s.Close)
	return s
}

// A verdict answers as hale's public listener does: ready or not; draining, which
// its agent-check tells too, or not.
type verdict struct {
	failing, draining atomic.Bool
	status            atomic.Int64 // of a fail, 503 unless set
}

func (v *verdict) answer(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path != "/readyz" || r.URL.RawQuery != "" && r.URL.RawQuery != "draining=ok":
		http.Error(w, r.URL.Path, http.StatusTeapot)
	case v.failing.Load() || v.draining.Load() && r.URL.RawQuery == "":
		http.Error(w, "fail", cmp.Or(int(v.status.Load()), http.StatusServiceUnavailable))
	default:
		fmt.Fprintln(w, "ok")
	}
}

// expect asks as a balancer does, by the address, and compares the status and a
// part of the rest.
func expect(t *testing.T, url string, status int, want string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
	if err != nil {
		t.Errorf("%s: %v", url, err)
		return
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	rest := response.Header.Get("Location") + response.Header.Get("Content-Type") + " " + string(body)
	if response.StatusCode != status || !strings.Contains(rest, want) {
		t.Errorf("%s answers %s, %q; want %d, %q", url, response.Status, rest, status, want)
	}
}

const own = "http://" + servertest.OwnAddress

// healthPath is what every proxy's snippet must do: hale answers the health
// path, whatever the Host, and the redirect to https is for the rest.
func healthPath(t *testing.T, hale *verdict) {
	t.Helper()
	for range 2 {
		expect(t, own+"/health_check", 200, "ok")
		hale.failing.Store(true)
		expect(t, own+"/health_check", 503, "fail")
		hale.failing.Store(false)
	}
	expect(t, own+"/", 301, "https://example.org/")
	expect(t, own+"/a/page?with=query", 301, "https://example.org/a/page?with=query")
	expect(t, own+"/health_check/more", 301, "https://example.org/health_check/more")
}

func TestNginx(t *testing.T) {
	if !servertest.OwnNetwork(t) {
		return
	}
	var hale verdict
	agent := on(t, "127.0.0.1:5000", hale.answer)
	server := servertest.NginxHTTP(t, "server { listen 127.0.0.1:$PORT; return 200; }\n"+text(t, "nginx", status(429, 207)))
	servertest.Run(t, servertest.Program(t, "nginx", "nginx-light"), "-t", "-p", server.Dir, "-e", "stderr", "-c", filepath.Join(server.Dir, "nginx.conf"))
	healthPath(t, &hale)
	expect(t, "http://[::1]/health_check", 200, "ok")
	const local = "http://127.0.0.1/_healthz/"
	for _, path := range []string{"", "livez/", "readyz/"} {
		expect(t, local+path, 200, "text/plain")
		expect(t, local+path, 200, "ok\n")
		expect(t, own+"/_healthz/"+path, 403, "")
	}
	// nginx stays ready without what is behind it, and says so.
	hale.failing.Store(true)
	expect(t, local+"readyz/", 200, "text/plain degraded\n")
	expect(t, local, 200, "ok\n")
	// Its status is one that nginx would pass on if the snippet did not know it.
	hale.status.Store(429)
	expect(t, local+"readyz/", 200, "text/plain degraded\n")
	expect(t, own+"/health_check", 429, "fail")
	agent.Close()
	expect(t, local+"readyz/", 200, "text/plain degraded\n")
	expect(t, own+"/_healthz/readyz/", 403, "")
	expect(t, own+"/health_check", 502, "")
}

func TestApache(t *testing.T) {
	if !servertest.OwnNetwork(t) {
		return
	}
	var hale verdict
	on(t, "127.0.0.1:5000", hale.answer)
	server := servertest.Apache(t, "Listen 80\n"+text(t, "apache", nil))
	servertest.Run(t, servertest.Program(t, "apache2", "apache2"), "-t", "-f", filepath.Join(server.Dir, "apache2.conf"))
	healthPath(t, &hale)
}

func TestCaddy(t *testing.T) {
	if !servertest.OwnNetwork(t) {
		return
	}
	var hale verdict
	on(t, "127.0.0.1:5000", hale.answer)
	file := filepath.Join(t.TempDir(), "Caddyfile")
	if err := os.WriteFile(file, []byte(text(t, "caddy", nil)), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HOME", filepath.Dir(file))
	servertest.Run(t, servertest.Program(t, "caddy", "caddy"), "validate", "--adapter", "caddyfile", "--config", file)
	servertest.Caddy(t, "http://127.0.0.1:$PORT {\nrespond 200\n}\n"+text(t, "caddy", nil))
	healthPath(t, &hale)
}

func TestHAProxy(t *testing.T) {
	if !servertest.OwnNetwork(t) {
		return
	}
	program := servertest.Program(t, "haproxy", "haproxy")
	const head = "defaults\n    mode http\n    timeout connect 5s\n    timeout client 30s\n    timeout server 30s\nfrontend site\n    bind 127.0.0.1:$PORT\n    default_backend web\n"
	var hale verdict
	on(t, "0.0.0.0:5000", hale.answer)
	on(t, "0.0.0.0:8000", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "the site") })
	var line atomic.Value
	line.Store("ready up\n")
	agent := listen(t, "0.0.0.0:5002", func(conn net.Conn) { fmt.Fprint(conn, line.Load()) })
	started := func(agentCheck string) *servertest.Server {
		backend := text(t, "haproxy", func(s *snippet.Setup) { s.Instance, s.AgentCheck, s.Degraded = servertest.OwnAddress, agentCheck, 429 })
		server := servertest.HAProxy(t, head+backend)
		servertest.Run(t, program, "-c", "-f", filepath.Join(server.Dir, "haproxy.cfg"))
		becomes(t, server.Addr, 200)
		return server
	}
	asked := started("")
	hale.failing.Store(true)
	becomes(t, asked.Addr, 503)
	hale.failing.Store(false)
	becomes(t, asked.Addr, 200)
	asked.Stop()
	told := started(agent)
	for _, bad := range []string{"ready down #not healthy\n", "drain\n"} {
		hale.draining.Store(bad == "drain\n")
		line.Store(bad)
		becomes(t, told.Addr, 503)
		hale.draining.Store(false)
		line.Store("ready up\n")
		becomes(t, told.Addr, 200)
	}
	told.Stop()
	// With an agent that can't be reached it is the health check that counts.
	deaf := started("0.0.0.0:5003")
	hale.failing.Store(true)
	becomes(t, deaf.Addr, 503)
	hale.failing.Store(false)
	becomes(t, deaf.Addr, 200)
	// That leaves draining out: to tell it is the agent's.
	hale.draining.Store(true)
	expect(t, "http://"+deaf.Addr+"/", 200, "the site")
}

// listen takes connections until the test ends, and returns the address.
func listen(t *testing.T, address string, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	servertest.Handle(t, l, serve)
	return address
}

// becomes waits until a page has the status.
func becomes(t *testing.T, address string, status int) {
	t.Helper()
	servertest.Wait(t, fmt.Sprintf("%s to answer %d", address, status), func() error {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/", nil)
		if err != nil {
			return err
		}
		response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
		if err != nil {
			return err
		}
		_ = response.Body.Close()
		if response.StatusCode != status {
			return fmt.Errorf("it answers %s", response.Status)
		}
		return nil
	})
}
