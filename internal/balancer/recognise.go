package balancer

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// A Sight is what was seen of something that arrived, from which [Recognise]
// tells who sent it.
type Sight struct {
	// From is the address it came from, and To where it arrived.
	From netip.Addr
	To   netip.AddrPort
	// Protocol is TCP if nothing was sent, SSL if there was no more than a
	// handshake.
	Protocol Protocol
	// TLS is true if the request came within TLS.
	TLS bool
	// ProxyLocal is true if a PROXY protocol v2 header LOCAL came first, and
	// ProxyBare if that had no addresses.
	ProxyLocal, ProxyBare bool
	// Waited is true if it said nothing and held the connection for longer than
	// a check of the port needs.
	Waited bool
	// Ancient is true if it offered nothing newer than SSL 3.0, which ended it.
	Ancient bool
	// Method and Path are the request's.
	Method, Path string
	// Host is the Host field's value, or :authority; HasHost is false without one.
	Host    string
	HasHost bool
	// Fields are the other header fields in their order.
	Fields []Field
}

// Agent returns the User-Agent; "" without one.
func (s *Sight) Agent() string { return agentOf(s.Fields) }

// A Certainty is how sure it is who sent something.
type Certainty string

// The certainties. Even a certain candidate may be an imitation, unless its
// address is what makes it certain: anybody can send the same bytes.
const (
	// Certain: something that only this one has, and nothing speaks against it.
	Certain Certainty = "certain"
	// Likely: something that few others have, or that is assumed of this one.
	Likely Certainty = "likely"
	// Guess: nothing speaks against it, and little for it.
	Guess Certainty = "guess"
)

// rank orders certainties, the surest first.
func (c Certainty) rank() int { return slices.Index([]Certainty{Certain, Likely, Guess}, c) }

// less returns the certainty one step down.
func (c Certainty) less() Certainty {
	if c == Certain {
		return Likely
	}
	return Guess
}

// more returns the certainty one step up.
func (c Certainty) more() Certainty {
	if c == Guess {
		return Likely
	}
	return Certain
}

// A Candidate is somebody who may have sent something.
type Candidate struct {
	// Name is the row's name in the table, or that of a program that is no
	// balancer; Title is what people call it.
	Name, Title string
	// Balancer is the row; nil for a program that is no balancer.
	Balancer *Balancer
	// Sure says how sure it is.
	Sure Certainty
	// Why are the reasons, what speaks for it before what speaks against it.
	Why []string
	// Assumed names the facts among the reasons that are not established.
	Assumed []Fact

	weight  int  // orders those that are equally sure
	against bool // something speaks against it
}

// add adds a reason, which speaks for the candidate if its weight is not
// negative.
func (c *Candidate) add(weight int, why string, args ...any) {
	c.weight += weight
	c.against = c.against || weight < 0
	c.Why = append(c.Why, fmt.Sprintf(why, args...))
}

// assume says that a reason rests on a fact that is not established.
func (c *Candidate) assume(facts ...Fact) {
	for _, f := range facts {
		if c.Balancer.Assumes(f) && !slices.Contains(c.Assumed, f) {
			c.Assumed = append(c.Assumed, f)
		}
	}
}

// Recognise says who may have sent something, the surest first; none if it
// looks like nothing that is known. It reads the table: the same bytes as more
// than one row's make each of them a candidate, and none of them certain. A
// User-Agent can be forged: never grant anything on what this returns.
func Recognise(s Sight) []Candidate {
	var found []Candidate
	all := All()
	for _, b := range all {
		if c, ok := b.recognise(s, all); ok {
			found = append(found, c)
		}
	}
	if c, ok := program(s); ok && !slices.ContainsFunc(found, func(c Candidate) bool { return c.Sure == Certain }) {
		found = append(found, c)
	}
	slices.SortStableFunc(found, func(a, b Candidate) int {
		return cmp.Or(cmp.Compare(a.Sure.rank(), b.Sure.rank()), cmp.Compare(b.weight, a.weight), cmp.Compare(a.Name, b.Name))
	})
	return found
}

// recognise returns the row as a candidate, by its probe that fits best.
func (b *Balancer) recognise(s Sight, all []*Balancer) (best Candidate, ok bool) {
	for _, p := range b.Probes {
		c := Candidate{Name: b.Name, Title: b.Title, Balancer: b, Sure: Guess}
		fits := false
		switch p.Protocol {
		case TCP, SSL, Agent:
			fits = c.mute(&p, s)
		case HTTP09, HTTP10, HTTP11, HTTP2, GRPC:
			fits = c.request(&p, s, all)
		case Passive:
			fits = c.forwarded(s)
		case Command:
			fits = c.command(&p, s)
		}
		if c.against && c.Sure == Certain {
			c.Sure = Likely
		}
		if fits && (!ok || c.Sure.rank() < best.Sure.rank() || c.Sure == best.Sure && c.weight > best.weight) {
			best, ok = c, true
		}
	}
	return best, ok
}

// mute weighs a probe that sends no request.
func (c *Candidate) mute(p *Probe, s Sight) bool {
	switch {
	case s.Protocol == TCP && p.Protocol == Agent && s.Waited:
		c.add(2, "it waited to be told something, as agent-check does, which wants a line such as up")
	case s.Protocol == TCP && p.Protocol == TCP && !(s.Waited && !s.ProxyLocal):
		c.add(0, "its TCP check connects, sends nothing and closes")
	case s.Ancient && p.Protocol == TCP && c.Name == haproxy:
		c.add(2, "a hello of SSL 3.0 and nothing newer is what its option ssl-hello-chk sends")
		c.Sure = Likely
	case s.Protocol == SSL && p.Protocol == SSL:
		c.add(1, "its TLS check is a handshake and no more")
	case s.Protocol == SSL && p.Protocol == TCP && c.Balancer.TLS.ClientCertificate:
		c.add(0, "its TCP check over TLS is a handshake and no more")
	default:
		return false
	}
	c.preamble(p, s)
	c.network(s)
	return !s.ProxyLocal || p.ProxyLocal || s.ProxyBare && c.Name == haproxy
}

// preamble weighs a PROXY header. Without addresses it is as HAProxy 2.6 sends it
// before its checks of servers with send-proxy-v2; NLB's has addresses.
func (c *Candidate) preamble(p *Probe, s Sight) {
	switch {
	case !s.ProxyLocal:
	case s.ProxyBare && c.Name == haproxy:
		c.add(5, "a PROXY protocol v2 header LOCAL without addresses came first, as before its checks with send-proxy-v2")
		c.Sure = c.Sure.more()
	case s.ProxyBare && p.ProxyLocal:
		c.add(-1, "but its PROXY protocol header LOCAL has addresses")
		c.Sure = c.Sure.less()
	case p.ProxyLocal:
		c.add(5, "a PROXY protocol v2 header LOCAL came first")
		c.Sure = c.Sure.more()
	default:
		c.add(-2, "but it is not known to send a PROXY protocol header of its own")
		c.Sure = c.Sure.less()
	}
}

const haproxy = "haproxy"

// network weighs the address: one of the networks that belong to a balancer
// alone makes it certain, and another address makes it less so.
func (c *Candidate) network(s Sight) {
	if len(c.Balancer.Networks) == 0 || !s.From.IsValid() {
		return
	}
	from := s.From.Unmap().WithZone("")
	for _, text := range c.Balancer.Networks {
		if network, err := netip.ParsePrefix(text); err == nil && network.Contains(from) {
			c.add(10, "it comes from %s, of %s, which is this balancer's alone", from, text)
			c.Sure = Certain
			return
		}
	}
	c.add(-1, "but %s is not one of its addresses (%s): forged, or something between changed the address", from, strings.Join(c.Balancer.Networks, ", "))
	c.Sure = c.Sure.less()
}

// forwarded weighs whether it is a client's request that a proxy hands on,
// which is what a balancer without probes of its own counts: nginx says HTTP/1.0
// and closes unless it is told otherwise, and hands on the client's fields.
func (c *Candidate) forwarded(s Sight) bool {
	if s.Protocol != HTTP10 || !s.HasHost || len(s.Fields) < 2 || s.Fields[0] != (Field{"Connection", "close"}) {
		return false
	}
	c.add(2, "HTTP/1.0 with Host and Connection: close before a client's own fields is how its proxy_pass hands on a real request; it has no probe of its own")
	return true
}

// command weighs whether it is a health check command that runs in the
// container: most are curl or wget, from its own loopback address.
func (c *Candidate) command(p *Probe, s Sight) bool {
	tool := product(s.Agent())
	if c.Balancer.Name != "docker" || !s.From.IsLoopback() || tool != "curl" && tool != "Wget" {
		return false
	}
	c.add(1, "it comes from this host itself, as a health check command with %s does", tool)
	return true
}

// program recognises programs that are no balancer by what they call
// themselves, which is all there is to go by.
func program(s Sight) (Candidate, bool) {
	for _, known := range []struct{ prefix, name, title string }{
		{"curl/", "curl", "a person, a script, or a container's health check command"},
		{"Wget", "wget", "a person, a script, or a container's health check command"},
		{"hale", "hale", "a check of kind http"},
		{"Go-http-client/", "go", "a program written in Go"},
		{"grpc-go/", "grpc-go", "a program written in Go, such as grpc_health_probe"},
		{"grpc-", "grpc", "a program with gRPC"},
		{"Prometheus/", "prometheus", "Prometheus, scraping"},
		{"Blackbox Exporter/", "blackbox", "Prometheus' blackbox exporter"},
		{"Uptime-Kuma/", "uptime-kuma", "Uptime Kuma"},
		{"Mozilla/5.0 (compatible; UptimeRobot", "uptimerobot", "UptimeRobot"},
		{"python-requests/", "python", "a program written in Python"},
		{"Python-urllib/", "python", "a program written in Python"},
		{"Apache-HttpClient/", "java", "a program written in Java"},
		{"Java", "java", "a program written in Java"},
		{"ApacheBench/", "ab", "ApacheBench"},
	} {
		if strings.HasPrefix(s.Agent(), known.prefix) {
			c := Candidate{Name: known.name, Title: known.title, Sure: Likely}
			c.add(0, "the User-Agent begins with %s", known.prefix)
			return c, true
		}
	}
	agent := s.Agent()
	if strings.HasPrefix(agent, "Mozilla/") && !strings.Contains(agent, "Cloudflare-Traffic-Manager") {
		c := Candidate{Name: "browser", Title: "a browser, or what passes itself off as one", Sure: Guess}
		c.add(0, "the User-Agent begins with Mozilla/")
		return c, true
	}
	return Candidate{}, false
}
