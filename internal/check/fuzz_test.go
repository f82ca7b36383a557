package check_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"hale/internal/check"
)

// shownOf is all that people may see of what Build returned.
func shownOf(c *check.Check, err error) string {
	if err != nil {
		text := err.Error()
		for _, e := range check.OptionErrors(err) {
			text += "\n" + e.Option + "\n" + e.Msg
		}
		return text
	}
	text := c.String() + "\n" + c.Name + "\n" + c.Target + "\n" + c.ID
	for _, o := range c.Options {
		text += "\n" + o.Name + "=" + o.Value
	}
	return text
}

// Whatever the URL is, Build makes a check or errors that are fit to be shown.
func FuzzBuild(f *testing.F) {
	for _, url := range []string{
		"db://u:p@h:1/app?count=1#name=x", "db://:p@ss#w%rd@host", "u:p@h:5432", "db:u:p@h", "db://[::1%25x]:1",
		"web://h/?a=b#body=%0a", "cmd:/bin/x 'a b' # env=A=b", "DB://H?roles=a,,b&on&on", "://", "db://h?=1&&#=",
		"web://[::1]:80/a/../b?%zz", "cmd:", "db://5432", "x", "db://h?\x1b[31m=1", "db://%41%ff", "db://h#groups=&name=",
	} {
		f.Add(url, "text", "a")
	}
	f.Add("db://h", "headers", "Bearer hunter2")
	f.Fuzz(func(t *testing.T, url, name, value string) {
		r := registry(t)
		spec := check.Spec{URL: url, Options: []check.Option{option(name, value)}, Policy: check.DefaultPolicy()}
		c, err := r.Build(spec)
		if (c == nil) == (err == nil) {
			t.Fatalf("got %v and %v", c, err)
		}
		shown := shownOf(c, err)
		if !utf8.ValidString(shown) && err == nil && utf8.ValidString(url+value) {
			t.Errorf("%q is not UTF-8", shown)
		}
		if err != nil {
			for _, e := range check.OptionErrors(err) {
				if e.Option == "" || strings.ContainsFunc(e.Option+e.Msg, unicode.IsControl) {
					t.Errorf("a bad error %q: %q", e.Option, e.Msg)
				}
			}
			return
		}
		if err := check.ValidateName("name", c.Name); err != nil {
			t.Error(err)
		}
		if strings.ContainsFunc(c.Target, unicode.IsControl) || len(c.Target) > check.MaxText {
			t.Errorf("a bad target: %q", c.Target)
		}
		if err := c.Policy.Validate(); err != nil {
			t.Errorf("a bad policy: %v", err)
		}
		if again, err := r.Build(spec); err != nil || again.ID != c.ID || again.Name != c.Name {
			t.Errorf("built again: %v, %v", again, err)
		}
	})
}

// However a password is written, nothing that people see has it. The mark is a
// part of the password that is like no option's name and value.
func FuzzBuildKeepsPasswords(f *testing.F) {
	for _, around := range []string{
		"", "@", "#", "?", "/", ":", "%", "@#%", "?&", "#a=", "1/", "1?", "1#x&", "[", "]", "\"", " ", "\\", "::", "//", "%40", "+",
		"?text=", "#name=", "12/34?", "@h?count=", "'", "a b", "é", "<", "|", "{", "^", "`", "1@",
	} {
		f.Add(around, "", uint8(0))
		f.Add("", around, uint8(0))
		f.Add(around, around, uint8(1))
	}
	f.Fuzz(func(t *testing.T, before, after string, form uint8) {
		const mark = "hUnt3r2Qzj"
		if strings.ContainsFunc(before+after, unicode.IsControl) || strings.Contains(before+after, "=") {
			t.Skip() // the name or value of what looks like an option may be shown
		}
		password := before + mark + after
		forms := []string{
			"db://user:" + password + "@host:5432/app",
			"db://:" + password + "@host",
			"db:user:" + password + "@host",
			"user:" + password + "@host:5432",
			":" + password + "@host",
			"db//user:" + password + "@host",
			"//user:" + password + "@host/?a=b",
			"host?password=" + password,
			"host/app#token=" + password,
			"web://user:" + password + "@host/",
			"db://host?password=" + password,
			"db://host:99999?count=x&password=" + password,
		}
		url := forms[int(form)%len(forms)]
		if strings.HasPrefix(url, "web:") && strings.ContainsAny(password, "/?") {
			t.Skip() // an @ is fine in its path and query
		}
		c, err := build(t, url)
		if shown := shownOf(c, err); strings.Contains(shown, mark) {
			t.Errorf("%q\nis shown as %s", url, shown)
		}
	})
}
