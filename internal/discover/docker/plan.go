package docker

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"hale/internal/check"
	"hale/internal/engine"
)

const (
	// maxPerContainer is how many checks one container may have.
	maxPerContainer = 50
	// webStatus are the statuses that a web port which was found may answer
	// with: it works, or leads elsewhere. A page that asks for a login, or is
	// not there, needs a label that says so.
	webStatus = "200-399"
)

// A plan is what is to be checked of a container.
type plan struct {
	name    string
	at      place
	checks  []planned
	remark  string // what was left out, for the log and the first check's note
	fault   error  // what is wrong with the labels; there are no checks then
	serves  bool   // it is there to be asked: that it ends with success is no success
	options []check.Option
	period  time.Duration // how long it may take to be up for the first time
	slack   time.Duration // how much longer its own health check may take
}

// planned is one check of a plan.
type planned struct {
	suffix string // what is joined to the container's name; "" is the first's
	built  *check.Check
	own    ownCheck // how, when the engine is asked and not the container
}

// ownCheck is a check of what the engine says.
type ownCheck uint8

const (
	dialled  ownCheck = iota // it is not one
	itsState                 // that it runs
	itsCheck                 // its own health check
)

// plan says what is to be checked of the container, which was found at a place.
func (r *rules) plan(c *engine.Container, at place) *plan {
	p := &plan{name: c.Name, at: at, period: r.config.StartPeriod}
	l, err := parseLabels(c.Labels)
	if err == nil {
		p.options, err = l.options, r.tryOptions(l.options)
	}
	if err == nil {
		p.setPeriod(l, c.Healthcheck)
		err = r.choose(p, c, l)
	}
	if err != nil {
		p.checks, p.options, p.fault = nil, nil, err
	}
	return p
}

func (p *plan) setPeriod(l labels, own *engine.Healthcheck) {
	if own != nil {
		// The engine's first look comes one interval after the start.
		p.slack = defaulted(own.Interval) + defaulted(own.Timeout)
		if own.StartPeriod > 0 {
			p.period = own.StartPeriod
		}
	}
	if l.startPeriod != nil {
		p.period = *l.startPeriod
	}
}

// defaulted is a time of a HEALTHCHECK; Docker's default for both is 30 s.
func defaulted(d time.Duration) time.Duration {
	if d <= 0 {
		return 30 * time.Second
	}
	return d
}

// choose fills in the checks.
func (r *rules) choose(p *plan, c *engine.Container, l labels) error {
	web, other := r.ports(c, l, p.at)
	p.serves = serves(c, l)
	p.explain(c, l)
	if l.web() && len(web) == 0 && l.check == "" {
		if len(other) != 1 {
			return fmt.Errorf("hale.path, hale.host and hale.status are for a web port, and which one that is can't be told: %d TCP ports are exposed, none of them one of %v; say it with hale.port", len(other), r.webPorts)
		}
		web, other = other, nil
	}
	var errs []error
	if l.check != "" {
		errs = append(errs, r.addLabel(p, c, l, labelCheck, "", l.check, slices.Concat(web, other)))
	} else {
		errs = append(errs, r.addFound(p, l, web, other))
		if c.Healthcheck != nil {
			p.add(planned{suffix: "health", own: itsCheck})
		}
	}
	if len(p.checks) == 0 && len(l.more) == 0 {
		p.add(planned{own: itsState})
	}
	for _, more := range l.more {
		errs = append(errs, r.addLabel(p, c, l, labelCheck+"."+more[0], more[0], more[1], slices.Concat(web, other)))
	}
	p.bound()
	return errors.Join(errs...)
}

// serves reports whether the container is there to be asked for something, and
// not to do a job and end. That it can't be reached from here does not matter.
func serves(c *engine.Container, l labels) bool {
	return len(c.Exposed)+len(c.Published)+len(l.ports)+len(l.more) > 0 || l.check != "" || l.enabled || c.Healthcheck != nil
}

// explain says why a container that could be reached is not asked.
func (p *plan) explain(c *engine.Container, l labels) {
	if p.at.host == "" || l.check != "" || len(l.more)+len(l.ports) > 0 {
		return
	}
	var ports []string
	for _, port := range c.Exposed {
		ports = append(ports, fmt.Sprintf("%d/%s", port.Number, port.Proto))
	}
	for _, port := range c.Published {
		ports = append(ports, fmt.Sprintf("%d/%s", port.Port, port.Proto))
	}
	slices.Sort(ports)
	ports = slices.Compact(ports)
	switch {
	case len(ports) == 0:
		p.at.why = "it exposes no port"
	case !slices.ContainsFunc(ports, func(port string) bool { return strings.HasSuffix(port, "/tcp") }):
		p.at.why = "it has no TCP port, and others can't be asked without knowing what they speak: " + shorten(ports)
	}
}

// ports returns the TCP ports to be checked over HTTP, and the others. When a
// label says which ports, the image's word for it no longer counts.
func (r *rules) ports(c *engine.Container, l labels, at place) (web, other []int) {
	if l.ports != nil {
		return l.ports, nil
	}
	var all []int
	for _, p := range c.Exposed {
		if p.Proto == "tcp" {
			all = append(all, p.Number)
		}
	}
	for _, p := range c.Published {
		if p.Proto == "tcp" {
			all = append(all, p.Port)
		}
	}
	slices.Sort(all)
	for _, port := range slices.Compact(all) {
		switch {
		case at.loopback() && slices.Contains(r.env.OwnPorts, port):
			// hale itself listens there
		case slices.Contains(r.webPorts, port):
			web = append(web, port)
		default:
			other = append(other, port)
		}
	}
	return web, other
}

// addFound adds the checks of ports.
func (r *rules) addFound(p *plan, l labels, web, other []int) error {
	if p.at.host == "" {
		if p.at.lost && len(web)+len(other) > 0 {
			p.add(planned{})
		}
		return nil
	}
	var errs []error
	var unreachable []int
	for i, port := range slices.Concat(web, other) {
		host, mapped, ok := p.at.endpoint(port)
		if !ok {
			unreachable = append(unreachable, port)
			continue
		}
		if len(p.checks) >= maxPerContainer {
			p.checks = append(p.checks, planned{}) // counted, and cut off by bound
			continue
		}
		address := net.JoinHostPort(host, strconv.Itoa(mapped))
		url, options := "tcp://"+address, p.options
		if i < len(web) {
			url, options = "http://"+address+"/", slices.Concat(options, l.webOptions())
			if l.path != "" {
				url = "http://" + address + l.path
			}
		}
		built, err := r.build(url, options)
		if err != nil {
			errs = append(errs, oneLine(err, "label "+prefix))
		}
		p.add(planned{suffix: strconv.Itoa(port), built: built})
	}
	if len(unreachable) > 0 {
		p.remark = join(p.remark, "not reached from here, and so not checked: "+p.at.missing(unreachable))
	}
	return errors.Join(errs...)
}

// webOptions are the options of a web port's check.
func (l labels) webOptions() []check.Option {
	options := []check.Option{{Name: "status", Values: []string{webStatus}}}
	if l.status != "" {
		options[0].Values = []string{l.status}
	}
	if l.host != "" {
		options = append(options, check.Option{Name: "host", Values: []string{l.host}})
	}
	return options
}

// addLabel adds the check of a label's URL.
func (r *rules) addLabel(p *plan, c *engine.Container, l labels, label, suffix, url string, ports []int) error {
	port := 0
	if len(ports) > 0 {
		port = ports[0]
	}
	full, err := labelURL(url, c.Name, p.at, port)
	if err == nil {
		err = refuse(r.inURL(full))
	}
	if err == nil {
		var built *check.Check
		if built, err = r.build(full, p.options); err == nil {
			p.checks = append(p.checks, planned{suffix: suffix, built: built})
			return nil
		}
		err = oneLine(err, "")
	}
	return fmt.Errorf("label %s: %w", label, err)
}

// build makes the check of a URL. The options are weaker than those in it, and
// stronger than the defaults.
func (r *rules) build(url string, options []check.Option) (*check.Check, error) {
	given := r.inURL(url)
	var all []check.Option
	for _, o := range slices.Concat(options, r.env.Defaults) {
		same := func(other check.Option) bool { return other.Name == o.Name }
		if !slices.ContainsFunc(given, same) && !slices.ContainsFunc(all, same) {
			all = append(all, o)
		}
	}
	return r.env.Registry.Build(check.Spec{URL: url, Options: all, Policy: r.env.Policy})
}

// inURL returns the options in a URL.
func (r *rules) inURL(url string) []check.Option {
	scheme, rest, _ := check.SplitScheme(url)
	kind, _ := r.env.Registry.Kind(scheme)
	rest, fragment, _ := strings.Cut(rest, "#")
	if _, query, ok := strings.Cut(rest, "?"); ok && !kind.KeepsQuery {
		fragment += "&" + query
	}
	options, _ := check.ParseOptions(fragment) // faults are found when it is built
	return options
}

// add adds a check; the first has the container's bare name.
func (p *plan) add(c planned) {
	if len(p.checks) == 0 {
		c.suffix = ""
	}
	p.checks = append(p.checks, c)
}

// bound cuts off what is too much for one container.
func (p *plan) bound() {
	if extra := len(p.checks) - maxPerContainer; extra > 0 {
		health := slices.IndexFunc(p.checks, func(c planned) bool { return c.own == itsCheck })
		if health >= maxPerContainer {
			p.checks[maxPerContainer-1] = p.checks[health]
		}
		p.checks = p.checks[:maxPerContainer]
		p.remark = join(p.remark, fmt.Sprintf("%d more checks are left out, as a container may have %d", extra, maxPerContainer))
	}
}

// oneLine joins the faults of options in one line, each with what stands in
// front of its option's name.
func oneLine(err error, before string) error {
	var parts []string
	for _, e := range check.OptionErrors(err) {
		parts = append(parts, before+e.Error())
	}
	return errors.New(strings.Join(parts, "; "))
}

func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + "; " + b
}

// shorten lists at most ten.
func shorten(list []string) string {
	if len(list) > 10 {
		return fmt.Sprintf("%s and %d more", strings.Join(list[:10], ", "), len(list)-10)
	}
	return strings.Join(list, ", ")
}
