package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	"hale/internal/check"
	"hale/internal/config"
	"hale/internal/ownip"
)

// An addressAsker asks for this host's own address when a configuration needs it,
// and keeps what was found.
type addressAsker struct{ found ownip.Answer }

// ask is for a configuration: each one asks once.
func (o *addressAsker) ask(ctx context.Context) config.OwnIP {
	return config.OwnIP{Sources: ownip.Sources(), Find: func(source string) (string, string, error) {
		found, err := ownip.Find(ctx, ownip.Options{Source: source})
		if err != nil {
			return "", "", err
		}
		o.found = found
		return found.Host(), found.Warning, nil
	}}
}

// knownAddress is for a configuration with an address that was asked for before.
func knownAddress(a ownip.Answer) config.OwnIP {
	return config.OwnIP{Sources: ownip.Sources(), Find: func(string) (string, string, error) { return a.Host(), a.Warning, nil }}
}

// A load reads the configuration that serve was given.
type load func(config.OwnIP) (*config.Config, *check.Registry, error)

// refreshOwnIP keeps ${own_ip} as it is now, until ctx ends: when the address
// changes, the configuration is read again with the new one and its checks take
// the place of those before. A configuration with a fault changes nothing.
func refreshOwnIP(ctx context.Context, c *config.Config, now ownip.Answer, again load, checks *gatherer, log *slog.Logger) {
	if c.OwnIP.Address == "" {
		return
	}
	last := now
	ownip.Refresher{
		Find: func(ctx context.Context) (ownip.Answer, error) {
			return ownip.Find(ctx, ownip.Options{Source: c.OwnIP.Source})
		},
		Watch: ownip.Watch,
		Changed: func(a ownip.Answer) error {
			changed, _, err := again(knownAddress(a))
			if err != nil {
				return err
			}
			for _, warning := range changed.Warnings {
				log.Warn(warning)
			}
			if len(c.Discover) == 0 {
				warnUnready(changed.Checks, log)
			}
			if before, _, err := again(knownAddress(last)); err == nil {
				succeed(changed.Checks, before.Checks)
			}
			last = a
			if changed.Listen != c.Listen || changed.Admin != c.Admin || changed.AgentCheck != c.AgentCheck {
				log.Warn("the address of a listener has changed; restart hale for that")
			}
			checks.write(changed.Checks)
			return nil
		},
		Log: log,
	}.Run(ctx, now)
}

// succeed has checks take over from those of the same name that differ in the
// address only, as both come from the same configuration: an instance that is
// well must not fail until they have had their first results.
func succeed(checks, before []*check.Check) {
	ids := make(map[string]string, len(before))
	for _, c := range before {
		ids[c.Name] = c.ID
	}
	for _, c := range checks {
		c.Succeeds = ids[c.Name]
	}
}

// warn prints what there is to say of a configuration that is no fault.
func warn(w io.Writer, c *config.Config) {
	for _, warning := range c.Warnings {
		fmt.Fprintln(w, "hale: warning:", warning)
	}
}
