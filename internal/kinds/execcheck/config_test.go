//go:build unix

package execcheck_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"hale/internal/check"
	"hale/internal/kinds/execcheck"
	"hale/internal/kinds/kindtest"
)

func TestDefaults(t *testing.T) {
	want := &execcheck.Config{Codes: "exit"}
	for _, kind := range []check.Kind{execcheck.Kind(), execcheck.KindAnyPath()} {
		got := kind.Defaults()
		if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(execcheck.Config{})); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if err := got.Validate(); err != nil {
			t.Errorf("the defaults are not valid: %v", err)
		}
		if kind.Scheme != "exec" || kind.Pool != "exec" || !kind.Opaque {
			t.Errorf("got %+v", kind)
		}
	}
}

func TestExampleIsRight(t *testing.T) {
	c := kindtest.Build(t, execcheck.Kind(), execcheck.Kind().Example)
	if want := "exec:/usr/local/bin/check.sh --port 2181"; c.Target != want {
		t.Errorf("got target %q, want %q", c.Target, want)
	}
	if want := "exec-check.sh"; c.Name != want {
		t.Errorf("got name %q, want %q", c.Name, want)
	}
	if c.Pool != "exec" {
		t.Errorf("got pool %q, want exec", c.Pool)
	}
}

func TestRefused(t *testing.T) {
	option := func(name string, values ...string) []check.Option {
		return []check.Option{{Name: name, Values: values}}
	}
	tests := []struct {
		name    string
		url     string
		options []check.Option
		want    string
	}{
		{"no command", "exec:", nil, "url: no command; write exec:/path/to/program ARGUMENT…"},
		{"empty command", "exec:'' a", nil, "url: no command; write exec:/path/to/program ARGUMENT…"},
		{"unclosed quote", "exec:/x.sh 'a b", nil, `url: the quote ' at character 7 is never closed; close it, or write \' for the character itself`},
		{"relative path", "exec:bin/x.sh a", nil, `url: "bin/x.sh" is a relative path, and hale may run anywhere; write an absolute one such as exec:/usr/local/bin/x.sh, or exec:x.sh to look it up in PATH`},
		{"dot path", "exec:./x.sh", nil, `url: "./x.sh" is a relative path, and hale may run anywhere; write an absolute one such as exec:/usr/local/bin/x.sh, or exec:x.sh to look it up in PATH`},
		{"slashes", "exec:///usr/bin/x.sh", nil, "url: exec is followed by a command line and not by //; write exec:/usr/bin/x.sh"},
		{"directory", "exec:/usr/bin/", nil, `url: "/usr/bin/" is a directory; write exec:/path/to/program ARGUMENT…`},
		{"assignment", "exec:TOKEN=hunter22 /x.sh", nil, "url: TOKEN=… is an assignment, which needs a shell, and exec runs none; set variables with the option env"},
		{"nul", "exec:/x.sh a\x00b", nil, "url: the command line has a NUL character, which no program can be given"},
		{"codes", "exec:/x.sh #codes=lsb", nil, `codes: "lsb" is unknown; give exit or nagios`},
		{"env name", "exec:/x.sh", []check.Option{{Name: "env", IsMap: true, Pairs: [][2]string{{"", "x"}, {"A=B", "x"}, {"OK", "x"}}}},
			"env: \"\" can't be a variable's name; give NAME=VALUE\nenv: \"A=B\" can't be a variable's name; give NAME=VALUE"},
		{"env value", "exec:/x.sh", []check.Option{{Name: "env", IsMap: true, Pairs: [][2]string{{"A", "x\x00"}}}},
			"env: the value of A has a NUL character, which no program can be given"},
		{"dir", "exec:/x.sh", option("dir", "srv/app"), `dir: "srv/app" is a relative path, and hale may run anywhere; write an absolute one such as /srv/app`},
		{"dir nul", "exec:/x.sh", option("dir", "/srv\x00"), "dir: the path has a NUL character, which no path can have"},
		{"user", "exec:/x.sh", option("user", "app:app"), `user: "app:app" is not a user; give one name such as www-data, or a number`},
		{"all at once", "exec:/x.sh #codes=x&dir=y", nil,
			"codes: \"x\" is unknown; give exit or nagios\ndir: \"y\" is a relative path, and hale may run anywhere; write an absolute one such as /srv/app"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := kindtest.TryBuild(t, execcheck.Kind(), test.url, test.options...)
			if err == nil {
				t.Fatalf("got no error, want %s", test.want)
			}
			if err.Error() != test.want {
				t.Errorf("\ngot  %s\nwant %s", err, test.want)
			}
		})
	}
}
