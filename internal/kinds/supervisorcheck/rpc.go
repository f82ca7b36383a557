package supervisorcheck

import (
	"bufio"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"hale/internal/check"
)

const (
	// rpcPath is where supervisord answers XML-RPC.
	rpcPath = "/RPC2"
	// maxHead is how many bytes a reply's head may have.
	maxHead = 16 << 10

	// Faults of supervisord, from supervisor/xmlrpc.py.
	faultUnknownMethod = 1
	faultShutdown      = 6
	faultBadName       = 10
)

// A fault is supervisord's answer that it does not do what it was asked.
type fault struct {
	code int
	text string
}

func (f *fault) Error() string { return fmt.Sprintf("fault %d: %s", f.code, check.CleanText(f.text)) }

// call makes one XML-RPC call, on a connection of its own, whose answer is
// about programs. That the program in args is not known is a [*fault].
func (c *checker) call(ctx context.Context, method string, args ...string) ([]program, error) {
	conn, err := c.dial(ctx, c.network, c.address)
	if err != nil {
		return nil, c.noConnection(err)
	}
	defer func() { _ = conn.Close() }()
	// A deadline in the past ends whatever the connection is waiting for.
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	if _, err := io.WriteString(conn, c.request(method, args)); err != nil {
		return nil, check.Failf(check.ReasonOf(err), "%s: sending %s: %w", c.target, method, err)
	}
	bounded := &io.LimitedReader{R: conn, N: maxHead}
	resp, err := http.ReadResponse(bufio.NewReader(bounded), nil)
	if err != nil {
		return nil, c.noAnswer(method, err, bounded.N == 0)
	}
	defer func() { _ = resp.Body.Close() }()
	if err := c.judgeStatus(resp); err != nil {
		return nil, err
	}
	bounded.N += MaxReply
	programs, err := readReply(resp.Body)
	if f, ok := errors.AsType[*fault](err); ok {
		if f.code == faultBadName && len(args) > 0 {
			return nil, f
		}
		return nil, c.explain(method, f)
	}
	if err != nil {
		return nil, c.noAnswer(method, err, bounded.N == 0)
	}
	return programs, nil
}

// request writes a call as an HTTP request.
func (c *checker) request(method string, args []string) string {
	var body strings.Builder
	body.WriteString("<?xml version='1.0'?><methodCall><methodName>" + method + "</methodName><params>")
	for _, arg := range args {
		body.WriteString("<param><value><string>")
		_ = xml.EscapeText(&body, []byte(arg)) // a strings.Builder takes everything
		body.WriteString("</string></value></param>")
	}
	body.WriteString("</params></methodCall>")
	host := c.address
	if c.network == "unix" {
		host = "localhost"
	}
	head := "POST " + rpcPath + " HTTP/1.1\r\nHost: " + host + "\r\nUser-Agent: hale\r\nConnection: close\r\nContent-Type: text/xml\r\n"
	if c.authorization != "" {
		head += "Authorization: " + c.authorization + "\r\n"
	}
	return head + "Content-Length: " + strconv.Itoa(body.Len()) + "\r\n\r\n" + body.String()
}

func (c *checker) noConnection(err error) error {
	hint := ""
	switch {
	case c.network != "unix":
	case errors.Is(err, fs.ErrNotExist):
		hint = "; is supervisord running? See file in [unix_http_server] of its configuration"
	case errors.Is(err, syscall.ECONNREFUSED):
		hint = c.whyRefused()
	case errors.Is(err, fs.ErrPermission):
		hint = fmt.Sprintf("; hale runs as user %d; see chmod and chown in [unix_http_server]", os.Geteuid())
	}
	return check.Failf(check.ReasonOf(err), "%s: no connection: %w%s", c.target, err, hint)
}

// whyRefused says why nobody accepts at the path of a unix socket.
func (c *checker) whyRefused() string {
	info, err := os.Stat(c.address)
	switch {
	case err == nil && info.IsDir():
		return "; it is a directory and no socket: give file of [unix_http_server]"
	case err == nil && info.Mode().Type() != fs.ModeSocket:
		return "; it is no socket: give file of [unix_http_server]"
	}
	return "; supervisord has ended and left its socket behind"
}

// noAnswer makes the failure of a reply that was not read to its end. A reply
// is too long when it filled its bound.
func (c *checker) noAnswer(method string, err error, tooLong bool) error {
	if reason := check.ReasonOf(err); reason != check.ReasonOther && !tooLong {
		return check.Failf(reason, "%s: no answer to %s: %w", c.target, method, err)
	}
	if tooLong {
		err = errors.New("the answer is too long")
	}
	return check.Failf(check.ReasonProtocol, "%s: is not supervisord: %s: %s", c.target, method, check.CleanText(err.Error()))
}

func (c *checker) judgeStatus(resp *http.Response) error {
	switch resp.StatusCode {
	case http.StatusOK:
		return nil
	case http.StatusUnauthorized:
		if c.authorization == "" {
			return check.Failf(check.ReasonAuth, "%s: supervisord asks for a user name and password; set username and password", c.target)
		}
		return check.Failf(check.ReasonAuth, "%s: supervisord refuses the user name or password; see username and password in [unix_http_server] or [inet_http_server] of its configuration", c.target)
	case http.StatusNotFound:
		return check.Failf(check.ReasonProtocol, "%s: has no %s: it is not supervisord, or its configuration lacks [rpcinterface:supervisor]", c.target, rpcPath)
	default:
		return check.Failf(check.ReasonStatus, "%s: answers %s with status %d, want 200; is it supervisord?", c.target, rpcPath, resp.StatusCode)
	}
}

// explain makes the failure of a fault.
func (c *checker) explain(method string, f *fault) error {
	switch f.code {
	case faultShutdown:
		return check.Failf(check.ReasonLoading, "%s: supervisord is shutting down or restarting", c.target)
	case faultUnknownMethod:
		return check.Failf(check.ReasonProtocol, "%s: does not know %s; its configuration lacks [rpcinterface:supervisor]", c.target, method)
	default:
		return check.Failf(check.ReasonStatus, "%s: %s: %w", c.target, method, f)
	}
}
