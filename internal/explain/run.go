package explain

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"hale/internal/balancer"
)

// Options say how a balancer is played.
type Options struct {
	// Host replaces the Host field (and the server name, where one is sent)
	// of every request; "" leaves what each balancer sends.
	Host string
	// Site is the name by which visitors know the site, which second requests
	// try; "" has it found in the URL, the certificate or a redirect.
	Site string
	// Proxy has a PROXY protocol header with the command LOCAL sent first, by
	// those balancers that can be set so.
	Proxy bool
	// From is the local address to dial from; the zero value is any.
	From netip.Addr
	// Progress, unless it is nil, is told of each balancer before it is played,
	// and of "" when all were and reasons are looked for. It is called by one
	// goroutine.
	Progress func(name string)
	// addresses replaces the look-up of the target's name in tests.
	addresses []netip.Addr
	// Roots are the certificates that are trusted; nil means the system's.
	Roots *x509.CertPool
}

// The bounds of it all.
const (
	wholeTime   = 4 * time.Minute // for all profiles
	resolveTime = 5 * time.Second
	atOnce      = 4 // connections at a time, once the target was found silent
)

// Run plays each of the balancers at the target, a URL whose scheme is http,
// https, tcp, tls, grpc or grpcs; those that do not speak that are left out.
// The error is about the URL, the options and the balancers alone, or that of
// ctx; what a target does is in the report. With ctx's error, the report has the
// balancers that were played to their end until then.
//
// Equal requests are sent once, and one at a time, so that explain is not itself
// what makes a target slow; only once a target has been found silent there are
// four at a time. Run blocks until all are answered or their time is up, and
// leaves no connection and no goroutine behind.
func Run(ctx context.Context, target string, profiles []*balancer.Balancer, o Options) (*Report, error) {
	at, err := parse(target)
	if err != nil {
		return nil, err
	}
	for _, name := range []string{o.Host, o.Site} {
		if strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
			return nil, fmt.Errorf("%q is not a host: it has a space, a control character or a letter beyond ASCII", clean(name))
		}
	}
	var able []*balancer.Balancer
	for _, b := range profiles {
		if _, ok := at.probe(b); ok {
			able = append(able, b)
		}
	}
	if len(able) == 0 {
		return nil, unable(at, profiles)
	}
	whole, cancel := context.WithTimeout(ctx, wholeTime)
	defer cancel()
	p := &player{Options: o, place: at, asked: map[question]*answer{}}
	p.resolve(whole)
	if err := p.keepFamily(); err != nil {
		return nil, err
	}
	walks := p.walkAll(whole, able)
	p.asking = true
	// What a walk has found itself need not be asked for.
	p.diagnoseAll(whole, slices.DeleteFunc(slices.Clone(walks), func(w *walk) bool { return len(w.result.Findings) > 0 }))
	report := &Report{URL: mask(at.String())}
	for _, w := range walks {
		if ctx.Err() != nil && w.unplayed {
			continue
		}
		w.ownLimit()
		scrub(&w.result)
		report.Results = append(report.Results, w.result)
	}
	return report, ctx.Err()
}

// unable is the error of a target that nobody can be played at.
func unable(at place, profiles []*balancer.Balancer) error {
	if len(profiles) != 1 {
		return fmt.Errorf("none of these balancers speaks %s", at.scheme)
	}
	var speaks []string
	for _, scheme := range Schemes() {
		if _, ok := (place{scheme: scheme}).probe(profiles[0]); ok {
			speaks = append(speaks, scheme+"://")
		}
	}
	return fmt.Errorf("%s has no health checks over %s; it has them over %s", profiles[0].Name, at.scheme, strings.Join(speaks, ", "))
}

// A player is one run.
type player struct {
	Options
	place place
	// addrs are what the name stands for, and noName why it does not.
	addrs    []netip.AddrPort
	noName   error
	resolved time.Duration

	mu    sync.Mutex
	asked map[question]*answer
	// quiet is true once the target took a connection and said nothing.
	quiet bool
	// endless is true once a body did not end.
	endless bool
	// asking is true once the walks are over and the reasons are asked for.
	asking bool
	known  map[signature]reason
	// unrefused is true once an answer came that no limit gives, and passed once
	// a balancer was satisfied. pace is the pause after which a request that was
	// refused for a limit was let through, and limited is true once none helped.
	unrefused, passed, limited bool
	pace                       time.Duration
	// waited is true once it was waited for nginx's limit to let one through.
	waited bool
}

// resolve finds the target's addresses.
func (p *player) resolve(ctx context.Context) {
	start := time.Now()
	addrs, err := p.addresses, error(nil)
	if addrs == nil {
		addrs, err = lookup(ctx, p.place.name)
	}
	p.resolved = time.Since(start)
	for _, a := range addrs {
		p.addrs = append(p.addrs, netip.AddrPortFrom(a, p.place.port))
	}
	p.noName = err
}

// lookup resolves a name; an address is its own.
func lookup(ctx context.Context, name string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(name); err == nil {
		return []netip.Addr{a.Unmap()}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, resolveTime)
	defer cancel()
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", name)
	for i := range addrs {
		addrs[i] = addrs[i].Unmap()
	}
	if err == nil && len(addrs) == 0 {
		err = errors.New("no address")
	}
	return addrs, err
}

// ask asks a question, unless the answer is known: an equal one was asked, and
// given no less time; or the address does not take connections.
func (p *player) ask(ctx context.Context, q question) *answer {
	q = p.hasten(q)
	key := q.key()
	p.mu.Lock()
	known := p.asked[key]
	if !q.answeredBy(known) {
		known = p.asked[question{addr: q.addr}]
	}
	p.mu.Unlock()
	if known != nil {
		return known
	}
	a := exchange(ctx, q, p.From)
	if ctx.Err() != nil {
		return a
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked[key] = a
	if a.stage == atConnect && (!isTimeout(a.err) || a.took >= longEnough) {
		p.asked[question{addr: q.addr}] = a
	}
	p.endless = p.endless || a.stage == atBody && isTimeout(a.err) && a.took-a.headed >= bodyUnneeded-slack
	p.quiet = p.quiet || a.silent() && a.took >= longEnough
	return a
}

const (
	// slack is how much earlier than its limit a timeout may come.
	slack = 50 * time.Millisecond
	// longEnough is how long must have been waited for silence to be believed
	// for all: SYN is sent anew after 1 and 3 seconds.
	longEnough = 4 * time.Second
)

// fresh asks a question anew, whatever is known.
func (p *player) fresh(ctx context.Context, q question) *answer {
	return exchange(ctx, p.hasten(q), p.From)
}

// hasten has a body without end read for a moment only, once the walks are over.
func (p *player) hasten(q question) question {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.endless && p.asking && q.body == 0 {
		q.body = bodyEndless
	}
	return q
}

// isEndless reports whether a body was found that does not end.
func (p *player) isEndless() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.endless
}

// pass notes that a balancer was satisfied with an answer.
func (p *player) pass(a *answer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.passed = p.passed || a.http != nil
}

func (p *player) hasPassed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.passed
}

// walkAll walks for each balancer: one after the other, until the target is
// found silent.
func (p *player) walkAll(ctx context.Context, able []*balancer.Balancer) []*walk {
	walks := make([]*walk, len(able))
	slots := make(chan struct{}, atOnce)
	var wg sync.WaitGroup
	for i, b := range able {
		walks[i] = p.newWalk(b)
		p.tell(b.Name)
		if !p.isQuiet() {
			walks[i].run(ctx)
			continue
		}
		slots <- struct{}{}
		wg.Go(func() {
			walks[i].run(ctx)
			<-slots
		})
	}
	wg.Wait()
	p.tell("")
	return walks
}

func (p *player) tell(name string) {
	if p.Progress != nil {
		p.Progress(name)
	}
}

func (p *player) isQuiet() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.quiet
}

// isTimeout reports whether an exchange ended because its time was up.
func isTimeout(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	e, ok := errors.AsType[net.Error](err)
	return ok && e.Timeout()
}
