package explain

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"
	"unicode/utf8"

	"hale/internal/balancer"
)

// inWords says what an error of the network means.
func inWords(err error) string {
	if e, ok := errors.AsType[*net.DNSError](err); ok {
		if e.IsNotFound {
			return "there is no such name"
		}
		if e.IsTimeout {
			return "the name server did not answer in time"
		}
		return clean(e.Err)
	}
	if alert := alertOf(err); alert != 0 {
		return fmt.Sprintf("the server ended it with the alert %d, %s", alert, strings.TrimPrefix(tls.AlertError(alert).Error(), "tls: "))
	}
	switch {
	case err == nil:
		return "nothing"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, syscall.EHOSTUNREACH):
		return "no route to the host, or a firewall that says so"
	case errors.Is(err, syscall.ENETUNREACH):
		return "the network is unreachable from here"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return "the local address can't be used"
	case errors.Is(err, context.Canceled):
		return "interrupted"
	case isTimeout(err):
		return "no answer in time"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "the connection was reset"
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "the connection was closed in the middle"
	case errors.Is(err, io.EOF):
		return "the connection was closed"
	}
	text := err.Error()
	if e, ok := errors.AsType[*net.OpError](err); ok && e.Err != nil {
		text = e.Err.Error()
	}
	return clean(text)
}

// since is a duration as people say it.
func since(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return "less than 1 ms"
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	default:
		return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + " s"
	}
}

// short is an answer for a line among many.
func short(r *response) string {
	if l := r.get("Location"); l != "" && r.status >= 300 && r.status < 400 {
		return fmt.Sprintf("%d → %s", r.status, clean(l))
	}
	return r.String()
}

// clip cuts a text for a line among many.
func clip(s string) string {
	const most = 100
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most]) + "…"
}

// counts says which statuses count.
func counts(c balancer.Codes) string {
	if len(c) == 1 && c[0].Low == c[0].High {
		return "only " + c.String()
	}
	return c.String()
}

// listAddrs lists the first of some addresses.
func listAddrs(addrs []netip.AddrPort) string {
	var texts []string
	for i, a := range addrs {
		if i == 4 {
			texts = append(texts, "…")
			break
		}
		texts = append(texts, a.Addr().String())
	}
	return strings.Join(texts, ", ")
}

// quoted shows the first bytes of something: as many as fit into some 60 letters,
// of which a byte that is none takes four.
func quoted(b []byte) string {
	const most = 60
	shown, letters := 0, 0
	for shown < len(b) && letters < most {
		letters += len(strconv.QuoteToASCII(string(b[shown:shown+1]))) - len(`""`)
		shown++
	}
	more := ""
	if shown < len(b) {
		more = "…"
	}
	return mask(strconv.QuoteToASCII(string(b[:shown]))) + more
}

// sentence makes one of a phrase.
func sentence(s string) string {
	r, size := utf8.DecodeRuneInString(s)
	word, _, _ := strings.Cut(s, " ")
	if size == 0 || strings.ContainsAny(word, ":._=()") {
		return s
	}
	return string(unicode.ToUpper(r)) + s[size:] + "."
}
