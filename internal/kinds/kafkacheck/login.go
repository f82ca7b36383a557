package kafkacheck

import (
	"bytes"
	"context"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"hale/internal/check"
)

const (
	// maxRounds is how often something is sent to log in; SCRAM takes two.
	maxRounds = 3
	// maxIterations bounds the work that a broker may ask for with SCRAM. Brokers
	// themselves take at most 16384.
	maxIterations = 1 << 16
)

// authenticate logs in
// (https://kafka.apache.org/protocol#sasl_handshake).
func (c *checker) authenticate(ctx context.Context, l *link) error {
	hello := kmsg.NewPtrSASLHandshakeRequest()
	hello.Version = 1
	hello.Mechanism = c.login.Name()
	offered := kmsg.NewPtrSASLHandshakeResponse()
	if err := l.call(hello, offered); err != nil {
		return err
	}
	switch offered.ErrorCode {
	case 0:
	case codeUnsupportedMechanism:
		return check.Failf(check.ReasonAuth, "does not log in with %s, but with %s; set sasl", hello.Mechanism, check.CleanText(strings.Join(offered.SupportedMechanisms, ", ")))
	case codeIllegalSASLState:
		return check.Failf(check.ReasonAuth, "takes no login on this port; leave user and password out, or use the port of a SASL listener")
	default:
		return check.Failf(check.ReasonAuth, "refuses to log in with %s: %s", hello.Mechanism, errorName(offered.ErrorCode))
	}
	session, message, err := c.login.Authenticate(ctx, c.address)
	for range maxRounds {
		if err != nil {
			break
		}
		request := kmsg.NewPtrSASLAuthenticateRequest()
		request.SASLAuthBytes = message
		answer := kmsg.NewPtrSASLAuthenticateResponse()
		if err := l.call(request, answer); err != nil {
			return err
		}
		if answer.ErrorCode != 0 {
			return refusedLogin(answer)
		}
		if asksTooMuch(answer.SASLAuthBytes) {
			return check.Failf(check.ReasonProtocol, "asks for more than %d iterations of SCRAM, which no broker does", maxIterations)
		}
		var done bool
		done, message, err = session.Challenge(answer.SASLAuthBytes)
		if done && err == nil {
			return nil
		}
	}
	if err != nil {
		return check.Failf(check.ReasonAuth, "the login fails: %s", check.CleanText(err.Error()))
	}
	return check.Failf(check.ReasonProtocol, "does not come to an end with the login")
}

func refusedLogin(answer *kmsg.SASLAuthenticateResponse) error {
	said := errorName(answer.ErrorCode)
	if answer.ErrorMessage != nil {
		said += ": " + check.CleanText(*answer.ErrorMessage)
	}
	return check.Failf(check.ReasonAuth, "refuses the login: %s", said)
}

// asksTooMuch reports whether a message of the broker, which may be SCRAM's
// first (RFC 5802, section 5.1), asks for more iterations than are done.
func asksTooMuch(message []byte) bool {
	for attribute := range bytes.SplitSeq(message, []byte(",")) {
		if text, ok := bytes.CutPrefix(attribute, []byte("i=")); ok {
			n, err := strconv.Atoi(string(text))
			return err != nil || n > maxIterations
		}
	}
	return false
}
