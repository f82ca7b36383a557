package balancer

import (
	"slices"
	"strings"
	"unicode"
)

// Secret reports whether the name of a header field or of a URL's parameter says
// that its value is a secret, or part of a login: it speaks of a key, a token, a
// password, a session, a signature, or of OAuth's code and state, in whatever
// case and among other words, as in X-Functions-Key, JSESSIONID and accessToken.
// It errs on the side of yes.
func Secret(name string) bool {
	whole := strings.ToLower(name)
	for _, part := range []string{
		"token", "secret", "passw", "passphrase", "jwt", "session", "sessid", "cookie", "credential", "signature",
		"authoriz", "authoris", "authentic", "bearer", "csrf", "xsrf", "ticket", "privatekey", "saml", "assertion",
	} {
		if strings.Contains(whole, part) {
			return true
		}
	}
	return slices.ContainsFunc(words(name), secretWord) || slices.ContainsFunc(strings.FieldsFunc(whole, noLetter), secretWord)
}

// secretWord reports whether a word ends in one that is too short to be looked
// for everywhere: keyword and :authority hold no secret, and apikey does.
func secretWord(word string) bool {
	switch word {
	case "pass", "pwd", "sid", "otp", "keys", "codes", "keyid", "sign", "hmac":
		return true
	case "tracestate": // W3C's Trace Context
		return false
	}
	if strings.HasPrefix(word, "auth") && !strings.HasPrefix(word, "author") {
		return true
	}
	return slices.ContainsFunc([]string{"key", "auth", "sig", "code", "state", "pwd"}, func(end string) bool { return strings.HasSuffix(word, end) })
}

// words takes a name apart, in lower case: at what is no letter, and before a
// capital that follows a small letter.
func words(name string) []string {
	var b strings.Builder
	small := false
	for _, r := range name {
		if small && unicode.IsUpper(r) {
			b.WriteByte(' ')
		}
		b.WriteRune(unicode.ToLower(r))
		small = unicode.IsLower(r)
	}
	return strings.FieldsFunc(b.String(), noLetter)
}

func noLetter(r rune) bool { return !unicode.IsLetter(r) }
