package engine

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"strings"
	"syscall"

	"hale/internal/check"
)

// explain makes the failure of a request that was not answered.
func (c *Client) explain(err error) error {
	reason := check.ReasonOf(err)
	failed := func(hint string) error {
		return check.Failf(reason, "asking the engine at %s: %w%s", c.Host(), err, hint)
	}
	_, badSyntax := errors.AsType[*json.SyntaxError](err)
	_, badType := errors.AsType[*json.UnmarshalTypeError](err)
	_, notTLS := errors.AsType[tls.RecordHeaderError](err)
	atSocket := len(c.sockets) > 0
	switch {
	case atSocket && errors.Is(err, fs.ErrNotExist):
		return check.Failf(reason, "no engine's socket at %s; does Docker run here? In a container, mount it (-v %s:%[2]s), or set DOCKER_HOST",
			strings.Join(c.sockets, ", "), dockerSocket)
	case atSocket && errors.Is(err, fs.ErrPermission):
		return check.Failf(reason, "asking the engine at %s: %w; %s", c.Host(), err, mayConnect(c.socket()))
	case atSocket && errors.Is(err, syscall.ECONNREFUSED):
		return failed("; who listened there has ended: start the engine (systemctl start docker)")
	case errors.Is(err, syscall.ECONNREFUSED):
		return failed("; nothing listens there: see whether the engine runs and listens at that address")
	case notTLS:
		return check.Failf(check.ReasonTLS, "asking the engine at %s: it speaks no TLS there; unset DOCKER_TLS_VERIFY, or give the port with TLS, usually %s", c.Host(), tlsPort)
	case reason == check.ReasonTLS && strings.Contains(err.Error(), "remote error"):
		return failed("; the engine wants a certificate that it trusts: cert.pem and key.pem in DOCKER_CERT_PATH")
	case reason == check.ReasonTLS:
		return failed("; ca.pem in DOCKER_CERT_PATH must be of who signed the engine's certificate, which must hold the name or address that is asked")
	case errors.Is(err, errTooLarge):
		return check.Failf(check.ReasonSize, "asking the engine at %s: %w", c.Host(), err)
	case badSyntax, badType:
		return c.notAnEngine(err.Error())
	case errors.Is(err, errNotHTTP):
		return c.notAnEngine(err.Error())
	case reason == check.ReasonClosed, reason == check.ReasonReset:
		return failed("; it may be restarting")
	default:
		return failed("")
	}
}

func (c *Client) notAnEngine(why string) error {
	return check.Failf(check.ReasonProtocol, "what answers at %s is not Docker's API: %s; is the address right?", c.Host(), check.CleanText(why))
}

// refused makes the failure of a request that was answered with another status
// than 200.
func (c *Client) refused(answer *http.Response, path string) error {
	body, _ := io.ReadAll(io.LimitReader(answer.Body, maxFault))
	var fault struct{ Message string }
	said := ""
	if json.Unmarshal(body, &fault) == nil {
		said = fault.Message
	} else if strings.HasPrefix(answer.Header.Get("Content-Type"), "text/plain") {
		said = string(body) // engines before API 1.24 tell of faults so
	}
	said = shorten(said)
	path, _, _ = strings.Cut(path, "?")
	switch code := answer.StatusCode; {
	case code == http.StatusNotFound && strings.Contains(strings.ToLower(said), "no such container"),
		code == http.StatusNotFound && strings.Contains(said, "no container with"):
		return check.Failf(check.ReasonMissing, "the engine at %s: %w", c.Host(), ErrNotFound)
	case code == http.StatusBadRequest && strings.Contains(string(body), "HTTP request to an HTTPS server"):
		return check.Failf(check.ReasonTLS, "asking the engine at %s: it wants TLS; set DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH", c.Host())
	case code == http.StatusForbidden, code == http.StatusUnauthorized, code == http.StatusMethodNotAllowed:
		return check.Failf(check.ReasonPermission, "the engine at %s, or a proxy in front of it, does not let hale GET %s (status %d)%s; hale needs to GET /version, /containers/json, /containers/NAME/json and /events",
			c.Host(), path, code, colon(said))
	case said == "" && code < 500:
		return c.notAnEngine(fmt.Sprintf("status %d for GET %s", code, path))
	default:
		return check.Failf(check.ReasonStatus, "the engine at %s: status %d for GET %s%s", c.Host(), code, path, colon(said))
	}
}

func colon(said string) string {
	if said == "" {
		return ""
	}
	return ": " + said
}

// shorten makes text of others fit to be a part of a message.
func shorten(text string) string {
	text = check.CleanText(strings.TrimSpace(text))
	if runes := []rune(text); len(runes) > maxMessage {
		text = string(runes[:maxMessage]) + "…"
	}
	return text
}

// mayConnect says who may use a socket, and how to become that.
func mayConnect(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Sprintf("hale runs as user %d, who may not even look at the socket's directory", os.Geteuid())
	}
	group, ok := ownerGroup(info)
	if !ok {
		return fmt.Sprintf("hale runs as user %d", os.Geteuid())
	}
	const groupWrites = 0o020
	if info.Mode()&groupWrites == 0 {
		return fmt.Sprintf("hale runs as user %d, and only the socket's owner may use it; see its mode", os.Geteuid())
	}
	name := ""
	if n := groupName(group); n != "" {
		name = n + ", "
	}
	return fmt.Sprintf("hale runs as user %d, and the socket is for the group %s%d: add hale's user to it; for a container, --group-add %[3]d", os.Geteuid(), name, group)
}

// groupName looks a group up in /etc/group, without asking a directory service
// that might hang.
func groupName(id uint32) string {
	file, err := os.Open("/etc/group")
	if err != nil {
		return ""
	}
	defer file.Close()
	lines := bufio.NewScanner(io.LimitReader(file, 1<<20))
	for lines.Scan() {
		// group(5): name:password:GID:members
		fields := strings.Split(lines.Text(), ":")
		if len(fields) > 2 && fields[2] == fmt.Sprint(id) {
			return check.CleanText(fields[0])
		}
	}
	return ""
}
