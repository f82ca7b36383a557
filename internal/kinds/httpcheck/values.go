package httpcheck

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"

	"hale/internal/check"
)

// Statuses is a set of HTTP statuses, written as "200", "200-299" or a list of
// both with commas.
type Statuses []statusRange

type statusRange struct{ low, high int }

// Contains reports whether the status is in the set.
func (s Statuses) Contains(status int) bool {
	for _, r := range s {
		if r.low <= status && status <= r.high {
			return true
		}
	}
	return false
}

// bodiless reports whether no answer with any of the statuses has a body: 1xx,
// 204 and 304 (RFC 9110, section 6.4.1).
func (s Statuses) bodiless() bool {
	return !slices.ContainsFunc(s, func(r statusRange) bool {
		return r.high >= 200 && !(r.low == r.high && (r.low == 204 || r.low == 304))
	})
}

// UnmarshalText reads a set. A status is from 100 to 999 (RFC 9110, section 15).
func (s *Statuses) UnmarshalText(text []byte) error {
	var all Statuses
	for part := range strings.SplitSeq(string(text), ",") {
		part = strings.TrimSpace(part)
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		low, lowErr := parseStatus(first)
		high, highErr := parseStatus(last)
		if lowErr != nil || highErr != nil {
			return fmt.Errorf("%q is not a status or a range of them; give 200, 200-299 or a list such as 200,301-302", check.CleanText(part))
		}
		if low > high {
			return fmt.Errorf("the range %s ends before it begins; write %d-%d", part, high, low)
		}
		all = append(all, statusRange{low, high})
	}
	*s = all
	return nil
}

func parseStatus(text string) (int, error) {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n < 100 || n > 999 {
		return 0, errors.New("not a status")
	}
	return int(n), nil
}

// MarshalText writes the set as it is read.
func (s Statuses) MarshalText() ([]byte, error) {
	var b []byte
	for i, r := range s {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, int64(r.low), 10)
		if r.high != r.low {
			b = strconv.AppendInt(append(b, '-'), int64(r.high), 10)
		}
	}
	return b, nil
}

// String writes the set as it is read.
func (s Statuses) String() string {
	text, _ := s.MarshalText()
	return string(text)
}

// Regexp is a regular expression, compiled when the option is read. The zero
// Regexp is none.
type Regexp struct{ re *regexp.Regexp }

// UnmarshalText compiles an expression; an empty text is none.
func (r *Regexp) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		r.re = nil
		return nil
	}
	compiled, err := regexp.Compile(string(text))
	if e, ok := errors.AsType[*syntax.Error](err); ok {
		return fmt.Errorf("not a regular expression: %s: %s", e.Code, check.CleanText(e.Expr))
	}
	r.re = compiled
	return err
}

// MarshalText writes the expression.
func (r Regexp) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// String writes the expression; nothing when there is none.
func (r Regexp) String() string {
	if r.re == nil {
		return ""
	}
	return r.re.String()
}

// Proxy says which proxy to go through. The zero Proxy is none.
type Proxy struct {
	// url is the proxy's; nil unless it was given.
	url *url.URL
	// env is true when the environment's settings apply.
	env bool
}

// UnmarshalText reads "env", the URL of a proxy, or nothing. Its errors do not
// repeat the URL, which may hold a password.
func (p *Proxy) UnmarshalText(text []byte) error {
	*p = Proxy{}
	switch string(text) {
	case "":
		return nil
	case "env":
		p.env = true
		return nil
	}
	u, err := url.Parse(string(text))
	if err != nil || u.Host == "" || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "" {
		return errors.New("neither env nor the URL of a proxy; write http://HOST:PORT or socks5://HOST:PORT")
	}
	if !isProxyScheme(u.Scheme) {
		return fmt.Errorf("a proxy that speaks %s is not supported; write http://HOST:PORT or socks5://HOST:PORT", check.CleanText(u.Scheme))
	}
	p.url = u
	return nil
}

// isProxyScheme reports whether hale can speak to a proxy with such a URL.
func isProxyScheme(scheme string) bool {
	return scheme == "http" || scheme == "socks5" || scheme == "socks5h"
}

// MarshalText writes the proxy without its password.
func (p Proxy) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// String writes the proxy without its password.
func (p Proxy) String() string {
	switch {
	case p.env:
		return "env"
	case p.url != nil:
		return maskedURL(p.url)
	}
	return ""
}

// isZero reports whether there is no proxy.
func (p Proxy) isZero() bool { return p.url == nil && !p.env }

// forRequest returns the proxy for a request; nil is none.
func (p Proxy) forRequest(r *http.Request) (*url.URL, error) {
	switch {
	case p.url != nil:
		return p.url, nil
	case p.env:
		u, err := http.ProxyFromEnvironment(r)
		if err != nil || u != nil && !isProxyScheme(u.Scheme) {
			return nil, errProxySettings
		}
		return u, nil
	}
	return nil, nil
}

// errProxySettings stands for settings that an error of their own might show.
var errProxySettings = check.Failf(check.ReasonOther, "the proxy in HTTP_PROXY or HTTPS_PROXY is not usable; write http://HOST:PORT or socks5://HOST:PORT")

// maskedURL writes a URL as people may see it.
func maskedURL(u *url.URL) string { return check.Target{Scheme: u.Scheme, URL: u}.Masked() }
