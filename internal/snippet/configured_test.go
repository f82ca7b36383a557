package snippet_test

import (
	"strings"
	"testing"
	"time"

	"hale/internal/snippet"
)

// has compares a snippet with what must be in it, and with what must not after
// an empty text.
func has(t *testing.T, name string, change func(*snippet.Setup), wanted ...string) {
	t.Helper()
	got := text(t, name, change)
	present := true
	for _, w := range wanted {
		if w == "" {
			present = false
			continue
		}
		if strings.Contains(got, w) != present {
			t.Errorf("%s: %q is in it: %t, want %t\n%s", name, w, !present, present, got)
		}
	}
}

func status(fail, degraded int) func(*snippet.Setup) {
	return func(s *snippet.Setup) { s.FailStatus, s.Degraded = fail, degraded }
}

// The status of a failing verdict never means traffic, and an ALB gets none in
// its matcher that it refuses.
func TestStatuses(t *testing.T) {
	for _, c := range []struct {
		fail, degraded                 int
		haproxy, alb, path, kubernetes string
	}{
		{503, 200, "200", "200", "/readyz", "/readyz"},
		{503, 429, "200,429", "200,429", "/readyz", "/readyz?degraded=200"},
		{503, 207, "200,207", "200,207", "/readyz", "/readyz"},
		{503, 500, "200,500", "200", "/readyz?degraded=200", "/readyz?degraded=200"},
		{503, 503, "200", "200", "/readyz", "/readyz"},
		{429, 429, "200", "200", "/readyz", "/readyz"},
	} {
		has(t, "haproxy", status(c.fail, c.degraded), "http-check expect status "+c.haproxy+"\n")
		has(t, "terraform", status(c.fail, c.degraded), ` = "`+c.alb+"\"\n", ` = "`+c.path+"\"\n")
		has(t, "kubernetes", status(c.fail, c.degraded), "httpGet: {path: "+c.kubernetes+", port: health}\n")
	}
	for codes, change := range map[string]func(*snippet.Setup){
		"500 502 503 504":         status(503, 200),
		"429 500 502 503 504":     status(429, 200),
		"429 500 502 503 504 507": status(507, 429),
	} {
		has(t, "nginx", change, "error_page "+codes+" =200 @healthz_degraded;", "", "keeps 499")
	}
	// nginx refuses 499 in error_page, so it is not put there.
	has(t, "nginx", status(499, 200), "error_page 500 502 503 504 =200 ", "nginx keeps 499")
	for _, bad := range [][2]int{{200, 200}, {600, 200}, {503, 199}, {503, 600}} {
		setup := snippet.Defaults()
		status(bad[0], bad[1])(&setup)
		if err := setup.Validate(); err == nil || !strings.HasPrefix(err.Error(), "the configuration's ") {
			t.Errorf("%v: %v", bad, err)
		}
	}
}

// Where hale's answer takes as long as its checks, others wait for it.
func TestWait(t *testing.T) {
	slow := func(s *snippet.Setup) { s.OnDemand, s.Wait = true, 8500*time.Millisecond }
	for name, want := range map[string][2]string{
		"nginx":      {"proxy_read_timeout 9s;", "proxy_read_timeout 2s;"},
		"apache":     {"timeout=9\n", "timeout=2\n"},
		"caddy":      {"response_header_timeout 9s\n", "response_header_timeout 2s\n"},
		"haproxy":    {"    timeout check 9s\n", "inter 2s fall 2"},
		"kubernetes": {"periodSeconds: 10\n        timeoutSeconds: 9\n        failureThreshold: 30\n", "periodSeconds: 5\n        timeoutSeconds: 2\n        failureThreshold: 60\n"},
		"terraform":  {"interval            = 18\n    timeout             = 9\n", "interval            = 10\n    timeout             = 5\n"},
	} {
		has(t, name, slow, want[0])
		has(t, name, nil, want[1], "", want[0])
	}
	has(t, "terraform", func(s *snippet.Setup) { s.Wait = time.Hour }, "timeout             = 120\n")
}

// A snippet that runs hale without its configuration gives it the same settings.
func TestServeFlags(t *testing.T) {
	change := func(s *snippet.Setup) {
		s.DrainDelay, s.Grace, s.FailStatus, s.Degraded, s.OnDemand = 40*time.Second, 90*time.Second, 500, 429, true
	}
	const flags = `, "--drain-delay", "40s", "--grace", "1m30s", "--fail-status", "500", "--degraded-status", "429", "--on-demand", "http://`
	has(t, "kubernetes", change, `args: ["serve", "--listen", ":5000"`+flags, "terminationGracePeriodSeconds: 135\n")
	has(t, "compose", change, `command: ["serve", "--listen", ":5000"`+flags, "stop_grace_period: 135s\n")
	has(t, "systemd", change, "TimeoutStopSec=135s\n", "hale answers 500 for")
	for _, name := range []string{"kubernetes", "compose"} {
		has(t, name, nil, "", "--drain-delay", "--grace", "--fail-status", "--degraded-status", "--on-demand")
	}
}

// A listener that only this host reaches is warned of first, unless the balancer
// is this host.
func TestOnlyHere(t *testing.T) {
	for _, listen := range []string{"127.0.0.1:15200", "[::1]:15200", "localhost:15200", "127.1.2.3:15200"} {
		for name, warning := range map[string]string{"haproxy": "# NO OTHER HOST REACHES hale", "terraform": "# NO LOAD BALANCER REACHES hale"} {
			got := text(t, name, func(s *snippet.Setup) { s.Listen = listen })
			if !strings.HasPrefix(got, warning+" AS IT IS CONFIGURED.") || !strings.Contains(got, "\n#   listen: :15200 in place of listen: "+listen+"\n") {
				t.Errorf("%s on %s does not begin with a warning:\n%s", name, listen, got)
			}
		}
	}
	has(t, "haproxy", func(s *snippet.Setup) { s.AgentCheck = "127.0.0.1:5002" }, "\n#   agent_check: :5002 in place of agent_check: 127.0.0.1:5002\n", "", "in place of listen")
	has(t, "terraform", func(s *snippet.Setup) { s.AgentCheck = "127.0.0.1:5002" }, "", "REACHES")
	has(t, "haproxy", func(s *snippet.Setup) { s.Listen, s.Instance = "127.0.0.1:5000", "127.0.0.1" }, "", "REACHES")
	for _, name := range []string{"haproxy", "terraform"} {
		for _, listen := range []string{":5000", "0.0.0.0:5000", "10.1.2.3:5000"} {
			has(t, name, func(s *snippet.Setup) { s.Listen = listen }, "", "REACHES")
		}
	}
}

// A path that nginx' snippet has for itself would be there twice.
func TestTakenPaths(t *testing.T) {
	nginx := text(t, "nginx", nil)
	for line := range strings.Lines(nginx) {
		path, found := strings.CutPrefix(strings.TrimSpace(line), "location = ")
		path = strings.TrimSuffix(path, " {")
		setup := snippet.Defaults()
		if !found || path == setup.Path {
			continue
		}
		setup.Path = path
		if err := setup.Validate(); err == nil || !strings.HasPrefix(err.Error(), `--path: "`+path+`" is what nginx answers for itself`) {
			t.Errorf("%s: %v", path, err)
		}
	}
	has(t, "nginx", func(s *snippet.Setup) { s.Path = "/_healthz/site" }, "location = /_healthz/site {")
}

// What the configuration gave is not blamed on a flag that nobody gave.
func TestBlame(t *testing.T) {
	setup := snippet.Defaults()
	setup.FromConfig = []string{"listen", "agent-check"}
	setup.Listen, setup.AgentCheck, setup.App = "127.0.0.1:0", ":0", ":0"
	const want = `the configuration's listen: "127.0.0.1:0" is not HOST:PORT, where HOST is a name or an IP address and PORT from 1 to 65535; write :5000, say, or give --listen
the configuration's agent_check: ":0" is not HOST:PORT, where HOST is a name or an IP address and PORT from 1 to 65535; write :5002, say, or give --agent-check
--app: ":0" is not HOST:PORT, where HOST is a name or an IP address and PORT from 1 to 65535; write 127.0.0.1:8000, say`
	if got := setup.Validate().Error(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// The unit has what the configuration's listeners need, and no more.
func TestSystemdNeeds(t *testing.T) {
	const low, dir = "\nAmbientCapabilities=CAP_NET_BIND_SERVICE\n", "\nRuntimeDirectory="
	has(t, "systemd", nil, "LoadCredential=hale.yaml:/etc/hale/hale.yaml", "tls_key", "", low, dir, "makes no directory")
	for _, change := range []func(*snippet.Setup){
		func(s *snippet.Setup) { s.Listen = ":80" },
		func(s *snippet.Setup) { s.AgentCheck = "[::]:1023" },
		func(s *snippet.Setup) { s.Admin = "127.0.0.1:101" },
	} {
		has(t, "systemd", change, low)
	}
	has(t, "systemd", func(s *snippet.Setup) { s.Listen = ":1024" }, "", low)
	for socket, want := range map[string]string{"/run/hale/admin.sock": "hale\n", "/run/a/b/x": "a/b\n"} {
		has(t, "systemd", func(s *snippet.Setup) { s.Admin = "unix:" + socket }, dir+want, "", "makes no directory")
	}
	for _, socket := range []string{"/run/admin.sock", "/srv/hale/x", "/run/../srv/x", "/run/a b/x", "/run/a\nExecStart=/x/y"} {
		has(t, "systemd", func(s *snippet.Setup) { s.Admin = "unix:" + socket }, "makes no directory", "", dir, "a b", "/x/y")
	}
	needy := text(t, "systemd", func(s *snippet.Setup) { s.Listen, s.Admin = ":80", "unix:/run/hale/admin.sock" })
	if got := verified(t, needy); got != "<nil> " {
		t.Errorf("systemd-analyze verify: %s", got)
	}
}

// The health check of a backend with an agent tells a failure by itself, and
// not draining; the comment names what an agent undoes.
func TestAgent(t *testing.T) {
	change := func(s *snippet.Setup) { s.AgentCheck = ":5002" }
	has(t, "haproxy", change, " uri /readyz?draining=ok ", `"set server web/web1 state maint"`, `"disable agent web/web1"`, "", "/livez", "1.5 s")
	has(t, "haproxy", nil, " uri /readyz ", "", "draining=ok")
	has(t, "haproxy", func(s *snippet.Setup) { change(s); s.OnDemand = true }, "waits 1.5 s for the checks")
}
