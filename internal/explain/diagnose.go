package explain

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"hale/internal/balancer"
)

// A trouble is a walk that did not end well, with the exchange that is to blame,
// and what asks more.
type trouble struct {
	*walk
	ctx context.Context
	// base and answer are the exchange in question; with redirects it need not
	// be the last.
	base   attempt
	answer *answer
	soft   software
	// tried are the requests that were sent to find the reason.
	tried []trial
	// mended is how many of the questions are mend's.
	mended int
	// again is what the balancer's own request got when it was last sent once
	// more, and repeated how often it was.
	again    *answer
	repeated int
}

// A diagnostician knows one family of causes. It returns nil if it is not one of
// them.
type diagnostician func(*trouble) *Finding

// followUps is how many requests a diagnosis may take.
const followUps = 16

// A signature is what troubles with the same cause have in common.
type signature struct {
	stage              stage
	status             int
	words, host, first string
	method             string
	codes, redirects   string
	cert               balancer.CauseID
	speak              balancer.Protocol
	sni                bool
}

// diagnoseAll finds the reason of each failure, asking once for those that look
// alike.
func (p *player) diagnoseAll(ctx context.Context, walks []*walk) {
	p.known = map[signature]reason{}
	for _, w := range walks {
		if w.result.OK || ctx.Err() != nil {
			continue
		}
		t := newTrouble(ctx, w)
		key := t.signature()
		one, ok := p.known[key]
		if !ok {
			one = reason{finding: t.diagnose()}
			one.soft, one.mended = t.soft, t.mended
			p.known[key] = one
		}
		w.result.Findings = []Finding{one.of(t)}
	}
}

// A reason is a finding that several balancers may share.
type reason struct {
	finding *Finding
	soft    software
	mended  int
}

// itsName and itsTitle stand for the balancer's in a finding that is shared. No
// text from elsewhere has a NUL.
const itsName, itsTitle = "\x00n", "\x00t"

// of is the finding for one balancer: what mends it is its own.
func (r *reason) of(t *trouble) Finding {
	f := *r.finding
	if f.Cause != "" {
		own := Finding{Cause: f.Cause, Sure: f.Sure, Software: r.soft.maker}
		t.soft = r.soft
		t.mend(&own)
		f.Fix, f.Config = own.Fix, own.Config
		f.Ask = append(own.Ask, f.Ask[r.mended:]...)
	}
	fill := strings.NewReplacer(itsName, t.b.Name, itsTitle, t.b.Title)
	for _, texts := range []*[]string{&f.Why, &f.Fix, &f.Ask} {
		*texts = slices.Clone(*texts)
		for i := range *texts {
			(*texts)[i] = fill.Replace((*texts)[i])
		}
	}
	return f
}

func newTrouble(ctx context.Context, w *walk) *trouble {
	t := &trouble{walk: w, ctx: ctx, base: w.base, answer: w.answer}
	// Where a redirect led astray, it is the redirect that is to blame.
	for i, hop := range w.hops {
		from, err := w.p.place.resolveReference(hop.http.get("Location"))
		if i == 0 && err == nil && (from.scheme != w.p.place.scheme || !strings.EqualFold(from.name, w.p.place.name)) {
			t.base, t.answer = w.bases[i], hop
			t.walk = &walk{p: w.p, b: w.b, place: w.p.place, result: w.result, strayed: w.strayed}
		}
	}
	if t.answer != nil {
		t.soft = recognise(t.answer.http)
	}
	return t
}

func (t *trouble) signature() signature {
	if t.answer == nil {
		return signature{}
	}
	s := signature{stage: t.answer.stage, cert: t.certCause}
	switch {
	case t.answer.stage == atConnect:
		s.words = inWords(t.answer.err)
	case t.answer.silent():
		s.words = "silent"
		if t.base.probe.Protocol == balancer.HTTP09 {
			s.speak = balancer.HTTP09 // silent for a reason of its own, maybe
		}
	default:
		s.status, s.words = t.answer.status(), inWords(t.answer.err)+" "+t.answer.http.get("Location")
		s.host, s.method, s.speak, s.sni = t.base.hostname(), t.base.probe.Method, t.base.probe.Protocol, t.base.sni != ""
		s.codes, s.redirects = t.b.Judge.Codes.String(), string(t.b.Judge.Redirects)
		s.first = string(t.answer.first[:min(5, len(t.answer.first))])
	}
	if t.answer.grpc != nil {
		s.words += " " + t.answer.grpc.status
	}
	return s
}

// diagnose finds the one reason.
func (t *trouble) diagnose() *Finding {
	t.borrowBody()
	for _, d := range t.diagnosticians() {
		if f := d(t); f != nil {
			return f
		}
		if t.ctx.Err() != nil {
			break
		}
	}
	return t.unknown()
}

// borrowBody asks with GET what was asked with HEAD or such, whose answers have
// no body to know them by. It is the same answer if the status is the same.
func (t *trouble) borrowBody() {
	if t.answer.status() < 300 || t.base.probe.Method == "GET" || len(t.answer.http.body) > 0 {
		return
	}
	a := t.try(method("GET"))
	if a.status() != t.answer.status() {
		return
	}
	answer, head := *t.answer, *t.answer.http
	head.body, head.size = a.http.body, a.http.size
	answer.http, t.answer = &head, &answer
	t.soft = recognise(&head)
}

// diagnosticians are those for the step at which it failed, in the order in which
// they are asked: what the answer itself proves comes first.
func (t *trouble) diagnosticians() []diagnostician {
	switch {
	case t.answer == nil:
		return []diagnostician{noName}
	case t.answer.stage == atConnect:
		return []diagnostician{localhostIPv6, dropped, noRoute, loopbackOnly, stopped}
	case t.certCause != "":
		return []diagnostician{badCertificate}
	case t.answer.stage == atTLS:
		return []diagnostician{late, proxyUnexpected, tlsToPlain, noSNI, clientCertificate, proxyExpected, slowHandshake, unsteady}
	case t.answer.silent():
		return []diagnostician{late, proxyUnexpected, withoutVersion, http2Only, proxyExpected, slowOrBusy}
	case t.base.probe.Protocol == balancer.GRPC && t.answer.http != nil:
		return []diagnostician{grpcStatus}
	case t.answer.http == nil:
		return []diagnostician{dripping, withoutVersion, http2Only, lateClientCertificate, proxyUnexpected, plainToTLS, proxyExpected, refusedMethod, hosts, botFilter, unsteady, closed}
	case t.answer.stage == atBody && isTimeout(t.answer.err) && t.base.probe.Protocol != balancer.HTTP09:
		return []diagnostician{unframed, dripping}
	case leadsOn(t.answer.http):
		return []diagnostician{proxyUnexpected, loop, httpsRedirect, loginRedirect, trailingSlash, siteRedirect, otherRedirect}
	default:
		return []diagnostician{
			plainToTLS, textClientCertificate, unframed, noContent, proxyUnexpected, rateLimit, auth, wantsSNI, nginxLimit,
			webSocket, refusedMethod, hosts, http2Only, slash, botFilter, dependency, proxyExpected, unsteady, misdirected, notFound, forbidden, broken,
		}
	}
}

// good reports whether the balancer would take the answer.
func (t *trouble) good(a *answer) bool {
	return a.http != nil && t.b.Judge.Codes.Contain(a.status())
}

// better reports whether an answer is another than the balancer got, and one
// that it would take, or that a site gives which is well except for something
// else: a success or a redirect where there was an error.
func (t *trouble) better(a *answer) bool {
	was := t.answer.status()
	if a.http == nil || a.status() == was {
		return false
	}
	wasError := was == 0 || was >= 400
	isError := a.status() < 200 || a.status() >= 400
	if !t.good(a) && (isError || !wasError) {
		return false
	}
	return t.steady()
}

// counts reports whether an answer says something about the request: one that
// was refused for a limit, or because something broke, does not.
func (a *answer) counts() bool { return a.http != nil && a.status() != 429 && a.status() < 500 }

// unsteady is for what comes and goes, before a cause is named that would be
// there each time.
func unsteady(t *trouble) *Finding {
	if t.steady() {
		return nil
	}
	return t.unknown()
}

// sites are the names that the site may have, the most likely first.
func (t *trouble) sites() []string {
	var all []string
	add := func(name string) {
		name = withoutPort(name)
		if strings.HasPrefix(name, "*.") {
			name = "www" + name[1:]
		}
		if name != "" && !isAddress(name) && !isLocalhost(name) && !slices.Contains(all, name) && isHostname(name) {
			all = append(all, name)
		}
	}
	add(t.p.Site)
	add(t.p.place.name)
	add(t.p.Host)
	if t.answer != nil {
		if to, ok := t.leads(); ok {
			add(to.name)
		}
		if t.answer.state != nil {
			for _, name := range t.answer.state.PeerCertificates[0].DNSNames {
				add(name)
			}
		}
	}
	return all[:min(3, len(all))]
}

// isHostname reports whether a name looks like one of DNS. What others call
// themselves gets into commands that are shown, so nothing else may be in it.
func isHostname(name string) bool {
	return len(name) < 254 && !strings.ContainsFunc(name, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '-' || r == '_')
	})
}

// unknown is the finding where no cause fits.
func (t *trouble) unknown() *Finding {
	f := &Finding{Sure: Guess, Software: t.soft.maker}
	if f.Software == "" {
		f.Software = t.soft.product()
	}
	switch {
	case t.ctx.Err() != nil:
		f.Why = []string{"There was no time left to find out why."}
	case t.again != nil && !t.same(t.again) && isTimeout(t.answer.err) && t.again.took > t.answer.took:
		f.Why = []string{fmt.Sprintf("The same request, given more time, got after %s: %s.", since(t.again.took), t.outcome(t.again))}
	case t.again != nil && !t.same(t.again):
		f.Why = []string{fmt.Sprintf("It comes and goes: the same request, sent once more, got %s.", t.outcome(t.again))}
		f.Ask = []string{"Does something restart, or do several servers share this address and one of them fails?"}
	case t.answer.http != nil:
		f.Why = []string{fmt.Sprintf("The answer is %s, and no other request that was tried got a better one.", t.answer.http)}
	default:
		f.Why = []string{fmt.Sprintf("What came: %s.", inWords(t.answer.err))}
		if len(t.answer.first) > 0 {
			f.Why = append(f.Why, "It begins with "+quoted(t.answer.first)+", which is not HTTP.")
			f.Fix = []string{"Give the balancer the port that speaks HTTP."}
		}
		if t.base.secure && t.base.sni == "" && alertOf(t.answer.err) != 0 {
			t.askSite(f, "Does the server want a server name (SNI), and by which name do visitors know the site?")
		}
	}
	f.Ask = append(f.Ask, "What does the server's log say at this time?")
	return f
}

// outcome says what an answer was, for a sentence.
func (t *trouble) outcome(a *answer) string {
	if a.http != nil {
		return short(a.http)
	}
	return inWords(a.err)
}

// found makes a finding.
func (t *trouble) found(cause balancer.CauseID, sure Certainty, why ...string) *Finding {
	f := &Finding{Cause: cause, Sure: sure, Why: why, Software: t.soft.maker}
	t.mend(f)
	t.mended = len(f.Ask)
	if f.Software == "" {
		f.Software = t.soft.product()
	}
	return f
}
