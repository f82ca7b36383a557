//go:build unix

package execcheck

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Split splits a command line into words as a POSIX shell does: at blanks, with
// single and double quotes and backslashes (POSIX.1-2024, XCU 2.2). Nothing is
// expanded: a variable or a wildcard is text. A word that only a shell could
// act on, such as a lone | or >, is an error, as are an unclosed quote and a
// backslash at the very end. Errors say what would be right and repeat nothing
// of the line but such an operator.
func Split(line string) ([]string, error) {
	var words []string
	s := splitter{line: line}
	for {
		word, quoted, ok, err := s.next()
		if err != nil {
			return nil, err
		}
		if !ok {
			return words, nil
		}
		if !quoted && slices.Contains(operators, word) {
			return nil, fmt.Errorf("%s needs a shell, and exec runs none; quote it if it is meant as an argument, or have a shell run the line: exec:/bin/sh -c 'COMMAND %s …'", word, word)
		}
		words = append(words, word)
	}
}

// operators are the words that mean that somebody expects a shell.
var operators = []string{"|", "||", "&", "&&", ";", "<", ">", ">>", "2>", "2>&1", ">&2", "&>"}

const blanks = " \t\n"

// splitter is a place in a line.
type splitter struct {
	line string
	at   int
}

// next returns the word that follows, and whether any of it was quoted. ok is
// false at the end of the line.
func (s *splitter) next() (word string, quoted, ok bool, err error) {
	for s.at < len(s.line) && (strings.IndexByte(blanks, s.line[s.at]) >= 0 || s.continued()) {
		s.at++
	}
	var b strings.Builder
	start := s.at
	for ; s.at < len(s.line); s.at++ {
		c := s.line[s.at]
		switch {
		case strings.IndexByte(blanks, c) >= 0:
			return b.String(), quoted, true, nil
		case s.continued():
			s.at++
		case c == '\\':
			quoted = true
			if s.at++; s.at == len(s.line) {
				return "", false, false, errors.New(`the line ends with a backslash; write \\ for the character itself`)
			}
			b.WriteByte(s.line[s.at])
		case c == '\'' || c == '"':
			quoted = true
			if err := s.quote(&b, c); err != nil {
				return "", false, false, err
			}
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), quoted, s.at > start, nil
}

// continued reports whether a backslash and a line break are next, which count
// for nothing.
func (s *splitter) continued() bool {
	return strings.HasPrefix(s.line[s.at:], "\\\n")
}

// quote reads a quoted part up to its closing quote.
func (s *splitter) quote(b *strings.Builder, mark byte) error {
	opened := s.at
	for s.at++; s.at < len(s.line); s.at++ {
		c := s.line[s.at]
		switch {
		case c == mark:
			return nil
		case c == '\\' && mark == '"' && s.at+1 < len(s.line):
			s.escapeInQuotes(b)
		default:
			b.WriteByte(c)
		}
	}
	return fmt.Errorf(`the quote %c at character %d is never closed; close it, or write \%c for the character itself`, mark, opened+1, mark)
}

// escapeInQuotes reads a backslash within double quotes, which is one unless
// what follows is special there.
func (s *splitter) escapeInQuotes(b *strings.Builder) {
	switch next := s.line[s.at+1]; next {
	case '$', '`', '"', '\\':
		b.WriteByte(next)
		s.at++
	case '\n':
		s.at++
	default:
		b.WriteByte('\\')
	}
}
