package config_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hale/internal/config"
)

var update = flag.Bool("update", false, "write what came out into the .want files")

// Every file in testdata/bad is refused with the message beside it.
func TestBadFiles(t *testing.T) {
	r := registry(t)
	t.Chdir("testdata/bad")
	files, err := filepath.Glob("*.yaml")
	if err != nil || len(files) < 30 {
		t.Fatalf("%d files, error %v", len(files), err)
	}
	for _, file := range files {
		t.Run(file, func(t *testing.T) {
			c, err := config.Load(config.Sources{File: file, Getenv: unset}, r)
			if err == nil || c != nil {
				t.Fatalf("got %+v, %v; want an error and no config", c, err)
			}
			wantFile := strings.TrimSuffix(file, ".yaml") + ".want"
			got := err.Error() + "\n"
			if *update {
				if err := os.WriteFile(wantFile, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(wantFile)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func unset(string) (string, bool) { return "", false }
