package quantity_test

import (
	"encoding"
	"fmt"
	"math"
	"testing"

	"hale/internal/quantity"
)

type value interface {
	encoding.TextUnmarshaler
	fmt.Stringer
}

func TestReading(t *testing.T) {
	const size = " is not a size; write whole bytes such as 512, or with a unit: KB, MB, GB, TB (powers of 1000) or KiB, MiB, GiB, TiB (powers of 1024)"
	const percent = " is not a percentage; write one from 0% to 100%, such as 10% (in a URL 10%25)"
	const share = " is neither a percentage nor a size; write one such as 10% (in a URL 10%25), 500MB or 5GiB"
	const count = " is neither a percentage nor a whole number; write one such as 10% (in a URL 10%25) or 5000"
	newSize := func() value { return new(quantity.Size) }
	newPercent := func() value { return new(quantity.Percent) }
	newShare := func() value { return new(quantity.Share) }
	newCount := func() value { return new(quantity.Count) }
	for _, test := range []struct {
		into func() value
		text string
		want string // how it is shown, or the error
	}{
		{newSize, "0", "0B"},
		{newSize, "512", "512B"},
		{newSize, "2048", "2KiB"},
		{newSize, "5gib", "5GiB"},
		{newSize, "10 MB", "10MB"},
		{newSize, "9223372036854775807", "9223372036854775807B"},
		{newSize, "9223372036854775808", `"9223372036854775808" is more bytes than can be counted`},
		{newSize, "9000000TiB", `"9000000TiB" is more bytes than can be counted`},
		{newSize, "", `""` + size},
		{newSize, "GiB", `"GiB"` + size},
		{newSize, "-1", `"-1"` + size},
		{newSize, "1.5GiB", `"1.5GiB"` + size},
		{newSize, "5G", `"5G"` + size},
		{newSize, "10%", `"10%"` + size},
		{newPercent, "10%", "10%"},
		{newPercent, "0.5%", "0.5%"},
		{newPercent, "100 %", "100%"},
		{newPercent, "0%", "0%"},
		{newPercent, "100.1%", `"100.1%"` + percent},
		{newPercent, "-1%", `"-1%"` + percent},
		{newPercent, "1e1%", `"1e1%"` + percent},
		{newPercent, "nan%", `"nan%"` + percent},
		{newPercent, "10", `"10"` + percent},
		{newPercent, "%", `"%"` + percent},
		{newPercent, "10%%", `"10%%"` + percent},
		{newShare, "10%", "10%"},
		{newShare, "500MB", "500MB"},
		{newShare, "5GiB", "5GiB"},
		{newShare, "0", "0B"},
		{newShare, "0%", "0B"},
		{newShare, "110%", `"110%"` + percent},
		{newShare, "much", `"much"` + share},
		{newShare, "99999999TB", `"99999999TB" is more bytes than can be counted`},
		{newCount, "10%", "10%"},
		{newCount, "5000", "5000"},
		{newCount, "0", "0"},
		{newCount, "5k", `"5k"` + count},
		{newCount, "-5", `"-5"` + count},
		{newCount, "101%", `"101%"` + percent},
	} {
		v := test.into()
		got := ""
		if err := v.UnmarshalText([]byte(test.text)); err != nil {
			got = err.Error()
		} else {
			got = v.String()
		}
		if got != test.want {
			t.Errorf("%T of %q\n got %s\nwant %s", v, test.text, got, test.want)
		}
	}
}

func TestSharesOfAWhole(t *testing.T) {
	for _, test := range []struct {
		text         string
		whole, bytes uint64
	}{
		{"10%", 1000, 100},
		{"10%", 1001, 101}, // never less than what was asked for
		{"0.1%", 10, 1},
		{"100%", 1<<63 + 12345, 1<<63 + 12345},
		{"50%", 0, 0},
		{"5KiB", 1000, 5 << 10}, // a whole that is too small fails
		{"0", 1000, 0},
	} {
		var s quantity.Share
		if err := s.UnmarshalText([]byte(test.text)); err != nil {
			t.Fatal(err)
		}
		if got := s.Of(test.whole); got != test.bytes {
			t.Errorf("%s of %d: got %d, want %d", test.text, test.whole, got, test.bytes)
		}
	}
	var c quantity.Count
	if err := c.UnmarshalText([]byte("30")); err != nil || c.Of(7) != 30 || c.IsZero() {
		t.Errorf("30 of 7: %d, %v", c.Of(7), err)
	}
	if got := quantity.PercentCount(5).Of(99); got != 5 {
		t.Errorf("5%% of 99: got %d, want 5", got)
	}
	if !(quantity.Share{}).IsZero() || quantity.PercentShare(5).IsZero() || !(quantity.Count{}).IsZero() {
		t.Error("IsZero is wrong")
	}
}

func TestShownToPeople(t *testing.T) {
	for n, want := range map[uint64]string{
		0: "0B", 1023: "1023B", 1024: "1.0KiB", 1536: "1.5KiB", 1<<20 - 1: "1023.9KiB", 1 << 20: "1.0MiB",
		5<<30 + 1<<29: "5.5GiB", 3 << 40: "3.0TiB", math.MaxUint64: "15.9EiB",
	} {
		if got := quantity.Bytes(n); got != want {
			t.Errorf("%d bytes: got %s, want %s", n, got, want)
		}
	}
	for _, test := range []struct {
		part, whole uint64
		want        string
	}{
		{0, 100, "0%"}, {1, 1000, "0.1%"}, {4999, 100000, "4.9%"}, {5, 100, "5%"}, {999, 1000, "99%"}, {7, 7, "100%"}, {1, 0, "0%"},
	} {
		if got := quantity.PercentOf(test.part, test.whole); got != test.want {
			t.Errorf("%d of %d: got %s, want %s", test.part, test.whole, got, test.want)
		}
	}
}
