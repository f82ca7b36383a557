package main

import (
	"strings"
	"testing"
	"time"

	"hale/internal/admin"
)

// What is not simply up or down is said where people look first.
func TestStatusWords(t *testing.T) {
	now := time.Now()
	var out strings.Builder
	err := printStatus(&out, &admin.Status{Now: now, Checks: []admin.Check{
		{Name: "a", Target: "tcp://a", Status: "down", StartBy: &now, Last: &admin.Result{Reason: "refused", Text: "nobody"}},
		{Name: "b", Target: "tcp://b", Status: "unknown", StartBy: &now},
		{Name: "c", Target: "tcp://c", Status: "up", Waiting: true, Late: 61, Last: &admin.Result{Took: 0.001}},
		{Name: "d", Target: "tcp://d", Status: "down", Impact: "warn", Last: &admin.Result{Reason: "refused", Text: "nobody"}},
	}}, "text")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(out.String()) {
		got = append(got, strings.Join(strings.Fields(line), " "))
	}
	want := []string{
		"", "",
		"CHECK TARGET STATUS REASON SINCE LAST RESULT",
		"a tcp://a down (starting) refused - nobody",
		"b tcp://b unknown (starting) - - no result yet",
		"c tcp://c up - - a run has waited for a place for 1m1s; took 1ms",
		"d tcp://d down (warn) refused - nobody",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
