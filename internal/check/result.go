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
	r := Result{At: at, Took: took, Note: fit(note, secrets)}
	if err != nil {
		r.Err = &Error{
			Reason:  ReasonOf(err),
			Warning: IsWarning(err),
			Certain: IsCertain(err),
			err:     shown(fit(err.Error(), secrets)),
		}
	}
	return r
}

// fit masks twice: before the text is cut, which could leave a part of a secret,
// and after it is cleaned, which could put one together.
func fit(text string, secrets Secrets) string {
	return secrets.Mask(CleanText(secrets.Mask(text)))
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
// page: colours and other terminal sequences go, control characters and line
// breaks become spaces, invalid UTF-8 is replaced, runs of spaces are folded,
// and the length is at most [MaxText].
func CleanText(s string) string {
	cut := len(s) > 4*MaxText
	if cut {
		end := 4 * MaxText
		for end > 0 && !utf8.RuneStart(s[end]) {
			end--
		}
		s = s[:end]
	}
	if strings.Contains(s, "\x1b") {
		s = terminalSequence().ReplaceAllLiteralString(s, "")
	}
	var b strings.Builder
	space := false
	for _, r := range s {
		if unicode.IsSpace(r) || !unicode.IsPrint(r) {
			space = b.Len() > 0
			continue
		}
		if b.Len()+len(" ")+utf8.RuneLen(r) > MaxText-len(ellipsis) {
			cut = true
			break
		}
		if space {
			b.WriteByte(' ')
			space = false
		}
		b.WriteRune(r)
	}
	if cut {
		b.WriteString(ellipsis)
	}
	return b.String()
}

// ellipsis stands for what was cut off.
const ellipsis = "…"

// terminalSequence matches control sequences (CSI) and commands (OSC) of
// terminals: ECMA-48, and xterm's for what sets its title.
var terminalSequence = lazily("\x1b\\[[0-?]*[ -/]*[@-~]|\x1b\\][^\x07\x1b]*(\x07|\x1b\\\\)?")
