package balancer_test

import (
	"bufio"
	"bytes"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"hale/internal/balancer"
)

var (
	here  = netip.MustParseAddrPort("10.0.1.85:8000")
	there = netip.MustParseAddr("10.0.0.9")
)

// sightOf is what is seen of a probe that is sent from one address to another.
func sightOf(t *testing.T, p balancer.Probe, from netip.Addr, to netip.AddrPort) balancer.Sight {
	t.Helper()
	target := balancer.Target{Name: "app.example.org", Address: to, Balancer: from}
	s := balancer.Sight{From: from, To: to, Protocol: p.Protocol, Method: p.Method, Path: p.Path, Fields: p.Fields}
	s.Host = p.HostOf(target)
	s.HasHost = s.Host != ""
	if p.Protocol == balancer.Agent {
		s.Protocol, s.Waited = balancer.TCP, true
	}
	return s
}

// find returns a row among the candidates, and its place.
func find(candidates []balancer.Candidate, name string) (int, balancer.Candidate) {
	i := slices.IndexFunc(candidates, func(c balancer.Candidate) bool { return c.Name == name })
	if i < 0 {
		return -1, balancer.Candidate{}
	}
	return i, candidates[i]
}

func names(candidates []balancer.Candidate) string {
	var all []string
	for _, c := range candidates {
		all = append(all, c.Name+" "+string(c.Sure))
	}
	return strings.Join(all, ", ")
}

// TestEveryProbeIsRecognised: each row is among the candidates for each of its
// probes, and no other one is surer of it.
func TestEveryProbeIsRecognised(t *testing.T) {
	for _, b := range balancer.All() {
		for _, p := range b.Probes {
			if p.Protocol == balancer.Command || p.Protocol == balancer.Passive {
				continue
			}
			got := balancer.Recognise(sightOf(t, p, there, here))
			at, c := find(got, b.Name)
			if at < 0 {
				t.Errorf("%s %s: not among %s", b.Name, p.Protocol, names(got))
				continue
			}
			if len(c.Why) == 0 {
				t.Errorf("%s %s: no reason is given", b.Name, p.Protocol)
			}
			for _, other := range got {
				if other.Balancer != nil && other.Name != b.Name && other.Sure == balancer.Certain {
					t.Errorf("%s %s: another is certain: %s", b.Name, p.Protocol, names(got))
				}
			}
		}
	}
}

func TestRecognise(t *testing.T) {
	request := func(line, host string, fields ...balancer.Field) balancer.Sight {
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewBufferString(line + "\r\n\r\n")))
		if err != nil {
			t.Fatal(err)
		}
		return balancer.Sight{
			From: there, To: here, Protocol: balancer.Protocol(r.Proto), Method: r.Method, Path: r.URL.Path,
			Host: host, HasHost: host != "", Fields: fields,
		}
	}
	with := func(s balancer.Sight, change func(*balancer.Sight)) balancer.Sight {
		change(&s)
		return s
	}
	agent := func(a string) balancer.Field { return balancer.Field{Name: "User-Agent", Value: a} }
	closing := balancer.Field{Name: "Connection", Value: "close"}
	accept := balancer.Field{Name: "Accept", Value: "*/*"}
	kube := []balancer.Field{agent("kube-probe/1.29+"), accept, closing}
	alive := balancer.Field{Name: "Connection", Value: "Keep-alive"}
	elb2 := []balancer.Field{agent("ELB-HealthChecker/2.0"), closing}
	azure := netip.MustParseAddr("168.63.129.16")
	google := netip.MustParseAddr("35.191.4.5")
	for _, test := range []struct {
		what string
		s    balancer.Sight
		want string
	}{
		{"ALB to its target's address", request("GET / HTTP/1.1", "10.0.1.85:8000", elb2...), "alb certain, nlb guess"},
		{"ALB through a port mapping", request("GET / HTTP/1.1", "192.0.2.7:80", elb2...), "alb likely, nlb guess"},
		{"NLB names its own address", request("GET / HTTP/1.1", "10.0.0.9:8000", elb2...), "nlb likely, alb guess"},
		{"NLB with a preamble", with(request("GET / HTTP/1.1", "10.0.0.9:8000", elb2...), func(s *balancer.Sight) { s.ProxyLocal = true }), "nlb certain, alb guess"},
		{"Classic", request("GET / HTTP/1.1", "10.0.1.85", agent("ELB-HealthChecker/1.0")), "elb certain"},
		{"a newer kubelet", request("GET / HTTP/1.1", "10.0.1.85:8000", agent("kube-probe/1.41+"), accept, closing), "kubelet certain"},
		{"the kubelet's User-Agent, without its Accept", request("GET / HTTP/1.1", "10.0.1.85:8000", agent("kube-probe/1.41+"), closing), "kubelet likely"},
		{"the kubelet's User-Agent, with a field more", request("GET / HTTP/1.1", "10.0.1.85:8000", append(kube, balancer.Field{Name: "X-Forwarded-Proto", Value: "https"})...), "kubelet likely"},
		{"the kubelet's User-Agent, with another method", request("POST / HTTP/1.1", "10.0.1.85:8000", kube...), "kubelet likely"},
		{"the kubelet's User-Agent on a form", request("POST / HTTP/1.1", "10.0.1.85:8000", agent("kube-probe/1.29+"), accept, balancer.Field{Name: "Content-Length", Value: "1"}, balancer.Field{Name: "Content-Type", Value: "application/x-www-form-urlencoded"}), "kubelet guess"},
		{"ALB's with another method", request("POST / HTTP/1.1", "10.0.1.85:8000", elb2...), "alb likely, nlb guess"},
		{"Google from its networks, with another method", with(request("PUT / HTTP/1.1", "10.0.1.85:8000", agent("GoogleHC/1.0"), alive), func(s *balancer.Sight) { s.From = google }), "gcp likely"},
		{"a hello of SSL 3.0", balancer.Sight{From: there, To: here, Ancient: true}, "haproxy likely"},
		{"a kubelet whose User-Agent was changed", request("GET / HTTP/1.1", "10.0.1.85:8000", accept, closing), "kubelet guess"},
		{"the Cloudflare of somebody", request("GET / HTTP/1.1", "a.example.org:8000", agent("Mozilla/5.0 (compatible; Cloudflare-Traffic-Manager/1.0; +https://www.cloudflare.com/traffic-manager/; pool-id: 0123456789abcdef)")), "cloudflare certain"},
		{"a browser", request("GET / HTTP/1.1", "a.example.org:8000", agent("Mozilla/5.0 (X11; Linux x86_64; rv:140.0)")), "browser guess"},
		{"a Go program", request("GET / HTTP/1.1", "a.example.org:8000", agent("Go-http-client/1.1"), balancer.Field{Name: "Accept-Encoding", Value: "gzip"}), "go likely, caddy guess, traefik guess"},
		{"curl", request("GET / HTTP/1.1", "a.example.org", agent("curl/8.5.0"), accept), "curl likely"},
		{"curl in the container", with(request("GET / HTTP/1.1", "localhost", agent("curl/8.5.0")), func(s *balancer.Sight) { s.From = netip.MustParseAddr("127.0.0.1") }), "curl likely, docker guess"},
		{"httpchk", request("OPTIONS / HTTP/1.0", ""), "haproxy likely"},
		{"httpchk GET, or Hetzner", request("GET / HTTP/1.0", ""), "hetzner guess, haproxy guess"},
		{"a client of nginx", request("GET / HTTP/1.0", "app", closing, agent("curl/8.5.0")), "curl likely, nginx guess"},
		{"App Gateway", request("GET / HTTP/1.1", "127.0.0.1"), "app-gateway likely"},
		{"Google without a name", request("GET / HTTP/1.1", "10.0.1.85:8000", alive), "gcp guess"},
		{"Google from its networks", with(request("GET / HTTP/1.1", "10.0.1.85:8000", agent("GoogleHC/1.0"), alive), func(s *balancer.Sight) { s.From = google }), "gcp certain"},
		{"Google from elsewhere", request("GET / HTTP/1.1", "10.0.1.85:8000", agent("GoogleHC/1.0"), alive), "gcp likely"},
		{"nobody", request("GET / HTTP/1.1", "a.example.org", agent("thing/1")), ""},
		{"a connection from Azure", balancer.Sight{From: azure, To: here, Protocol: balancer.TCP}, "azure-lb certain, "},
		{"a LOCAL preamble and no more", balancer.Sight{From: there, To: here, Protocol: balancer.TCP, ProxyLocal: true}, "nlb likely"},
		{"HAProxy's LOCAL preamble", balancer.Sight{From: there, To: here, Protocol: balancer.TCP, ProxyLocal: true, ProxyBare: true}, "haproxy likely, nlb guess"},
		{"a LOCAL preamble of ALB", with(request("GET / HTTP/1.1", "10.0.1.85:8000", agent("ELB-HealthChecker/1.0")), func(s *balancer.Sight) { s.ProxyLocal = true }), "elb likely"},
		{"a silent connection", balancer.Sight{From: there, To: here, Protocol: balancer.TCP, Waited: true}, "haproxy guess"},
		{"ALB's path of gRPC", balancer.Sight{From: there, To: here, Protocol: balancer.GRPC, Method: "POST", Path: "/AWS.ALB/healthcheck", Host: "10.0.1.85:8000", HasHost: true}, "alb certain"},
	} {
		got := names(balancer.Recognise(test.s))
		if got != test.want && !(strings.HasSuffix(test.want, ", ") && strings.HasPrefix(got, test.want)) {
			t.Errorf("%s:\ngot  %s\nwant %s", test.what, got, test.want)
		}
	}
}

// TestAnAddressElsewhereIsHeldAgainstIt: who calls itself Google's and is not at
// one of its addresses is not certain, and the reason says why.
func TestAnAddressElsewhereIsHeldAgainstIt(t *testing.T) {
	p, _ := balancer.Find("gcp").HTTP()
	_, c := find(balancer.Recognise(sightOf(t, p, there, here)), "gcp")
	if why := strings.Join(c.Why, "; "); c.Sure == balancer.Certain || !strings.Contains(why, "forged, or something between") {
		t.Errorf("%s: %s", c.Sure, why)
	}
}

// TestWhatSpeaksAgainst: of a request that differs from a probe, each difference
// is named.
func TestWhatSpeaksAgainst(t *testing.T) {
	p, _ := balancer.Find("kubelet").HTTP()
	s := sightOf(t, p, there, here)
	s.Method = "POST"
	s.Fields = []balancer.Field{p.Fields[0], {Name: "connection", Value: "close"}, {Name: "Content-Length", Value: "1"}}
	_, c := find(balancer.Recognise(s), "kubelet")
	why := strings.Join(c.Why, "; ")
	for _, want := range []string{"the method is POST where it uses GET", "it would send Accept: */*", "it does not send Content-Length: 1"} {
		if !strings.Contains(why, want) {
			t.Errorf("%q is not in %s", want, why)
		}
	}
	if c.Sure != balancer.Guess || strings.Contains(why, "onnection: close") {
		t.Errorf("%s: %s", c.Sure, why)
	}
}
