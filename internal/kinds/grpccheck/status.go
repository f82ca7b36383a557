package grpccheck

import (
	"fmt"
	"net/http"
	"strconv"

	"hale/internal/check"
)

// servingNames are the values of ServingStatus
// (https://github.com/grpc/grpc-proto/blob/master/grpc/health/v1/health.proto).
var servingNames = [...]string{"UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"}

// judge says what an answer's serving status means.
func (c *checker) judge(status uint64) (string, error) {
	if status >= uint64(len(servingNames)) {
		return "", check.Failf(check.ReasonProtocol, "%s: answers with the status %d, which the health service does not have", c.target, status)
	}
	name := servingNames[status]
	switch name {
	case "SERVING":
		return name, nil
	case "SERVICE_UNKNOWN":
		return "", c.noService(name)
	case "UNKNOWN":
		return "", check.Failf(check.ReasonStatus, "%s: %s is UNKNOWN: the server has not said yet whether it serves", c.target, c.what())
	}
	return "", check.Failf(check.ReasonStatus, "%s: %s is %s", c.target, c.what(), name)
}

// what names what was asked about.
func (c *checker) what() string {
	if c.service == "" {
		return "the server"
	}
	return "the service " + strconv.Quote(c.service)
}

func (c *checker) noService(said string) error {
	if c.service == "" {
		return check.Failf(check.ReasonMissing, "%s: its health service says nothing about the server as a whole (%s); set the status of \"\" in it, or ask about a service with the option service", c.target, said)
	}
	return check.Failf(check.ReasonMissing, "%s: its health service knows no service %q (%s); the name is PACKAGE.SERVICE as the server has set it", c.target, c.service, said)
}

// statuses are the status codes of gRPC
// (https://github.com/grpc/grpc/blob/master/doc/statuscodes.md) by number, and
// what each means here. A text says what is the matter; none says nothing more
// than the name does.
var statuses = [...]struct {
	name   string
	reason check.Reason
	text   string
}{
	0:  {"OK", check.ReasonNone, ""},
	1:  {"CANCELLED", check.ReasonStatus, "gave up the call"},
	2:  {"UNKNOWN", check.ReasonStatus, "failed to answer"},
	3:  {"INVALID_ARGUMENT", check.ReasonStatus, "refuses the question"},
	4:  {"DEADLINE_EXCEEDED", check.ReasonTimeout, "did not answer in time"},
	5:  {"NOT_FOUND", check.ReasonMissing, ""}, // see noService
	6:  {"ALREADY_EXISTS", check.ReasonStatus, "failed to answer"},
	7:  {"PERMISSION_DENIED", check.ReasonPermission, "does not allow the call; see what it demands for grpc.health.v1.Health, and the option headers"},
	8:  {"RESOURCE_EXHAUSTED", check.ReasonStatus, "is over a limit of its own"},
	9:  {"FAILED_PRECONDITION", check.ReasonStatus, "is in no state to answer"},
	10: {"ABORTED", check.ReasonStatus, "gave up the call"},
	11: {"OUT_OF_RANGE", check.ReasonStatus, "refuses the question"},
	12: {"UNIMPLEMENTED", check.ReasonMissing, "has no health service; register grpc.health.v1.Health in the server (most gRPC libraries have one ready), or check its port with tcp://"},
	13: {"INTERNAL", check.ReasonStatus, "has a fault of its own"},
	14: {"UNAVAILABLE", check.ReasonStatus, "is not available, or what is behind it is not"},
	15: {"DATA_LOSS", check.ReasonStatus, "failed to answer"},
	16: {"UNAUTHENTICATED", check.ReasonAuth, "demands credentials, or refuses those it got; set headers, such as authorization=Bearer TOKEN"},
}

const notFound = 5

// refused makes the failure of a call that ended with a status other than OK.
// The headers are an answer's trailers, or its headers when it has nothing else.
// A nil error is the status OK.
func (c *checker) refused(headers http.Header) error {
	text := headers.Get("Grpc-Status")
	code, err := strconv.ParseUint(text, 10, 8)
	if err != nil || code >= uint64(len(statuses)) {
		return check.Failf(check.ReasonProtocol, "%s: ends the call with the status %q, which is not one of gRPC", c.target, check.CleanText(text))
	}
	if code == 0 {
		return nil
	}
	s := statuses[code]
	said := s.name
	if message := check.CleanText(unescape(headers.Get("Grpc-Message"))); message != "" {
		said += ": " + message
	}
	if code == notFound {
		return c.noService(said)
	}
	return check.Failf(s.reason, "%s: %s (%s)", c.target, s.text, said)
}

// expectGRPC fails unless an answer is gRPC's.
func (c *checker) expectGRPC(answer *http.Response) error {
	if answer.StatusCode != http.StatusOK {
		reason := check.ReasonStatus
		switch answer.StatusCode {
		case http.StatusUnauthorized:
			reason = check.ReasonAuth
		case http.StatusForbidden:
			reason = check.ReasonPermission
		}
		return check.Failf(reason, "%s: answers with the HTTP status %s; a gRPC server answers every call with 200: see what is in front of it", c.target, statusText(answer.StatusCode))
	}
	if kind := answer.Header.Get("Content-Type"); !isGRPC(kind) {
		return check.Failf(check.ReasonProtocol, "%s: speaks HTTP/2 but not gRPC: its answer is of the type %q", c.target, check.CleanText(kind))
	}
	return nil
}

func statusText(code int) string {
	if name := http.StatusText(code); name != "" {
		return fmt.Sprintf("%d %s", code, name)
	}
	return strconv.Itoa(code)
}
