// Package engine asks a Docker engine, or Podman in its place, about
// containers.
//
// It makes GET requests only, and no more than four of them: /version,
// /containers/json, /containers/NAME/json and /events. So a proxy in front of
// the engine's socket can allow just these. Each request has a connection of
// its own, so that nothing is left of it and none of them breaks because an
// engine was restarted in between. What is read of an answer is bounded.
//
// The protocol is that of https://docs.docker.com/reference/api/engine/; the
// parts that are used have been the same since API 1.24. Docker's own client is
// not used: it can do everything that an engine can, and brings some hundred
// packages for it. Of net/http only the messages are: its client reads ahead,
// logs what it finds odd there, and has goroutines for each connection.
//
// Errors are failures of package check: each says which engine was asked, what
// happened, and what to do.
package engine

import (
	"crypto/tls"
	"sync"

	"hale/internal/check"
)

// Options say which engine to ask. The zero value is the one that docker's
// command line would ask.
type Options struct {
	// Host is the engine's address: unix:///PATH, tcp://HOST:PORT, http:// or
	// https://. "" is the variable DOCKER_HOST, else the first socket there is:
	// /var/run/docker.sock, /run/podman/podman.sock, and docker.sock and
	// podman/podman.sock in the directory XDG_RUNTIME_DIR.
	Host string
	// Getenv reads a variable of the environment; nil is [os.LookupEnv]. Read
	// are DOCKER_HOST, DOCKER_TLS, DOCKER_TLS_VERIFY, DOCKER_CERT_PATH, HOME
	// and XDG_RUNTIME_DIR.
	Getenv func(name string) (value string, ok bool)
	// Dial opens connections; nil is [check.Dial].
	Dial check.DialFunc
}

// A Client asks one engine. Its methods may be called from any number of
// goroutines. It holds nothing that has to be closed but its streams.
type Client struct {
	sockets []string    // where the engine's socket may be; nil for one at an address
	address string      // HOST:PORT of an engine that is not at a socket
	shown   string      // what was given as its address, without a password
	tls     *tls.Config // nil is without
	dial    check.DialFunc

	mu      sync.Mutex
	version Version // what was agreed upon; zero is nothing yet
}

// New makes a client. It reads the files for TLS, if any, and asks nothing yet.
// Its error says what is wrong with the address or with the files.
func New(o Options) (*Client, error) {
	getenv := environment(o.Getenv)
	c := &Client{dial: o.Dial}
	if c.dial == nil {
		c.dial = check.Dial
	}
	if err := c.setAddress(o.Host, getenv); err != nil {
		return nil, err
	}
	return c, nil
}

// Host returns the engine's address as people may see it, such as
// unix:///var/run/docker.sock.
func (c *Client) Host() string {
	if len(c.sockets) > 0 {
		return "unix://" + c.socket()
	}
	return c.shown
}
