package check_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"hale/internal/check"
)

func TestParseOptions(t *testing.T) {
	for text, want := range map[string][]check.Option{
		"":                  nil,
		"&&":                nil,
		"a=1":               {option("a", "1")},
		"a=1&b=2":           {option("a", "1"), option("b", "2")},
		"a":                 {option("a", "true")},
		"a=":                {option("a", "")},
		"a=b=c":             {option("a", "b=c")},
		"a=b+c%20d%26e%2Bf": {option("a", "b+c d&e+f")},
		"a=1&b=x&a=2":       {{Name: "a", Values: []string{"1", "2"}}, option("b", "x")},
	} {
		got, err := check.ParseOptions(text)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%q: %v\n%s", text, err, diff)
		}
	}
	for text, want := range map[string]string{
		"a=%":           "a: a % that is not followed by two hexadecimal digits; write %25 for %",
		"a=%2g":         "a: a % that is not followed by two hexadecimal digits; write %25 for %",
		"hunter2@h=%2g": "url: a % that is not followed by two hexadecimal digits; write %25 for %",
	} {
		if _, err := check.ParseOptions(text); errText(err) != want {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
}

func TestOptionTypes(t *testing.T) {
	values := func(name string, values ...string) check.Option { return check.Option{Name: name, Values: values} }
	pairs := func(name string, pairs ...[2]string) check.Option {
		return check.Option{Name: name, Pairs: pairs, IsMap: true}
	}
	for _, test := range []struct {
		option check.Option
		want   string // as shown, or the error after "!"
	}{
		{values("password", "hunter2"), "***"},
		{values("password", ""), ""},
		{values("text", " a,b "), " a,b "},
		{values("text"), "!text: has 0 values; give one value"},
		{values("text", "a", "b"), "!text: has 2 values; give one value"},
		{pairs("text", [2]string{"a", "b"}), "!text: is a map; give one value"},
		{values("on", "true"), "true"},
		{values("on", "0"), "false"},
		{values("on", "yes"), `!on: "yes" is not true or false`},
		{values("count", "-0"), "0"},
		{values("count", "9223372036854775807"), "9223372036854775807"},
		{values("count", "9223372036854775808"), `!count: "9223372036854775808" is not a whole number`},
		{values("count", "1.5"), `!count: "1.5" is not a whole number`},
		{values("count", "1", "2"), "!count: has 2 values; give a whole number"},
		{values("small", "127"), "127"},
		{values("small", "128"), `!small: "128" is not a whole number`},
		{values("ratio", "0.5"), "0.5"},
		{values("ratio", "half"), `!ratio: "half" is not a number`},
		{values("ratio", "NaN"), `!ratio: "NaN" is not a number`},
		{values("ratio", "-Inf"), `!ratio: "-Inf" is not a number`},
		{values("max_age", "90s"), "1m30s"},
		{values("max_age", "90"), `!max_age: "90" has no unit; write 90s for seconds, 90ms for milliseconds`},
		{values("max_age", "1.5"), `!max_age: "1.5" has no unit; write 1.5s for seconds, 1.5ms for milliseconds`},
		{values("max_age", "inf"), `!max_age: "inf" is not a duration; write one such as 500ms, 5s or 1h`},
		{values("max_age", "5 s"), `!max_age: "5 s" is not a duration; write one such as 500ms, 5s or 1h`},
		{values("max_age", "9999999h"), `!max_age: "9999999h" is not a duration; write one such as 500ms, 5s or 1h`},
		{values("max_age", "\x1b[31m"), `!max_age: "" is not a duration; write one such as 500ms, 5s or 1h`},
		{values("list", "a,b", "c"), "a,b,c"},
		{values("list"), ""},
		{pairs("list"), "!list: is a map; give a list"},
		{values("roles", "a, b", "c"), "a,b,c"},
		{values("headers", "B: c=d", "A=b"), "A=b,B=c=d"},
		{pairs("headers", [2]string{"B", "c"}, [2]string{"Authorization", "hunter2"}), "Authorization=***,B=c"},
		{pairs("headers"), ""},
		{values("headers", "Bearer hunter2"), `!headers: "Bearer" is not a name and a value; give NAME=VALUE`},
		{values("headers", "=x"), `!headers: "=x" is not a name and a value; give NAME=VALUE`},
		{pairs("headers", [2]string{"A", "b"}, [2]string{"A", "c"}), `!headers: "A" is given twice`},
		{values("level", "high"), "level 10"},
		{values("level", "low"), `!level: "low" is not a level; give high`},
		{pairs("level"), `!level: is a map; give one value`},
		{values("ca", "/x"), "/x"},
	} {
		c, err := build(t, "db://h", test.option)
		if want, fails := strings.CutPrefix(test.want, "!"); fails {
			if errText(err) != want {
				t.Errorf("%+v\n got %v\nwant %s", test.option, err, want)
			}
			continue
		}
		if want := (check.Setting{Name: test.option.Name, Value: test.want}); err != nil || !slices.Contains(c.Options, want) {
			t.Errorf("%+v: got %v, want %v", test.option, err, want)
		}
	}
}

// A value that came from where secrets come from is in no error, however short
// it is and whatever option it is meant for.
func TestSecretOptionIsInNoError(t *testing.T) {
	for _, name := range []string{"on", "count", "ratio", "max_age", "level", "headers", "interval", "fall", "impact", "groups", "name", "no_such"} {
		for _, value := range []string{"hunter2 ~", "~ \n\t~"} {
			_, err := build(t, "db://h", check.Option{Name: name, Values: []string{value}, Secret: true})
			if err == nil || strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "~") {
				t.Errorf("%s: got %v, want an error without the value", name, err)
			}
		}
	}
	c, err := build(t, "db://h", check.Option{Name: "headers", IsMap: true, Pairs: [][2]string{{"X", "hunter2"}}, Secret: true})
	if err != nil || c.Secrets.Mask("hunter2") != check.Masked {
		t.Errorf("a value of a map is not known as a secret: %v", err)
	}
}

// Secrets inside the values of other options are masked too.
func TestSecretsInOptions(t *testing.T) {
	c := mustBuild(t, "db://h", option("text", "http://u:hunter2@proxy:1/"),
		check.Option{Name: "list", Values: []string{"a", "http://u:hunter3@proxy"}},
		check.Option{Name: "headers", IsMap: true, Pairs: [][2]string{{"X-API-Key", "hunter4"}, {"URL", "http://u:hunter5@h"}}})
	for _, o := range c.Options {
		if strings.Contains(o.Value, "hunter") {
			t.Errorf("%s is shown as %s", o.Name, o.Value)
		}
	}
	if got, want := c.Secrets.Mask("hunter2 hunter3 hunter4 hunter5"), "*** *** *** ***"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A password that is also what is shown anyway is not masked there, which would
// tell what it is.
func TestSecretThatIsShownAnyway(t *testing.T) {
	for _, test := range []struct{ url, want string }{
		{"db://guest:guest@h", "db://guest:***@h"},
		{"db://u:data@data/x", "db://u:***@data/x"},
		{"db://u:data@h/x/data", "db://u:***@h/x/data"},
		{"db://u:data@h/x/data1", "db://u:***@h/x/***1"},
	} {
		c := mustBuild(t, test.url)
		if c.Target != test.want {
			t.Errorf("got %s, want %s", c.Target, test.want)
		}
	}
	c, err := registry(t).Build(check.Spec{URL: "db://guest:guest@h", Policy: check.DefaultPolicy(), Secrets: check.Secrets{"guest"}})
	if err != nil || c.Target != "db://***:***@h" {
		t.Errorf("known as a secret: got %v, %v", c, err)
	}
}

func TestParseDuration(t *testing.T) {
	if d, err := check.ParseDuration("1h30m"); d != 90*time.Minute || err != nil {
		t.Errorf("got %v, %v", d, err)
	}
	for _, text := range []string{"", "5 ", "٣", strings.Repeat("9", 1000), "1e3", "0x1p4"} {
		if _, err := check.ParseDuration(text); err == nil || len(err.Error()) > check.MaxText+100 {
			t.Errorf("%q: got %v", text, err)
		}
	}
}
