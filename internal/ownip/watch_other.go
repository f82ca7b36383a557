//go:build !linux

package ownip

import "context"

// Watch blocks until ctx ends: on this system nothing tells of changes, and the
// address is asked for now and then.
func Watch(ctx context.Context, _ func()) error {
	<-ctx.Done()
	return nil
}
