//go:build !unix

package server

import "math"

// fileLimit returns how many files the process may open.
func fileLimit() int { return math.MaxInt32 }
