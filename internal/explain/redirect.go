package explain

import (
	"context"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"hale/internal/balancer"
)

// judgeRedirect is for those who follow. next is nil if it counts as it is.
func (w *walk) judgeRedirect(location string) (ok bool, next *place) {
	got := fmt.Sprintf("%s, Location: %s", w.answer.http, clean(location))
	to, err := w.place.resolveReference(location)
	if err != nil {
		return w.step(StepRedirect, false, w.answer.took, "%s: it leads nowhere: %s", got, err), nil
	}
	same := strings.EqualFold(to.name, w.place.name) || to.name == w.base.target.Address.Addr().String()
	if w.b.Judge.Redirects == balancer.RedirectsSameHost && !same {
		w.result.Summary = fmt.Sprintf("%s in %s", clip(got), since(w.answer.took))
		w.step(StepStatus, true, w.answer.took, "%s", got)
		w.step(StepRedirect, true, 0, "to another host, which %s takes for a success, with a warning", w.b.Name)
		return w.inTime(), nil
	}
	w.step(StepStatus, true, w.answer.took, "%s", got)
	w.step(StepRedirect, true, 0, "followed to %s%s", clean(to.String()), w.assumed(balancer.FactRedirects))
	return true, &to
}

// follow asks where a redirect leads.
func (w *walk) follow(ctx context.Context, to place, left time.Duration) bool {
	w.hops, w.bases = append(w.hops, w.answer), append(w.bases, w.base)
	if left <= 0 {
		return w.step(StepTime, false, 0, "the time of %s is up", w.wait())
	}
	var addrs []netip.AddrPort
	if strings.EqualFold(to.name, w.p.place.name) {
		for _, a := range w.p.addrs {
			addrs = append(addrs, netip.AddrPortFrom(a.Addr(), to.port))
		}
	} else {
		found, err := lookup(ctx, to.name)
		if err != nil {
			return w.step(StepResolve, false, 0, "%s does not resolve: %s", clean(to.name), inWords(err))
		}
		for _, a := range found {
			// A stranger's redirect must not have this machine's metadata asked for.
			if a.IsLinkLocalUnicast() || a.IsMulticast() || a.IsUnspecified() || a == netip.MustParseAddr("fd00:ec2::254") {
				w.strayed = true
				return w.step(StepRedirect, false, 0, "it leads to %s, which explain does not ask", a)
			}
			addrs = append(addrs, netip.AddrPortFrom(a, to.port))
		}
		w.step(StepResolve, true, 0, "%s is %s", clean(to.name), listAddrs(addrs))
	}
	host := ""
	if to.name == w.place.name && to.port == w.place.port {
		host = w.p.Host
	}
	w.place = to
	return w.connect(ctx, addrs, host)
}

// resolveReference returns where a Location leads.
func (p place) resolveReference(location string) (place, error) {
	base, err := url.Parse(p.String())
	if err != nil {
		return place{}, err
	}
	u, err := base.Parse(location)
	if err != nil {
		return place{}, fmt.Errorf("%q is no URL", clean(location))
	}
	if u.Scheme != "http" && u.Scheme != "https" {
		return place{}, fmt.Errorf("its scheme is %q", clean(u.Scheme))
	}
	to := place{scheme: u.Scheme, name: strings.TrimSuffix(u.Hostname(), "."), path: u.EscapedPath()}
	if to.name, err = toASCII(to.name); err != nil {
		return place{}, err
	}
	if to.path == "" {
		to.path = "/"
	}
	if u.RawQuery != "" {
		to.path += "?" + u.RawQuery
	}
	if strings.ContainsFunc(to.path+to.name, func(r rune) bool { return r <= ' ' || r == 0x7f }) || to.name == "" {
		return place{}, fmt.Errorf("%q is no URL", clean(location))
	}
	to.port = usualPort(to.scheme)
	if u.Port() != "" {
		port, err := strconv.ParseUint(u.Port(), 10, 16)
		if err != nil || port == 0 {
			return place{}, fmt.Errorf("%q has no port", clean(location))
		}
		to.port = uint16(port)
	}
	return to, nil
}
