package check_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"hale/internal/check"
)

func TestCleanText(t *testing.T) {
	long := strings.Repeat("x", 600)
	for _, test := range []struct{ name, in, want string }{
		{"nothing", "", ""},
		{"plain", "200 OK", "200 OK"},
		{"spaces at the ends", "  a  b \t", "a b"},
		{"lines", "a\r\nb\u2028c\u0085d", "a b c d"},
		{"control characters", "a\x00b\x07c\x7fd", "a b c d"},
		{"colours", "\x1b[1;31mred\x1b[0m text\x1b[K", "red text"},
		{"a title", "\x1b]0;title\x07a\x1b]0;title\x1b\\b", "ab"},
		{"a lone escape", "a\x1bb", "a b"},
		{"an unfinished sequence", "a\x1b[31", "a [31"},
		{"C1 control", "a\u009b31mb", "a 31mb"},
		{"invalid UTF-8", "a\xffb\xc3", "a\ufffdb\ufffd"},
		{"right to left override", "a\u202eb", "a b"},
		{"zero width", "a\u200bb\ufeff", "a b"},
		{"other scripts", "größe 大小 🙂", "größe 大小 🙂"},
		{"long", long, long[:508] + "…"},
		{"long in two bytes", strings.Repeat("é", 300), strings.Repeat("é", 254) + "…"},
		{"long in three bytes", strings.Repeat("大", 3000), strings.Repeat("大", 169) + "…"},
		{"much that is not shown", "a" + strings.Repeat(" ", 5000) + "b", "a…"},
		{"cut inside a character", strings.Repeat(" ", 2047) + "é", "…"},
	} {
		if got := check.CleanText(test.in); got != test.want {
			t.Errorf("%s\n got %q\nwant %q", test.name, got, test.want)
		}
	}
}

func FuzzCleanText(f *testing.F) {
	f.Add("200 OK")
	f.Add("\x1b[31mred\x1b[0m\r\n")
	f.Add("\x1b\x1b[0m[0m")
	f.Add(strings.Repeat("é", 300))
	f.Add(strings.Repeat("a ", 1500) + "\xf0\x9f")
	f.Fuzz(func(t *testing.T, in string) {
		got := check.CleanText(in)
		if !utf8.ValidString(got) {
			t.Errorf("%q is not valid UTF-8", got)
		}
		if len(got) > check.MaxText {
			t.Errorf("%d bytes", len(got))
		}
		for _, r := range got {
			if !unicode.IsPrint(r) || unicode.IsControl(r) {
				t.Errorf("%q holds %q", got, r)
			}
		}
		if strings.Contains(got, "  ") || strings.TrimSpace(got) != got {
			t.Errorf("%q has spaces to fold", got)
		}
		if again := check.CleanText(got); again != got {
			t.Errorf("cleaned again %q becomes %q", got, again)
		}
	})
}

func TestNewResult(t *testing.T) {
	secrets := check.Secrets(nil).Add("hunter2")
	at := time.Now()
	r := check.NewResult(at, time.Second, " role\nmaster hunter2 ", nil, secrets)
	if r.Note != "role master ***" || r.Err != nil || r.At != at || r.Took != time.Second {
		t.Errorf("got %+v", r)
	}
	if !r.Healthy() || r.Reason() != check.ReasonNone || r.Text() != "role master ***" {
		t.Errorf("got healthy %v, reason %q, text %q", r.Healthy(), r.Reason(), r.Text())
	}

	cause := errors.New("AUTH hunter2 failed\x1b[0m")
	r = check.NewResult(at, 0, "note", check.Failf(check.ReasonAuth, "redis://h: %w", cause), secrets)
	if r.Healthy() || r.Reason() != check.ReasonAuth || r.Text() != "redis://h: AUTH *** failed" {
		t.Errorf("got healthy %v, reason %q, text %q", r.Healthy(), r.Reason(), r.Text())
	}
	if errors.Is(r.Err, cause) {
		t.Error("the cause, which holds a secret, can be unwrapped")
	}
	if text := fmt.Sprintf("%v %+v %#v", r.Err, r, r.Err); strings.Contains(text, "hunter2") {
		t.Errorf("printing shows the secret: %s", text)
	}

	r = check.NewResult(at, 0, "", check.Warnf(check.ReasonSlow, "took 2s"), nil)
	if !r.Healthy() || r.Reason() != check.ReasonSlow || !check.IsWarning(r.Err) {
		t.Errorf("a reservation: got healthy %v, reason %q", r.Healthy(), r.Reason())
	}
	r = check.NewResult(at, 0, "", context.DeadlineExceeded, nil)
	if r.Healthy() || r.Reason() != check.ReasonTimeout {
		t.Errorf("another error: got healthy %v, reason %q", r.Healthy(), r.Reason())
	}
}

// A secret is found before the text is cut, and after it is cleaned.
func TestNewResultMasksWhole(t *testing.T) {
	secrets := check.Secrets(nil).Add("hunter2-and-more", "two  spaces")
	for _, note := range []string{
		strings.Repeat("x", 500) + "hunter2-and-more",
		strings.Repeat(" ", 2040) + "hunter2-and-more",
		"hunter2\x1b[0m-and-more",
		"\x1b[31mhunter2-and\x1b[0m-more",
		"two\nspaces two  spaces",
	} {
		r := check.NewResult(time.Now(), 0, note, errors.New(note), secrets)
		for _, text := range []string{r.Note, r.Text()} {
			if strings.Contains(text, "hunter2") || strings.Contains(text, "two spaces") {
				t.Errorf("%q\nis shown as %q", note, text)
			}
		}
	}
}

func FuzzNewResult(f *testing.F) {
	f.Add("a hunter2 b", "hunter2")
	f.Add("a%20b", "a b c d")
	f.Fuzz(func(t *testing.T, note, secret string) {
		if !utf8.ValidString(note+secret) || strings.Contains(secret, "*") || len(secret) < 4 || len(check.CleanText(secret)) < 4 {
			t.Skip("too short to be masked, or like a mask")
		}
		secrets := check.Secrets(nil).Add(secret)
		r := check.NewResult(time.Time{}, 0, note+secret+note, errors.New(secret+note), secrets)
		for _, text := range []string{r.Note, r.Text()} {
			if strings.Contains(text, secret) || strings.Contains(text, check.CleanText(secret)) {
				t.Errorf("%q shows %q", text, secret)
			}
		}
	})
}
