package httpcheck

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"hale/internal/check"
)

// Bounds of what is read of an answer, in bytes.
const (
	maxHeader = 64 << 10
	maxBody   = 64 << 10
)

// checker is a check. It does not change after it is made, but for the
// connection that kept keeps.
type checker struct {
	config Config
	dial   check.DialFunc
	first  *http.Request // the request, without a context
	tls    *tls.Config   // for the checked server; nil when TLS can't occur
	kept   *kept         // nil when no connection is kept
	text   string        // what is requested, as people may see it
}

// Check requests the URL once, follows as many redirects as it may, and judges
// the answer.
func (c *checker) Check(ctx context.Context) (string, error) {
	start := time.Now()
	request, home := c.first.WithContext(ctx), true
	for redirects := 0; ; redirects++ {
		answer, lost, err := c.request(request, home)
		if err != nil {
			return "", c.failed(request, err)
		}
		start = start.Add(lost)
		next, err := c.next(answer, redirects)
		if next != nil {
			request, home = next, c.isHome(next.URL)
			c.leave(answer)
			continue
		}
		if err == nil {
			err = c.judge(answer, home)
		}
		took := time.Since(start)
		_ = answer.Body.Close()
		if err != nil {
			return "", err
		}
		return c.verdict(answer.StatusCode, redirects, took)
	}
}

// at says what was requested when u was.
func (c *checker) at(u *url.URL) string {
	if u == c.first.URL {
		return c.text
	}
	return c.text + ": redirected to " + maskedURL(u)
}

// verdict says how a healthy run went.
func (c *checker) verdict(status, redirects int, took time.Duration) (string, error) {
	note := fmt.Sprintf("%d in %v", status, rounded(took))
	if redirects > 0 {
		note += fmt.Sprintf(" after %s", count(redirects, "redirect"))
	}
	if c.config.Slow > 0 && took > c.config.Slow {
		return note, check.Warnf(check.ReasonSlow, "%s: %s, slower than %v", c.text, note, c.config.Slow)
	}
	return note, nil
}

// rounded leaves two or three digits of a duration that is worth reading.
func rounded(d time.Duration) time.Duration {
	switch {
	case d < 10*time.Millisecond:
		return d.Round(100 * time.Microsecond)
	case d < 10*time.Second:
		return d.Round(time.Millisecond)
	}
	return d.Round(100 * time.Millisecond)
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// next returns the request that follows answer, nil when answer is the last,
// and an error when it leads to where the check may not go.
func (c *checker) next(answer *http.Response, redirects int) (*http.Request, error) {
	location := answer.Header.Get("Location")
	if !isRedirect(answer.StatusCode) || location == "" || c.config.Status.Contains(answer.StatusCode) {
		return nil, nil
	}
	status := statusText(answer.StatusCode)
	to, err := answer.Request.URL.Parse(location)
	if err != nil {
		return nil, check.Failf(check.ReasonRedirect, "%s: %s leads to what is not a URL", c.text, status)
	}
	to.User, to.Fragment, to.RawFragment = nil, "", ""
	where := maskedURL(to)
	switch {
	case to.Scheme != "http" && to.Scheme != "https" || to.Hostname() == "":
		return nil, check.Failf(check.ReasonRedirect, "%s: %s leads to %s, which is not HTTP", c.text, status, where)
	case c.config.Follow == 0:
		return nil, check.Failf(check.ReasonRedirect, "%s: %s leads to %s; check that URL, set follow to go there, or accept status %d", c.text, status, where, answer.StatusCode)
	case redirects >= c.config.Follow:
		return nil, check.Failf(check.ReasonRedirect, "%s: after %s %s leads on to %s; follow is %d", c.text, count(redirects, "redirect"), status, where, c.config.Follow)
	}
	method := answer.Request.Method
	if answer.StatusCode <= http.StatusSeeOther && method != http.MethodHead {
		method = http.MethodGet
	}
	return c.redirected(answer.Request.Context(), method, to), nil
}

// isRedirect reports whether a status with a Location leads elsewhere (RFC
// 9110, section 15.4).
func isRedirect(status int) bool {
	switch status {
	case 301, 302, 303, 307, 308:
		return true
	}
	return false
}

// redirected makes the request to where a redirect leads. Headers and
// credentials go to the checked server alone.
func (c *checker) redirected(ctx context.Context, method string, to *url.URL) *http.Request {
	next := c.first.WithContext(ctx)
	next.Method = method
	if c.isHome(to) {
		to.Host = c.config.url.Host
		next.URL = to
		return next
	}
	next.URL, next.Host, next.Header, next.Close = to, to.Host, plainHeader, true
	return next
}

// isHome reports whether a URL is on the checked server: on the URL's own host
// and port, or on those of the Host header, by which the server knows itself.
func (c *checker) isHome(u *url.URL) bool {
	own := c.config.url
	if u.Scheme != own.Scheme {
		return false
	}
	if hostPort(u) == hostPort(own) {
		return true
	}
	named := &url.URL{Scheme: own.Scheme, Host: c.config.Host}
	return c.config.Host != "" && strings.EqualFold(u.Hostname(), named.Hostname()) &&
		(hostPort(u) == hostPort(named) || u.Port() == own.Port())
}

// leave closes a redirect, whose short body must be read first if the connection
// is to be kept.
func (c *checker) leave(answer *http.Response) {
	if c.kept != nil {
		_, _ = io.CopyN(io.Discard, answer.Body, 4<<10)
	}
	_ = answer.Body.Close()
}
