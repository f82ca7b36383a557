package capture

import (
	"net/netip"
	"strings"
	"time"

	"hale/internal/balancer"
)

// A Kind says what arrived.
type Kind string

// The kinds.
const (
	// Request is an HTTP request, of whatever version.
	Request Kind = "request"
	// Connect is a connection that was closed without a byte: a TCP check.
	Connect Kind = "connect"
	// Silent is a connection on which nothing came, and which stayed open.
	Silent Kind = "silent"
	// Handshake is a TLS handshake, complete or broken off, without a request.
	Handshake Kind = "handshake"
	// Unfinished is a request whose head never ended.
	Unfinished Kind = "unfinished"
	// TooLong is a request whose head is longer than MaxHead.
	TooLong Kind = "too long"
	// Other is what is no request.
	Other Kind = "other"
)

// An Arrival is one thing that arrived: a request, or a connection without one.
// All text in it comes from the wire made visible, with secrets masked.
type Arrival struct {
	Number int            `json:"number"` // from 1, in the order of reporting
	At     time.Time      `json:"at"`     // when its first byte came, or the connection
	From   netip.AddrPort `json:"from"`
	To     netip.AddrPort `json:"to"`
	Kind   Kind           `json:"kind"`
	// Like is the number of an earlier arrival with the same head, the same
	// answer and the same candidates; 0 for the first of its like.
	Like int `json:"like,omitempty"`
	// Nth is its place among the requests of its connection, from 1.
	Nth int `json:"nth_on_connection"`

	// Proxy is the PROXY protocol header that came first; nil without one.
	Proxy *Proxy `json:"proxy,omitempty"`
	// TLS is what the client offered; nil without TLS.
	TLS *Hello `json:"tls,omitempty"`
	// Frames are HTTP/2's, from the preface on; at most maxFrames of them.
	Frames []string `json:"frames,omitempty"`

	// Protocol is what was spoken; TCP if nothing was.
	Protocol balancer.Protocol `json:"protocol,omitempty"`
	// Line is the first line; of HTTP/2, method and path.
	Line   string `json:"line,omitempty"`
	Method string `json:"method,omitempty"`
	Path   string `json:"path,omitempty"`
	// Host is the Host field or :authority; nil without one.
	Host *string `json:"host,omitempty"`
	// Fields are the header fields in their order, Host among them; of HTTP/2
	// the pseudo-header fields too.
	Fields []Field `json:"fields,omitempty"`
	// Raw is the head as it came, up to MaxHead; "" for HTTP/2, whose head is
	// compressed.
	Raw string `json:"raw,omitempty"`
	// Bytes is how much of the head, or of what is none, was read, and Body how
	// much of a body. A body is counted and not kept.
	Bytes int   `json:"bytes"`
	Body  int64 `json:"body_bytes,omitempty"`

	// Answer is what was answered; "" if nothing was.
	Answer string `json:"answer,omitempty"`
	// Ended says how it ended, if not by the answer.
	Ended string `json:"ended,omitempty"`

	// Who are the candidates, the surest first.
	Who []Who `json:"who"`
	// Objections are what an application would object to.
	Objections []Objection `json:"objections,omitempty"`
	// Pace is how often this sender asks for this, and Together how often all
	// who ask for it do; nil if there is one sender.
	Pace     Pace  `json:"pace"`
	Together *Pace `json:"together,omitempty"`

	lines  []string      // Raw's
	waited time.Duration // how long a connection without a byte was open
}

// A Field is a header field.
type Field struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Who is a candidate for having sent an arrival.
type Who struct {
	Name    string             `json:"name"`
	Title   string             `json:"title"`
	Sure    balancer.Certainty `json:"sure"`
	Why     []string           `json:"why"`
	Assumed []balancer.Fact    `json:"assumed,omitempty"`
	// Explained is true if hale explain --as takes the name.
	Explained bool `json:"explained"`
}

// Sender names who most likely sent it, in a word or two.
func (a *Arrival) Sender() string {
	if len(a.Who) == 0 {
		return "not recognised"
	}
	sure := " (" + string(a.Who[0].Sure) + ")"
	if len(a.Who) > 1 && a.Who[1].Sure == a.Who[0].Sure {
		return "several possible" + sure
	}
	return a.Who[0].Name + sure
}

// recognise fills in who it was.
func (a *Arrival) recognise() {
	s := a.sight()
	a.Who = []Who{}
	for _, c := range balancer.Recognise(s) {
		a.Who = append(a.Who, Who{
			Name: c.Name, Title: c.Title, Sure: c.Sure, Why: c.Why, Assumed: c.Assumed,
			Explained: c.Balancer != nil && c.Balancer.Explained,
		})
	}
}

// heldLong is how long a check of the port alone does not keep a connection.
const heldLong = 500 * time.Millisecond

// holds reports whether it said nothing and held the connection, as who waits to
// be told something does. After a PROXY header LOCAL that is no agent-check.
func (a *Arrival) holds() bool {
	return a.waited >= heldLong && (a.Proxy == nil || !a.Proxy.Local)
}

// sight is the arrival as the table knows it.
func (a *Arrival) sight() balancer.Sight {
	s := balancer.Sight{
		From: a.From.Addr(), To: a.To, Protocol: a.Protocol, TLS: a.TLS != nil,
		ProxyLocal: a.Proxy != nil && a.Proxy.Local && a.Proxy.Version == 2,
		ProxyBare:  a.Proxy != nil && a.Proxy.Bare,
		Waited:     a.waited >= heldLong,
		Method:     a.Method, Path: a.Path,
	}
	if a.Host != nil {
		s.Host, s.HasHost = *a.Host, true
	}
	if a.TLS != nil && a.TLS.Failed != "" {
		s.Protocol = "" // it broke off before it said what it wants
		s.Ancient = a.TLS.ancient
	}
	for _, f := range a.Fields {
		if name := lower(f.Name); name != "host" && !strings.HasPrefix(name, ":") {
			s.Fields = append(s.Fields, balancer.Field(f))
		}
	}
	return s
}
