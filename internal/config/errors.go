package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// An Error is one fault in a configuration.
type Error struct {
	// Source is the file's path, "argument 2", "--listen" or "HALE_CHECKS".
	Source string
	// Line and Column count from 1, the column in characters; both are 0 where
	// the source has none.
	Line, Column int
	// Path is where in the configuration it is: checks.db.interval. It may be
	// "".
	Path string
	// Msg says what was found and what would be right.
	Msg string

	from *source
}

// Error returns "source:line:column: path: message" without the parts that are
// not known.
func (e *Error) Error() string {
	where := position(e.Source, e.Line, e.Column)
	if e.Path != "" {
		where += ": " + e.Path
	}
	return where + ": " + e.Msg
}

// Errors is every fault of a configuration, in order of place; ten thousand at
// most.
type Errors []*Error

// maxFaults is how many faults are gathered; more help nobody.
const maxFaults = 10_000

func (e *Errors) add(at place, path, format string, args ...any) {
	if len(*e) == maxFaults {
		return
	}
	*e = append(*e, &Error{
		Source: at.source.name, Line: at.line, Column: at.column,
		Path: path, Msg: fmt.Sprintf(format, args...), from: at.source,
	})
}

// maxShown is how many faults [Errors.Error] spells out.
const maxShown = 200

// Error returns one line for each fault; of very many, the first ones.
func (e Errors) Error() string {
	var lines []string
	for _, err := range e[:min(len(e), maxShown)] {
		lines = append(lines, err.Error())
	}
	if more := len(e) - maxShown; more > 0 {
		lines = append(lines, fmt.Sprintf("… and %d more", more))
	}
	return strings.Join(lines, "\n")
}

// Usage reports whether every fault is on the command line, in arguments or
// flags.
func (e Errors) Usage() bool {
	for _, err := range e {
		if err.from == nil || !err.from.commandLine {
			return false
		}
	}
	return len(e) > 0
}

// A source is something that configuration is written in.
type source struct {
	name        string
	rank        int // the order in which sources are reported
	commandLine bool
	lines       []string // of a file
}

// A place is where something is written.
type place struct {
	source       *source
	line, column int
}

// String gives the place as an error shows it.
func (p place) String() string { return position(p.source.name, p.line, p.column) }

func position(source string, line, column int) string {
	if line == 0 {
		return source
	}
	return fmt.Sprintf("%s:%d:%d", source, line, column)
}

// of returns the place of a piece of the text that begins at p, as far as it
// can be told.
func (p place) of(piece string) place {
	if p.line < 1 || p.line > len(p.source.lines) {
		return p
	}
	line := []rune(p.source.lines[p.line-1])
	rest := string(line[min(p.column-1, len(line)):])
	if i := strings.Index(rest, piece); i >= 0 {
		p.column += len([]rune(rest[:i]))
	}
	return p
}

// join appends a name to a path.
func join(path, name string) string {
	switch {
	case name == "":
		return path
	case path == "":
		return name
	}
	return path + "." + name
}

// sort puts the faults in order of place.
func (e Errors) sort() {
	slices.SortStableFunc(e, func(a, b *Error) int {
		return cmp.Or(a.from.rank-b.from.rank, a.Line-b.Line, a.Column-b.Column)
	})
}
