//go:build !linux

package diskcheck

import (
	"context"
	"errors"
)

func look(context.Context, string) (usage, error) { return usage{}, errors.ErrUnsupported }
