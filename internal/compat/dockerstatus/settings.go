package dockerstatus

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"hale/internal/check"
	"hale/internal/discover/links"
)

// settings are what the environment says besides the links.
type settings struct {
	timeout, interval time.Duration
	listen            string // HOST:PORT
	debug, delayStart bool
	graylog           string // HOST:PORT; "" is none
	localName         string
	remarks           []string // what has no effect, for people
}

// readSettings reads the environment, in which a variable without a value is as
// good as none. Its error joins every fault.
func readSettings(getenv func(name string) string) (settings, error) {
	r := reader{getenv: getenv}
	s := settings{
		timeout:    r.seconds("HTTP_TIMEOUT", 30*time.Second),
		interval:   r.seconds("TEST_INTERVAL", 30*time.Second),
		listen:     r.address(r.text("LISTEN_HOST", "0.0.0.0"), "LISTEN_PORT", 80),
		debug:      r.isTrue("DEBUG"),
		delayStart: r.isTrue("DELAY_START"),
		localName:  r.text("GRAYLOG_LOCALNAME", "docker-status"),
	}
	if host := r.text("GRAYLOG_HOST", ""); host != "" {
		s.graylog = r.address(host, "GRAYLOG_PORT", 12201)
	}
	if s.timeout > s.interval && len(r.errs) == 0 {
		if given := getenv("HTTP_TIMEOUT"); given != "" {
			r.remark("HTTP_TIMEOUT=%s is longer than TEST_INTERVAL: an app has %v to answer", given, s.interval)
		}
		s.timeout = s.interval
	}
	s.remarks = r.remarks
	return s, errors.Join(r.errs...)
}

// policy is that of the checks: one result decides.
func (s settings) policy() check.Policy {
	return check.Policy{
		Interval: s.interval, Timeout: s.timeout, Recheck: min(time.Second, s.interval), Fall: 1, Rise: 1,
	}
}

// reader reads variables and gathers what is wrong with them.
type reader struct {
	getenv  func(name string) string
	errs    []error
	remarks []string
}

func (r *reader) fail(format string, args ...any) {
	r.errs = append(r.errs, fmt.Errorf(format, args...))
}

func (r *reader) remark(format string, args ...any) {
	r.remarks = append(r.remarks, fmt.Sprintf(format, args...))
}

func (r *reader) text(name, otherwise string) string {
	if value := r.getenv(name); value != "" {
		return value
	}
	return otherwise
}

// seconds reads a number of seconds, such as 30 or 0.5.
func (r *reader) seconds(name string, otherwise time.Duration) time.Duration {
	value := r.getenv(name)
	if value == "" {
		return otherwise
	}
	n, err := strconv.ParseFloat(value, 64)
	if err != nil || strings.Trim(value, "0123456789.") != "" {
		r.fail("%s=%q is not a number of seconds; write one such as 30", name, check.CleanText(value))
		return otherwise
	}
	if n < check.MinInterval.Seconds() || n > check.MaxInterval.Seconds() {
		r.fail("%s=%s is out of range; give a number of seconds from %v to %v", name, check.CleanText(value), check.MinInterval.Seconds(), check.MaxInterval.Seconds())
		return otherwise
	}
	return time.Duration(n * float64(time.Second))
}

// address joins a host and the port that a variable holds.
func (r *reader) address(host, name string, otherwise int) string {
	value, port := r.getenv(name), otherwise
	switch n, err := strconv.Atoi(value); {
	case value == "":
	case strings.HasPrefix(value, "tcp://") || strings.HasPrefix(value, "udp://"):
		r.remark("%s=%s is what a link of that name sets, and no setting; the port is %d", name, check.CleanText(value), otherwise)
	case err != nil || n < 1 || n > 65535:
		r.fail("%s=%q is not a port; give a number from 1 to 65535", name, check.CleanText(value))
	default:
		port = n
	}
	return net.JoinHostPort(strings.Trim(host, "[]"), strconv.Itoa(port))
}

// isTrue reads a switch: true turns it on, and nothing else does.
func (r *reader) isTrue(name string) bool {
	value := r.getenv(name)
	if value != "true" && !links.IsOff(value) {
		r.remark("%s=%s has no effect: only true does", name, check.CleanText(value))
	}
	return value == "true"
}
