package check

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
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
			return "", 0, OptionErrorf("url", "%s has no host; write %s://HOST:PORT, or %s://:PORT for this host", t.hostless(), t.Scheme, t.Scheme)
		}
		if fallback == 0 {
			return "", 0, OptionErrorf("url", "%s has no port; write %s://%s:PORT", t.Masked(), t.Scheme, bracket(host))
		}
		return host, fallback, nil
	}
	port, err = strconv.Atoi(text)
	if err != nil || port < 1 || port > 65535 {
		return "", 0, OptionErrorf("url", "port %s is out of range; a port is a number from 1 to 65535", CleanText(text))
	}
	return host, port, nil
}

// Login takes the user name and the password that the URL has into the options
// of these names. One that the options give already has to be the same.
func (t Target) Login(username *string, password *Secret) error {
	if t.URL.User == nil {
		return nil
	}
	if name := t.URL.User.Username(); name != "" {
		if *username != "" && *username != name {
			return OptionErrorf("username", "is %q, and the URL names another user; give it once", *username)
		}
		*username = name
	}
	if given, ok := t.URL.User.Password(); ok {
		if !password.IsZero() && password.Reveal() != given {
			return OptionErrorf("password", "is not the one in the URL; give it once")
		}
		*password = NewSecret(given)
	}
	return nil
}

// hostless is the masked URL of one without a host, in whose path the user, the
// password and the host may stand after a slash too many or too few.
func (t Target) hostless() string {
	if strings.Contains(t.URL.Path, "@") || strings.Contains(t.URL.RawQuery, "@") {
		return "the URL"
	}
	return t.Masked()
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
// without the values of query parameters, variables and command line flags
// whose names speak of secrets, and passwords of URLs in them.
func (t Target) Masked() string {
	if t.URL == nil {
		return t.Scheme + ":" + maskWords(t.Opaque)
	}
	u := t.URL
	var b strings.Builder
	b.WriteString(t.Scheme)
	b.WriteByte(':')
	if u.Opaque != "" {
		hidden := hiddenOpaque(u.Opaque)
		b.WriteString(u.Opaque[:hidden.start])
		if hidden.end > hidden.start {
			b.WriteString(Masked)
		}
		b.WriteString(u.Opaque[hidden.end:])
		return b.String()
	}
	if u.Host != "" || u.User != nil || t.Scheme != "file" || u.Path != "" {
		b.WriteString("//")
	}
	if _, password := u.User.Password(); !password && t.isHTTP() && u.User != nil {
		b.WriteString(Masked + "@") // a lone name is a token, as code hosts have them
	} else if u.User != nil {
		b.WriteString(url.User(u.User.Username()).String())
		if _, ok := u.User.Password(); ok {
			b.WriteString(":" + Masked)
		}
		b.WriteByte('@')
	}
	b.WriteString(strings.ReplaceAll(u.Host, "%", "%25")) // of an address's zone (RFC 6874)
	b.WriteString(t.shownPath())
	if u.RawQuery != "" {
		b.WriteString("?" + t.shownQuery())
	}
	return b.String()
}

func (t Target) isHTTP() bool { return t.Scheme == "http" || t.Scheme == "https" }

// hiddenOpaque returns the part that is not shown of what follows a scheme
// without slashes: all of it when an @ is in it, else what stands after a colon
// and is no port; it was perhaps meant as a password.
func hiddenOpaque(opaque string) span {
	if strings.Contains(opaque, "@") {
		return span{0, len(opaque)}
	}
	if host, port, found := strings.Cut(opaque, ":"); found && !isNumber(port) {
		return span{len(host) + 1, len(opaque)}
	}
	return span{}
}

// shownPath is the path as people may see it. Without a user, and with an @ in
// the path, what was taken for a port was perhaps the start of a password that
// holds a slash, as in redis://:12/34@host.
func (t Target) shownPath() string {
	path := t.URL.EscapedPath()
	if hidden := t.hiddenPath(path); hidden != "" {
		return "/" + Masked + path[1+len(hidden):]
	}
	return path
}

// hiddenPath returns the part of a path that is not shown.
func (t Target) hiddenPath(path string) string {
	i := strings.LastIndexByte(path, '@')
	if i < 1 || !t.portOrPassword() {
		return ""
	}
	return path[1:i]
}

// shownQuery is the query as people may see it. That of a URL without a path is
// perhaps the end of a password, like the path in shownPath.
func (t Target) shownQuery() string {
	if i := strings.LastIndexByte(t.URL.RawQuery, '@'); i >= 0 && t.URL.Path == "" && t.portOrPassword() {
		return Masked + t.URL.RawQuery[i:]
	}
	return maskQuery(t.URL.RawQuery)
}

// portOrPassword reports whether the URL has no user, and its host ends in a
// colon or a port, which may be the start of a password.
func (t Target) portOrPassword() bool {
	return t.URL.User == nil && strings.LastIndexByte(t.URL.Host, ':') > strings.LastIndexByte(t.URL.Host, ']')
}

func maskQuery(query string) string {
	pairs := strings.Split(query, "&")
	for i, pair := range pairs {
		name, value, assigned := strings.Cut(pair, "=")
		if j := strings.LastIndexByte(pair, '@'); j >= 0 && !assigned {
			pairs[i] = Masked + pair[j:]
		}
		if len(querySecrets(name, value)) > 0 {
			pairs[i] = name + "=" + Masked
		}
	}
	return strings.Join(pairs, "&")
}

// querySecrets returns what of a query's parameter must not be shown, as it is
// written and decoded.
func querySecrets(name, value string) []string {
	if value == "" {
		return nil
	}
	decoded := value
	if d, err := url.QueryUnescape(value); err == nil {
		decoded = d
	}
	if d, err := url.QueryUnescape(name); err == nil {
		name = d
	}
	if SecretName(name) {
		return []string{value, decoded}
	}
	return urlPasswords(decoded)
}

// secrets returns what of the target must not be shown.
func (t Target) secrets() []string {
	if t.URL == nil {
		return secretWords(t.Opaque)
	}
	var s []string
	if password, ok := t.URL.User.Password(); ok {
		s = append(s, password)
	} else if t.isHTTP() {
		s = append(s, t.URL.User.Username())
	}
	s = append(s, hiddenOpaque(t.URL.Opaque).in(t.URL.Opaque), t.hiddenPath(t.URL.EscapedPath()), t.hiddenPath(t.URL.Path))
	for pair := range strings.SplitSeq(t.URL.RawQuery, "&") {
		name, value, _ := strings.Cut(pair, "=")
		s = append(s, querySecrets(name, value)...)
	}
	return s
}

// shows reports whether a text is, by itself, a part of the URL that [Masked]
// shows.
func (t Target) shows(text string) bool {
	return t.URL != nil && (text == t.Scheme || text == t.URL.User.Username() || text == t.URL.Hostname() ||
		slices.Contains(strings.Split(t.URL.Path, "/"), text))
}

// SplitScheme splits a URL after its scheme (RFC 3986, section 3.1); ok is false
// when it has none.
func SplitScheme(raw string) (scheme, rest string, ok bool) {
	scheme, rest, found := strings.Cut(raw, ":")
	if !found || scheme == "" || !isLetter(scheme[0]) {
		return "", raw, false
	}
	for _, c := range []byte(scheme) {
		if !isLetter(c) && (c < '0' || c > '9') && c != '+' && c != '.' && c != '-' {
			return "", raw, false
		}
	}
	return strings.ToLower(scheme), rest, true
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// parseURL parses a URL whose options are cut off. Its errors never repeat the
// URL, which may hold a password.
func parseURL(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err == nil {
		return u, nil
	}
	if _, ok := errors.AsType[url.InvalidHostError](err); ok {
		return nil, OptionErrorf("url", "not a URL: invalid character … in host name")
	}
	reason := err.Error()
	switch {
	case strings.Contains(reason, "invalid port"):
		return nil, OptionErrorf("url", "the port is not a number; a port is a number from 1 to 65535 (a special character in a password is written %%XX, such as %%40 for @)")
	case strings.Contains(reason, "invalid userinfo"), strings.Contains(reason, "invalid URL escape"):
		return nil, notEncoded()
	case strings.Contains(reason, "control character"):
		return nil, OptionErrorf("url", "has a control character, such as a line break or a tab; take it out, or write it %%XX")
	default:
		return nil, OptionErrorf("url", "the host is not one; write a name, an IPv4 address, or an IPv6 address in brackets such as [::1]")
	}
}

func notEncoded() error {
	return OptionErrorf("url", "a special character in the user name, password or path is not encoded; write %%40 for @, %%23 for #, %%2F for /, %%3A for :, %%25 for %%")
}

// defaultName makes a name for a check that was given none.
func (t Target) defaultName() string {
	if t.URL == nil {
		word, _, _ := strings.Cut(strings.TrimSpace(maskWords(t.Opaque)), " ")
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
	if opaque := t.URL.Opaque; opaque != "" && hiddenOpaque(opaque) == (span{}) {
		parts = append(parts, opaque)
	}
	path := t.URL.Path
	if shown := t.shownPath(); shown != t.URL.EscapedPath() {
		path = shown
	}
	if path = strings.Trim(path, "/"); path != "" {
		parts = append(parts, path)
	}
	return cleanName(strings.Join(parts, "-"))
}

var notInName = lazily(`[^A-Za-z0-9._-]+`)

func cleanName(s string) string {
	s = strings.Trim(notInName().ReplaceAllString(s, "-"), "-._")
	return s[:min(len(s), maxName)]
}

const maxName = 255

var validName = lazily(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

// ValidateName returns an [*OptionError] when a check or group can't be called
// that.
func ValidateName(option, name string) error {
	switch {
	case name == "":
		return OptionErrorf(option, "is empty")
	case len(name) > maxName:
		return OptionErrorf(option, "is longer than %d characters", maxName)
	case !validName().MatchString(name):
		return OptionErrorf(option, "%q is not a name; use letters, digits, '.', '_' and '-', starting with a letter or digit", CleanText(name))
	}
	return nil
}

// FreeName returns the name, or if that is taken the name with the first number
// from 2 on that makes it free.
func FreeName(name string, taken func(name string) bool) string {
	free := name[:min(len(name), maxName)]
	for n := 2; taken(free); n++ {
		suffix := fmt.Sprintf("-%d", n)
		free = name[:min(len(name), maxName-len(suffix))] + suffix
	}
	return free
}
