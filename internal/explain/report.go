package explain

import (
	"time"

	"hale/internal/balancer"
)

// A Report is what was found about a URL, for each balancer that was played.
type Report struct {
	URL     string
	Results []Result
}

// OK reports whether every balancer that was played would be satisfied.
func (r *Report) OK() bool {
	for _, result := range r.Results {
		if !result.OK {
			return false
		}
	}
	return true
}

// A Result is what one balancer would make of the target.
type Result struct {
	Balancer *balancer.Balancer
	// OK is true if it would be satisfied.
	OK bool
	// Summary is the outcome in a line.
	Summary string
	// Steps are the way that was walked, up to the first step that the balancer
	// would not accept.
	Steps []Step
	// Findings say why it would not be satisfied, the most certain first; none
	// if it is satisfied.
	Findings []Finding
	// Remarks are what the balancer would accept and its user should know.
	Remarks []Finding
}

// Cause returns the cause of the first finding; "" if there is none.
func (r *Result) Cause() balancer.CauseID {
	if len(r.Findings) == 0 {
		return ""
	}
	return r.Findings[0].Cause
}

// A StepName names a step of the way.
type StepName string

// The steps, in their order.
const (
	StepResolve  StepName = "resolve"
	StepConnect  StepName = "connect"
	StepProxy    StepName = "proxy"
	StepTLS      StepName = "tls"
	StepRequest  StepName = "request"
	StepStatus   StepName = "status"
	StepRedirect StepName = "redirect"
	StepHeaders  StepName = "headers"
	StepBody     StepName = "body"
	StepTime     StepName = "time"
)

// A Step is one step of the way, in a line.
type Step struct {
	Name StepName
	OK   bool
	// Text says what happened: got 301 Moved Permanently, Location: …
	Text string
	Took time.Duration
}

// Certainty is how sure a finding is.
type Certainty string

// The certainties.
const (
	Certain Certainty = "certain" // a second request, or the answer itself, proves it
	Likely  Certainty = "likely"  // the evidence points to it and to nothing else
	Guess   Certainty = "guess"   // nothing contradicts it
)

// A Finding is a reason, what it rests on, and what mends it.
type Finding struct {
	Cause balancer.CauseID
	Sure  Certainty
	// Why is the evidence, a sentence each.
	Why []string
	// Software is what was recognised, such as nginx or Django; "" if nothing.
	Software string
	// Fix is what mends it, a sentence each.
	Fix []string
	// Config is configuration that mends it, with the place where it belongs;
	// "" if there is none for the software.
	Config string
	// Ask are questions for what can't be seen from here.
	Ask []string
}
