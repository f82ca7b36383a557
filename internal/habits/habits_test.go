// Package habits keeps the repository's habits by testing them: package docs,
// the direction of dependencies, the sorted list of kinds, a page for each.
package habits

import (
	"bufio"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"hale/internal/check"
	"hale/internal/kinds"
)

// root is the repository's, seen from this package.
const root = "../.."

type pkg struct {
	ImportPath string
	Dir        string
	Doc        string
	Name       string
	GoFiles    []string
	Imports    []string
}

func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Dir,Doc,Name,GoFiles,Imports", "./...")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []pkg
	decoder := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p pkg
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func TestEveryPackageHasADoc(t *testing.T) {
	for _, p := range packages(t) {
		if len(p.GoFiles) > 0 && p.Doc == "" {
			t.Errorf("%s has no package comment", p.ImportPath)
		}
	}
}

// below says which of hale's packages each may import. A package that is not
// named may import any but those of cmd.
var below = map[string][]string{
	"hale/internal/check":              {},
	"hale/internal/agentcheck":         {"hale/internal/check", "hale/internal/verdict"},
	"hale/internal/balancer":           {},
	"hale/internal/explain":            {"hale/internal/balancer"},
	"hale/internal/capture":            {"hale/internal/balancer"},
	"hale/internal/snippet":            {"hale/internal/balancer"},
	"hale/internal/ownip":              {},
	"hale/internal/tlsconf":            {"hale/internal/check"},
	"hale/internal/verdict":            {"hale/internal/check"},
	"hale/internal/monitor":            {"hale/internal/check"},
	"hale/internal/config":             {"hale/internal/check"},
	"hale/internal/agent":              {"hale/internal/check", "hale/internal/monitor", "hale/internal/verdict"},
	"hale/internal/admin":              {"hale/internal/check", "hale/internal/monitor", "hale/internal/verdict"},
	"hale/internal/server":             {"hale/internal/check", "hale/internal/verdict"},
	"hale/internal/kinds/kindtest":     {"hale/internal/check", "hale/internal/servertest"},
	"hale/internal/kinds/*":            {"hale/internal/check", "hale/internal/engine", "hale/internal/hosturl", "hale/internal/isolate", "hale/internal/mounts", "hale/internal/quantity", "hale/internal/resp", "hale/internal/tlsconf"},
	"hale/internal/engine":             {"hale/internal/check"},
	"hale/internal/discover":           {"hale/internal/check"},
	"hale/internal/discover/docker":    {"hale/internal/check", "hale/internal/discover", "hale/internal/engine"},
	"hale/internal/discover/listeners": {"hale/internal/check", "hale/internal/discover"},
	"hale/internal/discover/write":     {"hale/internal/check"},
	"hale/internal/discover/links":     {"hale/internal/check", "hale/internal/discover"},
	"hale/internal/hosturl":            {"hale/internal/check"},
	"hale/internal/isolate":            {},
	"hale/internal/mounts":             {},
	"hale/internal/quantity":           {"hale/internal/check"},
	"hale/internal/resp":               {"hale/internal/check", "hale/internal/tlsconf"},
	"hale/internal/logs":               {},
	"hale/internal/servertest":         {},
}

func TestDependenciesPointDown(t *testing.T) {
	for _, p := range packages(t) {
		allowed, ok := below[p.ImportPath]
		if !ok && strings.HasPrefix(p.ImportPath, "hale/internal/kinds/") {
			allowed, ok = below["hale/internal/kinds/*"], true
		}
		for _, i := range p.Imports {
			if strings.HasPrefix(i, "hale/cmd") {
				t.Errorf("%s imports %s", p.ImportPath, i)
			}
			if ok && strings.HasPrefix(i, "hale/") && !slices.Contains(allowed, i) {
				t.Errorf("%s imports %s; it may import %v", p.ImportPath, i, allowed)
			}
		}
	}
}

func TestCheckStandsOnTheStandardLibrary(t *testing.T) {
	for _, p := range packages(t) {
		if p.ImportPath != "hale/internal/check" {
			continue
		}
		for _, i := range p.Imports {
			if strings.Contains(strings.Split(i, "/")[0], ".") {
				t.Errorf("%s imports %s", p.ImportPath, i)
			}
		}
		return
	}
	t.Error("there is no hale/internal/check")
}

func TestKindsAreSortedAndBuildable(t *testing.T) {
	var schemes []string
	for _, k := range kinds.All() {
		schemes = append(schemes, k.Scheme)
	}
	if !slices.IsSorted(schemes) {
		t.Errorf("the list of kinds is not sorted: %v", schemes)
	}
	registry, err := check.NewRegistry(check.Env{}, kinds.All()...)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range kinds.All() {
		if _, err := registry.Build(check.Spec{URL: k.Example, Policy: check.DefaultPolicy()}); err != nil {
			t.Errorf("the example of %s, %s, is refused: %v", k.Scheme, k.Example, err)
		}
	}
}

// pages names the page of a kind that shares another's.
var pages = map[string]string{
	"amqps": "amqp", "celery+amqp": "celery", "celery+amqps": "celery", "celery+redis": "celery", "celery+rediss": "celery",
	"grpcs": "grpc", "https": "http", "kafkas": "kafka", "natss": "nats", "postgresql": "postgres", "rediss": "redis", "smtps": "smtp",
}

var optionRow = regexp.MustCompile("^\\| `([a-z0-9_]+)` \\|")

func TestEveryKindIsDocumentedWithItsOptions(t *testing.T) {
	for _, k := range kinds.All() {
		if err := k.Validate(); err != nil {
			t.Error(err)
		}
		name := k.Scheme
		if page, ok := pages[name]; ok {
			name = page
		}
		path := filepath.Join(root, "docs", "kinds", name+".md")
		text, err := os.ReadFile(path)
		if err != nil {
			t.Errorf("kind %s has no page: %v", k.Scheme, err)
			continue
		}
		var want, got []string
		for _, o := range k.Options() {
			want = append(want, o.Name)
			if o.Help == "" {
				t.Errorf("option %s of %s has no help", o.Name, k.Scheme)
			}
		}
		for line := range strings.Lines(section(string(text), "## Options")) {
			if m := optionRow.FindStringSubmatch(line); m != nil {
				got = append(got, m[1])
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s lists the options\n%v\nthe kind %s has\n%v", path, got, k.Scheme, want)
		}
		if first, _, _ := strings.Cut(string(text), "\n"); !slices.Contains(strings.FieldsFunc(first, func(r rune) bool { return strings.ContainsRune("#, ", r) }), k.Scheme) {
			t.Errorf("the title of %s does not name %s", path, k.Scheme)
		}
		for _, heading := range []string{"## What it checks", "## URL", "## Options", "## Failures", "## Example"} {
			if !strings.Contains("\n"+string(text), "\n"+heading+"\n") {
				t.Errorf("%s lacks the heading %q", path, heading)
			}
		}
	}
}

// section returns what stands under a heading.
func section(text, heading string) string {
	_, rest, _ := strings.Cut(text, "\n"+heading+"\n")
	body, _, _ := strings.Cut(rest, "\n## ")
	return body
}

func TestExportedNamesAreDocumented(t *testing.T) {
	for _, p := range packages(t) {
		for _, file := range p.GoFiles {
			path := filepath.Join(p.Dir, file)
			parsed, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range parsed.Decls {
				if f, ok := d.(*ast.FuncDecl); ok && f.Name.IsExported() && exportedReceiver(f) && f.Doc == nil && p.Name != "main" {
					t.Errorf("%s: %s has no doc comment", path, f.Name.Name)
				}
			}
		}
	}
}

func exportedReceiver(f *ast.FuncDecl) bool {
	if f.Recv == nil {
		return true
	}
	typ := f.Recv.List[0].Type
	if star, ok := typ.(*ast.StarExpr); ok {
		typ = star.X
	}
	ident, ok := typ.(*ast.Ident)
	return ok && ident.IsExported()
}

// TestOnlyMainEndsTheProcess: os.Exit and log.Fatal skip what others deferred.
func TestOnlyMainEndsTheProcess(t *testing.T) {
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		if strings.HasSuffix(path, "cmd/hale/main.go") || strings.HasSuffix(path, "cmd/hale-probe/main.go") || strings.HasSuffix(path, "servertest/webapp/main.go") || strings.Contains(path, "/bench/") {
			return nil
		}
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer file.Close()
		scanner := bufio.NewScanner(file)
		for line := 1; scanner.Scan(); line++ {
			if strings.Contains(scanner.Text(), "os.Exit(") || strings.Contains(scanner.Text(), "log.Fatal") {
				t.Errorf("%s:%d ends the process", path, line)
			}
		}
		return scanner.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
}
