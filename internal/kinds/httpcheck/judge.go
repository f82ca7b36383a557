package httpcheck

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"hale/internal/check"
)

// judge reads an answer that leads nowhere else and says what is wrong with it.
func (c *checker) judge(answer *http.Response, home bool) error {
	at := c.at(answer.Request.URL)
	if !c.config.Status.Contains(answer.StatusCode) {
		return c.wrongStatus(at, answer, home)
	}
	if c.config.Version == version2 && answer.ProtoMajor != 2 {
		return check.Failf(check.ReasonProtocol, "%s: the answer is in HTTP/%d.%d, want HTTP/2; leave version out to take either", at, answer.ProtoMajor, answer.ProtoMinor)
	}
	if err := c.judgeBody(at, answer); err != nil {
		return err
	}
	if answer.TLS != nil {
		if err := c.config.CheckExpiry(*answer.TLS, time.Now()); err != nil {
			return check.Failf(check.ReasonTLS, "%s: %w", at, err)
		}
	}
	return nil
}

// wrongStatus describes an answer whose status is not accepted. It takes what
// has come of the body by now rather than wait for all of it.
func (c *checker) wrongStatus(at string, answer *http.Response, home bool) error {
	reason := check.ReasonStatus
	text := fmt.Sprintf("%s: status %s, want %v", at, statusText(answer.StatusCode), c.config.Status)
	body := make([]byte, 512)
	n, _ := answer.Body.Read(body)
	body = body[:n]
	switch {
	case answer.StatusCode == http.StatusUnauthorized && home && answer.Request.Header.Get("Authorization") != "":
		reason = check.ReasonAuth
		text += "; the server refuses the credentials"
	case answer.StatusCode == http.StatusUnauthorized:
		reason = check.ReasonAuth
		text += "; the server asks for credentials: give username and password, or bearer"
	case answer.StatusCode == http.StatusProxyAuthRequired:
		reason = check.ReasonAuth
		text += "; the proxy asks for credentials: " + proxyCredentialsHint
	case answer.StatusCode == http.StatusBadRequest && answer.TLS == nil && wantsTLS(body):
		reason = check.ReasonProtocol
		text += "; the port speaks TLS: use https://"
	}
	if title := titleOf(body); title != "" {
		text += "; the page's title is " + title
	} else if start := excerpt(body); start != "" {
		text += "; the body starts with " + start
	}
	return check.Failf(reason, "%s", text)
}

// wantsTLS reports whether the body of a 400 is what a server says to plain
// HTTP on its TLS port: those of nginx, Go and Apache.
func wantsTLS(body []byte) bool {
	for _, phrase := range []string{"sent to HTTPS port", "HTTP request to an HTTPS server", "SSL-enabled server port"} {
		if bytes.Contains(body, []byte(phrase)) {
			return true
		}
	}
	return false
}

// judgeBody reads the body, at most maxBody bytes of it, and looks for what it
// must contain.
func (c *checker) judgeBody(at string, answer *http.Response) error {
	limited := io.LimitReader(answer.Body, maxBody)
	if c.config.Body == "" && c.config.BodyRegexp.re == nil {
		n, err := io.Copy(io.Discard, limited)
		return brokenBody(at, n, err)
	}
	body, err := io.ReadAll(limited)
	if err != nil {
		return brokenBody(at, int64(len(body)), err)
	}
	which := "the body"
	if len(body) == maxBody {
		which = "the body (its first 64 KiB)"
	}
	if want := c.config.Body; !bytes.Contains(body, []byte(want)) {
		return check.Failf(check.ReasonBody, "%s: %s does not contain %q; %s", at, which, shortened(want), startOf(body))
	}
	if re := c.config.BodyRegexp.re; re != nil && !re.Match(body) {
		return check.Failf(check.ReasonBody, "%s: %s does not match %s; %s", at, which, shortened(re.String()), startOf(body))
	}
	return nil
}

// brokenBody describes an answer that broke off.
func brokenBody(at string, read int64, err error) error {
	if err == nil {
		return nil
	}
	err = bare(err)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return check.Failf(check.ReasonClosed, "%s: the server closed the connection in the middle of the body, after %s", at, count(int(read), "byte"))
	}
	return check.Failf(reasonOf(err), "%s: reading the body, after %s: %w", at, count(int(read), "byte"), err)
}

// startOf says what a body starts with.
func startOf(body []byte) string {
	if len(body) == 0 {
		return "it is empty"
	}
	if start := excerpt(body); start != "" {
		return "it starts with " + start
	}
	return "it is not text"
}

// excerpt returns the start of a body in quotes, "" when it is not text.
func excerpt(body []byte) string {
	body = body[:min(len(body), 512)]
	// The cut may be in the middle of a character.
	for range utf8.UTFMax - 1 {
		if r, size := utf8.DecodeLastRune(body); r != utf8.RuneError || size != 1 {
			break
		}
		body = body[:len(body)-1]
	}
	text := strings.Join(strings.Fields(string(body)), " ")
	notText := func(r rune) bool { return r == utf8.RuneError || !unicode.IsPrint(r) }
	if text == "" || strings.ContainsFunc(text, notText) {
		return ""
	}
	return `"` + shortened(text) + `"`
}

// titleOf returns the title of a page of HTML in quotes, "" when there is none.
// It says more than the markup that such a page starts with.
func titleOf(body []byte) string {
	_, rest, found := bytes.Cut(body, []byte("<title>"))
	title, _, closed := bytes.Cut(rest, []byte("</title>"))
	if !found || !closed {
		return ""
	}
	return excerpt(title)
}

// shortened cuts a text that is too long for a message.
func shortened(text string) string {
	const most = 100
	runes := []rune(text)
	if len(runes) <= most {
		return text
	}
	return string(runes[:most-1]) + "…"
}

// statusText writes a status with its meaning (RFC 9110, section 15); the
// server's own words are left out.
func statusText(status int) string {
	if text := http.StatusText(status); text != "" {
		return fmt.Sprintf("%d %s", status, text)
	}
	return fmt.Sprint(status)
}
