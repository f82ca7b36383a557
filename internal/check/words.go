package check

import (
	"strings"
)

// A span is a part of a text: from start up to but not including end.
type span struct{ start, end int }

func (s span) in(text string) string { return text[s.start:s.end] }

// maskWords masks what of a command line must not be shown: the values of
// flags and assignments whose names speak of secrets, such as --password x,
// --token=x or TOKEN=x, of -u name:password, and the passwords of URLs.
func maskWords(line string) string {
	var b strings.Builder
	end := 0
	for _, s := range secretSpans(line) {
		b.WriteString(line[end:s.start])
		b.WriteString(Masked)
		end = s.end
	}
	b.WriteString(line[end:])
	return b.String()
}

// secretWords returns the values that maskWords masks.
func secretWords(line string) []string {
	var values []string
	for _, s := range secretSpans(line) {
		values = append(values, s.in(line))
	}
	return values
}

var commandWord = lazily(`("[^"]*"|'[^']*'|[^\s"']+)+`)

// secretSpans finds the values that maskWords masks, in their order and without
// overlap. Empty ones are left out.
func secretSpans(line string) []span {
	var found []span
	previous := ""
	for _, at := range commandWord().FindAllStringIndex(line, -1) {
		word := unquoted(line, span{at[0], at[1]})
		for _, s := range spansOfWord(previous, word.in(line)) {
			s = span{word.start + s.start, word.start + s.end}
			if s.end > s.start {
				found = append(found, s)
			}
		}
		previous = word.in(line)
	}
	return found
}

// spansOfWord finds the secrets in one word of a command, given the one before.
func spansOfWord(previous, word string) []span {
	if isFlag(previous) && !strings.Contains(previous, "=") {
		switch {
		case SecretName(strings.TrimLeft(previous, "-")):
			return []span{{0, len(word)}}
		case isLoginFlag(previous) && strings.Contains(word, ":"):
			return []span{{strings.IndexByte(word, ':') + 1, len(word)}}
		}
	}
	name, _, assigned := strings.Cut(word, "=")
	assigned = assigned && !strings.ContainsAny(name, space)
	switch {
	case assigned && SecretName(strings.TrimLeft(name, "-")):
		return []span{unquoted(word, span{len(name) + 1, len(word)})}
	case assigned && isLoginFlag(name) && strings.Contains(word, ":"):
		return []span{{strings.IndexByte(word, ':') + 1, len(word)}}
	case strings.ContainsAny(word, space):
		// A command in quotes, as for sh -c. Without its quotes, each of its
		// words is without spaces.
		return secretSpans(strings.NewReplacer(`"`, " ", `'`, " ").Replace(word))
	}
	return urlPasswordSpans(word)
}

// space holds what separates words: \s of regular expressions.
const space = "\t\n\f\r "

func isFlag(word string) bool { return strings.HasPrefix(word, "-") }

// isLoginFlag reports whether a flag's value is a user name and password, as
// those of curl are.
func isLoginFlag(flag string) bool {
	return flag == "-u" || flag == "--user" || flag == "--proxy-user"
}

// unquoted returns the span without the quotes around it.
func unquoted(text string, s span) span {
	for _, quote := range []string{`"`, `'`} {
		if word := s.in(text); len(word) >= 2 && strings.HasPrefix(word, quote) && strings.HasSuffix(word, quote) {
			return span{s.start + 1, s.end - 1}
		}
	}
	return s
}

// urlPassword matches a URL's user and password, and also one that holds
// characters that it should not.
var urlPassword = lazily(`://[^/?#\s:@]*:(?:([^/?#\s]+)|(\S+))@`)

func urlPasswordSpans(text string) []span {
	var found []span
	for _, m := range urlPassword().FindAllStringSubmatchIndex(text, -1) {
		if m[2] >= 0 {
			found = append(found, span{m[2], m[3]})
		} else {
			found = append(found, span{m[4], m[5]})
		}
	}
	return found
}

// urlPasswords returns the passwords of the URLs in a text.
func urlPasswords(text string) []string {
	var values []string
	for _, s := range urlPasswordSpans(text) {
		values = append(values, s.in(text))
	}
	return values
}
