package config_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"go.yaml.in/yaml/v4"

	"hale/internal/config"
)

// FuzzFile: whatever a file holds, Load returns a config that is whole or
// faults that have a place and fit on a line each.
func FuzzFile(f *testing.F) {
	for _, pattern := range []string{"testdata/bad/*.yaml", "testdata/good/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			f.Fatalf("%s: %d files, error %v", pattern, len(files), err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	r := registry(f)
	path := filepath.Join(f.TempDir(), "hale.yaml")
	f.Fuzz(func(t *testing.T, data []byte) {
		if bytes.Contains(data, []byte("${file:")) {
			return // it would depend on what this machine has
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		verify(t, func() (*config.Config, error) {
			return config.Load(config.Sources{File: path, Getenv: env("X", "value"), Hostname: hostname}, r)
		})
	})
}

// FuzzChecks is the same for HALE_CHECKS and an argument.
func FuzzChecks(f *testing.F) {
	for _, seed := range []string{
		"tcp://:80 http://h/?a=b#status=200\nexec:/x.sh --port \"21 81\" #interval=5s", "'", `a\`, "${env:X}", "redis://${env:X}@h",
		"exec:", "file:///x?max_age=1s", "tcp://[::1]:80", "postgres://u:p%40@h/", "x://", "tcp://:80#name=a tcp://:81#name=a", "file:#\x00",
	} {
		f.Add(seed)
	}
	r := registry(f)
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "${file:") {
			return
		}
		verify(t, func() (*config.Config, error) {
			return config.Load(config.Sources{Args: []string{text}, Getenv: env("HALE_CHECKS", text, "X", "value"), Hostname: hostname}, r)
		})
	})
}

func hostname() (string, error) { return "web-1", nil }

// verify checks what must hold for every outcome of Load.
func verify(t *testing.T, load func() (*config.Config, error)) {
	t.Helper()
	c, err := load()
	if err != nil {
		if c != nil {
			t.Error("a config and an error")
		}
		errs, ok := errors.AsType[config.Errors](err)
		if !ok || len(errs) == 0 {
			t.Fatalf("the error is %T %v", err, err)
		}
		for _, e := range errs {
			if e.Source == "" || e.Msg == "" || e.Line < 0 || (e.Line == 0) != (e.Column == 0) {
				t.Errorf("a fault without its place: %+v", e)
			}
			if strings.ContainsFunc(e.Error(), unicode.IsControl) {
				t.Errorf("control characters in %q", e)
			}
		}
		return
	}
	seen := map[string]bool{}
	for _, ck := range c.Checks {
		if ck.Name == "" || seen[ck.Name] {
			t.Errorf("the name %q is empty or given twice", ck.Name)
		}
		seen[ck.Name] = true
		if err := ck.Policy.Validate(); err != nil {
			t.Errorf("%s: %v", ck.Name, err)
		}
	}
	var shown bytes.Buffer
	if err := c.Show(&shown); err != nil {
		t.Fatal(err)
	}
	var again map[string]any
	if err := yaml.Load(shown.Bytes(), &again); err != nil {
		t.Errorf("what is shown is not YAML: %v\n%s", err, &shown)
	}
}
