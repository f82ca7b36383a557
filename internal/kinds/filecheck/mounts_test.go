package filecheck

import (
	"bufio"
	"strings"
	"testing"
)

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
		got := fileSystem(bufio.NewScanner(strings.NewReader(mountinfo)), test.dir)
		if got != test.want || isNetwork(got) != test.network {
			t.Errorf("%s is on %q, network %v; want %q, %v", test.dir, got, isNetwork(got), test.want, test.network)
		}
	}
	if got := fileSystem(bufio.NewScanner(strings.NewReader("")), "/"); got != "" {
		t.Errorf("without mounts: got %q, want nothing", got)
	}
}
