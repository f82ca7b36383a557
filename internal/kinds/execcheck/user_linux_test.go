package execcheck_test

import (
	"fmt"
	"os"
	"os/user"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"hale/internal/check"
)

// whoami tells whom a script runs as.
const whoami = `/bin/sh -c 'echo $(id -u) $(id -g) $(id -G) $HOME $USER $LOGNAME'`

func TestUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("only root can run programs as others; TestUserWithoutRoot tests the rest")
		return
	}
	nobody := mustLookup(t, "nobody")
	daemon := mustLookup(t, "daemon")
	t.Setenv("HOME", "/root")
	groupsOf := func(u *user.User) string {
		groups, err := u.GroupIds()
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(groups, " ")
	}
	tests := []struct{ user, want string }{
		{"nobody", fmt.Sprintf("%s %s %s %s nobody nobody", nobody.Uid, nobody.Gid, groupsOf(nobody), nobody.HomeDir)},
		{nobody.Uid, fmt.Sprintf("%s %s %s %s nobody nobody", nobody.Uid, nobody.Gid, groupsOf(nobody), nobody.HomeDir)},
		{"daemon", fmt.Sprintf("%s %s %s %s daemon daemon", daemon.Uid, daemon.Gid, groupsOf(daemon), daemon.HomeDir)},
		{"987654", "987654 987654 987654 / 987654 987654"},
		{"root", "0 0 " + currentGroups(t) + " /root root root"},
	}
	for _, test := range tests {
		t.Run(test.user, func(t *testing.T) {
			expectNote(t, runLine(t, whoami, "user="+test.user), test.want)
		})
	}
	t.Run("env wins", func(t *testing.T) {
		expectNote(t, runLine(t, "/bin/sh -c 'echo $HOME'", "user=nobody&env=HOME=/srv"), "/srv")
	})
	t.Run("unknown", func(t *testing.T) {
		r := runLine(t, "/bin/true", "user=no-such-user")
		expectError(t, r, check.ReasonMissing, `/bin/true can't run as user "no-such-user": there is no such user on this host`)
	})
	t.Run("not theirs to run", func(t *testing.T) {
		path := script(t, "#!/bin/sh\n")
		if err := os.Chmod(path, 0o700); err != nil {
			t.Fatal(err)
		}
		r := runLine(t, path, "user=nobody")
		expectError(t, r, check.ReasonPermission, path+" could not be run: permission denied for user "+nobody.Uid+": the file is not theirs to run, or the same holds for its interpreter /bin/sh, a directory above it is closed to that user, or its file system is mounted noexec")
	})
	t.Run("killed", func(t *testing.T) {
		r := runLine(t, "/bin/sh -c 'setsid sleep 10000 & echo all good'", "user=nobody")
		expectNote(t, r, "all good")
	})
}

// TestUserHasAllGroups has an account belong to further groups.
func TestUserHasAllGroups(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("only root can run programs as others")
		return
	}
	if rerun(t, &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS}) {
		return
	}
	nobody := mustLookup(t, "nobody")
	groups := t.TempDir() + "/group"
	text := "nogroup:x:" + nobody.Gid + ":\none:x:60001:daemon,nobody\ntwo:x:60002:daemon\nthree:x:60003:nobody\n"
	if err := os.WriteFile(groups, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount(groups, "/etc/group", "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	expectNote(t, runLine(t, "id -G", "user=nobody"), nobody.Gid+" 60001 60003")
}

// TestUserWithoutRoot runs as a user who may not become another.
func TestUserWithoutRoot(t *testing.T) {
	nobody := mustLookup(t, "nobody")
	attr := &syscall.SysProcAttr{}
	if os.Geteuid() == 0 {
		attr.Credential = &syscall.Credential{Uid: atoi(t, nobody.Uid), Gid: atoi(t, nobody.Gid)}
	}
	if rerun(t, attr) {
		return
	}
	r := runLine(t, "/bin/true", "user=daemon")
	expectError(t, r, check.ReasonPermission, fmt.Sprintf(`/bin/true could not be run as user "daemon": hale runs as user %d, and only root may become another; run hale as root, or leave out the option user`, os.Geteuid()))
	me := fmt.Sprint(os.Geteuid())
	expectNote(t, runLine(t, "id -u", "user="+me), me)
}

func mustLookup(t *testing.T, name string) *user.User {
	t.Helper()
	u, err := user.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func currentGroups(t *testing.T) string {
	t.Helper()
	out, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, groups, _ := strings.Cut(string(out), "Groups:")
	groups, _, _ = strings.Cut(groups, "\n")
	if groups = strings.TrimSpace(groups); groups == "" {
		return "0"
	}
	return groups
}

func atoi(t *testing.T, text string) uint32 {
	t.Helper()
	var n uint32
	if _, err := fmt.Sscan(text, &n); err != nil {
		t.Fatal(err)
	}
	return n
}
