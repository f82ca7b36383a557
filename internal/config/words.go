package config

import (
	"strings"
	"unicode/utf8"

	"github.com/kballard/go-shellquote"

	"hale/internal/check"
)

// A unit is one check's URL in HALE_CHECKS, as written there.
type unit struct {
	url          string
	line, column int
}

// A wordFault is a fault in how HALE_CHECKS is written.
type wordFault struct {
	line, column int
	msg          string
}

// splitChecks splits the value of HALE_CHECKS into URLs. Checks are separated
// by spaces and line breaks; quotes and backslashes keep spaces as in a shell.
// After an exec check, whose URL is a command, all words of the line belong to
// it up to one that begins with a check's scheme without a quote before it.
func splitChecks(text string, r *check.Registry) ([]unit, []wordFault) {
	var units []unit
	var faults []wordFault
	for i, line := range strings.Split(text, "\n") {
		words, unclosed := splitWords(line)
		if unclosed >= 0 {
			faults = append(faults, wordFault{i + 1, columnOf(line, unclosed), "this quote is not closed; close it, or put a backslash before it"})
			continue
		}
		lineUnits, lineFaults := groupWords(line, words, r)
		for _, u := range lineUnits {
			u.line, u.column = i+1, columnOf(line, u.column)
			units = append(units, u)
		}
		for _, f := range lineFaults {
			f.line, f.column = i+1, columnOf(line, f.column)
			faults = append(faults, f)
		}
	}
	return units, faults
}

func columnOf(line string, offset int) int { return utf8.RuneCountInString(line[:offset]) + 1 }

// A word is a word's start and end in its line.
type word struct{ start, end int }

// splitWords finds the words of a line as a shell does. unclosed is where a
// quote begins that is not closed, else -1.
func splitWords(line string) (words []word, unclosed int) {
	var quote byte
	start, quoteAt := -1, -1
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case quote == '\'' && c != '\'':
		case c == '\\':
			if start < 0 {
				start = i
			}
			i++
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == ' ' || c == '\t' || c == '\r':
			if start >= 0 {
				words = append(words, word{start, i})
				start = -1
			}
		default:
			if start < 0 {
				start = i
			}
			if c == '"' || c == '\'' {
				quote, quoteAt = c, i
			}
		}
	}
	if quote != 0 {
		return nil, quoteAt
	}
	if start >= 0 {
		words = append(words, word{start, len(line)})
	}
	return words, -1
}

// groupWords makes URLs of a line's words. The columns of what it returns are
// offsets.
func groupWords(line string, words []word, r *check.Registry) (units []unit, faults []wordFault) {
	command := -1 // where the URL that may go on began
	stray := false
	for _, w := range words {
		raw := line[w.start:w.end]
		begins, opaque := beginsCheck(raw, r)
		switch {
		case begins:
			stray, command = false, -1
			if opaque {
				command = w.start
			}
			units = append(units, unit{url: unquote(raw, opaque), column: w.start})
		case command >= 0:
			units[len(units)-1].url = line[command:w.end]
		case isQuoted(raw), strings.HasPrefix(raw, "${"):
			// A whole URL in quotes, or one that a variable gives.
			stray = false
			units = append(units, unit{url: unquote(raw, false), column: w.start})
		case !stray:
			// Of several words that belong to nothing the first is the one to
			// name: what follows it may be a secret.
			stray = true
			faults = append(faults, wordFault{column: w.start, msg: strayMessage(raw)})
		}
	}
	return units, faults
}

func isQuoted(raw string) bool { return strings.HasPrefix(raw, `"`) || strings.HasPrefix(raw, "'") }

// beginsCheck reports whether a word begins a check: with the scheme of a kind
// that there is, or with anything like a scheme and two slashes. opaque is true
// for a kind that more words may follow.
func beginsCheck(raw string, r *check.Registry) (begins, opaque bool) {
	scheme, rest, ok := check.SplitScheme(raw)
	if !ok {
		return false, false
	}
	kind, known := r.Kind(scheme)
	return known || strings.HasPrefix(rest, "//"), known && kind.Opaque
}

// unquote takes the quotes off a word, but for a command, which keeps its own.
func unquote(raw string, opaque bool) string {
	if opaque {
		return raw
	}
	if words, err := shellquote.Split(raw); err == nil && len(words) == 1 {
		return words[0]
	}
	return raw
}

func strayMessage(raw string) string {
	name, _, _ := strings.Cut(raw, "=")
	if strings.ContainsRune(name, '@') {
		name = check.Masked
	}
	return "\"" + oneLine(name) + "\" does not begin a check, and there is no command before it on this line that it could belong to; write KIND://HOST:PORT, such as tcp://127.0.0.1:5432"
}
