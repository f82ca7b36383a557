package explain

import (
	"slices"
	"strings"

	"hale/internal/balancer"
)

// These are the changes in which another request differs from the balancer's.

func host(name string) func(*attempt) {
	return func(a *attempt) {
		a.target.Host = name
		if a.probe.Protocol == balancer.HTTP09 {
			a.probe.Protocol = balancer.HTTP10
		}
	}
}

func method(name string) func(*attempt) { return func(a *attempt) { a.probe.Method = name } }
func path(p string) func(*attempt)      { return func(a *attempt) { a.target.Path = p } }

func field(name, value string) func(*attempt) {
	return func(a *attempt) {
		fields := slices.DeleteFunc(slices.Clone(a.probe.Fields), func(f balancer.Field) bool { return strings.EqualFold(f.Name, name) })
		a.probe.Fields = append(fields, balancer.Field{Name: name, Value: value})
	}
}

func secure(on bool, sni string) func(*attempt) {
	return func(a *attempt) {
		a.secure, a.sni = on, sni
		plainly(a)
	}
}

func proxy(on bool) func(*attempt) {
	return func(a *attempt) {
		a.proxy = on
		plainly(a)
	}
}

// plainly makes a request of one that has no answer that tells anything: where
// it is asked what is spoken below HTTP, any request will do.
func plainly(a *attempt) {
	switch a.probe.Protocol {
	case balancer.SSL, balancer.TCP, balancer.HTTP09:
		a.probe.Protocol, a.probe.Host = balancer.HTTP11, balancer.HostAddress
		a.probe.Fields = []balancer.Field{{Name: "Connection", Value: "close"}}
	}
	if a.probe.Protocol.HTTP() {
		a.probe.Method = "GET"
	}
}

func version2(a *attempt) {
	a.probe.Protocol = balancer.HTTP2
	if a.host() == "" {
		a.probe.Host = balancer.HostAddress
	}
}

func both(changes ...func(*attempt)) func(*attempt) {
	return func(a *attempt) {
		for _, change := range changes {
			change(a)
		}
	}
}
