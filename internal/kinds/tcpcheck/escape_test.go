package tcpcheck

import (
	"fmt"
	"strings"
	"testing"
)

func FuzzUnescape(f *testing.F) {
	f.Add("PING\r\n")
	f.Add("\x00\\\"é\xff")
	f.Fuzz(func(t *testing.T, want string) {
		var escaped strings.Builder
		for i := range len(want) {
			fmt.Fprintf(&escaped, `\x%02x`, want[i])
		}
		if got, err := unescape(escaped.String()); err != nil || got != want {
			t.Errorf("%s: got %q, %v, want %q", escaped.String(), got, err, want)
		}
		doubled := strings.ReplaceAll(want, `\`, `\\`)
		if got, err := unescape(doubled); err != nil || got != want {
			t.Errorf("%q: got %q, %v, want %q", doubled, got, err, want)
		}
		// Whatever it is, it is an error or shorter, and never a panic.
		if got, err := unescape(want); err == nil && len(got) > len(want) {
			t.Errorf("%q became longer: %q", want, got)
		}
	})
}
