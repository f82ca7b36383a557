package snippet_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"hale/internal/snippet"
)

// text is a snippet for the default setup, changed.
func text(t *testing.T, name string, change func(*snippet.Setup)) string {
	t.Helper()
	setup := snippet.Defaults()
	if change != nil {
		change(&setup)
	}
	for _, s := range snippet.All() {
		if s.Name == name {
			text, err := s.Text(setup)
			if err != nil {
				t.Fatal(err)
			}
			return text
		}
	}
	t.Fatalf("there is no snippet %s", name)
	return ""
}

func TestEverySnippet(t *testing.T) {
	var names []string
	for _, s := range snippet.All() {
		names = append(names, s.Name)
		got := text(t, s.Name, nil)
		if strings.Contains(got, "<no value>") || strings.Contains(got, "{{") || !strings.HasSuffix(got, "\n") {
			t.Errorf("%s:\n%s", s.Name, got)
		}
		for line := range strings.Lines(got) {
			if comment := strings.HasPrefix(strings.TrimSpace(line), "#"); comment && len(line) > 110 {
				t.Errorf("%s: a comment of %d bytes: %s", s.Name, len(line), line)
			}
			if strings.TrimRight(line, " \t\n") != strings.TrimRight(line, "\n") {
				t.Errorf("%s: blanks at the end of %q", s.Name, line)
			}
		}
		if untested := strings.Contains(got, "not run in hale's tests"); untested != (s.Proof == "") {
			t.Errorf("%s says it is untested: %t; its proof is %q", s.Name, untested, s.Proof)
		}
	}
	if !slices.IsSorted(names) {
		t.Errorf("%q is not sorted", names)
	}
}

func TestFits(t *testing.T) {
	fitted := func(s *snippet.Setup) {
		s.Listen, s.AgentCheck, s.App = "[::]:5055", "10.1.2.3:5066", "127.0.0.1:8077"
		s.Path, s.AppPath, s.ServerName, s.Instance, s.Config, s.Degraded = "/up.txt", "/app/up", "www.mysite.example", "fd00::7", "/srv/hale.yaml", 429
	}
	for name, want := range map[string][]string{
		"apache":     {"ServerName www.mysite.example\n", `RewriteRule ^/up\.txt$ http://127.0.0.1:5055/readyz [P,L]`},
		"caddy":      {"handle /up.txt {", "reverse_proxy 127.0.0.1:5055 {", "www.mysite.example {\n\treverse_proxy 127.0.0.1:8077\n"},
		"compose":    {`"http://127.0.0.1:8077/app/up"`, `"http://web:8077/app/up"`, `"5055:5000"`},
		"django":     {`PATH = "/up.txt"`, `"www.mysite.example"`},
		"docker":     {`"http://127.0.0.1:8077/app/up"`},
		"ecs":        {`"http://127.0.0.1:8077/app/up"`, `"containerPort": 8077`},
		"haproxy":    {"server web1 [fd00::7]:8077 check port 5055 agent-check agent-port 5066 agent-inter 2s\n", "hdr Host www.mysite.example\n", "expect status 200,429\n"},
		"kubernetes": {`"http://127.0.0.1:8077/app/up"`, "containerPort: 5055"},
		"nginx":      {"location = /up.txt {", "proxy_pass http://127.0.0.1:5055/readyz;", "https://www.mysite.example$request_uri"},
		"rails":      {`request.path == "/up.txt"`, `config.hosts << "www.mysite.example"`},
		"systemd":    {"ExecStart=/usr/local/bin/hale serve --config /srv/hale.yaml\n", "TimeoutStopSec=15s"},
		"terraform":  {"port     = 8077\n", `port     = "5055"`, `matcher             = "200,429"`},
	} {
		got := text(t, name, fitted)
		for _, w := range want {
			if !strings.Contains(got, w) {
				t.Errorf("%s lacks %q:\n%s", name, w, got)
			}
		}
	}
	if got := text(t, "nginx", func(s *snippet.Setup) { s.Listen = "10.1.2.3:5000" }); !strings.Contains(got, "http://10.1.2.3:5000/readyz") {
		t.Error(got)
	}
	if got := text(t, "haproxy", nil); strings.Contains(got, "agent-port 0") || !strings.Contains(got, "server web1 10.0.0.10:8000 check port 5000\n") {
		t.Error(got)
	}
}

// What could mean something to any of the languages is refused.
func TestRefuses(t *testing.T) {
	evil := []string{
		"", " ", "a b", "a;b", "a\nb", `a"b`, "a'b", "a{b", "a}b", "$a", "`id`", "#a", `a\b`, "a%0ab", "../x", "ä.example",
		"-a.example", "a_b.example", "a..b", "{{.Path}}", "${x}", "a\x00b", strings.Repeat("a", 300),
	}
	setters := map[string]func(*snippet.Setup, string){
		"server-name": func(s *snippet.Setup, text string) { s.ServerName = text },
		"path":        func(s *snippet.Setup, text string) { s.Path = text },
		"app-path":    func(s *snippet.Setup, text string) { s.AppPath = text },
		"config":      func(s *snippet.Setup, text string) { s.Config = text },
		"listen":      func(s *snippet.Setup, text string) { s.Listen = text },
		"app":         func(s *snippet.Setup, text string) { s.App = text },
		"instance":    func(s *snippet.Setup, text string) { s.Instance = text },
		"agent-check": func(s *snippet.Setup, text string) { s.AgentCheck = text + "x" },
	}
	for flag, set := range setters {
		values := slices.Clone(evil)
		for _, e := range evil {
			switch flag {
			case "path", "app-path", "config":
				if e != "" && e != "../x" && e != "a..b" && e != "-a.example" && e != "a_b.example" {
					values = append(values, "/"+e)
				}
			case "listen", "app", "agent-check":
				values = append(values, e+":0", e+":80 ", "127.0.0.1:"+e)
				if e != "" {
					values = append(values, e+":80")
				}
			}
		}
		for _, value := range append(values, "fe80::1%eth0;x", "/a//b", "127.0.0.1:080", ":65536") {
			setup := snippet.Defaults()
			set(&setup, value)
			err := setup.Validate()
			if err == nil {
				t.Errorf("--%s takes %q", flag, value)
				continue
			}
			if got := err.Error(); !strings.HasPrefix(got, "--"+flag+": ") || strings.Contains(got, "\n") || len(got) > 900 {
				t.Errorf("--%s %q: %q", flag, value, got)
			}
			if _, err := snippet.All()[0].Text(setup); err == nil {
				t.Errorf("--%s %q is written", flag, value)
			}
		}
	}
	setup := snippet.Defaults()
	setup.Path, setup.App = "/", "nowhere"
	if got, want := setup.Validate().Error(), `--app: "nowhere" is not HOST:PORT, where HOST is a name or an IP address and PORT from 1 to 65535; write 127.0.0.1:8000, say
--path: "/" is the site's own page; give the balancer one of its own, such as /health_check`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// parsed is a snippet in YAML.
func parsed(t *testing.T, name string) map[string]any {
	t.Helper()
	var m map[string]any
	if err := yaml.Unmarshal([]byte(text(t, name, nil)), &m); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return m
}

// at follows keys and indices into a parsed document.
func at(t *testing.T, v any, path ...any) any {
	t.Helper()
	for _, p := range path {
		switch p := p.(type) {
		case string:
			m, ok := v.(map[string]any)
			if v = m[p]; !ok || v == nil {
				t.Fatalf("%v: there is no %v", path, p)
			}
		case int:
			l, ok := v.([]any)
			if !ok || len(l) <= p {
				t.Fatalf("%v: there is no %v", path, p)
			}
			v = l[p]
		}
	}
	return v
}

func TestCompose(t *testing.T) {
	m := parsed(t, "compose")
	if got := fmt.Sprint(at(t, m, "services", "web", "healthcheck", "test")); got != "[CMD hale-probe check http://127.0.0.1:8000/health_check --timeout 3s]" {
		t.Error(got)
	}
	known := []string{"test", "interval", "timeout", "retries", "start_period"}
	for k := range at(t, m, "services", "web", "healthcheck").(map[string]any) {
		if !slices.Contains(known, k) {
			t.Errorf("healthcheck has no %s", k)
		}
	}
	if got := at(t, m, "services", "hale", "depends_on", "web", "condition"); got != "service_started" {
		t.Error(got)
	}
}

// The fields are those of Kubernetes' v1.Probe and v1.HTTPGetAction.
func TestKubernetes(t *testing.T) {
	m := parsed(t, "kubernetes")
	for probe, path := range map[string]string{"startupProbe": "/startupz", "livenessProbe": "/livez", "readinessProbe": "/readyz"} {
		p := at(t, m, "spec", "containers", 1, probe).(map[string]any)
		for k := range p {
			if !slices.Contains([]string{"httpGet", "periodSeconds", "timeoutSeconds", "failureThreshold"}, k) {
				t.Errorf("a probe has no %s", k)
			}
		}
		get := at(t, p, "httpGet").(map[string]any)
		if len(get) != 2 || get["path"] != path || get["port"] != at(t, m, "spec", "containers", 1, "ports", 0, "name") {
			t.Errorf("%s asks %v", probe, get)
		}
		if p["timeoutSeconds"].(int) >= p["periodSeconds"].(int) {
			t.Errorf("%s: %v", probe, p)
		}
	}
	if got := fmt.Sprint(at(t, m, "spec", "terminationGracePeriodSeconds")); got != "15" {
		t.Errorf("the grace is %s s", got)
	}
}

// The ranges are those of Amazon ECS' HealthCheck.
func TestECS(t *testing.T) {
	lines := strings.Split(text(t, "ecs", nil), "\n")
	lines = slices.DeleteFunc(lines, func(l string) bool { return strings.HasPrefix(l, "#") })
	var m map[string]any
	if err := json.Unmarshal([]byte(strings.Join(lines, "\n")), &m); err != nil {
		t.Fatal(err)
	}
	for field, limits := range map[string][2]float64{"interval": {5, 300}, "timeout": {2, 120}, "retries": {1, 10}, "startPeriod": {0, 300}} {
		if got := at(t, m, "healthCheck", field).(float64); got < limits[0] || got > limits[1] {
			t.Errorf("%s is %v, and must be from %v to %v", field, got, limits[0], limits[1])
		}
	}
	if got := fmt.Sprint(at(t, m, "healthCheck", "command")); got != "[CMD hale-probe check http://127.0.0.1:8000/health_check --timeout 3s]" {
		t.Error(got)
	}
}

// The ranges are those of an Application Load Balancer's health checks.
func TestTerraform(t *testing.T) {
	got := text(t, "terraform", nil)
	if o, c := strings.Count(got, "{"), strings.Count(got, "}"); o != c || strings.Count(got, `"`)%2 != 0 {
		t.Errorf("%d braces open and %d close, or a quote is missing:\n%s", o, c, got)
	}
	_, check, _ := strings.Cut(got, "health_check {")
	check, _, _ = strings.Cut(check, "\n  }")
	want := map[string]string{
		"enabled": "true", "protocol": `"HTTP"`, "port": `"5000"`, "path": `"/readyz"`, "matcher": `"200"`,
		"interval": "10", "timeout": "5", "healthy_threshold": "2", "unhealthy_threshold": "2",
	}
	for _, m := range regexp.MustCompile(`(?m)^ +(\w+) += (.*)$`).FindAllStringSubmatch(check, -1) {
		if want[m[1]] != m[2] {
			t.Errorf("health_check has %s = %s", m[1], m[2])
		}
		delete(want, m[1])
	}
	if len(want) > 0 {
		t.Errorf("health_check lacks %v", want)
	}
}

func TestRails(t *testing.T) {
	got := text(t, "rails", nil)
	for _, want := range []string{
		`health = ->(request) { request.path == "/health_check" }`,
		"config.host_authorization = { exclude: health }", "config.ssl_options = { redirect: { exclude: health } }",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("lacks %s", want)
		}
	}
}
