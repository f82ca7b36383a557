package ownip

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"time"
)

// The sources of an address.
const (
	Auto  = "auto"  // the cloud that this is, else the default route
	EC2   = "ec2"   // the EC2 instance metadata service
	ECS   = "ecs"   // the metadata of this ECS task
	GCP   = "gcp"   // the Compute Engine metadata server
	Azure = "azure" // the Azure instance metadata service
	Route = "route" // the address that the default route goes out from
)

// Sources is every source, the default one first.
func Sources() []string { return []string{Auto, EC2, ECS, GCP, Azure, Route} }

// Limit is how long [Find] may take, all its requests together.
const Limit = 3 * time.Second

// The variables that say where a metadata service is. The first two are those
// of AWS' tools, the third that of Google's libraries; Azure's have none.
const (
	EnvEC2   = "AWS_EC2_METADATA_SERVICE_ENDPOINT" // a URL
	EnvECS   = "ECS_CONTAINER_METADATA_URI_V4"     // a URL, set by ECS itself
	EnvGCP   = "GCE_METADATA_HOST"                 // HOST or HOST:PORT
	EnvAzure = "AZURE_METADATA_SERVICE_ENDPOINT"   // a URL
)

// Options say how to find the address. The zero value is usable.
type Options struct {
	// Source is one of [Sources]; "" is [Auto].
	Source string
	// Getenv looks up an environment variable; nil for [os.Getenv].
	Getenv func(string) string
	// DMI is the directory where Linux shows what the firmware calls the
	// machine; "" for /sys/class/dmi/id.
	DMI string
	// DialContext makes connections: TCP to metadata services, and the UDP
	// sockets that tell the default route and send nothing. Nil for a
	// [net.Dialer].
	DialContext func(ctx context.Context, network, address string) (net.Conn, error)
}

// An Answer is an address and where it is from.
type Answer struct {
	// Addr is neither loopback nor unspecified.
	Addr netip.Addr
	// Source is what gave it; never [Auto].
	Source string
	// Warning says that a cloud's metadata service did not give it although
	// this is that cloud, and why; else it is "".
	Warning string
}

// Host returns the address as URLs and Host headers have it: IPv6 in brackets.
func (a Answer) Host() string {
	if a.Addr.Is6() {
		return "[" + a.Addr.String() + "]"
	}
	return a.Addr.String()
}

// Find asks the source for the address. It blocks for [Limit] at most, and
// leaves nothing behind. With [Auto], what a cloud's metadata service does not
// say is taken from the default route, with a warning; with any other source
// that is an error.
func Find(ctx context.Context, o Options) (Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, Limit)
	defer cancel()
	if o.Getenv == nil {
		o.Getenv = os.Getenv
	}
	if o.DMI == "" {
		o.DMI = "/sys/class/dmi/id"
	}
	if o.DialContext == nil {
		o.DialContext = (&net.Dialer{}).DialContext
	}
	f := &finder{options: o, client: newClient(o.DialContext)}
	if o.Source != Auto && o.Source != "" {
		return f.ask(ctx, o.Source)
	}
	return f.auto(ctx)
}

// A finder looks for the address once.
type finder struct {
	options Options
	client  *http.Client
}

// ask asks one source.
func (f *finder) ask(ctx context.Context, source string) (Answer, error) {
	var addr netip.Addr
	var err error
	switch source {
	case EC2:
		addr, err = f.ec2(ctx)
	case ECS:
		addr, err = f.ecs(ctx)
	case GCP:
		addr, err = f.gcp(ctx)
	case Azure:
		addr, err = f.azure(ctx)
	case Route:
		addr, err = f.route(ctx)
	default:
		return Answer{}, fmt.Errorf("%q is no source of the own address; there are %s", harmless(source), strings.Join(Sources(), ", "))
	}
	if err != nil {
		return Answer{}, fmt.Errorf("own_ip source %s: %w", source, err)
	}
	return Answer{Addr: addr, Source: source}, nil
}

// auto asks the cloud that this is, else the default route.
func (f *finder) auto(ctx context.Context) (Answer, error) {
	source := f.cloud()
	if source == ECS {
		a, err := f.ask(ctx, ECS)
		if err == nil || !isBridge(err) {
			return f.orRoute(ctx, a, err)
		}
		// The balancer's target is the instance.
		source = f.cloudBeside(ECS)
	}
	if source == "" {
		return f.ask(ctx, Route)
	}
	a, err := f.ask(ctx, source)
	return f.orRoute(ctx, a, err)
}

// orRoute falls back to the default route when a cloud did not answer. A wrong
// address in a Host header would be a false alarm, so it comes with a warning.
func (f *finder) orRoute(ctx context.Context, a Answer, err error) (Answer, error) {
	if err == nil || errors.Is(ctx.Err(), context.Canceled) {
		return a, err
	}
	// The time may be over, and the route takes none.
	route, routeErr := f.ask(context.WithoutCancel(ctx), Route)
	if routeErr != nil {
		return Answer{}, fmt.Errorf("%w; and %w", err, routeErr)
	}
	route.Warning = fmt.Sprintf("%v; so the address of the default route, %v, is taken for the own one (own_ip: {source: route} says that this is right)", err, route.Addr)
	return route, nil
}

// The addresses that a UDP socket is connected to. They are for documentation
// (RFC 5737, RFC 3849), so only the default route leads there; and connecting
// a UDP socket chooses a route and sends nothing.
const (
	somewhere4 = "192.0.2.1:9"
	somewhere6 = "[2001:db8::1]:9"
)

// route returns the address that packets to the rest of the world leave from.
func (f *finder) route(ctx context.Context) (netip.Addr, error) {
	addr, first := f.localAddr(ctx, "udp4", somewhere4)
	if first == nil {
		return addr, nil
	}
	if addr, err := f.localAddr(ctx, "udp6", somewhere6); err == nil {
		return addr, nil
	}
	return netip.Addr{}, fmt.Errorf("this host has no default route, so none of its addresses is known to be the one that others use (%w); write the address itself in place of ${own_ip}", first)
}

// localAddr returns the address that a socket gets when it is connected.
func (f *finder) localAddr(ctx context.Context, network, address string) (netip.Addr, error) {
	conn, err := f.options.DialContext(ctx, network, address)
	if err != nil {
		return netip.Addr{}, err
	}
	defer conn.Close()
	local, err := netip.ParseAddrPort(conn.LocalAddr().String())
	if err != nil {
		return netip.Addr{}, err
	}
	addr := local.Addr().Unmap().WithZone("")
	return addr, usable(addr)
}

// usable returns an error for an address that nobody else can connect to.
func usable(addr netip.Addr) error {
	switch {
	case addr.IsUnspecified(), addr.IsLoopback(), addr.IsMulticast(), addr.IsLinkLocalUnicast():
		return fmt.Errorf("%v is no address that a balancer could connect to", addr)
	}
	return nil
}
