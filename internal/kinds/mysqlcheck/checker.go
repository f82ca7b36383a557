package mysqlcheck

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"time"

	"hale/internal/check"
	"hale/internal/tlsconf"
)

const (
	// guest is whom a check without credentials introduces itself as, so that
	// who reads about it in the server's log knows who it was.
	guest = "hale"
	// guestOfMariaDB is the same on the server's own host: an account that
	// every MariaDB since 10.4 has, and that nobody can log in to because it is
	// locked. Its refusal is as good as any, and the only one that MariaDB does
	// not log.
	guestOfMariaDB = "mariadb.sys"
)

// checker is immutable once made.
type checker struct {
	dial             check.DialFunc
	network, address string
	target           string      // what messages call the server
	tls              *tls.Config // nil when TLS is not asked for
	required         bool        // TLS is
	options          tlsconf.Options

	user, password, database string
	login                    bool
	query, expect, readOnly  string
}

// Check runs the check once.
func (c *checker) Check(ctx context.Context) (string, error) {
	conn, err := c.dial(ctx, c.network, c.address)
	if err != nil {
		return "", fmt.Errorf("%s: %w", c.target, err)
	}
	l := newLink(ctx, conn)
	defer l.close()
	l.encrypts = c.network == "unix"
	g, err := c.greet(l)
	if err != nil {
		return "", err
	}
	capabilities := uint32(clientAlways) | g.capabilities&clientPluginAuth
	if c.tls != nil {
		if capabilities, err = c.encrypt(l, g, capabilities); err != nil {
			return "", err
		}
	}
	err = c.introduce(l, g, capabilities)
	if err == nil {
		defer l.goodbye()
	}
	if !c.login {
		return c.judge(g, err)
	}
	if err != nil {
		return "", c.loginFailed(err)
	}
	return c.ask(ctx, l, g)
}

// greet reads the server's greeting. A server that can't serve this client says
// so in its place.
func (c *checker) greet(l *link) (greeting, error) {
	p, err := l.receive(maxGreeting)
	if err != nil {
		return greeting{}, c.failed("no greeting", err)
	}
	if p[0] == packetErr {
		return greeting{}, c.refused(parseError(p))
	}
	g, err := parseGreeting(p)
	if err != nil {
		return greeting{}, c.failed("no greeting", err)
	}
	return g, nil
}

// encrypt changes to TLS if the server can.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_ssl_request.html
func (c *checker) encrypt(l *link, g greeting, capabilities uint32) (uint32, error) {
	if g.capabilities&clientSSL == 0 {
		if c.required {
			return 0, check.Failf(check.ReasonTLS, "%s: is without TLS, and tls=%s wants it; see ssl_cert in its configuration", c.target, tlsRequire)
		}
		return capabilities, nil
	}
	if l.in.Buffered() > 0 {
		return 0, c.failed("no TLS handshake", fmt.Errorf("%w: more than a greeting", errForeign))
	}
	capabilities |= clientSSL
	if err := l.send(introduction(capabilities)); err != nil {
		return 0, c.failed("no TLS handshake", err)
	}
	secure := tls.Client(l.raw, c.tls)
	if err := secure.Handshake(); err != nil {
		reason, hint := check.ReasonOf(err), ""
		if reason == check.ReasonOther {
			reason = check.ReasonTLS
		}
		if !c.required {
			hint = "; write tls=disable to do without"
		}
		return 0, check.Failf(reason, "%s: no TLS handshake: %w%s", c.target, err, hint)
	}
	if err := c.options.CheckExpiry(secure.ConnectionState(), time.Now()); err != nil {
		return 0, fmt.Errorf("%s: %w", c.target, err)
	}
	l.Conn, l.encrypts = secure, true
	l.in.Reset(secure)
	return capabilities, nil
}

// introduce tries to log in.
func (c *checker) introduce(l *link, g greeting, capabilities uint32) error {
	user, database := c.user, c.database
	if user == "" {
		user, database = guest, ""
		if g.mariaDB() && isLocal(l.raw) {
			user = guestOfMariaDB
		}
	}
	a := &login{link: l, password: c.password, method: g.method, scramble: g.scramble}
	if a.method != methodCachingSHA2 || capabilities&clientPluginAuth == 0 {
		// The server names another if it wants another.
		a.method = methodNative
	}
	if err := l.send(loginRequest(capabilities, user, database, a.method, a.proof())); err != nil {
		return err
	}
	return a.finish()
}

// isLocal reports whether the peer is on this host.
func isLocal(conn net.Conn) bool {
	tcp, ok := conn.RemoteAddr().(*net.TCPAddr)
	return !ok || tcp.IP.IsLoopback()
}

// judge makes the result of a check without credentials, given how the attempt
// to log in ended.
func (c *checker) judge(g greeting, err error) (string, error) {
	if e, ok := asServerError(err); ok && !unavailable(e.code) {
		err = nil
	}
	if err != nil {
		return "", c.loginFailed(err)
	}
	return "accepts connections, " + check.CleanText(g.version), nil
}

// ask pings, or asks what is to be asked, as somebody who is logged in.
func (c *checker) ask(ctx context.Context, l *link, g greeting) (string, error) {
	if c.query == "" && c.readOnly == "" {
		if err := ping(l); err != nil {
			return "", c.queryFailed("ping", err)
		}
		return "logged in, " + check.CleanText(g.version), nil
	}
	var notes []string
	if c.readOnly != "" {
		note, err := c.checkReadOnly(l)
		if err != nil {
			return "", err
		}
		notes = append(notes, note)
	}
	if c.query != "" {
		limit(ctx, l, g)
		v, err := query(l, c.query)
		if err != nil {
			return "", c.queryFailed("query", err)
		}
		if c.expect != "" && (!v.row || v.text != c.expect) {
			return "", check.Failf(check.ReasonBody, "%s: the query gives %s, want %q", c.target, v, c.expect)
		}
		notes = append(notes, "the query gives "+v.String())
	}
	return strings.Join(notes, ", "), nil
}

// checkReadOnly compares the server's read_only, which any account may read.
func (c *checker) checkReadOnly(l *link) (string, error) {
	v, err := query(l, "SELECT @@global.read_only")
	if err != nil {
		return "", c.queryFailed("question for read_only", err)
	}
	is := "true"
	// MariaDB from 12 on says in words how much of it is read-only.
	if v.text == "0" || strings.EqualFold(v.text, "off") {
		is = "false"
	}
	if is != c.readOnly {
		words := map[string]string{"true": "is read-only, and a server that takes writes is wanted", "false": "takes writes, and a read-only server is wanted"}
		return "", check.Failf(check.ReasonRole, "%s: %s; its read_only is %s", c.target, words[is], check.CleanText(v.text))
	}
	return map[string]string{"true": "read-only", "false": "takes writes"}[is], nil
}
