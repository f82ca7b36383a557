package check

import (
	"errors"
	"fmt"
)

// An OptionError is a fault in one option of a written check.
type OptionError struct {
	// Option is the option's name; "url" for the URL itself, "" when the fault
	// is not in one option alone.
	Option string
	// Msg says what was found and what would be right.
	Msg string
}

// Error returns "option: message".
func (e *OptionError) Error() string {
	if e.Option == "" {
		return e.Msg
	}
	return e.Option + ": " + e.Msg
}

// OptionErrorf makes an [*OptionError].
func OptionErrorf(option, format string, args ...any) error {
	return &OptionError{Option: option, Msg: fmt.Sprintf(format, args...)}
}

// OptionErrors splits err, which may be joined of several, into option errors;
// an error that is none becomes one without an option.
func OptionErrors(err error) []*OptionError {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []*OptionError
		for _, e := range joined.Unwrap() {
			all = append(all, OptionErrors(e)...)
		}
		return all
	}
	if e, ok := errors.AsType[*OptionError](err); ok {
		return []*OptionError{e}
	}
	return []*OptionError{{Msg: err.Error()}}
}

type errorList []error

func (l *errorList) option(option, format string, args ...any) {
	*l = append(*l, OptionErrorf(option, format, args...))
}

func (l *errorList) add(err error) {
	if err != nil {
		*l = append(*l, err)
	}
}

// addNew adds those option errors of err whose options have no error yet: a
// value that could not be read needs no second complaint about its default.
func (l *errorList) addNew(err error) {
	known := map[string]bool{}
	for _, e := range OptionErrors(l.join()) {
		known[e.Option] = true
	}
	for _, e := range OptionErrors(err) {
		if e.Option == "" || !known[e.Option] {
			l.add(e)
		}
	}
}

func (l errorList) join() error { return errors.Join(l...) }
