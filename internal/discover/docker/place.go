package docker

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"

	"hale/internal/engine"
)

// A place is where a container can be reached.
type place struct {
	host string // its address; "" is nowhere
	why  string // why this one, or why none
	// published is, for a container that is reached by its published ports
	// alone, where each of its ports is.
	published map[int]endpoint
	// hidden is where its other ports are published, at an address of the host
	// that can't be reached from here.
	hidden map[int]string
	// lost is that it should have a network and has none: that it runs does not
	// make it serve.
	lost bool
	// named is that its name is known as a host's, by the engine's own DNS.
	named bool
}

type endpoint struct {
	host string
	port int
}

// endpoint returns where a port of the container is.
func (p place) endpoint(port int) (host string, mapped int, ok bool) {
	if p.published == nil {
		return p.host, port, p.host != ""
	}
	e, ok := p.published[port]
	return e.host, e.port, ok
}

// missing lists ports that can't be reached, each with the reason.
func (p place) missing(ports []int) string {
	var all []string
	for _, port := range ports {
		why := "not published"
		if ip, ok := p.hidden[port]; ok {
			why = "published at " + ip + ", which is not here"
		}
		all = append(all, fmt.Sprintf("%d (%s)", port, why))
	}
	return shorten(all)
}

// loopback reports whether the container's ports are this host's own.
func (p place) loopback() bool { return p.published == nil && p.host == "127.0.0.1" }

// A vantage is where hale looks from.
type vantage struct {
	// self is hale's own container; nil when it runs in none of this engine.
	self *engine.Container
	// selfNet is the container whose network hale uses: its own, in most cases.
	selfNet *engine.Container
	// remote is the engine's host, when that is not this one; "" when it is.
	remote string
	// bridges are the networks that this host is a bridge of.
	bridges []netip.Prefix
	// gateway is the host's address as seen from hale's container; "" is not
	// known.
	gateway string
}

// onHost reports whether hale uses the host's own network.
func (v vantage) onHost() bool {
	return v.remote == "" && (v.self == nil || v.selfNet != nil && v.selfNet.NetworkMode == "host")
}

// locate says where the container is reached. The owner is the one whose
// network it uses: itself, unless it joined another's; nil is one that is gone.
func (v vantage) locate(c, owner *engine.Container) place {
	switch {
	case owner == nil:
		return place{why: "it uses the network of a container that is gone", lost: true}
	case owner.ID != c.ID && !owner.State.Running:
		return place{why: "it uses the network of container " + owner.Name + ", which does not run", lost: true}
	case v.selfNet != nil && owner.ID == v.selfNet.ID:
		return place{host: "127.0.0.1", why: "hale shares its network"}
	case owner.NetworkMode == "host":
		return v.locateHost()
	case owner.NetworkMode == "none":
		return place{why: "it has no network"}
	}
	if p, ok := v.shared(owner); ok {
		p.named = p.named && owner.ID == c.ID // an engine knows who joined another's network by no name
		return p
	}
	return v.publishedAt(owner)
}

// locateHost is the place of a container that uses the host's network.
func (v vantage) locateHost() place {
	switch {
	case v.onHost():
		return place{host: "127.0.0.1", why: "it uses the host's network"}
	case v.remote != "":
		return place{host: v.remote, why: "it uses the network of the engine's host"}
	case v.gateway != "":
		return place{host: v.gateway, why: "it uses the host's network; this is the host, seen from hale's container"}
	}
	return place{why: "it uses the host's network, and hale's container has no gateway to that"}
}

// nameless are the networks in which engines answer for no names: the default
// ones of Docker and of Podman.
var nameless = []string{"bridge", "podman"}

// shared finds an address in a network that hale is in.
func (v vantage) shared(c *engine.Container) (place, bool) {
	for _, name := range slices.Sorted(maps.Keys(c.Networks)) {
		n := c.Networks[name]
		for _, ip := range []string{n.IP, n.IPv6} {
			addr, err := netip.ParseAddr(ip)
			if err != nil {
				continue
			}
			switch {
			case v.self != nil && v.selfNet != nil && inNetwork(v.selfNet, n.ID):
				return place{host: ip, why: fmt.Sprintf("hale is in its network %s too", name), named: !slices.Contains(nameless, name)}, true
			case v.onHost() && slices.ContainsFunc(v.bridges, func(p netip.Prefix) bool { return p.Contains(addr) }):
				return place{host: ip, why: fmt.Sprintf("its network %s is a bridge of this host", name)}, true
			}
		}
	}
	return place{}, false
}

func inNetwork(c *engine.Container, id string) bool {
	return slices.ContainsFunc(slices.Collect(maps.Values(c.Networks)), func(n engine.Network) bool { return n.ID != "" && n.ID == id })
}

// publishedAt is the place of a container that can only be reached by the ports
// of the engine's host that lead to it.
func (v vantage) publishedAt(c *engine.Container) place {
	p := place{published: map[int]endpoint{}, hidden: map[int]string{}}
	for _, published := range c.Published {
		if published.Proto != "tcp" || published.HostPort == 0 {
			continue
		}
		host := v.hostAddress(published.HostIP)
		if _, taken := p.published[published.Port]; taken {
			continue
		}
		if host == "" {
			p.hidden[published.Port] = published.HostIP
			continue
		}
		delete(p.hidden, published.Port)
		p.published[published.Port] = endpoint{host: host, port: published.HostPort}
		if p.host == "" {
			p.host = host
		}
	}
	switch {
	case p.host != "":
		p.why = "published ports, as no network is shared with it"
	case len(c.Networks) == 0:
		p.why = "it has no network"
	case len(p.hidden) > 0:
		p.why = fmt.Sprintf("none of its networks (%s) can be reached from here, nor any of its ports: %s", networkNames(c), p.missing(slices.Sorted(maps.Keys(p.hidden))))
	default:
		p.why = fmt.Sprintf("none of its networks (%s) can be reached from here, and none of its ports is published", networkNames(c))
	}
	return p
}

func networkNames(c *engine.Container) string {
	return strings.Join(slices.Sorted(maps.Keys(c.Networks)), ", ")
}

// hostAddress is where a port is reached that the host publishes at an address
// of its own; "" is nowhere.
func (v vantage) hostAddress(published string) string {
	addr, err := netip.ParseAddr(published)
	anywhere := err != nil || addr.IsUnspecified()
	local := err == nil && addr.IsLoopback()
	switch {
	case !anywhere && !local:
		return published
	case v.remote != "" && local, !v.onHost() && v.remote == "" && local:
		return "" // the loopback of another host or network
	case v.remote != "":
		return v.remote
	case !v.onHost():
		return v.gateway
	case local:
		return published
	case err == nil && addr.Is6():
		return "::1"
	}
	return "127.0.0.1"
}

// bridges lists the networks of this host's bridges: the containers in them can
// be reached. Not those of other interfaces, as macvlan's containers have
// addresses there and yet can't be reached from their host.
func bridges(names []string) []netip.Prefix {
	var all []netip.Prefix
	for _, name := range names {
		i, err := net.InterfaceByName(name)
		if err != nil {
			continue
		}
		addrs, _ := i.Addrs() // none is as good as an error
		for _, a := range addrs {
			if prefix, err := netip.ParsePrefix(a.String()); err == nil && !prefix.Addr().IsLinkLocalUnicast() {
				all = append(all, prefix.Masked())
			}
		}
	}
	return all
}
