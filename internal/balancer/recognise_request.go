package balancer

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// request weighs a probe that sends a request.
func (c *Candidate) request(p *Probe, s Sight, all []*Balancer) bool {
	if !speaks(p.Protocol, s.Protocol) {
		return false
	}
	if !c.named(p, s, all) && !c.formed(p, s, all) {
		return false
	}
	c.preamble(p, s)
	c.network(s)
	return true
}

// speaks reports whether a request in got may be a probe in want: its user, or
// a version of it, may choose between 1.0 and 1.1.
func speaks(want, got Protocol) bool {
	if want == HTTP10 || want == HTTP11 {
		return got == HTTP10 || got == HTTP11
	}
	return want == got
}

// named weighs a probe whose User-Agent, or whose path that nobody else asks
// for, was seen.
func (c *Candidate) named(p *Probe, s Sight, all []*Balancer) bool {
	same, others := agentMatch(p, s, all)
	own := p.Protocol == GRPC && p.Path == s.Path && p.Path != healthCheck
	switch {
	case same && p.Agent() == "Go-http-client/1.1":
		c.add(3, "the User-Agent is the one that programs written in Go send unless they say otherwise")
	case same && others:
		c.add(5, "the User-Agent is %s, as this and another balancer send it", p.Agent())
		c.Sure = Likely
	case same:
		c.add(8, "the User-Agent, %s…, is this balancer's own", strings.TrimRight(stem(p.Agent()), " "))
		c.Sure = Certain
	case !own:
		return false
	}
	if same && c.Balancer.Assumes(FactAgent) {
		c.Sure = Guess
		c.assume(FactAgent)
	}
	if own {
		c.add(8, "nobody else asks for %s by default", p.Path)
		c.Sure = Certain
	}
	if p.Protocol == HTTP10 != (s.Protocol == HTTP10) && !c.Balancer.Assumes(FactVersion) {
		c.add(-1, "but it speaks %s, not %s", p.Protocol, s.Protocol)
		c.Sure = c.Sure.less()
	}
	c.weighHost(p, s)
	if s.Method != p.Method && !c.Balancer.Assumes(FactMethod) {
		c.add(-2, "but the method is %.20s where it uses %s", s.Method, p.Method)
		c.Sure = c.Sure.less()
	}
	c.weighFields(p, s)
	return true
}

// weighFields weighs the header fields of a request that was recognised by its
// name: more or others than it sends speak against it, where it is established
// what it sends. Those of HTTP/2 are not established to the last one.
func (c *Candidate) weighFields(p *Probe, s Sight) {
	if !p.Protocol.HTTP() {
		return
	}
	if slices.Equal(p.Fields, s.Fields) {
		c.add(2, "its header fields are the same, in the same order")
		c.assume(FactHeaders)
		return
	}
	if c.Balancer.Assumes(FactHeaders) {
		return
	}
	lacks, extra := without(p.Fields, s.Fields), without(s.Fields, p.Fields)
	if len(lacks) > 0 {
		c.add(-1, "but it would send %s", listFields(lacks))
	}
	if len(extra) > 0 {
		c.add(-1, "but it does not send %s unless told to", listFields(extra))
	}
	if len(lacks)+len(extra) > 0 {
		c.Sure = c.Sure.less()
	}
}

// without returns the fields, but for User-Agent, that are not among others.
func without(fields, others []Field) []Field {
	return slices.DeleteFunc(withoutAgent(fields), func(f Field) bool {
		return slices.ContainsFunc(others, func(o Field) bool { return strings.EqualFold(o.Name, f.Name) && o.Value == f.Value })
	})
}

// listFields lists the first of some fields.
func listFields(fields []Field) string {
	const most = 4
	var all []string
	for i, f := range fields {
		if i == most {
			all = append(all, strconv.Itoa(len(fields)-most)+" more")
			break
		}
		all = append(all, fmt.Sprintf("%.40s: %.40s", f.Name, f.Value))
	}
	return strings.Join(all, ", ")
}

// weighHost weighs the Host field of a request that was recognised by its name,
// in favour or against where the balancer's user can't choose it.
func (c *Candidate) weighHost(p *Probe, s Sight) {
	fits, telling := hostFits(p.Host, s)
	switch {
	case fits && telling:
		c.add(4, "%s", hostReason(p.Host, s))
		c.assume(FactHost)
		if !c.Balancer.Assumes(FactHost) {
			c.Sure = c.Sure.more()
		}
	case fits:
		c.add(1, "the Host is of the form that it sends: %s", p.Host)
		c.assume(FactHost)
	case p.HostFixed && !c.Balancer.Assumes(FactHost):
		c.add(-2, "but its Host would be its %s, unless something between changed the address", p.Host)
		c.Sure = c.Sure.less()
	}
}

// healthCheck is the method of gRPC that most ask for.
const healthCheck = "/grpc.health.v1.Health/Check"

// formed weighs a probe by the form of the request alone: one without a
// User-Agent, or one whose User-Agent its user has changed.
func (c *Candidate) formed(p *Probe, s Sight, all []*Balancer) bool {
	if s.Protocol == HTTP2 || s.Protocol == GRPC && (p.Path != s.Path || foreign(p, s, all)) {
		return false
	}
	if s.Protocol == GRPC {
		c.add(0, "it asks for the same method")
		return p.Agent() == ""
	}
	if p.Agent() != "" {
		return c.renamed(p, s, all)
	}
	if s.Agent() != "" && (!c.Balancer.Assumes(FactAgent) || foreign(p, s, all)) {
		return false
	}
	fits, telling := hostFits(p.Host, s)
	if !fits || s.Protocol != p.Protocol && !c.Balancer.Assumes(FactVersion) {
		return false
	}
	sure := telling || !c.Balancer.Assumes(FactHeaders) && !c.Balancer.Assumes(FactVersion)
	if !slices.Equal(withoutAgent(p.Fields), withoutAgent(s.Fields)) {
		if !c.Balancer.Assumes(FactHeaders) || !telling {
			return false
		}
	}
	c.assume(FactVersion, FactHeaders, FactHost)
	c.add(2, "it has the form of its probe: %s, Host: %s, %s", p.Protocol, p.Host, fieldsReason(p))
	if telling {
		c.add(3, "%s", hostReason(p.Host, s))
	}
	if s.Method != p.Method {
		// OPTIONS is refused so often that its users choose another.
		if p.Method != "OPTIONS" && !c.Balancer.Assumes(FactMethod) {
			return false
		}
		c.add(-1, "but the method is %s where it uses %s unless told otherwise", s.Method, p.Method)
		sure = false
	}
	if sure {
		c.Sure = Likely
	}
	return true
}

// renamed weighs a request that is a probe's but for its User-Agent.
func (c *Candidate) renamed(p *Probe, s Sight, all []*Balancer) bool {
	rest := withoutAgent(p.Fields)
	fits, _ := hostFits(p.Host, s)
	if len(rest) == 0 || c.Balancer.Assumes(FactHeaders) || foreign(p, s, all) || !fits ||
		s.Method != p.Method || s.Protocol != p.Protocol || !slices.Equal(rest, withoutAgent(s.Fields)) {
		return false
	}
	c.add(1, "it has the form of its probe, but for the User-Agent, which is usually %s", p.Agent())
	return true
}

// foreign reports whether the User-Agent is somebody else's.
func foreign(p *Probe, s Sight, all []*Balancer) bool {
	if _, ok := program(s); ok && !strings.HasPrefix(s.Agent(), "grpc-go/") {
		return true
	}
	for _, b := range all {
		for _, other := range b.Probes {
			if sameAgent(other.Agent(), s.Agent()) && !sameAgent(p.Agent(), s.Agent()) {
				return true
			}
		}
	}
	return false
}

// agentMatch reports whether the User-Agent is the probe's, and whether it is
// that of another balancer too. One that is another's to the last letter is not
// this one's.
func agentMatch(p *Probe, s Sight, all []*Balancer) (same, others bool) {
	if !sameAgent(p.Agent(), s.Agent()) {
		return false, false
	}
	if exact := rowsWith(all, func(agent string) bool { return agent == s.Agent() }); exact > 0 {
		return p.Agent() == s.Agent(), exact > 1
	}
	return true, rowsWith(all, func(agent string) bool { return sameAgent(agent, s.Agent()) }) > 1
}

// rowsWith counts the rows that have a probe with such a User-Agent.
func rowsWith(all []*Balancer, match func(agent string) bool) int {
	n := 0
	for _, b := range all {
		if slices.ContainsFunc(b.Probes, func(p Probe) bool { return match(p.Agent()) }) {
			n++
		}
	}
	return n
}

// sameAgent reports whether got is the User-Agent want, in whatever version and
// with whatever identifier stands where the table has zeros.
func sameAgent(want, got string) bool {
	if want == "" || got == "" {
		return false
	}
	return strings.HasPrefix(got, stem(want))
}

// stem is the part of a row's User-Agent that does not vary: up to the zeros
// that stand for an identifier, or up to the version.
func stem(agent string) string {
	if before, _, ok := strings.Cut(agent, "0000"); ok {
		return before
	}
	if name := product(agent); name != agent {
		return name + "/"
	}
	return agent
}

// product is the name of a User-Agent's first product (RFC 9110, section 10.1.5).
func product(agent string) string {
	name, _, _ := strings.Cut(agent, "/")
	return name
}

func agentOf(fields []Field) string {
	for _, f := range fields {
		if strings.EqualFold(f.Name, "User-Agent") {
			return f.Value
		}
	}
	return ""
}

func withoutAgent(fields []Field) []Field {
	return slices.DeleteFunc(slices.Clone(fields), func(f Field) bool { return strings.EqualFold(f.Name, "User-Agent") })
}

func fieldsReason(p *Probe) string {
	if len(p.Fields) == 0 {
		return "no other fields"
	}
	return "and the same fields"
}

// hostFits reports whether the Host field is of a form, and whether that tells
// something: that it is the address of this host or of the sender, say.
func hostFits(h Host, s Sight) (fits, telling bool) {
	if h == HostNone {
		return !s.HasHost, false
	}
	if !s.HasHost || s.Host == "" {
		return false, false
	}
	if h == HostCluster {
		return true, false
	}
	name, port, bare := splitHost(s.Host)
	addr, err := netip.ParseAddr(name)
	isAddr := err == nil
	here, there := s.To.Addr().Unmap(), s.From.Unmap()
	// On one host the sender's address and the target's may be the same, which
	// tells nothing.
	toHere := isAddr && addr.Unmap() == here && here != there
	toThere := isAddr && addr.Unmap() == there && here != there
	usual := s.To.Port() == 80 && !s.TLS || s.To.Port() == 443 && s.TLS
	switch h {
	case HostAddress:
		return isAddr && !toThere && (bare || !usual), toHere
	case HostAddressPort:
		return isAddr && !bare, toHere && port == s.To.Port() && usual
	case HostBareAddress:
		return isAddr && bare, toHere && !usual
	case HostBalancer:
		return isAddr && !bare && !toHere, toThere
	case HostName:
		return bare || !usual, false
	case HostNamePort:
		return !bare, false
	case HostLoopback:
		return s.Host == string(HostLoopback), s.From.IsValid() && !s.From.IsLoopback()
	default:
		return false, false
	}
}

// hostReason says what the Host field tells.
func hostReason(h Host, s Sight) string {
	switch h {
	case HostBalancer:
		return "the Host is the sender's own address, " + s.Host
	case HostLoopback:
		return "the Host is 127.0.0.1, and it comes from another machine"
	default:
		return "the Host is this target's address, " + s.Host
	}
}

// splitHost takes a Host field apart; bare is true without a port.
func splitHost(host string) (name string, port uint16, bare bool) {
	if h, p, err := net.SplitHostPort(host); err == nil {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil {
			return host, 0, true
		}
		return h, uint16(n), false
	}
	return strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"), 0, true
}
