package snippet_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"hale/internal/servertest"
	"hale/internal/snippet"
)

// metadata answers as EC2's metadata service does, version 2 alone or 1 alone.
func metadata(tokens bool, address string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		switch r.Method + " " + r.URL.Path {
		case "PUT /latest/api/token":
			if !tokens {
				w.WriteHeader(http.StatusNotFound)
				return
			}
			if r.Header.Get("X-aws-ec2-metadata-token-ttl-seconds") == "" {
				w.WriteHeader(http.StatusBadRequest)
			}
			fmt.Fprint(w, "a-token")
		case "GET /latest/meta-data/local-ipv4":
			if tokens && r.Header.Get("X-aws-ec2-metadata-token") != "a-token" {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			fmt.Fprint(w, address)
		}
	}
}

// The site refuses every Host but its own; the health path is answered for any,
// and the other pages for the instance's address.
func TestDjango(t *testing.T) {
	settings := module(t) + `
SECURE_SSL_REDIRECT = False
ALLOWED_HOSTS = []
from hale_health import own_addresses
ALLOWED_HOSTS += ["example.org"] + own_addresses()
MIDDLEWARE = ["hale_health.HealthCheck"] + list(MIDDLEWARE)
`
	service := httptest.NewServer(metadata(true, "10.0.1.85"))
	t.Cleanup(service.Close)
	t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", service.URL)
	server := servertest.Django(t, settings)
	for _, c := range []struct {
		method, host, path string
		status             int
	}{
		{"GET", "example.org", "/get-only/", 200},
		{"GET", "10.0.1.85", "/get-only/", 200},
		{"GET", "10.0.1.85:8000", "/get-only/", 200},
		{"GET", "10.0.1.86", "/get-only/", 400},
		{"GET", "10.0.1.86", "/health_check", 200},
		{"HEAD", "127.0.0.1", "/health_check", 200},
		{"OPTIONS", "not a host", "/health_check/", 200},
		{"GET", "10.0.1.86", "/health_checks", 400},
		{"POST", "10.0.1.86", "/health_check", 400},
	} {
		if got := hosted(t, server.Addr, c.method, c.host, c.path); got != c.status {
			t.Errorf("%s %s of %s: %d, want %d\n%s", c.method, c.path, c.host, got, c.status, server.Log())
		}
	}
	server.Stop()
	// Neither a redirect to https nor a missing Host is in its way.
	server = servertest.Django(t, settings+"SECURE_SSL_REDIRECT = True\n")
	if got := hosted(t, server.Addr, "GET", "10.0.1.86", "/health_check"); got != 200 {
		t.Errorf("with SECURE_SSL_REDIRECT: %d", got)
	}
	if got := hosted(t, server.Addr, "GET", "example.org", "/get-only/"); got != 301 {
		t.Errorf("with SECURE_SSL_REDIRECT another page: %d", got)
	}
}

// hosted asks with a Host, as it is, and returns the status.
func hosted(t *testing.T, address, method, host, path string) int {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", method, path, host)
	answer := make([]byte, len("HTTP/1.1 200"))
	if _, err := conn.Read(answer); err != nil {
		t.Fatal(err)
	}
	status, err := strconv.Atoi(string(answer[len("HTTP/1.1 "):]))
	if err != nil {
		t.Fatalf("%q", answer)
	}
	return status
}

// module writes the snippet as a module, and returns what lets Python find it.
func module(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "hale_health.py"), []byte(text(t, "django", nil)), 0o600); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("import sys\nsys.path.insert(0, %q)\nsys.dont_write_bytecode = True\n", dir)
}

// The address is the metadata service's, and that of the default route where
// there is no such service or it can't be used; the site starts in any case.
func TestDjangoAddresses(t *testing.T) {
	const stub = `
import hale_health
hale_health._from_route = lambda: %q
print(hale_health.own_addresses())
`
	for name, c := range map[string]struct {
		service http.HandlerFunc
		route   string
		want    string
	}{
		"version 2": {metadata(true, "10.0.1.85"), "", "['10.0.1.85']"},
		"version 1": {metadata(false, "10.0.1.86"), "", "['10.0.1.86']"},
		"IPv6":      {metadata(true, "fd00::5"), "", "['[fd00::5]']"},
		"off":       {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(403) }, "10.9.8.7", "['10.9.8.7']"},
		"garbage":   {metadata(true, "<html>\xff"), "10.9.8.7", "['10.9.8.7']"},
		"loopback":  {metadata(true, "127.0.0.1"), "fd00::7", "['[fd00::7]']"},
		"a redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://192.0.2.9/", http.StatusFound)
		}, "10.9.8.7", "['10.9.8.7']"},
		"not HTTP":    {func(w http.ResponseWriter, _ *http.Request) { hijack(w, "SSH-2.0-OpenSSH\r\n\r\n") }, "10.9.8.7", "['10.9.8.7']"},
		"hangs":       {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "10.9.8.7", "['10.9.8.7']"},
		"nothing":     {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, "nothing", "[]"},
		"a bad token": {func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "a\r\nb: c") }, "10.9.8.7", "['10.9.8.7']"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			service := httptest.NewServer(c.service)
			t.Cleanup(func() { service.CloseClientConnections(); service.Close() })
			cmd := exec.CommandContext(t.Context(), "/usr/bin/python3", "-c", module(t)+fmt.Sprintf(stub, c.route))
			cmd.Env = append(os.Environ(), "AWS_EC2_METADATA_SERVICE_ENDPOINT="+service.URL, "http_proxy=http://192.0.2.9:3128", "DJANGO_SETTINGS_MODULE=none")
			out, err := cmd.CombinedOutput()
			if got := strings.TrimSpace(string(out)); err != nil || got != c.want {
				t.Errorf("%v: %s, want %s", err, got, c.want)
			}
		})
	}
}

func hijack(w http.ResponseWriter, text string) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	_, _ = conn.Write([]byte(text))
	_ = conn.Close()
}

// systemd-analyze takes the unit without a warning.
func TestSystemd(t *testing.T) {
	unit := text(t, "systemd", nil)
	if got := verified(t, unit); got != "<nil> " {
		t.Errorf("systemd-analyze verify: %s", got)
	}
	if got := verified(t, strings.Replace(unit, "RestartSec=", "RestrtSec=", 1)); !strings.Contains(got, "RestrtSec") {
		t.Errorf("systemd-analyze does not see a mistake: %s", got)
	}
}

// verified is what systemd-analyze says of a unit.
func verified(t *testing.T, unit string) string {
	t.Helper()
	program := servertest.Program(t, "systemd-analyze", "systemd")
	file := filepath.Join(t.TempDir(), "hale.service")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(unit, "/usr/local/bin/hale", os.Args[0])), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, "verify", "--man=no", "--recursive-errors=no", file)
	out, err := cmd.CombinedOutput()
	if _, failed := errors.AsType[*exec.ExitError](err); err != nil && !failed {
		t.Fatal(err)
	}
	return fmt.Sprint(err, " ", string(out))
}

// The commands of containers are what hale-probe understands: they tell a good
// application from a bad one.
func TestCommands(t *testing.T) {
	probe := filepath.Join(t.TempDir(), "hale-probe")
	servertest.Run(t, "go", "build", "-o", probe, "hale/cmd/hale-probe")
	var status atomic.Int64
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(int(status.Load())) }))
	t.Cleanup(app.Close)
	list := regexp.MustCompile(`\["(?:CMD", ")?hale-probe",.*?\]`)
	for _, name := range []string{"docker", "compose", "ecs"} {
		var words []string
		got := text(t, name, func(s *snippet.Setup) { s.App = strings.TrimPrefix(app.URL, "http://") })
		if err := json.Unmarshal([]byte(list.FindString(got)), &words); err != nil {
			t.Fatalf("%s has no command: %v\n%s", name, err, got)
		}
		if words[0] == "CMD" {
			words = words[1:]
		}
		for answer, want := range map[int64]int{200: 0, 500: 1} {
			status.Store(answer)
			cmd := exec.CommandContext(t.Context(), probe, words[1:]...)
			out, _ := cmd.CombinedOutput()
			if code := cmd.ProcessState.ExitCode(); code != want {
				t.Errorf("%s: %q of a page with %d: exit %d: %s", name, words, answer, code, out)
			}
		}
	}
}
