package mountcheck_test

import (
	"context"
	"net/url"
	"slices"
	"testing"

	"hale/internal/check"
	"hale/internal/kinds/kindtest"
	"hale/internal/kinds/mountcheck"
)

func mountURL(path string) string { return (&url.URL{Scheme: "mount", Path: path}).String() }

func option(name, value string) check.Option {
	return check.Option{Name: name, Values: []string{value}}
}

// patient is a timeout that no look at a healthy file system reaches.
var patient = []check.Option{option("interval", "1m"), option("timeout", "30s")}

func run(t *testing.T, path string, options ...check.Option) check.Result {
	t.Helper()
	return kindtest.Run(t, t.Context(), kindtest.Build(t, mountcheck.Kind(), mountURL(path), append(options, patient...)...))
}

func expect(t *testing.T, r check.Result, reason check.Reason, want string) {
	t.Helper()
	if r.Reason() != reason || r.Text() != want {
		t.Errorf("got  %s: %s\nwant %s: %s", r.Reason(), r.Text(), reason, want)
	}
}

func TestZeroOptionsAreTheDefaults(t *testing.T) {
	c := kindtest.Build(t, mountcheck.Kind(), "mount:///data")
	want := []check.Setting{{Name: "fstype", Value: ""}, {Name: "source", Value: ""}, {Name: "writable", Value: "false"}}
	if !slices.Equal(c.Options, want) {
		t.Errorf("got options %v, want %v", c.Options, want)
	}
	if c.Target != "mount:///data" || c.Name != "mount-data" {
		t.Errorf("target %s, name %s", c.Target, c.Name)
	}
}

func TestFaults(t *testing.T) {
	for _, test := range []struct{ url, want string }{
		{"mount:data", `url: "data" is a relative path; give an absolute one, such as mount:///data`},
		{"mount://data", `url: "data" would be a host name; write three slashes for a path of this host: mount:///data`},
		{"mount:///data?fstype=", `fstype: "" is not a type of file system; give one such as ext4, or several with commas`},
		{"mount:///data?fstype=nfs,a%20b", `fstype: "a b" is not a type of file system; give one such as ext4, or several with commas`},
		{"mount:///data?writable=perhaps", `writable: "perhaps" is not true or false`},
	} {
		_, err := kindtest.TryBuild(t, mountcheck.Kind(), test.url)
		if err == nil || err.Error() != test.want {
			t.Errorf("%s\n got %v\nwant %s", test.url, err, test.want)
		}
	}
}

func TestCancelled(t *testing.T) {
	kindtest.ExpectLeavesNothing(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	kindtest.ExpectReason(t, kindtest.Run(t, ctx, kindtest.Build(t, mountcheck.Kind(), "mount:///")), check.ReasonCanceled)
}
