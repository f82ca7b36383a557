package check_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hale/internal/check"
)

func TestRegistry(t *testing.T) {
	r := registry(t)
	if got, want := r.Schemes(), []string{"cmd", "db", "web"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if k, ok := r.Kind("web"); !ok || k.Scheme != "web" || !k.KeepsQuery || k.Example != "web://h" {
		t.Errorf("got %v, %v", k, ok)
	}
	if _, ok := r.Kind("none"); ok {
		t.Error("there is a kind none")
	}
}

// oddConfig makes kinds that can't work.
type oddConfig[T any] struct {
	webConfig
	Odd T `option:"odd"`
}

type (
	twiceConfig struct {
		webConfig
		Body2 string `option:"body"`
	}
	commonConfig struct {
		webConfig
		Timeout string `option:"timeout"`
	}
	urlConfig struct {
		webConfig
		URL string `option:"url"`
	}
	dashConfig struct {
		webConfig
		Max string `option:"max-age"`
	}
)

func TestRegistryRefusesKindsThatCannotWork(t *testing.T) {
	for _, test := range []struct {
		kinds []check.Kind
		want  string
	}{
		{[]check.Kind{dbKind(), webKind(), dbKind()}, `kind "db" is registered twice`},
		{[]check.Kind{check.Define("", "", webConfig{})}, `kind "": the scheme is not that of a URL in lower case`},
		{[]check.Kind{check.Define("DB", "", webConfig{})}, `kind "DB": the scheme is not that of a URL in lower case`},
		{[]check.Kind{check.Define("a:b", "", webConfig{})}, `kind "a:b": the scheme is not that of a URL in lower case`},
		{[]check.Kind{check.Define("a b", "", webConfig{})}, `kind "a b": the scheme is not that of a URL in lower case`},
		{[]check.Kind{check.Define("x", "", twiceConfig{})}, `kind "x": option "body": there is another of that name`},
		{[]check.Kind{check.Define("x", "", commonConfig{})}, `kind "x": option "timeout": there is another of that name`},
		{[]check.Kind{check.Define("x", "", urlConfig{})}, `kind "x": option "url": there is another of that name`},
		{[]check.Kind{check.Define("x", "", dashConfig{})}, `kind "x": option "max-age": the name is not of a-z, 0-9 and _`},
		{[]check.Kind{check.Define("x", "", oddConfig[uint]{})}, `kind "x": option "odd": an option can't be of type uint`},
		{[]check.Kind{check.Define("x", "", oddConfig[[]int]{})}, `kind "x": option "odd": an option can't be of type []int`},
		{[]check.Kind{check.Define("x", "", oddConfig[map[string]int]{})}, `kind "x": option "odd": an option can't be of type map[string]int`},
		{[]check.Kind{check.Define("x", "", oddConfig[*string]{})}, `kind "x": option "odd": an option can't be of type *string`},
		{[]check.Kind{check.Define("x", "", oddConfig[float32]{}), check.Define("y", "", oddConfig[check.Secret]{})}, ``},
	} {
		_, err := check.NewRegistry(check.Env{}, test.kinds...)
		for _, k := range test.kinds {
			if err == nil {
				err = k.Validate()
			}
		}
		if got := errText(err); got != test.want {
			t.Errorf("got  %s\nwant %s", got, test.want)
		}
	}
}

func TestKindOptions(t *testing.T) {
	want := []check.OptionInfo{
		{"password", "a secret", ""}, {"text", "a string", ""}, {"on", "a bool", "false"}, {"count", "an int", "7"},
		{"small", "a small int", "0"}, {"ratio", "a float", "0"}, {"max_age", "a duration", "1m0s"}, {"list", "a list", ""},
		{"roles", "a list with commas", "a"}, {"headers", "a map", ""}, {"level", "a type that reads itself", "level 0"},
		{"ca", "in an embedded struct", ""},
	}
	if diff := cmp.Diff(want, dbKind().Options()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if c, ok := dbKind().Defaults().(*dbConfig); !ok || c.Count != 7 {
		t.Errorf("got defaults %+v", c)
	}
	var names []string
	for _, o := range check.CommonOptions() {
		names = append(names, o.Name)
		if o.Help == "" || o.Default == "" {
			t.Errorf("%+v says too little", o)
		}
	}
	if want := []string{"name", "interval", "timeout", "recheck", "fall", "rise", "impact", "groups"}; !slices.Equal(names, want) {
		t.Errorf("got %v, want %v", names, want)
	}
}

// Building a check leaves the kind's defaults as they are.
func TestDefaultsAreNotShared(t *testing.T) {
	r := registry(t)
	for _, url := range []string{"db://h?count=1&roles=b&headers=A=b", "db://h"} {
		c, err := r.Build(check.Spec{URL: url, Policy: check.DefaultPolicy()})
		if err != nil {
			t.Fatal(err)
		}
		if url == "db://h" && (!slices.Contains(c.Options, check.Setting{Name: "count", Value: "7"}) ||
			!slices.Contains(c.Options, check.Setting{Name: "roles", Value: "a"})) {
			t.Errorf("got %v, want the defaults", c.Options)
		}
	}
}

func TestNearest(t *testing.T) {
	schemes := []string{"exec", "file", "http", "https", "postgres", "redis", "tcp", "zookeeper"}
	for word, want := range map[string]string{
		"htpp": "http", "HTTP": "http", "htttps": "https", "postgresql": "postgres", "pg": "", "redsi": "redis", "tpc": "tcp",
		"zookeper": "zookeeper", "": "", "x": "", "unrelated": "", strings.Repeat("x", 100): "", strings.Repeat("x", 1000): "",
		"été": "",
	} {
		if got := check.Nearest(word, schemes); got != want {
			t.Errorf("%q: got %q, want %q", word, got, want)
		}
	}
	if got := check.Nearest("tcp", nil); got != "" {
		t.Errorf("without candidates: got %q", got)
	}
	if got, want := check.DidYouMean("redsi", schemes), `; did you mean "redis"?`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := check.DidYouMean("unrelated", schemes); got != "" {
		t.Errorf("got %s, want nothing", got)
	}
}

func TestOptionErrors(t *testing.T) {
	a, b := check.OptionErrorf("a", "one"), check.OptionErrorf("", "two")
	got := check.OptionErrors(joined{a, joined{b, plainError("three")}})
	want := []*check.OptionError{{Option: "a", Msg: "one"}, {Msg: "two"}, {Msg: "three"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := check.OptionErrors(nil); got != nil {
		t.Errorf("of no error: %v", got)
	}
	if a.Error() != "a: one" || b.Error() != "two" {
		t.Errorf("got %v, %v", a, b)
	}
}

type joined []error

func (j joined) Error() string   { return "joined" }
func (j joined) Unwrap() []error { return j }

type plainError string

func (e plainError) Error() string { return string(e) }
