package config_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hale/internal/config"
)

// How HALE_CHECKS is split: target of each check, and the words of a command.
func TestHaleChecks(t *testing.T) {
	for _, tt := range []struct {
		name, value string
		want        []string
	}{
		{"one", "tcp://:80", []string{"tcp://:80"}},
		{"spaces", "  tcp://:80   http://h/\ttcp://:81 ", []string{"tcp://:80", "http://h/", "tcp://:81"}},
		{"lines", "tcp://:80\n\ntcp://:81\r\n  http://h/?a=b#status=200\n", []string{"tcp://:80", "tcp://:81", "http://h/?a=b"}},
		{"command", "exec:/x.sh --port 2181", []string{"exec:/x.sh|--port|2181"}},
		{"command first", "exec:/x.sh -p 1 tcp://:80", []string{"exec:/x.sh|-p|1", "tcp://:80"}},
		{"command last", "tcp://:80 exec:/x.sh -p 1\ntcp://:81", []string{"tcp://:80", "exec:/x.sh|-p|1", "tcp://:81"}},
		{"two commands", "exec:/x.sh -p 1 exec:/y.sh -p 2", []string{"exec:/x.sh|-p|1", "exec:/y.sh|-p|2"}},
		{"command with options", "exec:/x.sh -p 1 #interval=5s tcp://:80", []string{"exec:/x.sh|-p|1", "tcp://:80"}},
		{"short scheme begins a check", "exec:/x.sh a file:/run/x", []string{"exec:/x.sh|a", "file:///run/x"}},
		{"quoted URL is an argument", `exec:/x.sh "http://h/" 'tcp://:80'`, []string{"exec:/x.sh|http://h/|tcp://:80"}},
		{"URL in a flag is an argument", `exec:/x.sh --url=http://h/ x:y`, []string{"exec:/x.sh|--url=http://h/|x:y"}},
		{"quotes keep spaces", `exec:/x.sh "a b" 'c  d' e\ f`, []string{"exec:/x.sh|a b|c  d|e f"}},
		{"quotes in quotes", `exec:/x.sh "it's" 'a "b"' "\"c\""`, []string{`exec:/x.sh|it's|a "b"|"c"`}},
		{"a backslash in single quotes", `exec:/x.sh 'a\' tcp://:80`, []string{`exec:/x.sh|a\`, "tcp://:80"}},
		{"quoted check", `"tcp://:80" 'exec:/x.sh a b' tcp://:81`, []string{"tcp://:80", "exec:/x.sh|a|b", "tcp://:81"}},
		{"quotes inside a URL", `file:"/run/a b" tcp://:80`, []string{"file:///run/a%20b", "tcp://:80"}},
		{"nothing", " \n\t ", nil},
		{"variable in a command", "exec:/x.sh ${env:PORT}", []string{"exec:/x.sh|2181"}},
		{"variable is a URL", "${env:TARGET} tcp://:80", []string{"redis://h:1", "tcp://:80"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := load(t, config.Sources{Getenv: env("HALE_CHECKS", tt.value, "PORT", "2181", "TARGET", "redis://h:1")})
			var got []string
			for _, ck := range c.Checks {
				if ck.Kind == "exec" {
					got = append(got, "exec:"+note(t, ck))
				} else {
					got = append(got, ck.Target)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestHaleChecksFaults(t *testing.T) {
	const noCheck = ` does not begin a check, and there is no command before it on this line that it could belong to; write KIND://HOST:PORT, such as tcp://127.0.0.1:5432`
	for _, tt := range []struct{ name, value, want string }{
		{"unclosed quote", "tcp://:80\nexec:/x.sh é 'a b\ntcp://:81", "HALE_CHECKS:2:14: this quote is not closed; close it, or put a backslash before it"},
		{"stray word", "tcp://:80 --port 80", `HALE_CHECKS:1:11: "--port"` + noCheck},
		{"only the first stray word is shown", "tcp://:80 --password hunter2 tcp://:81", `HALE_CHECKS:1:11: "--password"` + noCheck},
		{"a stray value is not shown", "PASSWORD=hunter2", `HALE_CHECKS:1:1: "PASSWORD"` + noCheck},
		{"a stray login is not shown", "app:hunter2@db:5432", `HALE_CHECKS:1:1: "***"` + noCheck},
		{"a command ends with its line", "exec:/x.sh\n--port", `HALE_CHECKS:2:1: "--port"` + noCheck},
		{"unknown kind after a command", "exec:/x.sh tpc://h/", `HALE_CHECKS:1:12: unknown kind of check "tpc"; did you mean "tcp"? (known: exec, file, http, postgres, redis, tcp)`},
		{"option", "tcp://:80#fall=x", `HALE_CHECKS:1:1: fall: "x" is not a whole number`},
		{"variable", "tcp://${env:NOPE}:80", `HALE_CHECKS:1:1: ${env:NOPE} is not set in the environment`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := loadErr(t, config.Sources{Getenv: env("HALE_CHECKS", tt.value)})
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// Names that people give are unique; names made of URLs become so.
func TestNames(t *testing.T) {
	for _, tt := range []struct {
		name, file, env string
		args            []string
		want            string
	}{
		{"made of URLs", "", "", []string{"tcp://:80", "http://h/a", "exec:/x/y.sh a"}, "tcp-80 http-h-a exec-y.sh"},
		{"numbered", "", "http://h/?a", []string{"http://h/?b", "http://h/?c"}, "http-h http-h-2 http-h-3"},
		{"options tell them apart", "", "", []string{"http://h/#status=200", "http://h/#status=204"}, "http-h http-h-2"},
		{"given in the URL", "", "", []string{"tcp://:80#name=db", "tcp://:81"}, "db tcp-81"},
		{"given wins over made, wherever", "tcp-81: tcp://h:1", "tcp://:80", []string{"tcp://:81", "tcp://:82#name=tcp-80"}, "tcp-81 tcp-80-2 tcp-81-2 tcp-80"},
		{"a number that is taken is skipped", "http-h-2: tcp://h:1", "http://h/?a http://h/?b", nil, "http-h-2 http-h http-h-3"},
		{"a named twin is allowed", "db: tcp://:80", "tcp://:80", nil, "db tcp-80"},
		{"long names stay valid", "", "", []string{"http://h/" + strings.Repeat("a", 300) + "?1", "http://h/" + strings.Repeat("a", 300) + "?2"},
			"http-h-" + strings.Repeat("a", 248) + " http-h-" + strings.Repeat("a", 246) + "-2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := config.Sources{Getenv: env("HALE_CHECKS", tt.env), Args: tt.args}
			if tt.file != "" {
				s.File = write(t, "checks:\n  "+tt.file+"\n")
			}
			if got := names(load(t, s)); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestNamesGivenTwice(t *testing.T) {
	for _, tt := range []struct {
		name, file, env string
		args            []string
		want            string
	}{
		{"in two arguments", "", "", []string{"tcp://:80#name=db", "tcp://:81#name=db"},
			`argument 2: the name "db" is given twice; the other is at argument 1`},
		{"in file and argument", "db: tcp://:80", "", []string{"tcp://:81#name=db"},
			`argument 1: the name "db" is given twice; the other is at hale.yaml:2:3`},
		{"in file and environment", "db: tcp://:80", "tcp://:81 tcp://:82#name=db", nil,
			`HALE_CHECKS:1:11: the name "db" is given twice; the other is at hale.yaml:2:3`},
		{"the same URL in two arguments", "", "", []string{"tcp://:80", "tcp://:81", "tcp://:80"},
			`argument 3: the same check is given twice; the other is at argument 1. Take one out, or name them with #name=NAME`},
		{"the same URL in environment and argument", "", "tcp://:80", []string{"tcp://:80#interval=1s"},
			`argument 1: the same check is given twice; the other is at HALE_CHECKS:1:1. Take one out, or name them with #name=NAME`},
		{"the same URL after a numbered one", "", "http://h/?a http://h/?b http://h/?b", nil,
			`HALE_CHECKS:1:25: the same check is given twice; the other is at HALE_CHECKS:1:13. Take one out, or name them with #name=NAME`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := config.Sources{Getenv: env("HALE_CHECKS", tt.env), Args: tt.args}
			if tt.file != "" {
				s.File = write(t, "checks:\n  "+tt.file+"\n")
			}
			got := loadErr(t, s)
			if s.File != "" {
				got = strings.ReplaceAll(got, strings.TrimSuffix(s.File, "hale.yaml"), "")
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}
