// Package hosturl reads the URLs of checks whose target is this host itself: a
// path of it, or nothing at all.
package hosturl

import (
	"net/url"
	"path"
	"strings"

	"hale/internal/check"
)

// Path returns the absolute path that the URL of a target such as
// disk:///var/lib names, without a slash at its end. The example is a path for
// messages. An error is an [*check.OptionError] on "url".
func Path(t check.Target, example string) (string, error) {
	u := t.URL
	relative := func(p string) error {
		return check.OptionErrorf("url", "%q is a relative path; give an absolute one, such as %s://%s", check.CleanText(p), t.Scheme, example)
	}
	switch {
	case u.Opaque != "":
		if decoded, err := url.PathUnescape(u.Opaque); err == nil {
			return "", relative(decoded)
		}
		return "", relative(u.Opaque)
	case strings.Trim(u.Host, ".") == "" && u.Host != "", u.Host == "~":
		return "", relative(u.Host + u.Path)
	case u.User != nil:
		return "", check.OptionErrorf("url", "a path of this host has no user; write %s:///PATH, and %%40 for an @ in the path", t.Scheme)
	case u.Host != "" && u.Host != "localhost":
		return "", check.OptionErrorf("url", "%q would be a host name; write three slashes for a path of this host: %s://%s", check.CleanText(u.Host), t.Scheme, check.CleanText((&url.URL{Path: "/" + u.Host + u.Path}).EscapedPath()))
	case u.Path == "":
		return "", check.OptionErrorf("url", "has no path; write one such as %s://%s", t.Scheme, example)
	case strings.ContainsRune(u.Path, 0):
		return "", check.OptionErrorf("url", "%q holds a NUL character, which no path can", check.CleanText(u.Path))
	}
	return path.Clean(u.Path), nil
}

// Nothing returns an error if the URL of a target such as memory: says more
// than the scheme. What it checks is for the message, such as "the memory".
func Nothing(t check.Target, what string) error {
	u := t.URL
	if u.Host == "" && u.User == nil && u.Opaque == "" && u.Path == "" || u.Host == "localhost" && u.User == nil && u.Path == "" {
		return nil
	}
	return check.OptionErrorf("url", "has more than the scheme, and %s is that of this host; write %s: and options after ? or #", what, t.Scheme)
}
