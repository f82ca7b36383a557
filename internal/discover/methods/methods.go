// Package methods lists the ways to find checks.
package methods

import (
	"hale/internal/discover"
	"hale/internal/discover/docker"
	"hale/internal/discover/links"
	"hale/internal/discover/listeners"
)

// All returns every method, sorted by name.
func All() []discover.Method {
	return []discover.Method{
		docker.Method(),
		links.Method(),
		listeners.Method(),
	}
}
