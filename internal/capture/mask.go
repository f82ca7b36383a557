package capture

import (
	"bytes"
	"net/url"
	"strings"
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
			}
		default:
			secret = isField && secretName(string(name))
			if secret {
				text = []byte(string(name) + ": " + maskValue(string(value)))
			} else if isField {
				text = []byte(maskTarget(string(text)))
			}
		}
		out = append(append(out, text...), end...)
	}
	return out
}

// secretName reports whether a field's or a parameter's name says that its
// value is a secret.
func secretName(name string) bool {
	name = strings.ReplaceAll(lower(strings.TrimSpace(name)), "_", "-")
	for _, word := range []string{"authorization", "cookie", "token", "secret", "passw", "api-key", "apikey", "access-key", "credential", "signature", "session", "x-auth", "x-amz-security"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return name == "key" || name == "pass" || name == "pwd" || name == "sig" || name == "auth"
}

// maskValue masks a field's value but for the scheme of credentials (RFC 9110,
// section 11.4), which says how somebody logs in and not as whom.
func maskValue(value string) string {
	scheme, _, more := strings.Cut(strings.TrimSpace(value), " ")
	if !more || len(scheme) > 16 || strings.Trim(scheme, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-") != "" {
		return masked
	}
	return scheme + " " + masked
}

// maskTarget masks the parameters and the login of URLs in a text.
func maskTarget(text string) string {
	words := strings.Split(text, " ")
	for i, word := range words {
		if before, after, ok := strings.Cut(word, "://"); ok {
			host, rest := after, ""
			if end := strings.IndexAny(after, "/?#"); end >= 0 {
				host, rest = after[:end], after[end:]
			}
			if at := strings.LastIndexByte(host, '@'); at >= 0 {
				host = masked + host[at:]
			}
			word = before + "://" + host + rest
		}
		if path, query, ok := strings.Cut(word, "?"); ok {
			word = path + "?" + maskQuery(query)
		}
		words[i] = word
	}
	return strings.Join(words, " ")
}

func maskQuery(query string) string {
	pairs := strings.Split(query, "&")
	for i, pair := range pairs {
		name, _, ok := strings.Cut(pair, "=")
		if plain, err := url.QueryUnescape(name); ok && (err != nil || secretName(plain)) {
			pairs[i] = name + "=" + masked
		}
	}
	return strings.Join(pairs, "&")
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
