package explain

import (
	"bufio"
	"net/netip"
	"strings"
)

// What tests of this package look at from outside.

var (
	Clean = clean
	Mask  = mask
)

// Read reads an answer from a text.
func Read(text, method string, bare bool) (status int, framing, body string, size int64, err error) {
	r, err := readResponse(bufio.NewReader(strings.NewReader(text)), method, bare, func() {})
	if r == nil {
		return 0, "", "", 0, err
	}
	return r.status, r.framing, string(r.body), r.size, err
}

// Parse takes a target apart and puts it together.
func Parse(target string) (string, error) {
	p, err := parse(target)
	return p.String(), err
}

// At has the target's name stand for addresses.
func At(o Options, addrs ...string) Options {
	for _, a := range addrs {
		o.addresses = append(o.addresses, netip.MustParseAddr(a))
	}
	return o
}
