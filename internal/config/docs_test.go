package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hale/internal/check"
	"hale/internal/config"
	"hale/internal/kinds"
)

const page = "../../docs/configuration.md"

// The page's tables say what the code says.
func TestDocumentedKeys(t *testing.T) {
	text := readPage(t)
	var keys, options []string
	for _, k := range config.Keys() {
		def := "–"
		if k.Default != "" {
			def = "`" + k.Default + "`"
		}
		keys = append(keys, fmt.Sprintf("| `%s` | %s | %s |", k.Name, def, k.Help))
	}
	for _, o := range check.CommonOptions() {
		options = append(options, fmt.Sprintf("| `%s` | %s | %s |", o.Name, o.Default, o.Help))
	}
	for head, want := range map[string][]string{
		"| key | default | meaning |":    keys,
		"| option | default | meaning |": options,
	} {
		_, rest, _ := strings.Cut(text, head+"\n|---|---|---|\n")
		table, _, _ := strings.Cut(rest, "\n\n")
		if diff := cmp.Diff(want, strings.Split(table, "\n")); diff != "" {
			t.Errorf("the table %s (-code +page)\n%s", head, diff)
		}
	}
}

// The page names every variable there is.
func TestDocumentedVariables(t *testing.T) {
	text := readPage(t)
	got := loadErr(t, config.Sources{Args: []string{"tcp://${}"}})
	_, known, _ := strings.Cut(got, "(known: ")
	known, _, _ = strings.Cut(known, ";")
	for _, v := range strings.Split(known, ", ") {
		if !strings.Contains(text, "| `"+v+"` |") {
			t.Errorf("the page's table lacks %s", v)
		}
	}
}

func readPage(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var yamlBlock = regexp.MustCompile("(?s)```yaml\n(.*?)```")

// Every example of the page is a configuration that is accepted.
func TestDocumentedExamples(t *testing.T) {
	r, err := check.NewRegistry(check.Env{}, kinds.All()...)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, name := range []string{"db", "token"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("secret\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text := strings.ReplaceAll(readPage(t), "/run/secrets", dir)
	blocks := yamlBlock.FindAllStringSubmatch(text, -1)
	if len(blocks) < 4 {
		t.Fatalf("%d examples", len(blocks))
	}
	for i, block := range blocks {
		_, err := config.Load(config.Sources{File: write(t, block[1]), Getenv: env("DB_PASSWORD", "secret"), OwnIP: ownIP(new(int), "10.0.1.85", "", nil)}, r)
		if err != nil {
			t.Errorf("example %d: %v", i+1, err)
		}
	}
	for _, m := range regexp.MustCompile(`(?s)HALE_CHECKS=(["'])(.*?)\n?["']\n`).FindAllStringSubmatch(text, -1) {
		if _, err := config.Load(config.Sources{Getenv: env("HALE_CHECKS", m[2])}, r); err != nil {
			t.Errorf("HALE_CHECKS %q: %v", m[2], err)
		}
	}
}
