package tcpcheck

import (
	"fmt"
	"strconv"
	"strings"
)

// unescape replaces \r, \n, \t, \0, \\, \" and \xNN by the bytes they stand
// for. All else stands for itself.
func unescape(text string) (string, error) {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(text, `\`)
		b.WriteString(before)
		if !found {
			return b.String(), nil
		}
		if after == "" {
			return "", fmt.Errorf(`ends in a lone backslash; write \\ for a backslash`)
		}
		switch after[0] {
		case 'r':
			b.WriteByte('\r')
		case 'n':
			b.WriteByte('\n')
		case 't':
			b.WriteByte('\t')
		case '0':
			b.WriteByte(0)
		case '\\', '"':
			b.WriteByte(after[0])
		case 'x':
			code, err := strconv.ParseUint(after[1:min(3, len(after))], 16, 8)
			if err != nil || len(after) < 3 {
				return "", fmt.Errorf(`has a \x that is not followed by two hexadecimal digits, as in \x0a`)
			}
			b.WriteByte(byte(code))
			after = after[2:]
		default:
			return "", fmt.Errorf(`has the unknown escape %q; known are \r \n \t \0 \\ \" and \xNN`, `\`+firstRune(after))
		}
		text = after[1:]
	}
}

func firstRune(s string) string {
	for _, r := range s {
		return string(r)
	}
	return ""
}
