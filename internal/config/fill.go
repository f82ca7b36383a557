package config

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

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
	{"own_ip", "${own_ip}", ownIPValue},
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

func ownIPValue(s Sources, arg string) (string, bool, error) {
	address, err := s.ownIP(arg)
	return address, false, err
}

// maxFilled is how many bytes all ${…} of a configuration may stand for
// together.
const maxFilled = 8 << 20

// maxHoles is how many ${…} one text may hold.
const maxHoles = 1000

// A filler replaces ${…} in texts.
type filler struct {
	sources Sources
	left    int // how many more bytes may be filled in
}

// A filling is a text whose ${…} are replaced.
type filling struct {
	text    string
	safe    string   // the same with *** for what must not be shown
	secrets []string // what must not be shown, in the forms it may take
	faults  []fillFault
}

// A fillFault is a ${…} that could not be replaced.
type fillFault struct{ piece, msg string }

// hole matches an escaped ${, a whole ${…} and one that is not closed.
// lazily compiles an expression when it is first needed: a program that runs one
// check and ends has no use for most.
func lazily(expression string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expression) })
}

var hole = lazily(`\$\$\{|\$\{[^{}]*\}|\$\{`)

// fill replaces every ${…} in the text; $${ stands for a literal ${. In a URL
// what is put into the user name or password, and a secret anywhere behind the
// host, is percent-encoded, so that it may hold any character.
func (f *filler) fill(text string, isURL bool) filling {
	if !strings.Contains(text, "${") {
		return filling{text: text, safe: text}
	}
	parts := noParts
	if isURL {
		parts = partsOf(text)
	}
	var out filling
	var filled, safe strings.Builder
	write := func(text, shown string) {
		filled.WriteString(text)
		safe.WriteString(shown)
	}
	end := 0
	holes := hole().FindAllStringIndex(text, maxHoles+1)
	if len(holes) > maxHoles {
		out.add(fillFault{"${", fmt.Sprintf("stands here more than %d times", maxHoles)})
		return out
	}
	for _, at := range holes {
		piece := text[at[0]:at[1]]
		write(text[end:at[0]], text[end:at[0]])
		end = at[1]
		if piece == "$${" {
			write("${", "${")
			continue
		}
		value, secret, err := f.sources.lookUp(piece)
		if f.left -= len(value); err == nil && f.left < 0 {
			err = fmt.Errorf("is too much: all that is filled in may be %d MiB long together", maxFilled>>20)
		}
		written, secret, urlErr := parts.write(at[0], value, secret)
		if err == nil {
			err = urlErr
		}
		if err != nil {
			out.add(fillFault{piece, err.Error()})
			continue
		}
		if secret {
			out.secrets = append(out.secrets, forms(value, isURL)...)
			write(written, check.Masked)
		} else {
			write(written, written)
		}
	}
	write(text[end:], text[end:])
	out.text, out.safe = filled.String(), safe.String()
	return out
}

// add adds a fault unless it is there already.
func (f *filling) add(fault fillFault) {
	if !slices.Contains(f.faults, fault) {
		f.faults = append(f.faults, fault)
	}
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
