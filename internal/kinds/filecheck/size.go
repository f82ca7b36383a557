package filecheck

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"hale/internal/check"
)

// A Size is a number of bytes, at least 0.
type Size int64

// units are in ascending order.
var units = []struct {
	name  string
	bytes int64
}{
	{"B", 1},
	{"KB", 1e3}, {"KiB", 1 << 10},
	{"MB", 1e6}, {"MiB", 1 << 20},
	{"GB", 1e9}, {"GiB", 1 << 30},
	{"TB", 1e12}, {"TiB", 1 << 40},
}

// UnmarshalText reads a whole number and a unit: B, which may be left out, KB,
// MB, GB and TB for powers of 1000, or KiB, MiB, GiB and TiB for powers of
// 1024. Case does not matter.
func (s *Size) UnmarshalText(text []byte) error {
	number := strings.TrimRight(string(text), "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ ")
	name := strings.TrimSpace(string(text[len(number):]))
	n, err := strconv.ParseUint(number, 10, 63)
	if name == "" {
		name = "B"
	}
	for _, u := range units {
		if err == nil && strings.EqualFold(u.name, name) {
			if n > uint64(math.MaxInt64/u.bytes) {
				return fmt.Errorf("%q is more bytes than can be counted", check.CleanText(string(text)))
			}
			*s = Size(int64(n) * u.bytes)
			return nil
		}
	}
	return fmt.Errorf("%q is not a size; write whole bytes such as 512, or with a unit: KB, MB, GB, TB (powers of 1000) or KiB, MiB, GiB, TiB (powers of 1024)", check.CleanText(string(text)))
}

// String gives the size exactly, in the greatest unit that allows it.
func (s Size) String() string {
	best := units[0]
	for _, u := range units {
		if s != 0 && int64(s)%u.bytes == 0 {
			best = u
		}
	}
	return strconv.FormatInt(int64(s)/best.bytes, 10) + best.name
}
