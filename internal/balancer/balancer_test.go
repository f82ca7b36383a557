package balancer_test

import (
	"flag"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"hale/internal/balancer"
)

var update = flag.Bool("update", false, "write docs/load-balancers.md")

const page = "../../docs/load-balancers.md"

func TestThePageIsInStep(t *testing.T) {
	want := balancer.Markdown()
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s differs from the table; run make docs", page)
	}
}

// profiles are the names that hale explain --as takes.
var profiles = []string{
	"alb", "app-gateway", "azure-lb", "caddy", "cloudflare", "consul", "elb", "envoy", "f5", "front-door", "gcp",
	"haproxy", "hetzner", "kubelet", "nginx-plus", "nlb", "route53", "traefik",
}

func TestExplained(t *testing.T) {
	var got []string
	for _, b := range balancer.Explained() {
		got = append(got, b.Name)
		if _, ok := b.HTTP(); !ok {
			t.Errorf("%s has no HTTP probe", b.Name)
		}
		if b.Timing.Timeout == 0 {
			t.Errorf("%s has no timeout; how long would explain wait?", b.Name)
		}
	}
	if !slices.Equal(got, profiles) {
		t.Errorf("got %v\nwant %v", got, profiles)
	}
}

func TestRowsAreWhole(t *testing.T) {
	for _, b := range balancer.All() {
		if b.Title == "" || len(b.Probes) == 0 || b.Judge.Redirects == "" || b.TLS.SNI == "" || b.From == "" || b.AllDown == "" || b.Consequence == "" || len(b.Sources) == 0 {
			t.Errorf("%s lacks something: %+v", b.Name, b)
		}
		if got := balancer.Find(b.Name); got == nil || got.Name != b.Name {
			t.Errorf("Find(%q) is %v", b.Name, got)
		}
		for _, p := range b.Probes {
			asks := p.Protocol.HTTP() || p.Protocol == balancer.HTTP2 || p.Protocol == balancer.GRPC
			if asks != (p.Method != "" && p.Path != "" && p.Host != "") && p.Protocol != balancer.GRPC {
				t.Errorf("%s: %s has method %q, path %q, host %q", b.Name, p.Protocol, p.Method, p.Path, p.Host)
			}
		}
	}
	if balancer.Find("nobody") != nil {
		t.Error("there is a row called nobody")
	}
}

func TestRequest(t *testing.T) {
	target := balancer.Target{
		Name: "app.example.org", Address: netip.MustParseAddrPort("10.0.1.85:8000"),
		Balancer: netip.MustParseAddr("10.0.0.9"), Path: "/health_check",
	}
	port80 := target
	port80.Address = netip.MustParseAddrPort("10.0.1.85:80")
	six := target
	six.Address = netip.MustParseAddrPort("[2001:db8::1]:80")
	chosen := target
	chosen.Host = "www.example.org"
	for _, test := range []struct {
		name   string
		target balancer.Target
		want   string
	}{
		{"alb", target, "GET /health_check HTTP/1.1\r\nHost: 10.0.1.85:8000\r\nConnection: close\r\nUser-Agent: ELB-HealthChecker/2.0\r\nAccept-Encoding: gzip, compressed\r\n\r\n"},
		{"alb", port80, "GET /health_check HTTP/1.1\r\nHost: 10.0.1.85\r\nConnection: close\r\nUser-Agent: ELB-HealthChecker/2.0\r\nAccept-Encoding: gzip, compressed\r\n\r\n"},
		{"nlb", target, "GET /health_check HTTP/1.1\r\nHost: 10.0.0.9:8000\r\nUser-Agent: ELB-HealthChecker/2.0\r\nConnection: close\r\n\r\n"},
		{"gcp", six, "GET /health_check HTTP/1.1\r\nHost: [2001:db8::1]\r\nUser-Agent: GoogleHC/1.0\r\nConnection: Keep-alive\r\n\r\n"},
		{"kubelet", port80, "GET /health_check HTTP/1.1\r\nHost: 10.0.1.85:80\r\nUser-Agent: kube-probe/1.32\r\nAccept: */*\r\nConnection: close\r\n\r\n"},
		{"app-gateway", target, "GET /health_check HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Keep-Alive\r\n\r\n"},
		{"haproxy", target, "OPTIONS /health_check HTTP/1.0\r\n\r\n"},
		{"haproxy", chosen, "OPTIONS /health_check HTTP/1.0\r\nHost: www.example.org\r\n\r\n"},
		{"hetzner", target, "GET /health_check HTTP/1.0\r\n\r\n"},
		{"f5", target, "GET /health_check\r\n"},
		{"traefik", target, "GET /health_check HTTP/1.1\r\nHost: app.example.org:8000\r\nUser-Agent: Go-http-client/1.1\r\nAccept-Encoding: gzip\r\n\r\n"},
		{"front-door", port80, "HEAD /health_check HTTP/1.1\r\nHost: app.example.org\r\nUser-Agent: Edge Health Probe\r\nConnection: Keep-Alive\r\n\r\n"},
	} {
		probe, _ := balancer.Find(test.name).HTTP()
		if got := string(probe.Request(test.target)); got != test.want {
			t.Errorf("%s:\ngot  %q\nwant %q", test.name, got, test.want)
		}
	}
}

func TestServerName(t *testing.T) {
	target := balancer.Target{Name: "app.example.org", Address: netip.MustParseAddrPort("10.0.1.85:443"), TLS: true}
	for name, want := range map[string]string{"alb": "", "traefik": "app.example.org", "app-gateway": ""} {
		if got := balancer.Find(name).ServerName(target); got != want {
			t.Errorf("%s sends the server name %q, want %q", name, got, want)
		}
	}
	target.Host = "www.example.org:443"
	if got := balancer.Find("app-gateway").ServerName(target); got != "www.example.org" {
		t.Errorf("app-gateway with a Host sends the server name %q", got)
	}
}

func TestCodes(t *testing.T) {
	alb, envoy, f5 := balancer.Find("alb").Judge, balancer.Find("kubelet").Judge, balancer.Find("f5").Judge
	if !alb.Codes.Contain(200) || alb.Codes.Contain(204) || alb.Codes.String() != "200" {
		t.Errorf("alb accepts %v", alb.Codes)
	}
	if !envoy.Codes.Contain(399) || envoy.Codes.Contain(400) || envoy.Codes.String() != "200-399" {
		t.Errorf("kubelet accepts %v", envoy.Codes)
	}
	if !f5.Codes.Contain(500) || f5.Codes.String() != "any" {
		t.Errorf("f5 accepts %v", f5.Codes)
	}
}

func TestCauses(t *testing.T) {
	name := regexp.MustCompile(`^[a-z][a-z0-9-]+$`)
	seen := map[balancer.CauseID]bool{}
	for _, c := range balancer.Causes() {
		if !name.MatchString(string(c.ID)) || seen[c.ID] || c.Title == "" || c.Symptom == "" || c.Fix == "" {
			t.Errorf("a cause lacks something or is there twice: %+v", c)
		}
		seen[c.ID] = true
		if balancer.CauseOf(c.ID).Title != c.Title {
			t.Errorf("CauseOf(%s) is another", c.ID)
		}
		if strings.HasSuffix(c.Fix, ".") {
			t.Errorf("%s: the fix ends with a full stop; it is printed in a line", c.ID)
		}
	}
}

func TestEachProbeHasItsWait(t *testing.T) {
	for _, test := range []struct {
		name     string
		protocol balancer.Protocol
		tls      bool
		want     string
		whole    time.Duration
	}{
		{"alb", balancer.HTTP11, false, "5s", 5 * time.Second},
		{"nlb", balancer.HTTP11, false, "6s", 6 * time.Second},
		{"nlb", balancer.HTTP11, true, "10s", 10 * time.Second},
		{"nlb", balancer.TCP, false, "10s", 10 * time.Second},
		{"route53", balancer.TCP, false, "10s", 10 * time.Second},
		{"route53", balancer.HTTP11, true, "4s to connect and 2s for the status", 6 * time.Second},
	} {
		b := balancer.Find(test.name)
		p, _ := b.Probe(test.protocol)
		if got := b.Wait(p, test.tls); got.String() != test.want || got.Whole() != test.whole {
			t.Errorf("%s over %s (TLS %v) waits %s, %v in all; want %s, %v", test.name, test.protocol, test.tls, got, got.Whole(), test.want, test.whole)
		}
	}
}

// TestWhatIsNotEstablishedIsMarked: on the page, and so in explain's steps.
func TestWhatIsNotEstablishedIsMarked(t *testing.T) {
	for name, fact := range map[string]balancer.Fact{
		"traefik": balancer.FactTimeout, "cloudflare": balancer.FactTimeout, "nginx-plus": balancer.FactCodes, "alb": balancer.FactBody,
	} {
		if !balancer.Find(name).Assumes(fact) {
			t.Errorf("%s of %s is given as established", fact, name)
		}
	}
	for _, row := range []string{
		"| `traefik` | 30s † | 5s † |", "| `cloudflare` | 1m0s † | 5s † |", "| `hetzner` | its user's choice | 10s † | its user's choice | its user's choice |",
	} {
		if !strings.Contains(balancer.Markdown(), row) {
			t.Errorf("the page lacks %q", row)
		}
	}
}
