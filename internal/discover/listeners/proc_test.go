package listeners

import (
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hale/internal/check"
	"hale/internal/discover"
	"hale/internal/discover/write"
	"hale/internal/kinds"
)

// halePID is hale's process in a proc, which started at tick haleStart.
const (
	halePID   = 4194000
	haleStart = 1000
)

// proc is a directory like /proc.
type proc struct {
	t    *testing.T
	root string
}

func newProc(t *testing.T) proc {
	p := proc{t, t.TempDir()}
	p.listen()
	p.write("net/tcp6", heading)
	p.write("sys/net/ipv4/ip_local_port_range", "32768\t60999\n")
	p.write("sys/net/ipv4/ip_local_reserved_ports", "\n")
	p.process(halePID, "hale", haleStart)
	p.uptime(haleStart)
	return p
}

const heading = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"

func (p proc) write(name, text string) {
	p.t.Helper()
	path := filepath.Join(p.root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		p.t.Fatal(err)
	}
}

// uptime says how many ticks the machine has run.
func (p proc) uptime(ticks int) {
	p.write("uptime", fmt.Sprintf("%d.%02d 12.00\n", ticks/100, ticks%100))
}

// listen writes the sockets that listen, each as 127.0.0.1:80=INODE.
func (p proc) listen(sockets ...string) {
	p.t.Helper()
	text := heading
	for i, s := range sockets {
		where, inode, _ := strings.Cut(s, "=")
		at := netip.MustParseAddrPort(where)
		a := at.Addr().As4()
		text += fmt.Sprintf("%4d: %02X%02X%02X%02X:%04X 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 %s 1 0000 100 0 0 10 0\n",
			i, a[3], a[2], a[1], a[0], at.Port(), inode)
	}
	p.write("net/tcp", text)
}

// process makes a process that has the sockets with these inodes open.
func (p proc) process(pid int, name string, start int, inodes ...string) {
	p.t.Helper()
	p.write(fmt.Sprintf("%d/stat", pid), fmt.Sprintf("%d (%s) S 1 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 %d 1000 200", pid, name, start))
	fd := filepath.Join(p.root, fmt.Sprint(pid), "fd")
	if err := os.RemoveAll(fd); err != nil {
		p.t.Fatal(err)
	}
	if err := os.MkdirAll(fd, 0o755); err != nil {
		p.t.Fatal(err)
	}
	for i, inode := range append([]string{"/dev/null"}, inodes...) {
		target := "socket:[" + inode + "]"
		if i == 0 {
			target = inode
		}
		if err := os.Symlink(target, filepath.Join(fd, fmt.Sprint(i))); err != nil {
			p.t.Fatal(err)
		}
	}
}

func registry(t *testing.T) *check.Registry {
	t.Helper()
	r, err := check.NewRegistry(check.Env{}, kinds.All()...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// source makes a source that looks at a proc, and notes what it tells.
func (p proc) source(env discover.Env, options ...check.Option) (*source, *write.Notes) {
	p.t.Helper()
	notes := write.NewNotes()
	env.Registry, env.Policy, env.Log = registry(p.t), check.DefaultPolicy(), slog.New(notes)
	s, err := newSource(options, env, p.root)
	if err != nil {
		p.t.Fatal(err)
	}
	s.self = halePID
	return s, notes
}

// names are those of the checks but for the source's own.
func names(checks []*check.Check) string {
	var all []string
	for _, c := range checks {
		if c.Kind != "listeners" {
			all = append(all, c.Name)
		}
	}
	return strings.Join(all, " ")
}
