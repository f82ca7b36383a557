package config

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v4"

	"hale/internal/check"
)

// parse parses a file's text into the tree of its only document. The tree is
// nil when there is no document.
func (s *source) parse(text string) (root *node, errs Errors) {
	defer func() {
		if v := recover(); v != nil {
			root, errs = nil, Errors{s.fault(1, 1, "can't be parsed as YAML")}
		}
	}()
	loader, err := yaml.NewLoader(strings.NewReader(text))
	if err != nil {
		return nil, Errors{s.fault(1, 1, "can't be parsed as YAML: "+err.Error())}
	}
	var first, second yaml.Node
	if err := loader.Load(&first); err == io.EOF {
		return nil, nil
	} else if err != nil {
		return nil, Errors{s.syntaxError(err)}
	}
	if err := loader.Load(&second); err == nil {
		return nil, Errors{s.fault(second.Line, 1, "a second document begins here; give one document and take out this ---")}
	} else if err != io.EOF {
		return nil, Errors{s.syntaxError(err)}
	}
	b := &treeBuilder{source: s, done: map[*yaml.Node]*node{}}
	root = b.node(first.Content[0], "")
	return root, b.errs
}

// syntaxError puts a parser's error into words that help a person.
func (s *source) syntaxError(err error) *Error {
	load, ok := errors.AsType[*yaml.LoadError](err)
	if !ok {
		return s.fault(1, 1, "not YAML: "+check.CleanText(err.Error()))
	}
	at := load.Mark
	if strings.Contains(load.Message, "end of stream") && load.ContextMark.Line > 0 {
		at = load.ContextMark
	}
	line, column := max(at.Line, 1), max(at.Column, 1)
	if line <= len(s.lines) {
		indent := s.lines[line-1][:len(s.lines[line-1])-len(strings.TrimLeft(s.lines[line-1], " \t"))]
		if tab := strings.IndexByte(indent, '\t'); tab >= 0 && column <= len(indent)+1 {
			return s.fault(line, tab+1, "a tab indents this line, which YAML does not allow; use spaces")
		}
	}
	msg := "not YAML: "
	if load.ContextMsg != "" && load.ContextMark != at {
		msg += load.ContextMsg + fmt.Sprintf(" that begins at line %d, ", max(load.ContextMark.Line, 1))
	}
	return s.fault(line, column, msg+check.CleanText(load.Message)+hint(load.Message))
}

// hints say what usually mends a syntax error.
var hints = []struct{ message, hint string }{
	{"mapping values are not allowed", `; check the indentation, and put a text that holds ": " in quotes`},
	{"cannot start any token", "; put a text that begins with one of @ ` % & * ! | > in quotes"},
	{"<document start>", "; check that this line is indented like the ones before it"},
	{"expected key", "; check the indentation, and put a text that begins with [ or { in quotes"},
	{"expected ':'", `; write NAME: VALUE, with a space after the colon`},
	{"end of stream", "; the closing quote is missing"},
	{"unknown escape", `; in double quotes write \\ for a backslash, or use single quotes`},
	{"unknown anchor", "; an alias (*name) needs an anchor (&name) before it; put a text that begins with * in quotes"},
}

func hint(message string) string {
	for _, h := range hints {
		if strings.Contains(message, h.message) {
			return h.hint
		}
	}
	return ""
}
