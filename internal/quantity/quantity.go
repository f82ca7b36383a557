// Package quantity has the types of options that say how much: a size in bytes,
// a percentage, and a share, which is one of the two.
package quantity

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"hale/internal/check"
)

// A Size is a number of bytes, at least 0.
type Size int64

// unit is the name of a number of bytes.
type unit struct {
	name  string
	bytes int64
}

// units returns those of sizes in ascending order.
func units() []unit {
	return []unit{
		{"B", 1},
		{"KB", 1e3}, {"KiB", 1 << 10},
		{"MB", 1e6}, {"MiB", 1 << 20},
		{"GB", 1e9}, {"GiB", 1 << 30},
		{"TB", 1e12}, {"TiB", 1 << 40},
	}
}

const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

// UnmarshalText reads a whole number and a unit: B, which may be left out, KB,
// MB, GB and TB for powers of 1000, or KiB, MiB, GiB and TiB for powers of
// 1024. Case does not matter.
func (s *Size) UnmarshalText(text []byte) error {
	n, err := parseSize(string(text))
	switch {
	case errors.Is(err, strconv.ErrRange):
		return tooLarge(text)
	case err != nil:
		return fmt.Errorf("%q is not a size; write whole bytes such as 512, or with a unit: KB, MB, GB, TB (powers of 1000) or KiB, MiB, GiB, TiB (powers of 1024)", check.CleanText(string(text)))
	}
	*s = n
	return nil
}

func tooLarge(text []byte) error {
	return fmt.Errorf("%q is more bytes than can be counted", check.CleanText(string(text)))
}

// parseSize reads a size. Its error is [strconv.ErrRange] for one that is too
// large, and [strconv.ErrSyntax] for what is none.
func parseSize(text string) (Size, error) {
	number := strings.TrimRight(text, letters+" ")
	name := strings.TrimSpace(text[len(number):])
	if name == "" {
		name = "B"
	}
	for _, u := range units() {
		if !strings.EqualFold(u.name, name) {
			continue
		}
		n, err := strconv.ParseUint(number, 10, 63)
		switch {
		case err == nil && n <= uint64(math.MaxInt64/u.bytes):
			return Size(int64(n) * u.bytes), nil
		case err == nil || errors.Is(err, strconv.ErrRange):
			return 0, strconv.ErrRange
		}
	}
	return 0, strconv.ErrSyntax
}

// String gives the size exactly, in the greatest unit that allows it.
func (s Size) String() string {
	best := unit{"B", 1}
	for _, u := range units() {
		if s != 0 && int64(s)%u.bytes == 0 {
			best = u
		}
	}
	return strconv.FormatInt(int64(s)/best.bytes, 10) + best.name
}

// Bytes gives a number of bytes for people to read, rounded down, in units of
// powers of 1024: 41.3GiB.
func Bytes(n uint64) string {
	if n < 1<<10 {
		return strconv.FormatUint(n, 10) + "B"
	}
	names := []string{"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}
	i := 0
	for i < len(names)-1 && n>>(10*(i+2)) > 0 {
		i++
	}
	one := uint64(1) << (10 * (i + 1))
	return fmt.Sprintf("%d.%d%s", n/one, n%one*10/one, names[i])
}

// A Percent is a percentage from 0 to 100.
type Percent float64

// UnmarshalText reads a number from 0 to 100 that is followed by %.
func (p *Percent) UnmarshalText(text []byte) error {
	n, err := percent(string(text))
	if err != nil {
		return fmt.Errorf("%q is not a percentage; write one from 0%% to 100%%, such as 10%% (in a URL 10%%25)", check.CleanText(string(text)))
	}
	*p = Percent(n)
	return nil
}

// String gives the percentage as it is written.
func (p Percent) String() string { return strconv.FormatFloat(float64(p), 'f', -1, 64) + "%" }

// percent reads digits, with a decimal point perhaps, and a %.
func percent(text string) (float64, error) {
	number, isPercent := strings.CutSuffix(text, "%")
	number = strings.TrimSpace(number)
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || !isPercent || strings.Trim(number, "0123456789.") != "" || n > 100 {
		return 0, strconv.ErrSyntax
	}
	return n, nil
}

// A Share is a part of a whole: so many percent of it, or so many bytes.
type Share struct {
	percent Percent
	bytes   Size // counts only without percent
}

// PercentShare is the share of so many percent.
func PercentShare(p Percent) Share { return Share{percent: p} }

// UnmarshalText reads a percentage or a size.
func (s *Share) UnmarshalText(text []byte) error {
	*s = Share{}
	if strings.HasSuffix(string(text), "%") {
		return s.percent.UnmarshalText(text)
	}
	n, err := parseSize(string(text))
	switch {
	case errors.Is(err, strconv.ErrRange):
		return tooLarge(text)
	case err != nil:
		return fmt.Errorf("%q is neither a percentage nor a size; write one such as 10%% (in a URL 10%%25), 500MB or 5GiB", check.CleanText(string(text)))
	}
	s.bytes = n
	return nil
}

// String gives the share as it is written.
func (s Share) String() string {
	if s.percent > 0 {
		return s.percent.String()
	}
	return s.bytes.String()
}

// IsZero reports whether the share is nothing of any whole.
func (s Share) IsZero() bool { return s == Share{} }

// Of returns how much the share is of a whole, rounded up.
func (s Share) Of(whole uint64) uint64 {
	if s.percent > 0 {
		return part(s.percent, whole)
	}
	return uint64(s.bytes)
}

// part returns so many percent of a whole, rounded up.
func part(p Percent, whole uint64) uint64 {
	if p == 100 {
		return whole // which a float64 may not hold exactly
	}
	return min(whole, uint64(math.Ceil(float64(whole)*float64(p)/100)))
}

// A Count is a number of things: so many percent of all, or so many.
type Count struct {
	percent Percent
	number  uint64 // counts only without percent
}

// PercentCount is the count of so many percent.
func PercentCount(p Percent) Count { return Count{percent: p} }

// UnmarshalText reads a percentage or a whole number.
func (c *Count) UnmarshalText(text []byte) error {
	*c = Count{}
	if strings.HasSuffix(string(text), "%") {
		return c.percent.UnmarshalText(text)
	}
	n, err := strconv.ParseUint(string(text), 10, 63)
	if err != nil {
		return fmt.Errorf("%q is neither a percentage nor a whole number; write one such as 10%% (in a URL 10%%25) or 5000", check.CleanText(string(text)))
	}
	c.number = n
	return nil
}

// String gives the count as it is written.
func (c Count) String() string {
	if c.percent > 0 {
		return c.percent.String()
	}
	return strconv.FormatUint(c.number, 10)
}

// IsZero reports whether the count is none of any number.
func (c Count) IsZero() bool { return c == Count{} }

// Of returns how many the count is of all, rounded up.
func (c Count) Of(all uint64) uint64 {
	if c.percent > 0 {
		return part(c.percent, all)
	}
	return c.number
}

// PercentOf says how many percent of a whole a part is, rounded down so that
// what falls short of a limit never reads as if it reached it; "0%" of nothing.
func PercentOf(part, whole uint64) string {
	if whole == 0 {
		return "0%"
	}
	exact := 100 * float64(part) / float64(whole)
	if exact >= 10 {
		return strconv.FormatFloat(math.Floor(exact), 'f', -1, 64) + "%"
	}
	return strconv.FormatFloat(math.Floor(exact*10)/10, 'f', -1, 64) + "%"
}
