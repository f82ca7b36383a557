package capture

import (
	"bytes"
	"net/url"
	"strings"

	"hale/internal/balancer"
)

// masked stands for a secret.
const masked = "***"

// mask replaces secrets in bytes that may be the head of a request: the values
// of fields that hold credentials, of parameters whose names say so, and a login
// in the target. It works line by line, so what is no valid head is masked too.
func mask(head []byte) []byte {
	var out []byte
	secret := false // the field that a folded line would belong to
	for first := true; len(head) > 0; first = false {
		line := head
		if i := bytes.IndexByte(head, '\n'); i >= 0 {
			line = head[:i+1]
		}
		head = head[len(line):]
		text := bytes.TrimRight(line, "\r\n")
		end := line[len(text):]
		name, value, isField := bytes.Cut(text, []byte(":"))
		word, _, isLine := bytes.Cut(text, []byte(" "))
		switch {
		case first && isLine && !bytes.ContainsRune(word, ':'):
			text = []byte(maskTarget(string(text)))
		case len(text) > 0 && (text[0] == ' ' || text[0] == '\t'):
			if secret {
				text = []byte(" " + masked)
			} else {
				text = []byte(maskTarget(string(text)))
			}
		default:
			secret = isField && balancer.Secret(string(name))
			if secret {
				text = []byte(string(name) + ": " + maskValue(string(name), string(value)))
			} else {
				text = []byte(maskTarget(string(text)))
			}
		}
		out = append(append(out, text...), end...)
	}
	return out
}

// maskValue masks a secret field's value but for the scheme of credentials (RFC
// 9110, section 11.4), which says how somebody logs in and not as whom.
func maskValue(name, value string) string {
	scheme, _, more := strings.Cut(strings.TrimSpace(value), " ")
	if name = lower(strings.TrimSpace(name)); !more || name != "authorization" && name != "proxy-authorization" {
		return masked
	}
	switch lower(scheme) {
	case "basic", "bearer", "digest", "dpop", "negotiate", "ntlm", "oauth", "token", "apikey", "aws4-hmac-sha256":
		return scheme + " " + masked
	}
	return masked
}

// maskTarget masks the parameters and the login of URLs in a text.
func maskTarget(text string) string { return maskWithin(text, 2) }

// maskWithin is maskTarget for a text whose parameters may hold URLs of their
// own, so many deep.
func maskWithin(text string, depth int) string {
	words := strings.Split(text, " ")
	for i, word := range words {
		words[i] = maskParameters(maskLogin(word), depth)
	}
	return strings.Join(words, " ")
}

// maskLogin masks the login of a URL. A password that should have been escaped
// may hold what ends the host: up to the last @ all is masked that has a colon.
func maskLogin(word string) string {
	before, after, ok := strings.Cut(word, "://")
	at := strings.LastIndexByte(after, '@')
	if !ok || at < 0 || strings.ContainsAny(after[:at], "/?#") && !strings.Contains(after[:at], ":") {
		return word
	}
	return before + "://" + masked + after[at:]
}

// maskParameters masks what stands after the names of secrets: in a query, in a
// fragment, in a path (RFC 3986, section 3.3), and at the beginning.
func maskParameters(word string, depth int) string {
	var out strings.Builder
	for inPath := true; ; {
		// The name goes up to a mark that ends it.
		end := strings.IndexAny(word, "?&;#=")
		if end < 0 {
			out.WriteString(word)
			return out.String()
		}
		name, mark := word[:end], word[end]
		out.WriteString(word[:end+1])
		word = word[end+1:]
		if mark != '=' {
			inPath = inPath && mark != '?' && mark != '#'
			continue
		}
		stop := "&#"
		if inPath {
			stop = "&#?"
		}
		secret := secretParameter(name)
		if !secret {
			stop += ";?"
		}
		end = strings.IndexAny(word, stop)
		if end < 0 {
			end = len(word)
		}
		value := word[:end]
		word = word[end:]
		if plain, err := url.QueryUnescape(value); secret || depth > 0 && err == nil && plain != value && maskWithin(plain, depth-1) != plain {
			value = masked
		}
		out.WriteString(value)
	}
}

// secretParameter reports whether a parameter's name, which may be escaped, says
// that its value is a secret; so may one that can't be read.
func secretParameter(name string) bool {
	plain, err := url.QueryUnescape(name)
	return err != nil || balancer.Secret(plain)
}

// visible returns bytes as text that no terminal acts on: what is not printable
// ASCII is written as in Go and nginx's log, such as \r, \x16.
func visible(b []byte) string {
	const hex = "0123456789abcdef"
	var s strings.Builder
	for _, c := range b {
		switch {
		case c == '\r':
			s.WriteString(`\r`)
		case c == '\n':
			s.WriteString(`\n`)
		case c == '\t':
			s.WriteString(`\t`)
		case c == '\\':
			s.WriteString(`\\`)
		case c < ' ' || c > '~':
			s.WriteString(`\x` + string([]byte{hex[c>>4], hex[c&15]}))
		default:
			s.WriteByte(c)
		}
	}
	return s.String()
}

// short is visible, and no longer than most bytes of the original.
func short(b []byte, most int) string {
	if len(b) <= most {
		return visible(b)
	}
	return visible(b[:most]) + "…"
}

func lower(s string) string { return strings.ToLower(s) }
