package kafkacheck

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"hale/internal/check"
	"hale/internal/tlsconf"
)

// The error codes that mean something of their own here
// (https://kafka.apache.org/protocol#protocol_error_codes).
const (
	codeUnknownTopic         = 3
	codeNoLeader             = 5
	codeTopicForbidden       = 29
	codeUnsupportedMechanism = 33
	codeIllegalSASLState     = 34
	codeNoListener           = 72
)

// errorName names an error code that a broker is likely to answer with; any
// other is its number.
func errorName(code int16) string {
	switch code {
	case codeUnknownTopic:
		return "UNKNOWN_TOPIC_OR_PARTITION"
	case codeNoLeader:
		return "LEADER_NOT_AVAILABLE"
	case 7:
		return "REQUEST_TIMED_OUT"
	case codeTopicForbidden:
		return "TOPIC_AUTHORIZATION_FAILED"
	case 31:
		return "CLUSTER_AUTHORIZATION_FAILED"
	case codeUnsupportedMechanism:
		return "UNSUPPORTED_SASL_MECHANISM"
	case codeIllegalSASLState:
		return "ILLEGAL_SASL_STATE"
	case 35:
		return "UNSUPPORTED_VERSION"
	case 58:
		return "SASL_AUTHENTICATION_FAILED"
	case codeNoListener:
		return "LISTENER_NOT_FOUND"
	}
	return "number " + strconv.Itoa(int(code))
}

// judge says what it means what a broker knows.
func (c *checker) judge(m *kmsg.MetadataResponse) (string, error) {
	switch n := len(m.Brokers); {
	case n == 0:
		return "", check.Failf(check.ReasonLoading, "knows of no brokers, not even itself: it is starting, or has lost its controller")
	case n < c.minBrokers:
		return "", check.Failf(check.ReasonStatus, "knows of %s (%s), want at least %d", count(n, "broker"), brokers(m), c.minBrokers)
	}
	note := count(len(m.Brokers), "broker")
	if c.topic == "" {
		return note, nil
	}
	i := slices.IndexFunc(m.Topics, func(t kmsg.MetadataResponseTopic) bool { return t.Topic != nil && *t.Topic == c.topic })
	if i < 0 {
		return "", &malformed{fmt.Sprintf("its answer to Metadata lacks the topic %q, which it was asked for", c.topic)}
	}
	if err := c.judgeTopic(m.Topics[i]); err != nil {
		return "", err
	}
	return note + ", " + c.topic + ": " + count(len(m.Topics[i].Partitions), "partition"), nil
}

func (c *checker) judgeTopic(t kmsg.MetadataResponseTopic) error {
	switch t.ErrorCode {
	case 0:
	case codeUnknownTopic:
		return check.Failf(check.ReasonMissing, "there is no topic %q, or the user may not know of it", c.topic)
	case codeTopicForbidden:
		return check.Failf(check.ReasonPermission, "the user may not know of the topic %q; allow it to describe it (kafka-acls --operation Describe)", c.topic)
	case codeNoLeader:
		return check.Failf(check.ReasonLoading, "the topic %q has no leaders yet; it is new", c.topic)
	default:
		return check.Failf(check.ReasonStatus, "answers about the topic %q with the error %s", c.topic, errorName(t.ErrorCode))
	}
	if len(t.Partitions) == 0 {
		return check.Failf(check.ReasonStatus, "the topic %q has no partitions", c.topic)
	}
	var leaderless, behind []int32
	fewest := 0
	for _, p := range t.Partitions {
		switch {
		case p.Leader < 0 || p.ErrorCode == codeNoLeader || p.ErrorCode == codeNoListener:
			leaderless = append(leaderless, p.Partition)
		case len(p.ISR) < c.minISR:
			if len(behind) == 0 || len(p.ISR) < fewest {
				fewest = len(p.ISR)
			}
			behind = append(behind, p.Partition)
		}
	}
	of := fmt.Sprintf("of %d of the topic %q", len(t.Partitions), c.topic)
	switch {
	case len(leaderless) > 0:
		return check.Failf(check.ReasonStatus, "no leader for %s %s; see which brokers are down", partitions(leaderless), of)
	case len(behind) > 0:
		return check.Failf(check.ReasonStatus, "too few replicas in sync for %s %s: %d, want at least %d; see which brokers are down or slow", partitions(behind), of, fewest, c.minISR)
	}
	return nil
}

// partitions names partitions, of which there may be thousands.
func partitions(numbers []int32) string {
	const most = 5
	slices.Sort(numbers)
	var names []string
	for _, n := range numbers[:min(len(numbers), most)] {
		names = append(names, strconv.Itoa(int(n)))
	}
	text := "partition " + strings.Join(names, ", ")
	if more := len(numbers) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// brokers names the brokers by their numbers; there are fewer than somebody
// thought of.
func brokers(m *kmsg.MetadataResponse) string {
	var ids []string
	for _, b := range m.Brokers {
		ids = append(ids, strconv.Itoa(int(b.NodeID)))
	}
	return strings.Join(ids, ", ")
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// explain makes of what led to the end of a conversation what a person needs to
// know.
func (c *checker) explain(l *link, err error) error {
	if e, ok := errors.AsType[*check.Error](err); ok {
		return check.Failf(e.Reason, "%s: %w", c.target, err)
	}
	if _, ok := errors.AsType[*malformed](err); ok {
		return check.Failf(check.ReasonProtocol, "%s: %w", c.target, err)
	}
	reason := check.ReasonOf(err)
	broken := reason == check.ReasonReset || reason == check.ReasonClosed
	if l.asked != "" && (broken || tlsconf.Alert(err) != "") && !l.answered {
		// The alert may come too late to be read.
		return check.Failf(check.ReasonTLS, "%s: ends the connection after it asked for a client certificate: %s: %w", c.target, l.asked, err)
	}
	if l.calls == 0 {
		hint := ""
		if broken {
			// A broker takes the handshake for the length of a request.
			hint = "; write kafka:// if it is without TLS"
		}
		return check.Failf(reason, "%s: %w%s", c.target, err, hint)
	}
	hint := ""
	switch {
	case !broken:
	case !l.answered && c.tls == nil:
		hint = "; see its log, and write kafkas:// if it speaks TLS"
	case c.login != nil && strings.HasPrefix(l.during, "SASL"):
		hint = "; perhaps it refuses the login: see its log"
	case c.login == nil && l.answered:
		hint = "; a broker that demands a login does this: set username and password"
	}
	return check.Failf(reason, "%s: waiting for the answer to %s: %w%s", c.target, l.during, err, hint)
}
