package balancer

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// A Balancer is something that asks instances whether they are well: a row of
// the table.
type Balancer struct {
	// Name is what hale explain --as takes, and Title what people call it.
	Name, Title string
	// Explained is true for those that hale explain can play.
	Explained bool
	// Probes are what it sends, its default first.
	Probes []Probe
	// Judge is how it judges an answer over HTTP.
	Judge Judge
	// TLS is what it makes of a certificate.
	TLS TLS
	// Timing is when it asks, and how often before it believes.
	Timing Timing
	// From says where its probes come from, for a firewall.
	From string
	// Sources are the networks in From, for those that are the same
	// everywhere; as in CIDR.
	Networks []string
	// AllDown says what it does when every instance is unhealthy: open sends
	// traffic to all of them.
	AllDown string
	// Consequence says what becomes of an unhealthy instance besides.
	Consequence string
	// Notes are what else its users should know.
	Notes []string
	// Sources are where the facts were read: pages, or issues and pull requests
	// as owner/repository#number.
	Sources []string
	// Assumed names the facts that are not established.
	Assumed []Fact
}

// A Fact names a part of a row.
type Fact string

// The facts that may be assumed.
const (
	FactVersion   Fact = "HTTP version"
	FactMethod    Fact = "method"
	FactHost      Fact = "Host"
	FactHeaders   Fact = "header fields"
	FactAgent     Fact = "User-Agent"
	FactRedirects Fact = "redirects"
	FactVerify    Fact = "certificate validation"
	FactSNI       Fact = "SNI"
	FactTimeout   Fact = "timeout"
	FactTiming    Fact = "timing"
	FactAllDown   Fact = "behaviour when all are down"
	FactFrom      Fact = "source addresses"
	FactCodes     Fact = "accepted codes"
	FactAfter     Fact = "consequences"
	FactBody      Fact = "whether it waits for the body"
)

// Assumes reports whether a fact of the row is assumed.
func (b *Balancer) Assumes(f Fact) bool { return slices.Contains(b.Assumed, f) }

// HTTP returns the balancer's HTTP probe; false if it has none.
func (b *Balancer) HTTP() (Probe, bool) {
	for _, p := range b.Probes {
		if p.Protocol.HTTP() {
			return p, true
		}
	}
	return Probe{}, false
}

// Probe returns its first probe of a protocol; false if it has none.
func (b *Balancer) Probe(p Protocol) (Probe, bool) {
	i := slices.IndexFunc(b.Probes, func(have Probe) bool { return have.Protocol == p })
	if i < 0 {
		return Probe{}, false
	}
	return b.Probes[i], true
}

// A Protocol is what a probe speaks.
type Protocol string

// The protocols.
const (
	TCP     Protocol = "TCP"      // connects, sends nothing, closes
	SSL     Protocol = "TLS"      // a handshake and no more
	HTTP09  Protocol = "HTTP/0.9" // a request line without a version
	HTTP10  Protocol = "HTTP/1.0"
	HTTP11  Protocol = "HTTP/1.1"
	HTTP2   Protocol = "HTTP/2"      // with prior knowledge, or ALPN over TLS
	GRPC    Protocol = "gRPC"        // grpc.health.v1, or another method at Path
	Agent   Protocol = "agent-check" // reads a line: HAProxy's manual, agent-check
	Command Protocol = "command"     // runs inside the container
	Passive Protocol = "passive"     // watches real traffic, and sends nothing
)

// HTTP reports whether the protocol is HTTP/1.x or older.
func (p Protocol) HTTP() bool { return p == HTTP09 || p == HTTP10 || p == HTTP11 }

// A Host says what stands in the Host field.
type Host string

// The ways to fill the Host field.
const (
	// HostNone: there is no Host field.
	HostNone Host = "none"
	// HostAddress: the target's address, with the port unless it is the
	// scheme's default.
	HostAddress Host = "target address[:port]"
	// HostAddressPort: the target's address, with the port always.
	HostAddressPort Host = "target address:port"
	// HostBareAddress: the target's address, without the port.
	HostBareAddress Host = "target address"
	// HostBalancer: the balancer's own address with the port, which is the
	// listener's.
	HostBalancer Host = "balancer address:port"
	// HostName: what the target is called in the balancer's configuration, with
	// the port unless it is the scheme's default.
	HostName Host = "configured name[:port]"
	// HostNamePort: the same with the port always.
	HostNamePort Host = "configured name:port"
	// HostLoopback: 127.0.0.1, whatever the target.
	HostLoopback Host = "127.0.0.1"
	// HostCluster: the name of the balancer's own group of targets.
	HostCluster Host = "cluster name"
)

// A Field is a header field.
type Field struct{ Name, Value string }

// A Probe is something that a balancer sends.
type Probe struct {
	Protocol Protocol
	// Method and Path are the request's, Path the default one.
	Method, Path string
	// Host is what its Host field holds.
	Host Host
	// HostFixed is true if its user can't choose another Host.
	HostFixed bool
	// Fields are its other header fields in their order, User-Agent among them.
	Fields []Field
	// ProxyLocal is true if a PROXY protocol v2 LOCAL header may precede it.
	ProxyLocal bool
	// Wait is how long it waits, if that is not the Timing's; WaitTLS is the
	// same where it comes over TLS.
	Wait, WaitTLS Wait
	// Keeps is true if it asks again on the same connection.
	Keeps bool
	// Note says when it is sent, or what is odd about it.
	Note string
}

// Agent returns the User-Agent; "" without one.
func (p *Probe) Agent() string {
	for _, f := range p.Fields {
		if strings.EqualFold(f.Name, "User-Agent") {
			return f.Value
		}
	}
	return ""
}

// A Judge is how a balancer judges an answer over HTTP.
type Judge struct {
	// Codes are the accepted statuses unless its user chose others; none means
	// that any answer will do.
	Codes Codes
	// Settable says which statuses its user may choose; "" if none.
	Settable string
	// GRPC are the accepted gRPC statuses, if it speaks gRPC.
	GRPC string
	// Redirects is what it does with one.
	Redirects Redirects
	// BodyLimit is how many bytes of the body it looks at; 0 if it looks at
	// none, or at all of it.
	BodyLimit int
	// Ends is true if the body must come whole, or to the BodyLimit, in time: one
	// that breaks off or does not end is a failure. Else the head decides.
	Ends bool
	// Chunks is true if chunks that are malformed are a failure though the head
	// decides, if they come with it.
	Chunks bool
	// Strict is true if an answer is a failure whose header has a line without a
	// colon, lengths that contradict each other, or what else is malformed.
	Strict bool
	// Interim is what it makes of an interim answer (1xx, but 101) that comes
	// before the answer, as 100 Continue.
	Interim Interim
	// Body says what it makes of the body.
	Body string
	// Framed is true if the body must have a Content-Length or be chunked.
	Framed bool
	// Special are codes that it treats in a way of their own.
	Special string
}

// Redirects is what a balancer does with a redirect.
type Redirects string

// The ways to treat a redirect.
const (
	// RedirectsJudged: it is not followed; its status counts like any other.
	RedirectsJudged Redirects = "not followed"
	// RedirectsFollowed: it is followed, up to 10 times.
	RedirectsFollowed Redirects = "followed"
	// RedirectsSameHost: it is followed on the same host up to 10 times; to
	// another host it counts as a success with a warning.
	RedirectsSameHost Redirects = "followed on the same host, a success to another"
)

// Interim is what a balancer makes of an interim answer.
type Interim string

// The ways to treat an interim answer.
const (
	// InterimUnknown: it is not established; explain takes it for skipped.
	InterimUnknown Interim = ""
	// InterimSkipped: the answer that follows counts (RFC 9110, section 15.2).
	InterimSkipped Interim = "skipped"
	// InterimJudged: its status is judged like the answer's.
	InterimJudged Interim = "judged"
)

// A Wait is how long a balancer waits for an answer. 0 is no limit of its own.
type Wait struct {
	// Connect is for the connection, and Status for the head after it.
	Connect, Status time.Duration
	// All is for all of it; 0 if it is the sum of the others.
	All time.Duration
}

// Whole is the longest that an exchange can take until it is judged.
func (w Wait) Whole() time.Duration {
	if w.All > 0 {
		return w.All
	}
	return w.Connect + w.Status
}

// String gives it as the page does: 10s, or 4s to connect and 2s for the status.
func (w Wait) String() string {
	if w.All > 0 {
		return w.All.String()
	}
	return fmt.Sprintf("%s to connect and %s for the status", w.Connect, w.Status)
}

// Wait is how long the balancer waits for the answer to a probe, over TLS or not.
func (b *Balancer) Wait(p Probe, tls bool) Wait {
	switch {
	case tls && p.WaitTLS != Wait{}:
		return p.WaitTLS
	case p.Wait != Wait{}:
		return p.Wait
	}
	return Wait{All: b.Timing.Timeout}
}

// TLS is what a balancer makes of TLS.
type TLS struct {
	// Verify is true if the certificate must be valid, and Verifies says how.
	Verify   bool
	Verifies string
	// SNI is what it sends as the server name: none, or like the Host field.
	SNI Host
	// ClientCertificate is true if it can present one.
	ClientCertificate bool
	// Go is true if it is Go's library that speaks TLS, which since Go 1.22
	// refuses versions before 1.2 and key exchange by RSA (go.dev/doc/go1.22).
	Go bool
}

// Timing is when a balancer asks, and how often before it believes.
type Timing struct {
	Interval, Timeout time.Duration // 0 if its user must choose
	Rise, Fall        int           // 0 if its user must choose
	Note              string        // ranges and exceptions
}

// All returns the table, sorted by name.
func All() []*Balancer {
	all := slices.Concat(aws(), clouds(), orchestrators(), proxies())
	slices.SortFunc(all, func(a, b *Balancer) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// Explained returns the rows that hale explain can play, sorted by name.
func Explained() []*Balancer {
	return slices.DeleteFunc(All(), func(b *Balancer) bool { return !b.Explained })
}

// Find returns the row of a name, in capitals or not; nil if there is none.
func Find(name string) *Balancer {
	for _, b := range All() {
		if strings.EqualFold(b.Name, name) {
			return b
		}
	}
	return nil
}
