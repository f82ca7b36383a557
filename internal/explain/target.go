package explain

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"hale/internal/balancer"
)

// A SchemeError says that a URL has a scheme that no balancer can be played
// with.
type SchemeError struct{ Scheme string }

// Error names the schemes there are.
func (e *SchemeError) Error() string {
	return fmt.Sprintf("the scheme %q is none of %s", clean(e.Scheme), strings.Join(Schemes(), ", "))
}

// Schemes returns the schemes that a target may have, sorted.
func Schemes() []string { return []string{"grpc", "grpcs", "http", "https", "tcp", "tls"} }

// A place is a URL, taken apart.
type place struct {
	scheme string
	name   string // the host, without brackets
	port   uint16
	// path is as it is sent, with the query; "" if the URL has none, which leaves
	// each balancer its default.
	path string
}

// secure reports whether TLS is spoken there.
func (p place) secure() bool { return p.scheme == "https" || p.scheme == "tls" || p.scheme == "grpcs" }

// speaks reports whether a probe's protocol is what is spoken there.
func (p place) speaks(proto balancer.Protocol) bool {
	switch p.scheme {
	case "tcp":
		return proto == balancer.TCP
	case "tls":
		return proto == balancer.SSL
	case "grpc", "grpcs":
		return proto == balancer.GRPC
	default:
		return proto.HTTP()
	}
}

// probe returns the balancer's first probe that fits.
func (p place) probe(b *balancer.Balancer) (balancer.Probe, bool) {
	i := slices.IndexFunc(b.Probes, func(probe balancer.Probe) bool { return p.speaks(probe.Protocol) })
	if i < 0 {
		return balancer.Probe{}, false
	}
	return b.Probes[i], true
}

// String is the URL without what no balancer sends.
func (p place) String() string {
	host := p.name
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if p.port != usualPort(p.scheme) {
		host += ":" + strconv.Itoa(int(p.port))
	}
	return p.scheme + "://" + host + p.path
}

func usualPort(scheme string) uint16 {
	switch scheme {
	case "http":
		return 80
	case "https", "tls", "grpcs":
		return 443
	}
	return 0
}

// parse takes a target apart. Its errors never hold a password.
func parse(target string) (place, error) {
	if !strings.Contains(target, "://") {
		return place{}, noScheme(target)
	}
	u, err := url.Parse(target)
	if err != nil {
		// Where a password has a sign that ends it early, its rest is the port's.
		if strings.ContainsRune(target, '@') {
			return place{}, errors.New("the URL is not one; is there a user and a password in it? A balancer sends none; leave them out, and write any other # as %23, ? as %3F and @ as %40")
		}
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err // without the URL, which may hold a password
		}
		return place{}, fmt.Errorf("the URL is not one: %s", clean(err.Error()))
	}
	p := place{scheme: strings.ToLower(u.Scheme), name: strings.TrimSuffix(u.Hostname(), ".")}
	if !slices.Contains(Schemes(), p.scheme) {
		return place{}, &SchemeError{p.scheme}
	}
	if u.User != nil {
		return place{}, errors.New("a balancer sends no user and no password; leave them out of the URL")
	}
	if p.name == "" {
		return place{}, errors.New("the URL has no host; write it as http://HOST:PORT/PATH")
	}
	if p.name, err = toASCII(p.name); err != nil {
		return place{}, err
	}
	if p.port, err = portOf(u.Port(), p.scheme); err != nil {
		return place{}, err
	}
	p.path = u.EscapedPath()
	if u.RawQuery != "" {
		p.path = "/" + strings.TrimPrefix(p.path, "/") + "?" + u.RawQuery
	}
	if (p.scheme == "tcp" || p.scheme == "tls") && strings.Trim(p.path, "/") != "" {
		return place{}, fmt.Errorf("a %s:// URL has no path, as nothing is sent; write http:// to ask for %s", p.scheme, clean(p.path))
	}
	if strings.ContainsFunc(p.path, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return place{}, errors.New("the URL's path or query has a space or a control character in it; write it as %20 and so on")
	}
	return p, nil
}

// noScheme is the error of a target that is no URL yet.
func noScheme(target string) error {
	switch {
	case strings.TrimSpace(target) == "":
		return errors.New("the URL is empty; write http://HOST:PORT/PATH")
	case strings.ContainsRune(target, '@'):
		return errors.New("the URL has no scheme; write http:// or https:// before the host")
	case strings.HasPrefix(target, "/"):
		return fmt.Errorf("%s is a path without a host; did you mean http://HOST:PORT%s?", clean(target), clean(target))
	}
	return fmt.Errorf("%s has no scheme; did you mean http://%s?", clean(target), clean(target))
}

// toASCII writes a name with letters beyond ASCII as DNS has it (RFC 5891); any
// other stays as it is, with the signs that IDNA would refuse.
func toASCII(name string) (string, error) {
	if !strings.ContainsFunc(name, func(r rune) bool { return r >= utf8.RuneSelf }) {
		return name, nil
	}
	ascii, err := idna.Lookup.ToASCII(name)
	if err != nil {
		return "", fmt.Errorf("%q is no name of a host", clean(name))
	}
	return ascii, nil
}

func portOf(text, scheme string) (uint16, error) {
	if text == "" {
		if port := usualPort(scheme); port != 0 {
			return port, nil
		}
		return 0, fmt.Errorf("the URL has no port; %s has no usual one", scheme)
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil || port == 0 {
		return 0, fmt.Errorf("the port %s is not a number from 1 to 65535", clean(text))
	}
	return uint16(port), nil
}

// isAddress reports whether a name is an IP address.
func isAddress(name string) bool {
	_, err := netip.ParseAddr(name)
	return err == nil
}

// isLocalhost reports whether a name is one of this machine's.
func isLocalhost(name string) bool {
	return strings.EqualFold(name, "localhost") || strings.HasSuffix(strings.ToLower(name), ".localhost")
}

// scrub masks whatever may have got into a result's texts.
func scrub(r *Result) {
	r.Summary = mask(r.Summary)
	for i := range r.Steps {
		r.Steps[i].Text = mask(r.Steps[i].Text)
	}
	for _, list := range [][]Finding{r.Findings, r.Remarks} {
		for i := range list {
			list[i].Config = mask(list[i].Config)
			for _, texts := range [][]string{list[i].Why, list[i].Fix, list[i].Ask} {
				for j := range texts {
					texts[j] = mask(texts[j])
				}
			}
		}
	}
}

// longest is how many bytes of a text from the other side are shown.
const longest = 300

// clean makes a text fit to be shown: control characters harmless, its length
// bounded, passwords and tokens in URLs masked.
func clean(s string) string {
	cut := false
	if len(s) > 4*longest {
		s, cut = s[:4*longest], true
	}
	var b strings.Builder
	for i, r := range s {
		if b.Len() > longest {
			cut = true
			break
		}
		switch {
		case r == utf8.RuneError || r < ' ' || 0x7f <= r && r <= 0x9f || 0x200b <= r && r <= 0x200f || 0x2028 <= r && r <= 0x202e || 0x2066 <= r && r <= 0x2069 || r == 0xfeff:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		default:
			b.WriteRune(r)
		}
	}
	if cut {
		b.WriteString("…")
	}
	return mask(b.String())
}

// mask takes passwords and tokens out of URLs within a text.
func mask(s string) string {
	if strings.Contains(s, "@") {
		s = regexp.MustCompile(`//[^/@\s"]*@`).ReplaceAllString(s, "//…@")
	}
	if strings.Contains(s, "=") {
		s = maskValues(s, `([?&;#]([\w.-]+)=)[^&;\s"'<>…][^&;\s"'<>]*`)
	}
	// A URL within another's query; its own & is %26.
	if strings.Contains(s, "%3") {
		s = maskValues(s, `(?i)((?:%3f|%26|%3b|%23)([\w.-]+)%3d)(?:[^&;\s"'<>%…]|%[^2]|%2[^6])+`)
	}
	return s
}

// maskValues masks what follows the first group of each match if the second is a
// secret's name.
func maskValues(s, expression string) string {
	parameter := regexp.MustCompile(expression)
	return parameter.ReplaceAllStringFunc(s, func(match string) string {
		groups := parameter.FindStringSubmatch(match)
		if balancer.Secret(groups[2]) {
			return groups[1] + "…"
		}
		// Its value may hold another URL, or a fragment.
		return groups[1] + maskValues(match[len(groups[1]):], expression)
	})
}
