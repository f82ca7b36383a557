// Package grpccheck checks that a gRPC server, or one service of it, says that
// it serves: it calls grpc.health.v1.Health/Check and expects SERVING.
//
// Each run makes one connection and one call, over HTTP/2 by net/http's client.
// What gRPC adds to HTTP/2 for such a call are five bytes before a message and
// two trailers, and the two messages have one field each; the gRPC library,
// which is larger than all of hale's other kinds together, is therefore not
// used. At most 64 KiB of headers and 4 KiB of a message are read.
//
// The protocol is described in
// https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md and
// https://github.com/grpc/grpc/blob/master/doc/health-checking.md
package grpccheck

import (
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"hale/internal/check"
	"hale/internal/tlsconf"
)

const (
	// DefaultPortTLS is the port of a grpcs URL that has none. Without TLS
	// there is no usual one.
	DefaultPortTLS = 443
	// maxService bounds the option service, in bytes.
	maxService = 255
	// maxSocketPath is how long the path of a unix socket may be (unix(7)).
	maxSocketPath = 107
)

// Config is the configuration of one check.
type Config struct {
	Service   string            `option:"service" help:"name of the service to ask about; nothing asks about the server as a whole"`
	Authority string            `option:"authority" help:"host, and :PORT if need be, to ask for (the header :authority) instead of the URL's"`
	Headers   map[string]string `option:"headers" help:"metadata to send: a map, or NAME=VALUE"`
	Unix      string            `option:"unix,where" help:"unix socket to connect to; the URL's host is then only what is asked for"`
	tlsconf.Options

	scheme string
	tls    bool
	host   string
	port   int // 0 with a unix socket and a URL without port
}

// Kind is the kind for plain connections (HTTP/2 without TLS): grpc.
func Kind() check.Kind {
	return check.Define("grpc", "grpc://127.0.0.1:50051", Config{})
}

// KindTLS is the kind for connections through TLS: grpcs.
func KindTLS() check.Kind {
	return check.Define("grpcs", "grpcs://api.example.com", Config{tls: true})
}

// SetTarget takes grpc://HOST:PORT. No host is this host. With a unix socket
// host and port may both be missing.
func (c *Config) SetTarget(t check.Target) error {
	c.scheme = t.Scheme
	if t.URL.User != nil {
		return check.OptionErrorf("url", "has a user name or password, and gRPC sends credentials as metadata; set headers, such as authorization=Bearer TOKEN")
	}
	if path := strings.Trim(t.URL.Path, "/"); path != "" {
		return check.OptionErrorf("url", "has the path %q; to ask about a service, set the option service=%s", check.CleanText(t.URL.Path), check.CleanText(path))
	}
	if c.Unix != "" && t.URL.Opaque == "" && t.URL.Port() == "" {
		c.host = t.URL.Hostname()
		return nil
	}
	fallback := 0
	if c.tls {
		fallback = DefaultPortTLS
	}
	var err error
	c.host, c.port, err = t.Host(fallback)
	return err
}

// Validate reports every fault in the options.
func (c *Config) Validate() error {
	var errs []error
	add := func(option, format string, args ...any) {
		errs = append(errs, check.OptionErrorf(option, format, args...))
	}
	switch {
	case !utf8.ValidString(c.Service) || strings.ContainsFunc(c.Service, unicode.IsControl):
		add("service", "%q has a character that no name has; write it as PACKAGE.SERVICE", check.CleanText(c.Service))
	case len(c.Service) > maxService:
		add("service", "is longer than %d bytes", maxService)
	}
	if strings.ContainsFunc(c.Authority, notInAuthority) {
		add("authority", "%q is not a host; give a name or an address, and :PORT if need be", check.CleanText(c.Authority))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Headers)) {
		if text := wrongHeader(name, c.Headers[name]); text != "" {
			add("headers", "%s", text)
		}
	}
	switch {
	case c.Unix == "":
	case !filepath.IsAbs(c.Unix):
		add("unix", "%q is a relative path; give an absolute one", check.CleanText(c.Unix))
	case len(c.Unix) > maxSocketPath:
		add("unix", "the path has %d bytes; that of a socket has at most %d", len(c.Unix), maxSocketPath)
	}
	errs = append(errs, c.Options.Validate())
	if !c.tls {
		errs = append(errs, c.Options.Unused("is for TLS, and this URL is without; write grpcs://"))
	}
	return errors.Join(errs...)
}

// notInAuthority reports whether a character occurs in no host and port, IPv6
// addresses in brackets included.
func notInAuthority(r rune) bool {
	return r <= ' ' || r >= 0x7f || strings.ContainsRune(`/?#@\"<>^`+"`{|}", r)
}

// ownHeaders are those that belong to gRPC and HTTP/2, and so to whoever makes
// the call.
var ownHeaders = []string{"connection", "content-length", "content-type", "host", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}

// wrongHeader says what is wrong with an entry of metadata, "" when nothing is:
// names and values as in PROTOCOL-HTTP2.md, "Custom-Metadata".
func wrongHeader(name, value string) string {
	isNameless := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && !strings.ContainsRune("_-.", r)
	}
	lower := strings.ToLower(name)
	switch {
	case name == "" || strings.ContainsFunc(lower, isNameless):
		return "\"" + check.CleanText(name) + "\" is not a name of metadata; use a-z, 0-9, '_', '-' and '.'"
	case strings.HasPrefix(lower, "grpc-") || slices.Contains(ownHeaders, lower):
		return name + " is set by hale itself; leave it out"
	case strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }):
		return "the value of " + name + " has a character that is not printable ASCII; a name that ends in -bin takes any bytes, in base64"
	}
	return ""
}

// Derived returns what follows the scheme in metadata such as "Bearer TOKEN": a
// server may repeat the token alone.
func (c *Config) Derived() []string {
	var derived []string
	for name, value := range c.Headers {
		if _, credentials, ok := strings.Cut(value, " "); ok && check.SecretName(name) {
			derived = append(derived, credentials)
		}
	}
	return derived
}

// Checker makes the checker. It reads the files that the TLS options name.
func (c *Config) Checker(env check.Env) (check.Checker, error) {
	k := &checker{
		dial: env.Dial, network: "tcp", address: check.Address(c.host, c.port),
		service: c.Service, options: c.Options,
	}
	host := c.host
	if host == "" {
		host = "localhost"
	}
	authority := host
	if strings.Contains(host, ":") {
		authority = "[" + host + "]"
	}
	if c.port != 0 {
		authority = check.Address(host, c.port)
	}
	k.target = c.scheme + "://" + k.address
	if c.Unix != "" {
		k.network, k.address = "unix", c.Unix
		k.target = c.scheme + "://" + authority + " (" + c.Unix + ")"
	}
	if c.tls {
		var err error
		if k.tls, err = c.Options.Config(host); err != nil {
			return nil, err
		}
		k.tls.NextProtos = []string{"h2"}
	}
	k.prepare(authority, c.Authority, c.Headers)
	return k, nil
}
