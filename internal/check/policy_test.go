package check_test

import (
	"testing"
	"time"

	"hale/internal/check"
)

func TestDefaultPolicy(t *testing.T) {
	p := check.DefaultPolicy()
	if err := p.Validate(); err != nil {
		t.Error(err)
	}
	if want := "every 5s, timeout 3s, recheck 1s, fall 2, rise 2"; p.String() != want {
		t.Errorf("got  %v\nwant %s", p, want)
	}
}

func TestPolicyValidate(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*check.Policy)
		want   string
	}{
		{"negative interval", func(p *check.Policy) { p.Interval = -time.Second }, "interval: -1s is negative; give a duration such as 5s"},
		{"negative timeout", func(p *check.Policy) { p.Timeout = -time.Second }, "timeout: -1s is negative; give a duration such as 3s"},
		{"negative recheck", func(p *check.Policy) { p.Recheck = -1 }, "recheck: -1ns is negative; give a duration such as 5s"},
		{"short interval", func(p *check.Policy) { p.Interval = 99 * time.Millisecond }, "interval: 99ms is out of range; give a duration from 100ms to 24h0m0s"},
		{"long interval", func(p *check.Policy) { p.Interval = 24*time.Hour + 1 }, "interval: 24h0m0.000000001s is out of range; give a duration from 100ms to 24h0m0s"},
		{"no timeout", func(p *check.Policy) { p.Timeout = 0 }, "timeout: 0s is out of range; give a duration from 1ms to 24h0m0s"},
		{"short recheck", func(p *check.Policy) { p.Recheck = 0 }, "recheck: 0s is out of range; give a duration from 100ms to 24h0m0s"},
		{"timeout over interval", func(p *check.Policy) { p.Timeout = 5*time.Second + 1 }, "timeout: 5.000000001s is longer than the interval 5s, so that runs would overlap; make it at most the interval"},
		{"recheck over interval", func(p *check.Policy) { p.Recheck = 6 * time.Second }, "recheck: 6s is longer than the interval 5s; it is meant to confirm a change sooner"},
		{"fall", func(p *check.Policy) { p.Fall = 0 }, "fall: 0 is out of range; give a count from 1 to 1000"},
		{"rise", func(p *check.Policy) { p.Rise = 1001 }, "rise: 1001 is out of range; give a count from 1 to 1000"},
		{"all at once", func(p *check.Policy) { *p = check.Policy{Interval: -1, Timeout: -1, Recheck: -1, Fall: -1, Rise: -1} },
			"interval: -1ns is negative; give a duration such as 5s\n" +
				"timeout: -1ns is negative; give a duration such as 3s\n" +
				"recheck: -1ns is negative; give a duration such as 5s\n" +
				"fall: -1 is out of range; give a count from 1 to 1000\n" +
				"rise: -1 is out of range; give a count from 1 to 1000"},
		{"at the bounds", func(p *check.Policy) {
			*p = check.Policy{Interval: 100 * time.Millisecond, Timeout: 100 * time.Millisecond, Recheck: 100 * time.Millisecond, Fall: 1, Rise: 1000}
		}, ""},
		{"at the upper bounds", func(p *check.Policy) {
			*p = check.Policy{Interval: 24 * time.Hour, Timeout: 24 * time.Hour, Recheck: 24 * time.Hour, Fall: 1000, Rise: 1}
		}, ""},
	} {
		p := check.DefaultPolicy()
		test.change(&p)
		if got := errText(p.Validate()); got != test.want {
			t.Errorf("%s\n got %s\nwant %s", test.name, got, test.want)
		}
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
