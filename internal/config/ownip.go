package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"hale/internal/check"
)

// An OwnIP finds the address by which balancers know this host.
type OwnIP struct {
	// Sources are the sources it may be asked of, the default one first.
	Sources []string
	// Find asks a source. The address is as URLs have it, IPv6 in brackets. A
	// warning, which may come with it, is added to the config's.
	Find func(source string) (address, warning string, err error)
}

// ownIPSource checks a source's name.
func (l *loader) ownIPSource(name string) error {
	known := l.sources.OwnIP.Sources
	if len(known) == 0 || slices.Contains(known, name) {
		return nil
	}
	return fmt.Errorf("%q is no source of the own address%s (known: %s)", oneLine(name), check.DidYouMean(name, known), strings.Join(known, ", "))
}

// readOwnIP reads where ${own_ip} is from: the source's name, or a map with it.
func (l *loader) readOwnIP(e entry) {
	value, path := e.value, e.key
	if value.kind == mapping {
		for _, k := range value.entries {
			if k.key != "source" {
				l.fail(k.at, join(path, oneLine(k.key)), "unknown key%s (known: source)", check.DidYouMean(k.key, []string{"source"}))
			}
		}
		source, ok := value.get("source")
		if !ok {
			l.fail(value.at, path, "has no source; write {source: ec2}")
			return
		}
		value, path = source.value, join(path, "source")
	}
	name, secrets, ok := l.text(value, path)
	if !ok {
		return
	}
	if err := l.ownIPSource(name); err != nil {
		l.fail(value.at, path, "%s", hide(err.Error(), secrets))
		return
	}
	l.config.OwnIP.Source = name
}

// ownIP returns what ${own_ip} stands for. The source is asked once for each
// configuration, and only by one that has a ${own_ip}.
func (l *loader) ownIP(arg string) (string, error) {
	switch {
	case arg != "":
		return "", errors.New("takes nothing after it; write ${own_ip}, and own_ip: {source: ec2} at the top of the file")
	case l.sources.OwnIP.Find == nil:
		return "", errors.New("can't be found out by this program; write the address itself")
	case !l.ownIPAsked:
		l.ownIPAsked = true
		var warning string
		l.config.OwnIP.Address, warning, l.ownIPErr = l.sources.OwnIP.Find(l.config.OwnIP.Source)
		if warning != "" {
			l.config.Warnings = append(l.config.Warnings, warning)
		}
	}
	if l.ownIPErr != nil {
		return "", fmt.Errorf("can't be found out: %w", l.ownIPErr)
	}
	return l.config.OwnIP.Address, nil
}
