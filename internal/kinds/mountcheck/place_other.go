//go:build !linux

package mountcheck

import (
	"context"
	"errors"

	"hale/internal/mounts"
)

// A place is an opened path.
type place struct{ isDir, isMount bool }

func open(string) (*place, error) { return nil, errors.ErrUnsupported }

func (p *place) close() {}

func (p *place) mount() (mounts.Mount, error) { return mounts.Mount{}, errors.ErrUnsupported }

func (p *place) probe(context.Context) error { return errors.ErrUnsupported }
