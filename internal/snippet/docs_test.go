package snippet_test

import (
	"cmp"
	"fmt"
	"os"
	"strings"
	"testing"

	"hale/internal/snippet"
)

// The page lists every snippet as the code does.
func TestDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/snippets.md")
	if err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	for _, s := range snippet.All() {
		fmt.Fprintf(&want, "| `%s` | %s | %s |\n", s.Name, s.Help, cmp.Or(s.Proof, "its form only: not run"))
	}
	if !strings.Contains(string(page), "|---|---|---|\n"+want.String()+"\n") {
		t.Errorf("docs/snippets.md lacks the table\n%s", &want)
	}
}
