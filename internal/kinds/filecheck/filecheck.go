// Package filecheck is the kind file: a check that a file is there, is regular,
// was written lately and has a fitting size; or that it is not there.
//
// A run asks for the file's attributes and never opens it, so that a named
// pipe, a device or a huge file is no trouble. Symbolic links are followed. A
// run may hang in the kernel, beyond any timeout, on a network file system
// whose server is gone.
//
// The checks of one registry share one inotify instance, of which a user may
// have only 128, to be told of changes in the files' directories.
package filecheck

import (
	"errors"
	"net/url"
	"strings"
	"time"

	"hale/internal/check"
	"hale/internal/quantity"
)

// Config is the configuration of a file check.
type Config struct {
	MaxAge  time.Duration `option:"max_age" help:"fail when the file was last written longer ago than this; 0 is off"`
	MinSize quantity.Size `option:"min_size" help:"fail when the file is smaller, such as 1B or 10KiB"`
	MaxSize quantity.Size `option:"max_size" help:"fail when the file is larger, such as 100MB; 0 is off"`
	Absent  bool          `option:"absent" help:"fail when there is anything at the path"`

	path  string
	watch *watch
}

// Kind returns the kind file. Its checks share an inotify instance.
func Kind() check.Kind {
	return check.Define("file", "file:///run/app.live", Config{watch: newWatch()})
}

// SetTarget takes the path, which is absolute.
func (c *Config) SetTarget(t check.Target) error {
	u := t.URL
	path := u.Path
	relative := func(path string) error {
		return check.OptionErrorf("url", "%q is a relative path; give an absolute one, such as file:///run/%s", check.CleanText(path), fitting(path))
	}
	switch {
	case u.Opaque != "":
		if decoded, err := url.PathUnescape(u.Opaque); err == nil {
			return relative(decoded)
		}
		return relative(u.Opaque)
	case strings.Trim(u.Host, ".") == "" && u.Host != "", u.Host == "~":
		return relative(u.Host + path)
	case u.User != nil:
		return check.OptionErrorf("url", "a file has no user; write file:///PATH, and %%40 for an @ in the path")
	case u.Host != "" && u.Host != "localhost":
		return check.OptionErrorf("url", "%q would be a host name; write three slashes for a path of this host: file:///%s", check.CleanText(u.Host), fitting(u.Host+path))
	case path == "":
		return check.OptionErrorf("url", "has no path; write one such as file:///run/app.live")
	case strings.HasSuffix(path, "/"):
		return check.OptionErrorf("url", "%q ends in a slash, which makes it a directory; give the path of a file", check.CleanText(path))
	case strings.ContainsRune(path, 0):
		return check.OptionErrorf("url", "%q holds a NUL character, which no path can", check.CleanText(path))
	}
	c.path = path
	return nil
}

// fitting is a path as it may follow after "file:///" in an example.
func fitting(path string) string {
	return check.CleanText((&url.URL{Path: strings.TrimLeft(path, "./~")}).EscapedPath())
}

// Validate reports every fault in the options.
func (c *Config) Validate() error {
	var errs []error
	if c.MaxAge < 0 {
		errs = append(errs, check.OptionErrorf("max_age", "%v is negative; give a duration such as 70s", c.MaxAge))
	}
	if c.MaxSize > 0 && c.MinSize > c.MaxSize {
		errs = append(errs, check.OptionErrorf("min_size", "%v is more than the max_size %v", c.MinSize, c.MaxSize))
	}
	if c.Absent && (c.MaxAge != 0 || c.MinSize != 0 || c.MaxSize != 0) {
		errs = append(errs, check.OptionErrorf("absent", "can't be combined with max_age, min_size or max_size: what is not there has neither age nor size"))
	}
	return errors.Join(errs...)
}

// Checker makes the checker, which is a [check.Watcher] too.
func (c *Config) Checker(check.Env) (check.Checker, error) {
	if c.Absent {
		return &absent{watched{c.path, false, c.watch}}, nil
	}
	limited := c.MaxAge > 0 || c.MinSize > 0 || c.MaxSize > 0
	return &present{
		watched: watched{c.path, limited, c.watch},
		maxAge:  c.MaxAge, minSize: c.MinSize, maxSize: c.MaxSize,
	}, nil
}
