package listeners

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// What Linux 6.x told of sockets of all sorts, among them connections, and one
// in TIME_WAIT.
func TestRecorded(t *testing.T) {
	p := newProc(t)
	for _, family := range []string{"tcp", "tcp6"} {
		text, err := os.ReadFile("testdata/recorded-" + family)
		if err != nil {
			t.Fatal(err)
		}
		p.write("net/"+family, string(text))
	}
	sockets, err := readSockets(p.root)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, l := range group(sockets) {
		got = append(got, fmt.Sprintf("%v %d %v, %d sockets", l.addr, l.port, l.bound, len(l.inodes)))
	}
	want := []string{
		"127.0.0.53 53 [127.0.0.53], 1 sockets",
		"invalid IP 80 [0.0.0.0 ::], 2 sockets",
		"10.1.2.3 5432 [10.1.2.3], 1 sockets",
		"2001:db8::7 5432 [2001:db8::7], 1 sockets",
		"invalid IP 6379 [127.0.0.1 ::1], 2 sockets",
		"invalid IP 7000 [0.0.0.0], 2 sockets",
		"invalid IP 8080 [::], 1 sockets",
		"10.1.2.3 9000 [10.1.2.3], 1 sockets",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// Files that are not as they should be: nothing is made up, and nothing breaks.
func TestOddFiles(t *testing.T) {
	const good = "   0: 0100007F:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 7 1\n"
	for name, test := range map[string]struct {
		text string
		want int
	}{
		"empty":            {"", 0},
		"heading":          {heading, 0},
		"no line end":      {heading + strings.TrimSuffix(good, "\n"), 1},
		"short line":       {heading + "0: 0100007F:0050 0 0A\n" + good, 1},
		"no address":       {heading + strings.Replace(good, "0100007F", "", 1), 0},
		"five bytes":       {heading + strings.Replace(good, "0100007F", "0100007F00", 1), 0},
		"port 0":           {heading + strings.Replace(good, "0050", "0000", 1), 0},
		"a port too large": {heading + strings.Replace(good, "0050", "10050", 1), 0},
		"not hexadecimal":  {heading + strings.Replace(good, "0100007F", "x100007F", 1), 0},
		"no inode":         {heading + strings.Replace(good, " 7 ", " x ", 1), 0},
		"connections":      {heading + good + strings.Replace(good, "0A", "01", 1) + good, 1},
		"too many":         {heading + strings.Repeat(good, maxSockets+5), maxSockets},
	} {
		got, err := parseSockets(strings.NewReader(test.text))
		if len(got) != test.want || err != nil {
			t.Errorf("%s: %d sockets, %v", name, len(got), err)
		}
	}
	if _, err := parseSockets(strings.NewReader(strings.Repeat("x", 1<<20))); err == nil {
		t.Error("an endless line is no error")
	}
}

func TestIPv6MayBeOff(t *testing.T) {
	p := newProc(t)
	p.listen("127.0.0.1:80=1")
	if err := os.Remove(p.root + "/net/tcp6"); err != nil {
		t.Fatal(err)
	}
	if got, err := readSockets(p.root); len(got) != 1 || err != nil {
		t.Errorf("got %v, %v", got, err)
	}
}
