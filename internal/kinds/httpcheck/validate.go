package httpcheck

import (
	"errors"
	"maps"
	"net/netip"
	"net/textproto"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"hale/internal/check"
)

const (
	// maxFollow bounds the option follow: more redirects than a browser
	// follows are a loop.
	maxFollow = 20
	// maxSocketPath is how long the path of a unix socket may be (unix(7)).
	maxSocketPath = 107
)

// ownHeaders are the headers that belong to the connection and the request's
// framing (RFC 9110, section 7.6.1), and so to whoever writes the request.
var ownHeaders = []string{
	"Connection", "Content-Length", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
}

// problems gathers faults in options.
type problems []error

func (p *problems) add(option, format string, args ...any) {
	*p = append(*p, check.OptionErrorf(option, format, args...))
}

// Validate reports every fault in the options.
func (c *Config) Validate() error {
	var p problems
	c.validateRequest(&p)
	c.validateHeaders(&p)
	c.validateAuth(&p)
	c.validateConnection(&p)
	c.validateTLS(&p)
	c.validateBody(&p)
	if c.Follow < 0 || c.Follow > maxFollow {
		p.add("follow", "%d is out of range; give a count from 0 to %d", c.Follow, maxFollow)
	}
	if c.Slow < 0 {
		p.add("slow", "%v is negative; give a duration such as 500ms", c.Slow)
	}
	return errors.Join(p...)
}

// ValidateTimeout reports what could only be seen after the timeout.
func (c *Config) ValidateTimeout(timeout time.Duration) error {
	if c.Slow < timeout {
		return nil
	}
	return check.OptionErrorf("slow", "%v is not shorter than the timeout %v, after which there is no healthy answer that could be slow; give a shorter one, or a longer timeout", c.Slow, timeout)
}

// validateBody reports what is wanted of a body that there can't be.
func (c *Config) validateBody(p *problems) {
	for _, o := range []struct {
		option string
		wanted bool
	}{
		{"body", c.Body != ""},
		{"body_regexp", c.BodyRegexp.re != nil},
	} {
		switch {
		case !o.wanted:
		case c.Method == "HEAD":
			p.add(o.option, "the answer to HEAD has no body; use GET, or leave %s out", o.option)
		case c.Status.bodiless() && !(o.option == "body_regexp" && c.BodyRegexp.re.MatchString("")):
			p.add(o.option, "an answer with the status %v has no body; accept one that has, such as 200, or leave %s out", c.Status, o.option)
		}
	}
}

// validateURL reports what makes a URL unfit for a request.
func validateURL(t check.Target, host string) error {
	if !isHost(host) {
		return check.OptionErrorf("url", "%q is not a host; use letters, digits, '.', '-' and '_' (a name in other letters in its xn-- form)", check.CleanText(host))
	}
	if strings.ContainsAny(t.URL.RawQuery, " \t") {
		return check.OptionErrorf("url", "there is a space in the query; write %%20")
	}
	return nil
}

func (c *Config) validateRequest(p *problems) {
	switch m := c.Method; {
	case m == "CONNECT":
		p.add("method", "CONNECT is for proxies; see the option proxy")
	case m != strings.ToUpper(m) && isToken(m):
		p.add("method", "%q is not in capitals; write %s", m, strings.ToUpper(m))
	case !isToken(m):
		p.add("method", "%q is not a method; give one such as GET, HEAD or OPTIONS", check.CleanText(m))
	}
	if c.Host != "" && !isHostHeader(c.Host) {
		p.add("host", "%q is not a Host header; give a name or an address, and :PORT if need be", check.CleanText(c.Host))
	}
}

func (c *Config) validateHeaders(p *problems) {
	seen := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(c.Headers)) {
		canonical := textproto.CanonicalMIMEHeaderKey(name)
		switch {
		case !isToken(name):
			p.add("headers", "%q is not the name of a header; use letters, digits and '-'", check.CleanText(name))
		case canonical == "Host":
			p.add("headers", "Host has an option of its own: host")
		case slices.Contains(ownHeaders, canonical):
			p.add("headers", "%s is set by hale itself; leave it out", canonical)
		case seen[canonical]:
			p.add("headers", "%s is given twice", canonical)
		case !isFieldValue(c.Headers[name]):
			p.add("headers", "the value of %s has a line break or another control character in it", canonical)
		}
		seen[canonical] = true
	}
}

func (c *Config) validateAuth(p *problems) {
	var given []string
	if c.target.URL.User != nil {
		given = append(given, "a user in the URL")
	}
	if c.Username != "" || !c.Password.IsZero() {
		given = append(given, "username")
	}
	if !c.Bearer.IsZero() {
		given = append(given, "bearer")
	}
	for name := range c.Headers {
		if textproto.CanonicalMIMEHeaderKey(name) == "Authorization" {
			given = append(given, "the header Authorization")
		}
	}
	if len(given) > 1 {
		p.add("", "%s exclude each other; give one of them", strings.Join(given, " and "))
	}
	if c.Username == "" && !c.Password.IsZero() {
		p.add("password", "needs username, the user it is the password of")
	}
	user, userOption := c.Username, "username"
	password, passwordOption := c.Password.Reveal(), "password"
	if u := c.target.URL.User; u != nil {
		user, userOption = u.Username(), "url"
		password, _ = u.Password()
		passwordOption = "url"
	}
	if strings.Contains(user, ":") {
		p.add(userOption, "the user name has a colon in it, which basic authentication does not allow")
	}
	if !isFieldValue(user) {
		p.add(userOption, "the user name has a line break or another control character in it")
	}
	if !isFieldValue(password) {
		p.add(passwordOption, "the password has a line break or another control character in it")
	}
	if !isFieldValue(c.Bearer.Reveal()) {
		p.add("bearer", "the token has a line break or another control character in it")
	}
}

func (c *Config) validateConnection(p *problems) {
	scheme := c.target.Scheme
	switch c.Version {
	case versionAuto, version11:
	case version2:
		if scheme == "http" {
			p.add("version", "2 needs TLS; use https://, or h2c for HTTP/2 without TLS")
		} else if c.Unix != "" {
			p.add("version", "2 is not spoken over a unix socket; use 1.1, or http:// with h2c")
		}
	case versionH2C:
		if scheme == "https" {
			p.add("version", "h2c is HTTP/2 without TLS; use 2, or http://")
		} else if !c.Proxy.isZero() {
			p.add("version", "h2c does not go through a proxy; leave proxy out, or use 1.1")
		}
	default:
		p.add("version", "%q is not a version of HTTP; give auto, 1.1, 2 or h2c", check.CleanText(c.Version))
	}
	switch {
	case c.Unix == "":
	case !filepath.IsAbs(c.Unix):
		p.add("unix", "%q is a relative path; give an absolute one", check.CleanText(c.Unix))
	case len(c.Unix) > maxSocketPath:
		p.add("unix", "the path has %d bytes; that of a socket has at most %d", len(c.Unix), maxSocketPath)
	case !c.Proxy.isZero():
		p.add("proxy", "a unix socket is not reached through a proxy; leave out unix or proxy")
	}
	socks := c.Proxy.url != nil && c.Proxy.url.Scheme != "http"
	if scheme == "http" && c.Host != "" && !c.Proxy.isZero() && !socks && c.Unix == "" {
		p.add("host", "a proxy goes by the Host header, which can therefore be no other than the URL's host; leave out host or proxy")
	}
	if c.Proxy.url != nil && c.Unix == "" && strings.HasPrefix(c.address, ":") {
		p.add("proxy", "a URL without a host is about this host, which a proxy does not reach; write the host")
	}
}

func (c *Config) validateTLS(p *problems) {
	if err := c.Options.Validate(); err != nil {
		*p = append(*p, err)
	}
	if c.target.Scheme == "https" {
		return
	}
	for _, o := range []struct {
		option          string
		set, redirected bool // redirected: of use where a redirect leads
	}{
		{"ca", c.CA != "", true},
		{"cert", c.Cert != "", false},
		{"key", c.Key != "", false},
		{"server_name", c.ServerName != "", false},
		{"insecure", c.Insecure, true},
		{"min_days", c.MinDays != 0, true},
	} {
		if o.set && !(o.redirected && c.Follow > 0) {
			p.add(o.option, "is about TLS, which http:// does not have; use https://")
		}
	}
}

// isToken reports whether s is a token (RFC 9110, section 5.6.2).
func isToken(s string) bool {
	for i := range len(s) {
		if !isAlphanumeric(s[i]) && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(s[i])) {
			return false
		}
	}
	return s != ""
}

// isFieldValue reports whether s can be a header's value or part of one (RFC
// 9110, section 5.5): a line break in it would begin another header.
func isFieldValue(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' && s[i] != '\t' || s[i] == 0x7f {
			return false
		}
	}
	return true
}

// isHostHeader reports whether s can be the value of a Host header: a host, an
// IPv6 address in brackets, and perhaps a port (RFC 9110, section 7.2).
func isHostHeader(s string) bool {
	name := s
	if i := strings.LastIndexByte(s, ':'); i > strings.LastIndexByte(s, ']') {
		port, err := strconv.ParseUint(s[i+1:], 10, 16)
		if err != nil || port == 0 {
			return false
		}
		name = s[:i]
	}
	if inner, ok := strings.CutPrefix(name, "["); ok {
		name, ok = strings.CutSuffix(inner, "]")
		return ok && strings.Contains(name, ":") && isHost(name)
	}
	return name != "" && !strings.Contains(name, ":") && isHost(name)
}

// isHost reports whether s can be a host: a name, or an IPv4 or IPv6 address
// without brackets. The empty host is this host.
func isHost(s string) bool {
	if strings.ContainsAny(s, ":%") {
		_, err := netip.ParseAddr(s)
		return err == nil
	}
	for i := range len(s) {
		if !isAlphanumeric(s[i]) && !strings.ContainsRune(".-_", rune(s[i])) {
			return false
		}
	}
	return true
}

func isAlphanumeric(b byte) bool {
	return 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9'
}
