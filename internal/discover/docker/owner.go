package docker

import (
	"context"
	"errors"
	"slices"
	"strings"

	"hale/internal/engine"
)

// maxJoins is how many containers may each use the network of the next one.
// More than that is a circle.
const maxJoins = 4

// A joint says whose network a container uses.
type joint struct {
	// owner is the one that the network is of: the container itself, unless it
	// joined another's; nil is one that is gone.
	owner *engine.Container
	// via are the ids of those that it joined, one after the other.
	via []string
}

// networkOf asks the engine whose network a container uses. That one need not be
// among those that are checked: it may be left out, or be a pod's.
func networkOf(ctx context.Context, client *engine.Client, c *engine.Container) (joint, error) {
	j := joint{owner: c}
	for range maxJoins {
		id, joined := strings.CutPrefix(j.owner.NetworkMode, "container:")
		if !joined {
			return j, nil
		}
		next, err := bounded(ctx, func(ctx context.Context) (*engine.Container, error) { return client.Inspect(ctx, id) })
		switch {
		case errors.Is(err, engine.ErrNotFound):
			return joint{via: append(j.via, id)}, nil
		case err != nil:
			return j, err
		}
		j = joint{owner: next, via: append(j.via, next.ID)}
	}
	return joint{via: j.via}, nil
}

// joined are the ids of the tracked containers that use the network of another
// by way of the container with this id.
func (s *source) joined(id string) []string {
	var ids []string
	for _, t := range s.tracked {
		if slices.Contains(t.joint.via, id) {
			ids = append(ids, t.id)
		}
	}
	return ids
}

// connected reports whether the option networks takes a container, by the
// networks that it uses. One that is checked stays when it has lost them all:
// that is a fault of it, and no reason to look away.
func (r *rules) connected(j joint, tracked bool) bool {
	if len(r.config.Networks) == 0 {
		return true
	}
	if j.owner == nil || len(j.owner.Networks) == 0 && tracked {
		return tracked
	}
	return slices.ContainsFunc(r.config.Networks, func(name string) bool {
		_, connected := j.owner.Networks[name]
		return connected || j.owner.NetworkMode == name
	})
}
