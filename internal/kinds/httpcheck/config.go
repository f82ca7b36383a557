package httpcheck

import (
	"cmp"
	"encoding/base64"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"hale/internal/check"
	"hale/internal/tlsconf"
)

// Config is the configuration of an http or https check.
type Config struct {
	Method     string            `option:"method" help:"request method"`
	Host       string            `option:"host" help:"Host header to send instead of the URL's host"`
	Headers    map[string]string `option:"headers" help:"headers to send: a map, or NAME=VALUE"`
	Status     Statuses          `option:"status" help:"accepted statuses: 200, 200-299 or a list such as 200,301-302"`
	Body       string            `option:"body" help:"text that the body must contain"`
	BodyRegexp Regexp            `option:"body_regexp" help:"regular expression (RE2) that the body must match"`
	Follow     int               `option:"follow" help:"how many redirects to follow; with 0 a redirect is a failure"`
	Slow       time.Duration     `option:"slow" help:"a healthy answer that took longer is degraded; 0 is off"`
	Username   string            `option:"username" help:"user name for basic authentication"`
	Password   check.Secret      `option:"password" help:"password for basic authentication"`
	Bearer     check.Secret      `option:"bearer" help:"token for bearer authentication"`
	Version    string            `option:"version" help:"version of HTTP to speak: auto, 1.1, 2 or h2c"`
	Keepalive  bool              `option:"keepalive" help:"keep the connection for the next run"`
	Unix       string            `option:"unix,where" help:"unix socket to connect to; the URL's host is then the Host header only"`
	Proxy      Proxy             `option:"proxy" help:"proxy to go through: its URL, or env for the environment's"`
	tlsconf.Options

	target  check.Target
	url     *url.URL // as requested: with a host, without user and password
	network string   // what to dial: tcp or unix, and the address
	address string
}

// The values of the option version.
const (
	versionAuto = "auto" // HTTP/1.1; with TLS whichever of it and HTTP/2 the server prefers
	version11   = "1.1"
	version2    = "2"   // HTTP/2 over TLS
	versionH2C  = "h2c" // HTTP/2 without TLS, with prior knowledge
)

// userAgent is sent unless the headers have another.
const userAgent = "hale"

// Kind returns the kind http.
func Kind() check.Kind { return define("http", "http://127.0.0.1:8000/health") }

// KindTLS returns the kind https.
func KindTLS() check.Kind { return define("https", "https://example.com/health") }

func define(scheme, example string) check.Kind {
	k := check.Define(scheme, example, Config{
		Method:  http.MethodGet,
		Status:  Statuses{{200, 299}},
		Version: versionAuto,
	})
	k.KeepsQuery = true
	return k
}

// SetTarget takes the URL to request. A URL without a host is about this host.
func (c *Config) SetTarget(t check.Target) error {
	host, port, err := t.Host(defaultPort(t.Scheme))
	if err != nil {
		return err
	}
	if err := validateURL(t, host); err != nil {
		return err
	}
	c.target = t
	c.network, c.address = "tcp", check.Address(host, port)
	if c.Unix != "" {
		c.network, c.address = "unix", c.Unix
	}
	u := *t.URL
	u.User, u.Fragment, u.RawFragment = nil, "", ""
	switch {
	case host == "" && port == defaultPort(t.Scheme):
		u.Host = "localhost"
	case host == "":
		u.Host = check.Address("localhost", port)
	default:
		u.Host = strings.TrimSuffix(u.Host, ":")
	}
	c.url = &u
	return nil
}

// Checker makes the checker. It reads the files that the TLS options name.
func (c *Config) Checker(env check.Env) (check.Checker, error) {
	k := &checker{config: *c, dial: env.Dial, text: c.Method + " " + c.target.Masked()}
	if k.dial == nil {
		k.dial = check.Dial
	}
	if c.Unix != "" {
		k.text += " (" + c.Unix + ")"
	}
	if c.target.Scheme == "https" || c.Follow > 0 {
		config, err := c.Options.Config(c.url.Hostname())
		if err != nil {
			return nil, err
		}
		config.NextProtos = c.alpn()
		k.tls = config
	}
	k.first = &http.Request{
		Method: c.Method, URL: c.url, Host: cmp.Or(c.Host, c.url.Host), Header: c.header(),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Close: !c.Keepalive,
	}
	if c.Keepalive {
		k.kept = newKept(k)
	}
	return k, nil
}

// plainHeader is what every request has, and all that most have; it is shared
// and never changed. Without Accept-Encoding the body comes as it is, ready to
// be matched.
var plainHeader = http.Header{"User-Agent": {userAgent}, "Accept": {"*/*"}}

// header returns the headers of the request to the checked server.
func (c *Config) header() http.Header {
	authorization := c.authorization()
	if len(c.Headers) == 0 && authorization == "" {
		return plainHeader
	}
	h := plainHeader.Clone()
	for name, value := range c.Headers {
		h.Set(name, value)
	}
	if authorization != "" {
		h.Set("Authorization", authorization)
	}
	return h
}

// authorization returns the credentials for the checked server, if any.
func (c *Config) authorization() string {
	switch user := c.target.URL.User; {
	case user != nil:
		password, _ := user.Password()
		return basic(user.Username(), password)
	case c.Username != "":
		return basic(c.Username, c.Password.Reveal())
	case !c.Bearer.IsZero():
		return "Bearer " + c.Bearer.Reveal()
	}
	return ""
}

// Derived returns the credentials as basic authentication sends them, and
// without the padding, which is easily lost.
func (c *Config) Derived() []string {
	if c.target.URL == nil {
		return nil
	}
	_, credentials, _ := strings.Cut(c.authorization(), " ")
	return []string{credentials, strings.TrimRight(credentials, "=")}
}

// basic makes the credentials of basic authentication (RFC 7617).
func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// alpn returns the protocols that a TLS client offers (RFC 7301).
func (c *Config) alpn() []string {
	switch {
	case c.Version == version2:
		return []string{"h2"}
	case c.Version == versionAuto && c.Unix == "":
		return []string{"h2", "http/1.1"}
	default:
		return []string{"http/1.1"}
	}
}

// defaultPort returns the port of a URL without one.
func defaultPort(scheme string) int {
	switch scheme {
	case "https":
		return 443
	case "socks5", "socks5h":
		return 1080
	default:
		return 80
	}
}

// hostPort returns the URL's host and port, the default port included.
func hostPort(u *url.URL) string {
	return net.JoinHostPort(strings.ToLower(u.Hostname()), cmp.Or(u.Port(), strconv.Itoa(defaultPort(u.Scheme))))
}
