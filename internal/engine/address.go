package engine

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"hale/internal/check"
)

const (
	dockerSocket = "/var/run/docker.sock"
	podmanSocket = "/run/podman/podman.sock"

	maxSocketPath = 107 // unix(7)

	plainPort, tlsPort = "2375", "2376"
)

// Found reports whether there is something to ask without being told where:
// DOCKER_HOST is set, or one of the sockets is there. It does not ask it.
func Found(getenv func(name string) (value string, ok bool)) bool {
	env := environment(getenv)
	return env("DOCKER_HOST") != "" || firstThere(usualSockets(env)) != ""
}

func environment(getenv func(string) (string, bool)) func(string) string {
	if getenv == nil {
		getenv = os.LookupEnv
	}
	return func(name string) string {
		value, _ := getenv(name)
		return value
	}
}

// usualSockets are where engines listen, the one to be preferred first.
func usualSockets(getenv func(string) string) []string {
	paths := []string{dockerSocket, podmanSocket}
	if dir := getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(dir) {
		paths = append(paths, filepath.Join(dir, "docker.sock"), filepath.Join(dir, "podman/podman.sock"))
	}
	return paths
}

// firstThere returns the first of the paths at which there is something, "" for
// none. A path that may not be looked at counts: that is to be told.
func firstThere(paths []string) string {
	for _, path := range paths {
		if _, err := os.Stat(path); err == nil || errors.Is(err, fs.ErrPermission) {
			return path
		}
	}
	return ""
}

// socket is the path to connect to. It is looked for anew each time, as an
// engine may be started later than hale.
func (c *Client) socket() string {
	if path := firstThere(c.sockets); path != "" {
		return path
	}
	return c.sockets[0]
}

// setAddress takes the engine's address, or finds one.
func (c *Client) setAddress(host string, getenv func(string) string) error {
	what := "the engine's address"
	if host == "" {
		host, what = getenv("DOCKER_HOST"), "DOCKER_HOST"
	}
	if host == "" {
		c.sockets = usualSockets(getenv)
		return nil
	}
	wrong := func(format string, args ...any) error {
		return fmt.Errorf("%s "+format+"; give one such as unix://%s or tcp://127.0.0.1:2376", append(append([]any{what}, args...), dockerSocket)...)
	}
	scheme, rest, ok := strings.Cut(host, "://")
	switch {
	case strings.HasPrefix(host, "/"):
		scheme, rest = "unix", host
	case !ok:
		return wrong("has no scheme")
	}
	switch scheme {
	case "unix":
		return c.setSocket(rest, wrong)
	case "tcp", "http", "https":
		return c.setTCP(scheme, rest, getenv, wrong)
	case "ssh":
		return fmt.Errorf("%s begins with ssh://, which hale does not speak; let ssh forward the socket (ssh -N -L /run/remote.sock:%s HOST) and give unix:///run/remote.sock", what, dockerSocket)
	default:
		return wrong("begins with %s://, which is not supported", check.CleanText(scheme))
	}
}

func (c *Client) setSocket(path string, wrong func(string, ...any) error) error {
	switch {
	case !filepath.IsAbs(path):
		return wrong("has no absolute path")
	case len(path) > maxSocketPath:
		return wrong("has a path longer than the %d bytes that are possible", maxSocketPath)
	case strings.ContainsRune(path, 0):
		return wrong("holds a NUL character")
	}
	c.sockets = []string{path}
	return nil
}

// setTCP takes an engine at an address. Without a scheme that says it, TLS is
// used when one of the variables for it is set, as Docker's own client does.
func (c *Client) setTCP(scheme, rest string, getenv func(string) string, wrong func(string, ...any) error) error {
	u, err := url.Parse(scheme + "://" + rest)
	switch {
	case err != nil:
		return wrong("is not a URL")
	case u.User != nil:
		return wrong("holds a user, which engines do not have")
	case u.Hostname() == "":
		return wrong("has no host")
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		return wrong("has something after the port")
	}
	verify := getenv("DOCKER_TLS_VERIFY") != "" || scheme == "https"
	secure := verify || scheme == "tcp" && (getenv("DOCKER_TLS") != "" || getenv("DOCKER_CERT_PATH") != "")
	port := u.Port()
	switch n, err := strconv.Atoi(port); {
	case port == "" && secure:
		port = tlsPort
	case port == "":
		port = plainPort
	case err != nil || n < 1 || n > 65535:
		return wrong("has a port that is out of range")
	}
	c.address = net.JoinHostPort(u.Hostname(), port)
	c.shown = scheme + "://" + c.address
	if scheme == "http" && secure {
		return fmt.Errorf("%s is without TLS, but DOCKER_TLS_VERIFY is set; give tcp:// or https://, or unset that", c.shown)
	}
	if secure {
		if c.tls, err = tlsConfig(getenv, verify); err != nil {
			return err
		}
		c.tls.ServerName = u.Hostname()
	}
	return nil
}

// tlsConfig reads the files ca.pem, cert.pem and key.pem of the directory
// DOCKER_CERT_PATH, or of ~/.docker, where Docker's own client has them.
func tlsConfig(getenv func(string) string, verify bool) (*tls.Config, error) {
	dir, given := getenv("DOCKER_CERT_PATH"), true
	if dir == "" {
		dir, given = filepath.Join(getenv("HOME"), ".docker"), false
	}
	config := &tls.Config{InsecureSkipVerify: !verify, MinVersion: tls.VersionTLS12}
	wrong := func(err error) error {
		return fmt.Errorf("TLS for the engine: %w; DOCKER_CERT_PATH is the directory with ca.pem, cert.pem and key.pem", err)
	}
	// Without a directory given, what is not in the usual one is not used: the
	// engine may have a certificate that the system trusts.
	optional := func(err error) bool { return !given && errors.Is(err, fs.ErrNotExist) }
	if verify {
		file := filepath.Join(dir, "ca.pem")
		pem, err := os.ReadFile(file)
		switch {
		case err == nil:
			config.RootCAs = x509.NewCertPool()
			if !config.RootCAs.AppendCertsFromPEM(pem) {
				return nil, wrong(fmt.Errorf("%s holds no certificate in PEM form", file))
			}
		case !optional(err):
			return nil, wrong(err)
		}
	}
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	pair, err := tls.LoadX509KeyPair(cert, key)
	switch {
	case err == nil:
		config.Certificates = []tls.Certificate{pair}
	case errors.Is(err, fs.ErrNotExist) && (!verify || firstThere([]string{cert, key}) == ""):
		// An engine that asks for no certificate of its clients.
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
		return nil, wrong(err)
	default:
		return nil, wrong(fmt.Errorf("%s and %s: %w", cert, key, err))
	}
	return config, nil
}
