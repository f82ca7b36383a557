package mounts_test

import (
	"testing"

	"hale/internal/mounts"
)

func TestLinesOfMountinfo(t *testing.T) {
	for _, test := range []struct {
		line string
		want any
	}{
		{"36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue", mounts.Mount{ID: 36, Point: "/mnt2", Type: "ext3", Source: "/dev/root", ReadOnly: false}},
		{"1 1 0:1 / / rw shared:1 master:2 unbindable - overlay overlay rw", mounts.Mount{ID: 1, Point: "/", Type: "overlay", Source: "overlay", ReadOnly: false}},
		{`9 1 0:1 / /a\040b\011c\012d\134e rw - fuse.sshfs me@host:/x\040y rw`, mounts.Mount{ID: 9, Point: "/a b\tc\nd\\e", Type: "fuse.sshfs", Source: "me@host:/x y", ReadOnly: false}},
		{`9 1 0:1 / /a\04 rw - tmpfs \9zz rw`, mounts.Mount{ID: 9, Point: `/a\04`, Type: "tmpfs", Source: `\9zz`, ReadOnly: false}},
		{"9 1 0:1 / /x ro,nosuid - tmpfs tmpfs rw", mounts.Mount{ID: 9, Point: "/x", Type: "tmpfs", Source: "tmpfs", ReadOnly: true}},
		{"9 1 0:1 / /x rw - ext4 /dev/sda1 ro,errors=remount-ro", mounts.Mount{ID: 9, Point: "/x", Type: "ext4", Source: "/dev/sda1", ReadOnly: true}},
		{"9 1 0:1 / /x rw,rogue - tmpfs  rw", mounts.Mount{ID: 9, Point: "/x", Type: "tmpfs", Source: "", ReadOnly: false}},
		{"", nil}, {" - ", nil}, {"x 1 0:1 / /x rw - tmpfs tmpfs rw", nil}, {"9 1 0:1 / /x rw", nil}, {"9 1 0:1 / /x - tmpfs tmpfs rw", nil},
	} {
		got, ok := mounts.Parse(test.line)
		if ok != (test.want != nil) || ok && any(got) != test.want {
			t.Errorf("%q\n got %+v, %v\nwant %+v", test.line, got, ok, test.want)
		}
	}
}

// What is found by the paths alone, as before Linux 5.8.
func TestMountsByPath(t *testing.T) {
	const lines = `1 0 0:1 / / rw - ext4 root rw
2 1 0:2 / /data rw - ext4 first rw
3 1 0:3 / /data\040two rw - tmpfs second rw
4 2 0:4 / /data rw - xfs third rw
not a line
5 4 0:5 / /data/in rw - nfs fourth rw
`
	for _, test := range []struct {
		path, kind, point string
		isMount           bool
	}{
		{"/", "ext4", "/", true},
		{"/data", "xfs", "/data", true}, // the last one is on top
		{"/data/x", "xfs", "/data", false},
		{"/data two", "tmpfs", "/data two", true},
		{"/data2", "ext4", "/", false},
		{"/data/in", "nfs", "/data/in", true},
		{"/data/in/x", "nfs", "/data/in", false},
	} {
		m, isMount, ok := mounts.Of(lines, test.path)
		if !ok || m.Point != test.point || isMount != test.isMount || m.String()[:len(test.kind)] != test.kind {
			t.Errorf("%s: got %v on %s, %v, %v", test.path, m, m.Point, isMount, ok)
		}
	}
	if _, _, ok := mounts.Of("", "/data"); ok {
		t.Error("found a mount where there is none")
	}
}

const mountinfo = `22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
23 22 0:20 / /run rw,nosuid - tmpfs tmpfs rw
24 22 0:44 / /srv/shared\040data rw,relatime shared:2 master:1 - nfs4 filer:/vol rw
25 24 0:21 / /srv/shared\040data/local rw - tmpfs tmpfs rw
26 22 0:45 / /mnt rw - ext4 /dev/sdb1 rw
27 22 0:46 / /mnt rw - fuse.sshfs host:/ rw
garbage
28 22 0:47 / /with\ rw - cifs //host/share rw
`

func TestFileSystem(t *testing.T) {
	for _, test := range []struct {
		dir, want string
		network   bool
	}{
		{"/", "ext4", false},
		{"/etc", "ext4", false},
		{"/run", "tmpfs", false},
		{"/run/app", "tmpfs", false},
		{"/running", "ext4", false},
		{"/srv/shared data", "nfs4", true},
		{"/srv/shared data/app", "nfs4", true},
		{"/srv/shared data/local/app", "tmpfs", false},
		{"/mnt/x", "fuse.sshfs", true},
		{`/with\/x`, "cifs", true},
	} {
		got := typeOf(mountinfo, test.dir)
		if got != test.want || mounts.IsNetwork(got) != test.network {
			t.Errorf("%s is on %q, network %v; want %q, %v", test.dir, got, mounts.IsNetwork(got), test.want, test.network)
		}
	}
	if got := typeOf("", "/"); got != "" {
		t.Errorf("without mounts: got %q, want nothing", got)
	}
}

func typeOf(lines, path string) string {
	m, _, _ := mounts.Of(lines, path)
	return m.Type
}
