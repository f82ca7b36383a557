package filecheck_test

import (
	"testing"

	"hale/internal/kinds/filecheck"
)

func TestSize(t *testing.T) {
	for _, test := range []struct {
		text  string
		want  filecheck.Size
		shown string
	}{
		{"0", 0, "0B"},
		{"512", 512, "512B"},
		{"512 b", 512, "512B"},
		{"10KB", 10_000, "10KB"},
		{"10 kb", 10_000, "10KB"},
		{"1KiB", 1024, "1KiB"},
		{"1000000", 1_000_000, "1MB"},
		{"1024kib", 1 << 20, "1MiB"},
		{"3GB", 3e9, "3GB"},
		{"2GiB", 2 << 30, "2GiB"},
		{"4TB", 4e12, "4TB"},
		{"5TiB", 5 << 40, "5TiB"},
		{"9223372036854775807", 1<<63 - 1, "9223372036854775807B"},
	} {
		var got filecheck.Size
		if err := got.UnmarshalText([]byte(test.text)); err != nil || got != test.want {
			t.Errorf("%q: got %d, %v, want %d", test.text, got, err, test.want)
		}
		if got.String() != test.shown {
			t.Errorf("%q: shown as %s, want %s", test.text, got, test.shown)
		}
	}
	for _, text := range []string{"", "KB", "1.5GB", "10M", "1e3", "0x10", "1KB2", "9223372036854775808", "9223372036854776KB", "10 M B"} {
		var got filecheck.Size
		if err := got.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q: got %v, want an error", text, got)
		}
	}
}

func FuzzSize(f *testing.F) {
	f.Add("10KiB")
	f.Add("9223372036854775807")
	f.Fuzz(func(t *testing.T, text string) {
		var size, again filecheck.Size
		if size.UnmarshalText([]byte(text)) != nil {
			return
		}
		if size < 0 {
			t.Errorf("%q is %d, a negative size", text, size)
		}
		if err := again.UnmarshalText([]byte(size.String())); err != nil || again != size {
			t.Errorf("%q is %d, shown as %s, which is %d, %v", text, size, size, again, err)
		}
	})
}
