package listeners

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// place is where something listens, as a check addresses it.
type place struct {
	// addr is the address, or the zero Addr for this host: a wildcard, or
	// 127.0.0.1 and ::1, which a check of this host tries first.
	addr netip.Addr
	port int
}

// A listener is what listens at a place: one socket, or several.
type listener struct {
	place
	bound  []netip.Addr // what the sockets are bound to
	inodes []uint64
	owner  process // its zero value is one that is not seen
	age    string  // since when it listens, in words
	mute   bool    // it is not to be said hello to
}

// name is what its check is called.
func (l listener) name(kind string) string {
	parts := []string{nameOf(cmp.Or(l.owner.name, kind), kind)}
	if l.addr.IsValid() {
		parts = append(parts, strings.Trim(strings.ReplaceAll(l.addr.String(), ":", "-"), "-"))
	}
	return strings.Join(append(parts, strconv.Itoa(l.port)), "-")
}

// nameOf makes a process' name fit for a check's.
func nameOf(process, kind string) string {
	clean := strings.Map(func(r rune) rune {
		if r < 0x80 && (r == '.' || r == '_' || '0' <= r && r <= '9' || 'a' <= r|0x20 && r|0x20 <= 'z') {
			return r
		}
		return '-'
	}, process)
	return cmp.Or(strings.Trim(clean, "-._"), kind)
}

// describe says who listens where, and since when.
func (l listener) describe() string {
	var bound []string
	for _, a := range l.bound {
		bound = append(bound, netip.AddrPortFrom(a, uint16(l.port)).String())
	}
	return fmt.Sprintf("%s listens on %s %s", cmp.Or(l.owner.name, "a process that hale may not see"), strings.Join(bound, ", "), l.age)
}

// group joins the sockets that one check covers. The listeners are sorted by
// port and address.
func group(sockets []socket) []listener {
	at := map[place]int{}
	var all []listener
	for _, k := range sockets {
		p := placeOf(k)
		i, ok := at[p]
		if !ok {
			i = len(all)
			at[p] = i
			all = append(all, listener{place: p})
		}
		l := &all[i]
		l.inodes = append(l.inodes, k.inode)
		if !slices.Contains(l.bound, k.addr) {
			l.bound = append(l.bound, k.addr)
		}
	}
	slices.SortFunc(all, func(a, b listener) int {
		return cmp.Or(cmp.Compare(a.port, b.port), a.addr.Compare(b.addr))
	})
	return all
}

// placeOf returns how a socket is addressed. An address that is on loopback, but
// not the usual one, is its own place: something else may listen on 127.0.0.1.
func placeOf(k socket) place {
	usual := k.addr == netip.AddrFrom4([4]byte{127, 0, 0, 1}) || k.addr == netip.IPv6Loopback()
	if k.addr.IsUnspecified() || usual {
		return place{port: k.port}
	}
	return place{k.addr, k.port}
}

// due returns the listeners to be checked from now on, and those that have not
// listened for long enough.
func (s *source) due(ctx context.Context, sockets []socket, now time.Time) (due, waiting []listener) {
	var open []listener
	wanted := map[uint64]bool{}
	for _, l := range group(sockets) {
		if !s.chosen[l.place] && !s.leftOut(l) {
			open = append(open, l)
			for _, inode := range l.inodes {
				wanted[inode] = true
			}
		}
	}
	if len(open) == 0 {
		return nil, nil
	}
	own := ownStart(s.root, s.self)
	owners := findOwners(ctx, s.root, wanted)
	for _, l := range open {
		l.owner = owner(l.inodes, owners)
		switch {
		case l.owner.pid == s.self:
			continue
		case l.owner.name == "hale":
			s.leave(l, "it is a hale's")
			continue
		case l.owner.pid != 0 && l.owner.start < own.start:
			l.age = "since before hale started"
		case l.owner.pid == 0 && !s.started && own.young:
			l.age = "since before hale looked for the first time"
		case now.Sub(s.firstSeen(l)) >= settle:
			l.age = "for a minute"
		default:
			waiting = append(waiting, l)
			s.tell(l, "not taken yet", "it began after hale did; it is taken once it has listened for a minute")
			continue
		}
		if len(s.chosen)+len(due) >= maxChecks {
			s.leave(l, fmt.Sprintf("%d ports are checked already, which is the most; write down those that matter, or leave others out with exclude", maxChecks))
			continue
		}
		due = append(due, l)
	}
	return due, waiting
}

// firstSeen is when the oldest of its sockets was first seen.
func (s *source) firstSeen(l listener) time.Time {
	first := s.since[l.inodes[0]]
	for _, inode := range l.inodes[1:] {
		if t := s.since[inode]; t.Before(first) {
			first = t
		}
	}
	return first
}

// leftOut reports whether a listener is not to be checked wherever it comes from.
func (s *source) leftOut(l listener) bool {
	written := s.options.Ports.has(l.port)
	switch {
	case len(s.options.Ports.ranges) > 0 && !written, s.options.Exclude.has(l.port):
	case slices.Contains(s.env.OwnPorts, l.port):
	case l.addr.IsLinkLocalUnicast() && l.addr.Is6():
		s.leave(l, "it is bound to a link-local address, and the kernel does not tell of which interface")
	case !written && portHint(l.port) == "" && s.handedOut(l.port):
		s.leave(l, "it is one of the ports that the kernel hands out for a while; write a check of it if it is a service's")
	default:
		return false
	}
	return true
}

// leave says that a listener is not checked.
func (s *source) leave(l listener, why string) { s.tell(l, "left out", why) }

// tell says something of a listener, once.
func (s *source) tell(l listener, what, why string) {
	key := fmt.Sprint(l.place, why)
	if s.told[key] || len(s.told) > maxChecks {
		return
	}
	s.told[key] = true
	s.env.Log.Info(what, "port", l.port, "why", why)
}
