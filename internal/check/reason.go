package check

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
)

// A Reason says in one word why a run failed. The set is bounded, so that it
// can be a metric's label.
type Reason string

// The reasons.
const (
	ReasonNone        Reason = ""            // healthy
	ReasonRefused     Reason = "refused"     // nothing listens there
	ReasonTimeout     Reason = "timeout"     // no complete answer in time
	ReasonDNS         Reason = "dns"         // the name does not resolve
	ReasonUnreachable Reason = "unreachable" // no route, host or network down
	ReasonReset       Reason = "reset"       // the peer broke the connection
	ReasonClosed      Reason = "closed"      // the peer closed before a complete answer
	ReasonTLS         Reason = "tls"         // handshake or certificate
	ReasonProtocol    Reason = "protocol"    // not the protocol that was expected
	ReasonStatus      Reason = "status"      // an answer with the wrong status
	ReasonRedirect    Reason = "redirect"    // an answer that leads elsewhere
	ReasonBody        Reason = "body"        // an answer with the wrong content
	ReasonSlow        Reason = "slow"        // an answer, but later than it should be
	ReasonAuth        Reason = "auth"        // credentials missing or refused
	ReasonRole        Reason = "role"        // healthy, but not in the wanted role
	ReasonLoading     Reason = "loading"     // starting up or shutting down, not serving yet
	ReasonExit        Reason = "exit"        // a command ended with a bad status
	ReasonExec        Reason = "exec"        // a command could not be run
	ReasonMissing     Reason = "missing"     // a file, name or object is not there
	ReasonPresent     Reason = "present"     // a file is there that should not be
	ReasonType        Reason = "type"        // something is there that is of another type, such as a directory
	ReasonPermission  Reason = "permission"  // hale may not look at it
	ReasonAge         Reason = "age"         // too old
	ReasonSize        Reason = "size"        // too small or too large
	ReasonStale       Reason = "stale"       // no recent result
	ReasonPaused      Reason = "paused"      // a container is paused
	ReasonRestarting  Reason = "restarting"  // a container ends and is started again and again
	ReasonMemory      Reason = "memory"      // a container was killed as it ran out of memory
	ReasonUnhealthy   Reason = "unhealthy"   // a container's own health check fails
	ReasonConfig      Reason = "config"      // what was written about it can't be followed
	ReasonCanceled    Reason = "canceled"    // the run was given up
	ReasonPanic       Reason = "panic"       // a fault in hale itself
	ReasonOther       Reason = "other"       // none of the above
)

// Error is a failure, or a reservation, with its reason.
type Error struct {
	// Reason is why, in one word.
	Reason Reason
	// Warning is true for a reservation: the target is healthy, but not as it
	// should be, and the verdict becomes degraded.
	Warning bool
	// Certain is true for a failure that leaves no doubt; see [Certain].
	Certain bool
	err     error
}

// Error returns the message.
func (e *Error) Error() string { return e.err.Error() }

// Unwrap returns what the message wraps.
func (e *Error) Unwrap() error { return e.err }

// Failf returns a failure with a reason and a message made by [fmt.Errorf],
// which should name the target and may wrap a cause with %w.
func Failf(reason Reason, format string, args ...any) error {
	return &Error{Reason: reason, err: fmt.Errorf(format, args...)}
}

// Warnf returns a reservation: the run counts as healthy, and the verdict
// becomes degraded.
func Warnf(reason Reason, format string, args ...any) error {
	return &Error{Reason: reason, Warning: true, err: fmt.Errorf(format, args...)}
}

// Certain marks a failure that needs no confirmation, as that a container has
// ended: it takes the check down at once, whatever its policy's Fall.
func Certain(err error) error {
	return &Error{Reason: ReasonOf(err), Certain: true, err: err}
}

// IsCertain reports whether err is a failure marked by [Certain].
func IsCertain(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Certain
}

// IsWarning reports whether err is a reservation made by [Warnf].
func IsWarning(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Warning
}

// ReasonOf returns the reason of err: the one it was made with, else what its
// kind tells. A nil error has [ReasonNone].
func ReasonOf(err error) Reason {
	if err == nil {
		return ReasonNone
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Reason
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return ReasonDNS
	}
	if isTimeout(err) {
		return ReasonTimeout
	}
	if isTLS(err) {
		return ReasonTLS
	}
	for _, known := range knownErrors {
		if errors.Is(err, known.err) {
			return known.reason
		}
	}
	return ReasonOther
}

func isTimeout(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) {
		return true
	}
	n, ok := errors.AsType[net.Error](err)
	return ok && n.Timeout()
}

// isTLS reports whether err comes from a TLS handshake. The errors of the
// crypto packages are of many types, some of them not exported; all begin with
// the package's name, and alerts are "remote error: tls: …".
func isTLS(err error) bool {
	for err != nil {
		text := err.Error()
		if strings.HasPrefix(text, "tls: ") || strings.HasPrefix(text, "x509: ") {
			return true
		}
		if joined, ok := err.(interface{ Unwrap() []error }); ok {
			return slices.ContainsFunc(joined.Unwrap(), isTLS)
		}
		err = errors.Unwrap(err)
	}
	return false
}

var knownErrors = []struct {
	err    error
	reason Reason
}{
	{context.Canceled, ReasonCanceled},
	{syscall.ECONNREFUSED, ReasonRefused},
	{syscall.ECONNRESET, ReasonReset},
	{syscall.ECONNABORTED, ReasonReset},
	{syscall.EPIPE, ReasonReset},
	{syscall.EHOSTUNREACH, ReasonUnreachable},
	{syscall.EHOSTDOWN, ReasonUnreachable},
	{syscall.ENETUNREACH, ReasonUnreachable},
	{syscall.ENETDOWN, ReasonUnreachable},
	{syscall.EADDRNOTAVAIL, ReasonUnreachable},
	{io.EOF, ReasonClosed},
	{io.ErrUnexpectedEOF, ReasonClosed},
	{fs.ErrNotExist, ReasonMissing},
	{fs.ErrPermission, ReasonPermission},
}
