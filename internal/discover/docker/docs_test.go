package docker

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// The page tells of every option and label.
func TestDocs(t *testing.T) {
	page, err := os.ReadFile("../../../docs/docker.md")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, o := range Method().Options {
		want = append(want, "| `"+o.Name+"` |")
		if o.Help == "" {
			t.Errorf("%s has no help", o.Name)
		}
	}
	for _, name := range append(slices.Clone(labelNames), "check.NAME") {
		want = append(want, "`hale."+name)
	}
	for _, kind := range labelKinds {
		want = append(want, "`"+kind+"`")
	}
	for _, w := range want {
		if !strings.Contains(string(page), w) {
			t.Errorf("docs/docker.md lacks %s", w)
		}
	}
}
