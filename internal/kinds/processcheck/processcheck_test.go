package processcheck_test

import (
	"slices"
	"strings"
	"testing"

	"hale/internal/check"
	"hale/internal/kinds/kindtest"
	"hale/internal/kinds/processcheck"
)

func TestZeroOptionsAreTheDefaults(t *testing.T) {
	want := []check.Setting{{Name: "min", Value: "1"}, {Name: "max", Value: "0"}, {Name: "program", Value: ""}, {Name: "user", Value: ""}}
	for _, url := range []string{"process:nginx", "process://nginx", "process://nginx/", "process:///run/nginx.pid", "process:/run/nginx.pid"} {
		if c := kindtest.Build(t, processcheck.Kind(), url); !slices.Equal(c.Options, want) {
			t.Errorf("%s: got options %v, want %v", url, c.Options, want)
		}
	}
}

func TestFaults(t *testing.T) {
	const names = "; write process:nginx, or process:///run/nginx.pid for a pid file"
	for _, test := range []struct{ url, want string }{
		{"process:", "url: has neither a name nor a pid file; write process:nginx or process:///run/nginx.pid"},
		{"process://", "url: has neither a name nor a pid file; write process:nginx or process:///run/nginx.pid"},
		{"process:run/nginx.pid", `url: "run/nginx.pid" is a path, and a program's name has no slash` + names},
		{"process:a%zz", "url: a % that is not followed by two hexadecimal digits; write %25 for %"},
		{"process:a%00b", `url: "a b" holds a NUL character, which no name can` + names},
		{"process:..", `url: ".." is not the name of a program` + names},
		{"process:" + strings.Repeat("a", 256), `url: "` + strings.Repeat("a", 256) + `" is longer than the name of a file can be` + names},
		{"process://run/nginx.pid", `url: "run" would be a host name; write three slashes for a path of this host: process:///run/nginx.pid`},
		{"process://a:hunter2@b/c", "url: a path of this host has no user; write process:///PATH, and %40 for an @ in the path"},
		{"process:nginx?min=0", "min: 0 is less than 1; at least one process must run"},
		{"process:nginx?max=-1", "max: -1 is negative; give a number, or 0 for no limit"},
		{"process:nginx?min=3&max=2", "max: 2 is less than the min 3"},
		{"process:nginx?program=nginx", "program: is for pid files, and the URL names the program already; leave it out"},
		{"process:///run/x.pid?min=2&max=3", "min: counts processes of a name, and a pid file has one process; leave it out\nmax: counts processes of a name, and a pid file has one process; leave it out"},
		{"process:///run/x.pid?program=/usr/sbin/nginx", `program: "/usr/sbin/nginx" is a path, and a program's name has no slash; give one such as nginx`},
		{"process:nginx?user=a:b", `user: "a:b" is not a user; give one name such as www-data, or a number`},
		{"process:nginx?user=99999999999", "user: 99999999999 is more than a user's number can be"},
	} {
		_, err := kindtest.TryBuild(t, processcheck.Kind(), test.url)
		if err == nil || err.Error() != test.want {
			t.Errorf("%s\n got %v\nwant %s", test.url, err, test.want)
		}
	}
}
