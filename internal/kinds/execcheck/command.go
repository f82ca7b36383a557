//go:build unix

package execcheck

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"hale/internal/check"
)

// A command is what a run starts.
type command struct {
	path string // absolute
	argv []string
	env  []string
	dir  string // "" is hale's own
	// credential is whom to run as; nil is hale's own user.
	credential *syscall.Credential
}

// command looks up everything that may have changed since the last run: the
// user and the program.
func (c *checker) command() (command, error) {
	env := c.env
	var credential *syscall.Credential
	if c.user != "" {
		account, err := c.account()
		if err != nil {
			return command{}, err
		}
		credential = account.credential
		env = setEnv(env, account.env)
	}
	if c.dir != "" {
		env = setEnv(env, map[string]string{"PWD": c.dir})
	}
	env = setEnv(env, c.extra)
	path, err := c.find(getEnv(env, "PATH"))
	if err != nil {
		return command{}, err
	}
	return command{path: path, argv: c.words, env: env, dir: c.dir, credential: credential}, nil
}

// account is what running as another user takes.
type account struct {
	credential *syscall.Credential
	env        map[string]string
}

// account looks up the user to run as. A number that belongs to no account is
// taken as the user's and the group's number, without further groups.
func (c *checker) account() (account, error) {
	number, numberErr := strconv.ParseUint(c.user, 10, 32)
	var u *user.User
	var err error
	if numberErr == nil {
		u, err = user.LookupId(c.user)
	} else {
		u, err = user.Lookup(c.user)
	}
	_, unknownID := errors.AsType[user.UnknownUserIdError](err)
	if unknownID {
		u, err = &user.User{Uid: c.user, Gid: c.user, Username: c.user, HomeDir: "/"}, nil
	}
	if _, ok := errors.AsType[user.UnknownUserError](err); ok {
		return account{}, check.Failf(check.ReasonMissing, "%s can't run as user %q: there is no such user on this host", c.name(), c.user)
	}
	if err != nil {
		return account{}, check.Failf(check.ReasonExec, "%s can't run as user %q: looking the user up: %w", c.name(), c.user, err)
	}
	a := account{env: map[string]string{"HOME": u.HomeDir, "USER": u.Username, "LOGNAME": u.Username}}
	if u.Uid == strconv.Itoa(os.Geteuid()) {
		return a, nil
	}
	if numberErr != nil {
		number, _ = strconv.ParseUint(u.Uid, 10, 32)
	}
	gid, _ := strconv.ParseUint(u.Gid, 10, 32)
	a.credential = &syscall.Credential{Uid: uint32(number), Gid: uint32(gid)}
	if unknownID {
		return a, nil
	}
	groups, err := u.GroupIds()
	if err != nil {
		return account{}, check.Failf(check.ReasonExec, "%s can't run as user %q: looking up the user's groups: %w", c.name(), c.user, err)
	}
	for _, g := range groups {
		if id, err := strconv.ParseUint(g, 10, 32); err == nil {
			a.credential.Groups = append(a.credential.Groups, uint32(id))
		}
	}
	return a, nil
}

// defaultPath is where to look when there is no PATH.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// find returns the absolute path of the program, or an error when there is
// nothing there that could be run. It looks before the program is started
// because a start that hangs, on a dead network mount, holds up every other.
func (c *checker) find(path string) (string, error) {
	name := c.words[0]
	if strings.Contains(name, "/") {
		absolute, err := filepath.Abs(name)
		if err != nil {
			return "", check.Failf(check.ReasonExec, "%s could not be run: where hale runs is unknown: %w", c.name(), err)
		}
		info, err := os.Stat(absolute)
		return absolute, c.runnable(info, err)
	}
	if path == "" {
		path = defaultPath
	}
	var found error
	for _, dir := range filepath.SplitList(path) {
		if !filepath.IsAbs(dir) {
			continue // whatever lies where hale was started is not meant
		}
		absolute := filepath.Join(dir, name)
		info, err := os.Stat(absolute)
		if err == nil {
			err = c.runnable(info, nil)
			if err == nil {
				return absolute, nil
			}
			if found == nil && !info.IsDir() {
				found = err
			}
		}
	}
	if found != nil {
		return "", found
	}
	return "", check.Failf(check.ReasonMissing, "%s could not be run: no such program in PATH (%s); install it, or give its absolute path", c.name(), path)
}

// runnable says what keeps a file from being run at all.
func (c *checker) runnable(info fs.FileInfo, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return check.Failf(check.ReasonMissing, "%s could not be run: no such file; check the path, and that the file is there where hale runs", c.name())
	case errors.Is(err, fs.ErrPermission):
		return check.Failf(check.ReasonPermission, "%s could not be run: a directory above it is closed to hale, which runs as user %d", c.name(), os.Geteuid())
	case err != nil:
		return check.Failf(check.ReasonExec, "%s could not be run: %w", c.name(), err)
	case info.IsDir():
		return check.Failf(check.ReasonExec, "%s could not be run: it is a directory", c.name())
	case !info.Mode().IsRegular():
		return check.Failf(check.ReasonExec, "%s could not be run: it is not a regular file (%s)", c.name(), info.Mode())
	case info.Mode().Perm()&0o111 == 0:
		return check.Failf(check.ReasonPermission, "%s could not be run: permission denied: it has no run bit (%s); set it with chmod +x", c.name(), info.Mode())
	}
	return nil
}

// setEnv returns env with the variables of over in place of its own.
func setEnv(env []string, over map[string]string) []string {
	if len(over) == 0 {
		return env
	}
	set := make([]string, 0, len(env)+len(over))
	for _, entry := range env {
		name, _, _ := strings.Cut(entry, "=")
		if _, ok := over[name]; !ok {
			set = append(set, entry)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(over)) {
		set = append(set, name+"="+over[name])
	}
	return set
}

func getEnv(env []string, name string) string {
	for _, entry := range env {
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value
		}
	}
	return ""
}
