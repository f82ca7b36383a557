package diskcheck_test

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"testing"

	"hale/internal/check"
	"hale/internal/kinds/diskcheck"
	"hale/internal/kinds/kindtest"
)

func diskURL(path string) string { return (&url.URL{Scheme: "disk", Path: path}).String() }

func option(name, value string) check.Option {
	return check.Option{Name: name, Values: []string{value}}
}

// patient is a timeout that no look at a healthy file system reaches.
var patient = []check.Option{option("interval", "1m"), option("timeout", "30s")}

func run(t *testing.T, path string, options ...check.Option) check.Result {
	t.Helper()
	return kindtest.Run(t, t.Context(), kindtest.Build(t, diskcheck.Kind(), diskURL(path), append(options, patient...)...))
}

// expectFailure asserts a failure's reason and how its text begins.
func expectFailure(t *testing.T, result check.Result, reason check.Reason, begins string) {
	t.Helper()
	if result.Reason() != reason || !strings.HasPrefix(result.Text(), begins) {
		t.Errorf("got  %s: %s\nwant %s: %s", result.Reason(), result.Text(), reason, begins)
	}
}

func TestZeroOptionsAreTheDefaults(t *testing.T) {
	c := kindtest.Build(t, diskcheck.Kind(), "disk:///var/lib")
	want := []check.Setting{{Name: "min_free", Value: "5%"}, {Name: "min_free_inodes", Value: "5%"}}
	if !slices.Equal(c.Options, want) {
		t.Errorf("got options %v, want %v", c.Options, want)
	}
	if c.Target != "disk:///var/lib" || c.Name != "disk-var-lib" {
		t.Errorf("target %s, name %s", c.Target, c.Name)
	}
}

func TestFaults(t *testing.T) {
	for _, test := range []struct{ url, want string }{
		{"disk:var", `url: "var" is a relative path; give an absolute one, such as disk:///var/lib`},
		{"disk:///x?min_free=0&min_free_inodes=0", "min_free: is 0, as is min_free_inodes, so that nothing would be checked; give one of them"},
		{"disk:///x?min_free=lots", `min_free: "lots" is neither a percentage nor a size; write one such as 10% (in a URL 10%25), 500MB or 5GiB`},
		{"disk:///x?min_free=101%25", `min_free: "101%" is not a percentage; write one from 0% to 100%, such as 10% (in a URL 10%25)`},
		{"disk:///x?min_free_inodes=lots", `min_free_inodes: "lots" is neither a percentage nor a whole number; write one such as 10% (in a URL 10%25) or 5000`},
	} {
		_, err := kindtest.TryBuild(t, diskcheck.Kind(), test.url)
		if err == nil || err.Error() != test.want {
			t.Errorf("%s\n got %v\nwant %s", test.url, err, test.want)
		}
	}
	for _, right := range []string{"disk:///", "disk:/", "disk:///x?min_free=10%25", "disk:///x?min_free=0&min_free_inodes=100", "disk:///x#min_free=5GiB&min_free_inodes=0"} {
		if _, err := kindtest.TryBuild(t, diskcheck.Kind(), right); err != nil {
			t.Errorf("%s: %v", right, err)
		}
	}
}

func TestCancelled(t *testing.T) {
	kindtest.ExpectLeavesNothing(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	kindtest.ExpectReason(t, kindtest.Run(t, ctx, kindtest.Build(t, diskcheck.Kind(), "disk:///")), check.ReasonCanceled)
}
