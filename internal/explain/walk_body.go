package explain

import (
	"fmt"
	"time"

	"hale/internal/balancer"
)

// How long the body is read of those whose judgement does not need its end. It
// is shown, and a reason may be known by it.
const (
	bodyUnneeded = time.Second            // it is known that they do not wait
	bodyAssumed  = 5 * time.Second        // it is not known
	bodyEndless  = 300 * time.Millisecond // another reading has found no end
)

// bodyTime is how long the body is read after the head; 0 is as long as all.
func (w *walk) bodyTime() time.Duration {
	switch {
	case w.b.Judge.Ends:
		return 0
	case w.p.isEndless():
		return bodyEndless
	case w.b.Assumes(balancer.FactBody):
		return bodyAssumed
	default:
		return bodyUnneeded
	}
}

// judgeBody looks at the body: its size and, of those who need it, its end. What
// is behind the balancer's limit does not matter, except to who wrote it.
func (w *walk) judgeBody() bool {
	a, j := w.answer, w.b.Judge
	broken := a.stage == atBody && w.base.probe.Protocol != balancer.HTTP09 && (j.BodyLimit == 0 || len(a.http.body) < j.BodyLimit)
	endless := broken && isTimeout(a.err)
	size := bodySize(a)
	if j.Ends && endless {
		return w.step(StepTime, false, a.took, "the body did not end within %s (%d bytes came)%s", since(a.took), len(a.http.body), w.assumed(balancer.FactTimeout, balancer.FactBody))
	}
	if j.Ends && broken || j.Chunks && a.http.malformed {
		w.step(StepBody, false, a.took, "%s: %s takes this for a failure%s", size, w.b.Name, w.assumed(balancer.FactBody))
		w.result.Summary = clip(short(a.http)) + ", and the body: " + inWords(a.err)
		w.blame(balancer.CauseBrokenBody, Certain, fmt.Sprintf("The head says %s, and the body has %s.", short(a.http), size))
		return false
	}
	mark := ""
	if broken {
		mark = w.assumed(balancer.FactBody)
	}
	w.step(StepBody, true, 0, "%s%s", size, mark)
	unsure := w.b.Title + " is taken to judge by the head alone; whether it needs the body's end is not established."
	switch {
	case broken && !w.b.Assumes(balancer.FactBody):
	case endless:
		w.maybe(balancer.CauseSlow, fmt.Sprintf("The body did not end while explain read it, for %s.", since(a.took-a.headed)), unsure)
	case broken:
		w.maybe(balancer.CauseBrokenBody, fmt.Sprintf("The body has %s.", size), unsure)
	}
	const large = 10 << 10 // what the kubelet reads
	if j.BodyLimit > 0 && a.http.size > large {
		w.remark(balancer.CauseLargeBody, fmt.Sprintf("The body has %s; %s reads %d of them and closes, which the server's log may show as a broken pipe.", size, w.b.Title, j.BodyLimit))
	}
	return true
}

// bodySize says how much there was of a body.
func bodySize(a *answer) string {
	size := fmt.Sprintf("%d bytes", a.http.size)
	if a.http.cut {
		size = fmt.Sprintf("more than %d bytes", bodyLimit)
	}
	switch {
	case a.stage != atBody:
		return size
	case isTimeout(a.err):
		return fmt.Sprintf("%d bytes, and no end within %s", len(a.http.body), since(a.took-a.headed))
	case a.http.framing == framedLength:
		return fmt.Sprintf("%d bytes of %s, broken off: %s", len(a.http.body), size, inWords(a.err))
	default:
		return size + ", broken off: " + inWords(a.err)
	}
}

// judgeInterim looks at an interim answer, which most skip.
func (w *walk) judgeInterim() bool {
	first := w.answer.http.interim
	if first == nil || w.b.Judge.Interim == balancer.InterimSkipped {
		return true
	}
	before := fmt.Sprintf("%s came before the answer, %s.", first, short(w.answer.http))
	if w.b.Judge.Interim == balancer.InterimUnknown {
		w.maybe(balancer.CauseInterim, before, "Whether "+w.b.Title+" skips it is not established.")
		return true
	}
	if w.b.Judge.Codes.Contain(first.status) {
		return true
	}
	w.step(StepStatus, false, w.answer.took, "%s, before the answer: %s takes it for the answer, and counts %s%s", first, w.b.Name, counts(w.b.Judge.Codes), w.assumed(balancer.FactCodes))
	w.blame(balancer.CauseInterim, Certain, before, w.b.Title+" judges by the first status that comes.")
	return false
}

// judgeHead looks at what is malformed in the head, which some read and some
// refuse.
func (w *walk) judgeHead() bool {
	wrong := w.answer.http.complaint(w.base.probe.Method)
	if wrong == nil {
		return true
	}
	says := fmt.Sprintf("%s comes with a header that Go's own clients refuse: %s.", short(w.answer.http), clean(wrong.Error()))
	if !w.b.Judge.Strict {
		w.maybe(balancer.CauseMalformed, says, "Whether "+w.b.Title+" takes it is not established.")
		return true
	}
	w.step(StepHeaders, false, w.answer.took, "%s: %s takes this for no answer", clean(wrong.Error()), w.b.Name)
	w.result.Summary = fmt.Sprintf("%s, and the header: %s", clip(short(w.answer.http)), clip(clean(wrong.Error())))
	w.blame(balancer.CauseMalformed, Certain, says)
	return false
}

// blame adds the finding that the walk itself makes, so that nothing more need
// be asked.
func (w *walk) blame(cause balancer.CauseID, sure Certainty, why ...string) *Finding {
	t := newTrouble(w.ctx, w)
	one := reason{finding: t.found(cause, sure, why...), soft: t.soft, mended: t.mended}
	w.result.Findings = []Finding{one.of(t)}
	return &w.result.Findings[0]
}

func (w *walk) remark(cause balancer.CauseID, why ...string) {
	w.result.Remarks = append(w.result.Remarks, Finding{Cause: cause, Sure: Certain, Why: why, Fix: []string{sentence(balancer.CauseOf(cause).Fix)}})
}

// maybe adds a remark about what may be a reason, as a fact is not established.
func (w *walk) maybe(cause balancer.CauseID, why ...string) {
	w.remark(cause, why...)
	w.result.Remarks[len(w.result.Remarks)-1].Sure = Guess
}
