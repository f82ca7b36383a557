package config

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"hale/internal/check"
)

// A variable is something that ${…} can stand for.
type variable struct {
	// name is all between the braces, or its part before the colon when an
	// argument follows.
	name string
	// example is how it is written.
	example string
	// value returns what it stands for, given the text after the colon, and
	// whether that is a secret. Its errors go on from the variable as written.
	value func(s Sources, arg string) (text string, secret bool, err error)
}

// variables is every ${…} there is.
var variables = []variable{
	{"env", "${env:NAME}", envValue},
	{"file", "${file:/PATH}", fileValue},
	{"hostname", "${hostname}", hostnameValue},
}

// maxValue is the greatest size in bytes of a file that ${file:…} names.
const maxValue = 64 << 10

func envValue(s Sources, name string) (string, bool, error) {
	if name == "" {
		return "", false, errors.New("names no variable; write ${env:NAME}")
	}
	value, ok := s.Getenv(name)
	if !ok {
		return "", false, errors.New("is not set in the environment")
	}
	return value, check.SecretName(name), nil
}

func fileValue(_ Sources, path string) (string, bool, error) {
	if !filepath.IsAbs(path) {
		return "", false, errors.New("is a relative path; give an absolute one, such as ${file:/run/secrets/password}")
	}
	data, err := readFile(path, maxValue)
	if err != nil {
		return "", false, err
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r"), true, nil
}

func hostnameValue(s Sources, arg string) (string, bool, error) {
	if arg != "" {
		return "", false, errors.New("takes nothing after it; write ${hostname}")
	}
	name, err := s.Hostname()
	if err != nil {
		return "", false, fmt.Errorf("can't be found out: %w", err)
	}
	return name, false, nil
}

// A filling is a text whose ${…} are replaced.
type filling struct {
	text    string
	secrets check.Secrets // the replaced parts that must not be shown
	faults  []fillFault
}

// A fillFault is a ${…} that could not be replaced.
type fillFault struct{ piece, msg string }

// hole matches an escaped ${, a whole ${…} and one that is not closed.
var hole = regexp.MustCompile(`\$\$\{|\$\{[^{}]*\}|\$\{`)

// fill replaces every ${…} in the text; $${ stands for a literal ${. In a URL
// what is put into the user name or password is percent-encoded, so that it may
// hold any character.
func (s Sources) fill(text string, isURL bool) filling {
	if !strings.Contains(text, "${") {
		return filling{text: text}
	}
	var login userinfo
	if isURL {
		login = userinfoOf(text)
	}
	var f filling
	var b strings.Builder
	end := 0
	for _, at := range hole.FindAllStringIndex(text, -1) {
		piece := text[at[0]:at[1]]
		b.WriteString(text[end:at[0]])
		end = at[1]
		if piece == "$${" {
			b.WriteString("${")
			continue
		}
		value, secret, err := s.lookUp(piece)
		if err != nil {
			f.faults = append(f.faults, fillFault{piece, err.Error()})
			continue
		}
		written := value
		if login.contains(at[0]) {
			written = encode(value)
			secret = secret || at[0] >= login.secret
		}
		if secret {
			f.secrets = f.secrets.Add(value, written)
		}
		b.WriteString(written)
	}
	b.WriteString(text[end:])
	f.text = b.String()
	return f
}

// lookUp returns the value of a ${…} as written.
func (s Sources) lookUp(piece string) (value string, secret bool, err error) {
	if !strings.HasSuffix(piece, "}") {
		return "", false, errors.New("has no closing }; write $${ for a literal ${")
	}
	name, arg, hasArg := strings.Cut(piece[2:len(piece)-1], ":")
	var names, examples []string
	for _, v := range variables {
		if v.name == name {
			if !hasArg && v.example != "${"+name+"}" {
				return "", false, fmt.Errorf("is incomplete; write %s", v.example)
			}
			return v.value(s, arg)
		}
		names = append(names, v.name)
		examples = append(examples, v.example)
	}
	return "", false, fmt.Errorf("is not known%s (known: %s; write $${ for a literal ${)", check.DidYouMean(name, names), strings.Join(examples, ", "))
}

// userinfo is where in a URL's template the user name and password stand.
type userinfo struct{ start, secret, end int }

func (u userinfo) contains(at int) bool { return u.start <= at && at < u.end }

// userinfoOf finds the part of a URL between // and @. A user name that a
// password follows is no secret; one alone may be a token, and is.
func userinfoOf(template string) userinfo {
	// What is between braces may hold any character: blank it out.
	plain := hole.ReplaceAllStringFunc(template, func(s string) string { return strings.Repeat("x", len(s)) })
	start := strings.Index(plain, "://")
	if start < 0 {
		return userinfo{}
	}
	start += len("://")
	authority := plain[start:]
	if i := strings.IndexAny(authority, "/?#"); i >= 0 {
		authority = authority[:i]
	}
	end := strings.LastIndexByte(authority, '@')
	if end < 0 {
		return userinfo{}
	}
	u := userinfo{start: start, secret: start, end: start + end}
	if i := strings.IndexByte(authority[:end], ':'); i >= 0 {
		u.secret = start + i
	}
	return u
}

// encode percent-encodes all but the characters that mean nothing anywhere in
// a URL (RFC 3986, unreserved).
func encode(text string) string {
	var b strings.Builder
	for _, c := range []byte(text) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-._~", c) >= 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
