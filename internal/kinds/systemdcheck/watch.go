package systemdcheck

import (
	"context"
	"fmt"
)

var errTooMany = fmt.Errorf("%d checks watch their units already", MaxWatchers)

// Watch calls changed whenever systemd says that the unit changed. It returns
// an error when systemd can't be reached (any more), and when too many checks
// watch.
func (c *checker) Watch(ctx context.Context, changed func()) error {
	select {
	case c.watchers <- struct{}{}:
		defer func() { <-c.watchers }()
	default:
		return errTooMany
	}
	path := unitPath(c.unit)
	rule := fmt.Sprintf("type='signal',sender='%s',interface='%s',member='PropertiesChanged',path='%s'", systemdName, properties, path)
	// The bus is to pass the unit's signals on, and systemd to send any. Its
	// own socket knows no rules and has the signals of all units.
	calls := []call{
		{busName, busPath, busName, "AddMatch", []string{rule}},
		{systemdName, systemdPath, managerInterface, "Subscribe", nil},
	}
	k, err := c.open(ctx, calls)
	if err != nil {
		return err
	}
	defer k.close()
	answers, err := c.replies(k, calls)
	if err != nil {
		return err
	}
	for _, m := range answers {
		if m.kind == typeError && !notKnown(m.name) {
			return c.refused(m)
		}
	}
	changed() // what happened before the watch began went unnoticed
	for {
		m, err := readMessage(k.r)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			changed() // systemd or the bus has ended
			return c.broken(err)
		case m.kind == typeSignal && m.path == path && m.member == "PropertiesChanged":
			changed()
		}
	}
}
