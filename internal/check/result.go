package check

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// MaxText is the greatest length, in bytes, of a result's note and of its
// error's message.
const MaxText = 512

// A Result is one run of a check.
type Result struct {
	// At is when the run started.
	At time.Time
	// Took is how long it lasted.
	Took time.Duration
	// Note is what a person may want to know of a healthy target; one line.
	Note string
	// Err is why it failed, an [*Error]; nil when healthy.
	Err error
}

// NewResult makes a result fit to be kept and shown: one line of printable
// text, at most [MaxText] bytes, and none of the secrets.
func NewResult(at time.Time, took time.Duration, note string, err error, secrets Secrets) Result {
	r := Result{At: at, Took: took, Note: CleanText(secrets.Mask(note))}
	if err != nil {
		r.Err = &Error{
			Reason:  ReasonOf(err),
			Warning: IsWarning(err),
			err:     shown(CleanText(secrets.Mask(err.Error()))),
		}
	}
	return r
}

// shown is an error that is nothing but its cleaned text, so that nobody can
// unwrap their way to a secret.
type shown string

func (s shown) Error() string { return string(s) }

// Healthy reports whether the run found its target fit for traffic, perhaps
// with a reservation.
func (r Result) Healthy() bool { return r.Err == nil || IsWarning(r.Err) }

// Reason is why the run failed, in one word; [ReasonNone] when it did not.
func (r Result) Reason() Reason { return ReasonOf(r.Err) }

// Text is what the run said: its error's message, else its note.
func (r Result) Text() string {
	if r.Err != nil {
		return r.Err.Error()
	}
	return r.Note
}

// CleanText makes text from anywhere fit for a line in a terminal, a log or a
// page: control characters and line breaks become spaces, invalid UTF-8 is
// replaced, runs of spaces are folded, and the length is bounded.
func CleanText(s string) string {
	if len(s) > 4*MaxText {
		s = s[:4*MaxText]
	}
	var b strings.Builder
	space := false
	for _, r := range s {
		if unicode.IsSpace(r) || !unicode.IsPrint(r) {
			space = b.Len() > 0
			continue
		}
		if space {
			b.WriteByte(' ')
			space = false
		}
		if b.Len()+utf8.RuneLen(r) > MaxText-len("…") {
			b.WriteString("…")
			break
		}
		b.WriteRune(r)
	}
	return b.String()
}
