package docker

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"hale/internal/check"
	"hale/internal/engine"
)

// maxChecks is how many checks a source makes in all.
const maxChecks = 2000

// replan decides anew what is to be checked of a container.
func (s *source) replan(t *tracked) {
	c := t.container
	if t.joint.owner != nil {
		s.listBridges(t.joint.owner)
	}
	p := s.rules.plan(c, s.vantage.locate(c, t.joint.owner))
	if t.plan.dials() && p.fault == nil && p.at.host == "" {
		// It has lost its network. What was asked of it stays, and fails: that
		// it runs does not make it serve.
		p.checks = t.plan.checks
	}
	t.plan = p
	if p.fault != nil {
		way := &way{inner: fault{check.Failf(check.ReasonConfig, "container %s is not checked until its labels are right: %v", c.Name, p.fault)}}
		p.checks = []planned{{}}
		t.checker("", s.own).way.Store(way)
	}
	for i, one := range p.checks {
		if p.fault != nil {
			break
		}
		w := &way{own: one.own}
		switch {
		case one.own != dialled:
		case p.at.host == "":
			w.inner = nowhere{c.Name, p.at.why}
		default:
			w.inner = one.built.Checker
		}
		if i == 0 {
			w.remark = p.remark
		}
		t.checker(one.suffix, s.own).way.Store(w)
	}
}

// dials reports whether the plan has checks that ask the container itself.
func (p *plan) dials() bool {
	return p != nil && slices.ContainsFunc(p.checks, func(one planned) bool { return one.own == dialled && one.built != nil })
}

// listBridges lists this host's bridges anew when a container has a network that
// may have come with one.
func (s *source) listBridges(c *engine.Container) {
	fresh := false
	for _, n := range c.Networks {
		fresh = fresh || !s.known[n.ID]
		s.known[n.ID] = true
	}
	if fresh && s.vantage.onHost() {
		s.vantage.bridges = bridges(bridgeNames())
	}
}

func (t *tracked) checker(suffix string, own *connection) *checker {
	c := t.checkers[suffix]
	if c == nil {
		c = &checker{container: t, engine: own}
		t.checkers[suffix] = c
	}
	return c
}

// say writes what was chosen for a container into the log, once.
func (s *source) say(t *tracked) {
	p := t.plan
	if t.saidOf == p {
		return
	}
	t.saidOf = p
	var checks []string
	for _, one := range p.checks[:min(len(p.checks), 10)] {
		checks = append(checks, one.describe(p))
	}
	if more := len(p.checks) - len(checks); more > 0 {
		checks = append(checks, fmt.Sprintf("%d more", more))
	}
	attrs := []any{"container", p.name, "checks", strings.Join(checks, ", "), "address", p.at.host, "why", p.at.why}
	if p.remark != "" {
		attrs = append(attrs, "remark", p.remark)
	}
	if p.fault != nil {
		attrs = append(attrs, "error", check.CleanText(p.fault.Error()))
	}
	if said := fmt.Sprint(attrs...); said != t.said {
		t.said = said
		s.rules.env.Log.Info("checking a container", attrs...)
	}
}

func (one planned) describe(p *plan) string {
	switch {
	case p.fault != nil:
		return "none"
	case one.built != nil:
		return one.built.Target
	case one.own == itsCheck:
		return "its own health"
	case one.own == itsState:
		return "that it runs"
	default:
		return "that it has a network"
	}
}

// publish sets the checks if they are not those of the last time.
func (s *source) publish() {
	all := []*check.Check{s.ownCheck()}
	taken := map[string]bool{Name: true}
	free := func(name string) string {
		name = check.FreeName(name[:min(len(name), 250)], func(name string) bool { return taken[name] })
		taken[name] = true
		return name
	}
	var order []*tracked
	for _, t := range s.tracked {
		order = append(order, t)
	}
	slices.SortFunc(order, func(a, b *tracked) int {
		return strings.Compare(a.plan.name+"\x00"+a.id, b.plan.name+"\x00"+b.id)
	})
	for _, t := range order {
		s.say(t)
	}
	s.left = 0
	names := map[*tracked]string{} // bare names first: no other check takes them
	for _, t := range order {
		names[t] = free(t.plan.name)
	}
	for _, t := range order {
		for _, one := range t.plan.checks {
			if len(all) > maxChecks {
				s.left++
				continue
			}
			name := names[t]
			if one.suffix != "" {
				name = free(name + "-" + one.suffix)
			}
			all = append(all, s.finish(t, one, name))
		}
	}
	if !slices.EqualFunc(all, s.last, sameCheck) {
		s.last = all
		s.set(all)
	}
}

func sameCheck(a, b *check.Check) bool {
	return a.Name == b.Name && a.ID == b.ID && a.Target == b.Target && a.Kind == b.Kind && a.Impact == b.Impact && a.StartBy.Equal(b.StartBy)
}

// finish makes the check of what was planned.
func (s *source) finish(t *tracked, one planned, name string) *check.Check {
	c := &check.Check{Kind: Name, Target: "docker://" + t.plan.name}
	if one.built != nil {
		*c = *one.built
	} else {
		s.rules.common(c, t.plan.options)
	}
	c.Name, c.Named = name, true
	c.ID = s.identity(t.id, one.suffix)
	c.Checker = t.checkers[one.suffix]
	c.StartBy = t.startBy(one)
	return c
}

// startBy is until when a check has time to be up for the first time. A
// container that does not run has none, nor one that ended before and was
// started again by its engine: or one that ends all the time would never count.
func (t *tracked) startBy(one planned) time.Time {
	f := t.facts.Load()
	if t.plan.fault != nil || f.restarts > 0 || f.failure() != nil || f.state.StartedAt.IsZero() {
		return time.Time{}
	}
	period := t.plan.period
	if one.own == itsCheck {
		period = max(period, t.plan.slack)
	}
	if period <= 0 {
		return time.Time{}
	}
	return f.state.StartedAt.Add(period)
}

// ownCheck is the check that tells of the engine. Once all containers have been
// looked at, that they are no longer seen is a warning: they are checked.
func (s *source) ownCheck() *check.Check {
	c := &check.Check{
		Name: Name, Named: true, Kind: "engine", Target: s.client.Host(), ID: s.identity("", ""),
		Checker: s.own, Policy: s.rules.env.Policy, Groups: []string{check.GroupReady}, Impact: check.ImpactFail,
	}
	if s.whole {
		c.Impact = check.ImpactWarn
	}
	return c
}

func (s *source) identity(id, suffix string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q", s.nonce, id, suffix))
	return hex.EncodeToString(sum[:])
}
