//go:build !linux

package processcheck

import (
	"context"
	"errors"

	"hale/internal/check"
)

// Check fails.
func (c *byFile) Check(context.Context) (string, error) {
	return "", check.Failf(check.ReasonOther, "%s: processes can be checked on Linux only: %w", c.path, errors.ErrUnsupported)
}

// Check fails.
func (c *byName) Check(context.Context) (string, error) {
	return "", check.Failf(check.ReasonOther, "%s: processes can be checked on Linux only: %w", c.name, errors.ErrUnsupported)
}
