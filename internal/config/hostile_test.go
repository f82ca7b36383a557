package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"hale/internal/config"
)

// Files that are not a configuration at all. A file that made Load wait would
// make the test time out.
func TestUnfitFiles(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	put := func(name, text string) string {
		if err := os.WriteFile(path(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path(name)
	}
	fifo := path("fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("loop", path("loop")); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ file, want string }{
		{path("none"), "none: can't be read: no such file or directory"},
		{dir, "is a directory; give a file"},
		{fifo, "fifo: is a pipe; give a regular file"},
		{"/dev/zero", "is a device; give a regular file"},
		{path("loop"), "loop: can't be read: too many levels of symbolic links"},
		{put("long", strings.Repeat("# x\n", 10<<18)), "long: is longer than 1024 KiB, the most that is read"},
		{put("just-too-long", strings.Repeat(" ", 1<<20+1)), "just-too-long: is longer than 1024 KiB, the most that is read"},
		{put("nul", "listen: :5000\n\x00"), "nul:2:1: control character 0x00; a configuration is plain text"},
		{put("escape", "é: \x1b[2J"), "escape:1:4: control character 0x1b; a configuration is plain text"},
		{put("latin1", "checks:\n  a: tcp://:80 # \xe9\n"), "latin1:2:18: byte 0xe9 is not UTF-8; save the file as UTF-8"},
		{put("utf16", "\xff\xfel\x00"), "utf16:1:1: is UTF-16; save it as UTF-8"},
		{put("binary", "\x7fELF\x02\x01"), "binary:1:1: control character 0x7f; a configuration is plain text"},
		{put("spaces", "  \n\n \n"), `spaces:1:1: is empty; write at least "checks:" and below it "  web: http://127.0.0.1:8000/", or {} for no checks`},
	} {
		t.Run(filepath.Base(tt.file), func(t *testing.T) {
			got := loadErr(t, config.Sources{File: tt.file})
			if got = got[max(0, len(got)-len(tt.want)):]; got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// Bombs are refused, or are no bombs: each file is done with in seconds, where
// a parser that falls for one takes minutes, all memory or the whole stack.
func TestBombs(t *testing.T) {
	const size = 1 << 18
	fill := func(before, piece, after string) string {
		return before + strings.Repeat(piece, (size-len(before)-len(after))/len(piece)) + after
	}
	var laughs, merges, wide, indent strings.Builder
	laughs.WriteString("a0: &a0 [x,x,x,x,x,x,x,x,x]\n")
	merges.WriteString("a0: &a0 {k: v}\n")
	for i := 1; i < 60; i++ {
		fmt.Fprintf(&laughs, "a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d,", i-1), 9), ","))
		fmt.Fprintf(&merges, "a%d: &a%d {x: [*a%d, *a%d], <<: [*a%d, *a%d]}\n", i, i, i-1, i-1, i-1, i-1)
	}
	wide.WriteString("a: &a {")
	for i := range 10_000 {
		fmt.Fprintf(&wide, "k%d: v, ", i)
	}
	wide.WriteString("}\nchecks:\n")
	for i := range 10_000 {
		fmt.Fprintf(&wide, "  c%d: *a\n", i)
	}
	for i := range 1400 {
		indent.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	key := strings.Repeat("k", 90)
	deep := strings.Repeat("{"+key+": 1, "+key+": ", 5000) + "1" + strings.Repeat("}", 5000)
	const tooBig = "aliases make this file too big"
	for _, tt := range []struct{ name, text, want string }{
		{"billion laughs", laughs.String(), tooBig},
		{"merges", merges.String(), tooBig},
		{"one big map many times", wide.String(), tooBig},
		{"brackets", fill("", "[", ""), "exceeded max depth"},
		{"braces", fill("", "{a: ", ""), "exceeded max depth"},
		{"closed brackets", strings.Repeat("[", size/2) + strings.Repeat("]", size/2), "exceeded max depth"},
		{"dashes", fill("", "- ", ""), "exceeded max depth"},
		{"question marks", fill("", "? ", ""), "exceeded max depth"},
		{"indentation", indent.String(), "is nested more than 20 deep"},
		{"faults in the deep", deep, "is nested more than 20 deep"},
		{"anchors", fill("", "&a ", ""), "not YAML"},
		{"tags", fill("", "!a ", ""), "not YAML"},
		{"colons", fill("", "a: ", ""), "not YAML"},
		{"documents", fill("", "---\n", ""), "a second document begins here"},
		{"blank lines in a block scalar", fill("a: |\n  x\n", "\n", ""), `unknown key "a"`},
		{"tabs in quotes", fill(`a: "`, "\t", `"`), `unknown key "a"`},
		{"blank lines in quotes", fill(`a: "`, " \n", `"`), `unknown key "a"`},
		{"long key", fill("", "k", ": x\n"), "unknown key"},
		{"long value", fill("listen: ", "k", "\n"), "is not an address"},
		{"comments", fill("", "#\n", ""), "is empty"},
		{"list", fill("a: [", "x,", "]"), `unknown key "a"`},
		{"many checks", fill("checks:\n", "  a: x\n", ""), "is given twice"},
		{"variables", fill("checks: {a: '", "${env:X}", "'}"), "${ stands here more than 1000 times"},
		{"open variables", fill("checks: {a: '", "${", "'}"), "${ stands here more than 1000 times"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			start := time.Now()
			got := loadErr(t, config.Sources{File: write(t, tt.text)})
			if !strings.Contains(got, tt.want) {
				t.Errorf("got %.300q, want %q in it", got, tt.want)
			}
			if len(got) > 200*1000 {
				t.Errorf("the message is %d bytes long", len(got))
			}
			t.Logf("%v", time.Since(start))
		})
	}
}

// What is filled in is bounded, too.
func TestFilledInTooMuch(t *testing.T) {
	secret := secretFile(t, strings.Repeat("x", 64<<10))
	text := "checks: {a: {url: 'http://h', body: '" + strings.Repeat("${file:"+secret+"}", 200) + "'}}"
	got := loadErr(t, config.Sources{File: write(t, text)})
	if !strings.HasSuffix(got, "} is too much: all that is filled in may be 8 MiB long together") {
		t.Errorf("got %.300q", got)
	}
}

// HALE_CHECKS may be as long as the kernel lets it be.
func TestLongEnvironment(t *testing.T) {
	for name, piece := range map[string]string{"words": "x ", "quotes": `"`, "backslashes": `\`, "lines": "\n'", "command": "exec:/x ", "schemes": "tcp:"} {
		t.Run(name, func(t *testing.T) {
			loadErr(t, config.Sources{Getenv: env("HALE_CHECKS", strings.Repeat(piece, 128<<10/len(piece)-1)+"'")})
		})
	}
}

// Ten thousand checks are an ordinary configuration.
func TestManyChecks(t *testing.T) {
	var b strings.Builder
	b.WriteString("defaults: {interval: 10s}\nchecks:\n  base: &base {url: 'http://h', timeout: 1s, status: 200}\n")
	for i := range 9_999 {
		fmt.Fprintf(&b, "  c%d: {<<: *base, url: 'http://127.0.0.1:8000/%d'}\n", i, i)
	}
	c := load(t, config.Sources{File: write(t, b.String())})
	if len(c.Checks) != 10_000 {
		t.Errorf("%d checks", len(c.Checks))
	}
}
