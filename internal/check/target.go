package check

import (
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// A Target is what a check's URL says besides options.
type Target struct {
	// Scheme is the kind.
	Scheme string
	// URL is the parsed URL without options; nil for a kind whose URL is
	// opaque.
	URL *url.URL
	// Opaque is all after the scheme and its colon, for an opaque kind.
	Opaque string
}

// Host returns the URL's host, "" for this host, and its port. The port is
// fallback when the URL has none. A lone number is taken as a port of this
// host. An error is an [*OptionError] on "url".
func (t Target) Host(fallback int) (host string, port int, err error) {
	host, text := t.URL.Hostname(), t.URL.Port()
	if text == "" && t.URL.User == nil && isNumber(host) {
		host, text = "", host
	}
	if text == "" {
		if host == "" && t.URL.Host == "" {
			return "", 0, OptionErrorf("url", "%s has no host; write %s://HOST:PORT, or %s://:PORT for this host", t.Masked(), t.Scheme, t.Scheme)
		}
		if fallback == 0 {
			return "", 0, OptionErrorf("url", "%s has no port; write %s://%s:PORT", t.Masked(), t.Scheme, bracket(host))
		}
		return host, fallback, nil
	}
	port, err = strconv.Atoi(text)
	if err != nil || port < 1 || port > 65535 {
		return "", 0, OptionErrorf("url", "port %s is out of range; a port is a number from 1 to 65535", text)
	}
	return host, port, nil
}

// Address returns host and port as [Dial] takes them.
func Address(host string, port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }

func bracket(host string) string {
	if strings.Contains(host, ":") {
		return "[" + host + "]"
	}
	return host
}

func isNumber(s string) bool {
	_, err := strconv.ParseUint(s, 10, 32)
	return err == nil
}

// Masked returns the target as people may see it: without the password, and
// without the values of query parameters and command line flags whose names
// speak of secrets.
func (t Target) Masked() string {
	if t.URL == nil {
		return t.Scheme + ":" + maskWords(t.Opaque)
	}
	u := t.URL
	var b strings.Builder
	b.WriteString(t.Scheme)
	b.WriteByte(':')
	if u.Opaque != "" {
		b.WriteString(u.Opaque)
		return b.String()
	}
	if u.Host != "" || u.User != nil || t.Scheme != "file" || u.Path != "" {
		b.WriteString("//")
	}
	if u.User != nil {
		b.WriteString(url.User(u.User.Username()).String())
		if _, ok := u.User.Password(); ok {
			b.WriteString(":" + Masked)
		}
		b.WriteByte('@')
	}
	b.WriteString(u.Host)
	b.WriteString(u.EscapedPath())
	if u.RawQuery != "" {
		b.WriteString("?" + maskQuery(u.RawQuery))
	}
	return b.String()
}

func maskQuery(query string) string {
	pairs := strings.Split(query, "&")
	for i, pair := range pairs {
		if name, _, ok := strings.Cut(pair, "="); ok && SecretName(name) {
			pairs[i] = name + "=" + Masked
		}
	}
	return strings.Join(pairs, "&")
}

var commandWord = regexp.MustCompile(`("[^"]*"|'[^']*'|[^\s"']+)+`)

// maskWords masks the values of flags and assignments such as --password x,
// --token=x or TOKEN=x.
func maskWords(line string) string {
	return Secrets(nil).Add(secretWords(line)...).Mask(line)
}

// secretWords returns the values that maskWords masks.
func secretWords(line string) []string {
	var values []string
	next := false
	for _, word := range commandWord.FindAllString(line, -1) {
		name, value, assigned := strings.Cut(word, "=")
		flag := strings.HasPrefix(word, "-")
		switch {
		case next:
			values = append(values, strings.Trim(word, `"'`))
			next = false
		case assigned && SecretName(strings.TrimLeft(name, "-")):
			values = append(values, strings.Trim(value, `"'`))
		case flag && !assigned && SecretName(strings.TrimLeft(name, "-")):
			next = true
		}
	}
	return values
}

// secrets returns what of the target must not be shown.
func (t Target) secrets() Secrets {
	var s Secrets
	if t.URL == nil {
		return s.Add(secretWords(t.Opaque)...)
	}
	if password, ok := t.URL.User.Password(); ok {
		s = s.Add(password)
	}
	for name, values := range t.URL.Query() {
		if SecretName(name) {
			s = s.Add(values...)
		}
	}
	return s
}

var schemeStart = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*:`)

// SplitScheme splits a URL after its scheme; ok is false when it has none.
func SplitScheme(raw string) (scheme, rest string, ok bool) {
	m := schemeStart.FindString(raw)
	if m == "" {
		return "", raw, false
	}
	return strings.ToLower(m[:len(m)-1]), raw[len(m):], true
}

// parseURL parses a URL whose options are cut off. Its errors never repeat the
// URL, which may hold a password.
func parseURL(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err == nil {
		return u, nil
	}
	why := err
	if e, ok := err.(*url.Error); ok {
		why = e.Err
	}
	reason := why.Error()
	switch {
	case strings.Contains(reason, "invalid port"):
		return nil, OptionErrorf("url", "the port is not a number; a port is a number from 1 to 65535 (a special character in a password is written %%XX, such as %%40 for @)")
	case strings.Contains(reason, "invalid userinfo"), strings.Contains(reason, "invalid URL escape"):
		return nil, OptionErrorf("url", "a special character in the user name, password or path is not encoded; write %%40 for @, %%23 for #, %%2F for /, %%3A for :, %%25 for %%")
	default:
		return nil, OptionErrorf("url", "not a URL: %s", CleanText(stripQuoted(reason)))
	}
}

var quoted = regexp.MustCompile(`"[^"]*"`)

func stripQuoted(s string) string { return quoted.ReplaceAllString(s, "…") }

// defaultName makes a name for a check that was given none.
func (t Target) defaultName() string {
	if t.URL == nil {
		word, _, _ := strings.Cut(strings.TrimSpace(t.Opaque), " ")
		return cleanName(fmt.Sprintf("%s-%s", t.Scheme, word[strings.LastIndexByte(word, '/')+1:]))
	}
	parts := []string{t.Scheme}
	switch host := t.URL.Hostname(); host {
	case "", "localhost", "127.0.0.1", "::1":
	default:
		parts = append(parts, host)
	}
	if port := t.URL.Port(); port != "" {
		parts = append(parts, port)
	}
	if path := strings.Trim(t.URL.Path, "/"); path != "" {
		parts = append(parts, path)
	}
	return cleanName(strings.Join(parts, "-"))
}

var notInName = regexp.MustCompile(`[^A-Za-z0-9._-]+`)

func cleanName(s string) string {
	s = strings.Trim(notInName.ReplaceAllString(s, "-"), "-._")
	return s[:min(len(s), maxName)]
}

const maxName = 255

var validName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

// ValidateName returns an [*OptionError] when a check or group can't be called
// that.
func ValidateName(option, name string) error {
	switch {
	case name == "":
		return OptionErrorf(option, "is empty")
	case len(name) > maxName:
		return OptionErrorf(option, "is longer than %d characters", maxName)
	case !validName.MatchString(name):
		return OptionErrorf(option, "%q is not a name; use letters, digits, '.', '_' and '-', starting with a letter or digit", CleanText(name))
	}
	return nil
}
