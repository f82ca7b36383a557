//go:build unix

package execcheck_test

import (
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hale/internal/kinds/execcheck"
)

func TestSplit(t *testing.T) {
	tests := []struct {
		line string
		want []string
	}{
		{"", nil},
		{" \t\n ", nil},
		{"/x.sh", []string{"/x.sh"}},
		{"  /x.sh  --port\t2181 \n", []string{"/x.sh", "--port", "2181"}},
		{`/x.sh 'a b' "c d"`, []string{"/x.sh", "a b", "c d"}},
		{`a'b c'"d e"f`, []string{"ab cd ef"}},
		{`'' ""`, []string{"", ""}},
		{`a\ b \'c\" \\`, []string{"a b", `'c"`, `\`}},
		{`'a\b'`, []string{`a\b`}},
		{`"a\"b" "\$HOME" "\a" "\\"`, []string{`a"b`, "$HOME", `\a`, `\`}},
		{"a\\\nb \\\n c", []string{"ab", "c"}},
		{"\"a\\\nb\" 'a\\\nb'", []string{"ab", "a\\\nb"}},
		{`$HOME * ~ #x a;b http://x/?a=1&b=2`, []string{"$HOME", "*", "~", "#x", "a;b", "http://x/?a=1&b=2"}},
		{`expr 3 '>' \| ">"`, []string{"expr", "3", ">", "|", ">"}},
		{"/x.sh ä '日 本'", []string{"/x.sh", "ä", "日 本"}},
	}
	for _, test := range tests {
		got, err := execcheck.Split(test.line)
		if err != nil {
			t.Errorf("Split(%q): %v", test.line, err)
		} else if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("Split(%q) (-want +got):\n%s", test.line, diff)
		}
	}
}

func TestSplitErrors(t *testing.T) {
	tests := []struct{ line, want string }{
		{`/x.sh 'a b`, `the quote ' at character 7 is never closed; close it, or write \' for the character itself`},
		{`/x.sh "a b\"`, `the quote " at character 7 is never closed; close it, or write \" for the character itself`},
		{`/x.sh a\`, `the line ends with a backslash; write \\ for the character itself`},
		{`/x.sh | grep ok`, `| needs a shell, and exec runs none; quote it if it is meant as an argument, or have a shell run the line: exec:/bin/sh -c 'COMMAND | …'`},
		{`/x.sh 2>&1`, `2>&1 needs a shell, and exec runs none; quote it if it is meant as an argument, or have a shell run the line: exec:/bin/sh -c 'COMMAND 2>&1 …'`},
	}
	for _, test := range tests {
		words, err := execcheck.Split(test.line)
		if err == nil {
			t.Errorf("Split(%q) = %q, want an error", test.line, words)
		} else if err.Error() != test.want {
			t.Errorf("Split(%q):\ngot  %s\nwant %s", test.line, err, test.want)
		}
	}
}

// TestSplitLikeTheShell compares with what sh makes of random lines.
func TestSplitLikeTheShell(t *testing.T) {
	pieces := []string{"a", "b", "-", "/", "'", `"`, `\`, " ", "\t", "é"}
	random := rand.New(rand.NewPCG(1, 2))
	failed := 0
	for range 400 {
		var b strings.Builder
		for range random.IntN(14) {
			b.WriteString(pieces[random.IntN(len(pieces))])
		}
		line := b.String()
		if strings.HasSuffix(line, `\`) {
			continue // the shell takes the last backslash for itself; Split refuses it
		}
		want, shellErr := exec.Command("/bin/sh", "-c", `printf '%s\0' `+line).Output()
		got, err := execcheck.Split(line)
		if (err != nil) != (shellErr != nil) {
			t.Errorf("Split(%q): %v, the shell: %v", line, err, shellErr)
			continue
		}
		if err != nil {
			failed++
			continue
		}
		if len(got) == 0 {
			got = []string{""} // printf's format is used once even without words
		}
		if joined := strings.Join(got, "\x00") + "\x00"; joined != string(want) {
			t.Errorf("Split(%q) = %q, the shell: %q", line, got, want)
		}
	}
	if failed == 0 || failed > 350 {
		t.Errorf("%d of 400 lines were wrong; the test tests too little", failed)
	}
}

func FuzzSplit(f *testing.F) {
	f.Add("a", "b c")
	f.Add("it's", `"\`)
	f.Fuzz(func(t *testing.T, a, b string) {
		quote := func(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
		got, err := execcheck.Split(quote(a) + " " + quote(b))
		if err != nil || len(got) != 2 || got[0] != a || got[1] != b {
			t.Errorf("got %q, %v, want %q, %q", got, err, a, b)
		}
		_, _ = execcheck.Split(a) // must not panic
	})
}
