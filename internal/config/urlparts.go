package config

import (
	"errors"
	"fmt"
	"math"
	"strings"
)

// urlParts is where the parts of a URL's template are. What stands before login
// is the scheme, what stands between the login and the path is the host.
type urlParts struct {
	login, password, host, path int
}

// noParts is for a text that is no URL, or a URL as a whole.
var noParts = urlParts{math.MaxInt, math.MaxInt, math.MaxInt, math.MaxInt}

// partsOf finds the parts of a URL's template.
func partsOf(template string) urlParts {
	// What is between braces may hold any character: blank it out.
	plain := hole().ReplaceAllStringFunc(template, func(s string) string { return strings.Repeat("x", len(s)) })
	scheme, rest, ok := strings.Cut(plain, ":")
	if !ok || strings.Contains(template[:len(scheme)], "${") {
		return noParts
	}
	start := len(scheme) + 1
	if !strings.HasPrefix(rest, "//") {
		return urlParts{start, start, start, start}
	}
	start += len("//")
	authority := plain[start:]
	if i := strings.IndexAny(authority, "/?#"); i >= 0 {
		authority = authority[:i]
	}
	p := urlParts{login: start, password: start, host: start, path: start + len(authority)}
	if end := strings.LastIndexByte(authority, '@'); end >= 0 {
		p.host += end
		// A user name that a password follows is no secret; one alone may be a
		// token, and is.
		if i := strings.IndexByte(authority[:end], ':'); i >= 0 {
			p.password += i
		}
	}
	return p
}

// notInHost matches what would end a host or make another of it.
var notInHost = lazily(`[^A-Za-z0-9.:_\[\]-]`)

// write returns a value as it is to be written at a place in the template, and
// whether it is a secret there.
func (p urlParts) write(at int, value string, secret bool) (string, bool, error) {
	switch {
	case at < p.login:
		return value, secret, nil
	case at < p.host:
		return encode(value, ""), secret || at >= p.password, nil
	case !secret:
		return value, false, nil
	case at >= p.path:
		return encode(value, "/"), true, nil
	case notInHost().MatchString(value):
		return "", true, errors.New("holds a character that a host can't have")
	default:
		return value, true, nil
	}
}

// encode percent-encodes all but the characters that mean nothing anywhere in
// a URL (RFC 3986, unreserved), and those of keep.
func encode(text, keep string) string {
	var b strings.Builder
	for _, c := range []byte(text) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-._~"+keep, c) >= 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
