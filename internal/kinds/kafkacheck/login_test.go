package kafkacheck_test

import (
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"hale/internal/check"
)

func TestLogin(t *testing.T) {
	const password = "p\"a:s/s@w,=rd"
	const escaped = "p%22a%3As%2Fs%40w%2C%3Drd"
	for option, mechanism := range map[string]string{"plain": "PLAIN", "scram-sha-256": "SCRAM-SHA-256", "scram-sha-512": "SCRAM-SHA-512"} {
		t.Run(option, func(t *testing.T) {
			_, address := cluster(t, kfake.NumBrokers(1), kfake.EnableSASL(), kfake.Superuser(mechanism, "hale", password))
			expectNote(t, run(t, "kafka://hale:"+escaped+"@"+address, value("sasl", option)), "1 broker")
			expectNote(t, run(t, "kafka://"+address, value("username", "hale"), value("password", password), value("sasl", option)), "1 broker")
			// Kafka says what is wrong; the fake broker hangs up.
			wrong := run(t, "kafka://hale:wrong-password@"+address, value("sasl", option))
			expectFailure(t, wrong, check.ReasonClosed, "waiting for the answer to SASLAuthenticate: EOF; perhaps it refuses the login: see its log")
			if strings.Contains(wrong.Text(), "wrong-password") {
				t.Errorf("%q holds the password", wrong.Text())
			}
			expectFailure(t, run(t, "kafka://"+address), check.ReasonClosed, "waiting for the answer to Metadata: EOF; a broker that demands a login does this: set username and password")
		})
	}
}

// TestRefusedLogin puts Kafka's answers in place of the fake broker's.
func TestRefusedLogin(t *testing.T) {
	const url = "?username=hale&password=s3cret-word&sasl=scram-sha-256"
	first := func(message string) func(kmsg.Request, *kmsg.SASLAuthenticateResponse) {
		return func(r kmsg.Request, a *kmsg.SASLAuthenticateResponse) {
			sent := string(r.(*kmsg.SASLAuthenticateRequest).SASLAuthBytes)
			_, nonce, _ := strings.Cut(sent, "r=")
			a.SASLAuthBytes = []byte(strings.ReplaceAll(message, "NONCE", nonce))
		}
	}
	for _, test := range []struct {
		name   string
		fill   func(kmsg.Request, *kmsg.SASLAuthenticateResponse)
		reason check.Reason
		text   string
	}{
		{"wrong password", func(_ kmsg.Request, a *kmsg.SASLAuthenticateResponse) {
			a.ErrorCode, a.ErrorMessage = 58, kmsg.StringPtr("Authentication failed: Invalid username or password s3cret-word")
		}, check.ReasonAuth, "refuses the login: SASL_AUTHENTICATION_FAILED: Authentication failed: Invalid username or password ***"},
		{"without a message", func(_ kmsg.Request, a *kmsg.SASLAuthenticateResponse) { a.ErrorCode = 34 }, check.ReasonAuth, "refuses the login: ILLEGAL_SASL_STATE"},
		{"not SCRAM", first("hello"), check.ReasonAuth, "the login fails: "},
		{"too much work", first("r=NONCEx,s=c2FsdA==,i=2000000000"), check.ReasonProtocol, "asks for more than 65536 iterations of SCRAM, which no broker does"},
		{"work without end", first("r=NONCEx,s=c2FsdA==,i=99999999999999999999"), check.ReasonProtocol, "asks for more than 65536 iterations"},
		{"does not know the password", first("r=NONCEx,s=c2FsdA==,i=4096"), check.ReasonAuth, "the login fails: "},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, address := cluster(t, kfake.NumBrokers(1), kfake.EnableSASL())
			answering(c, kmsg.SASLAuthenticate, test.fill)
			expectFailure(t, run(t, "kafka://"+address+url), test.reason, "kafka://"+address+": "+test.text)
		})
	}
}

func TestRefusedMechanism(t *testing.T) {
	for _, test := range []struct {
		name string
		fill func(kmsg.Request, *kmsg.SASLHandshakeResponse)
		text string
	}{
		{"another", func(_ kmsg.Request, a *kmsg.SASLHandshakeResponse) {
			a.ErrorCode, a.SupportedMechanisms = 33, []string{"SCRAM-SHA-512", "GSSAPI"}
		}, "does not log in with PLAIN, but with SCRAM-SHA-512, GSSAPI; set sasl"},
		{"none", func(_ kmsg.Request, a *kmsg.SASLHandshakeResponse) { a.ErrorCode = 34 }, "takes no login on this port; leave user and password out, or use the port of a SASL listener"},
		{"error", func(_ kmsg.Request, a *kmsg.SASLHandshakeResponse) { a.ErrorCode = 35 }, "refuses to log in with PLAIN: UNSUPPORTED_VERSION"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, address := cluster(t, kfake.NumBrokers(1), kfake.EnableSASL())
			answering(c, kmsg.SASLHandshake, test.fill)
			expectFailure(t, run(t, "kafka://hale:s3cret-word@"+address), check.ReasonAuth, "kafka://"+address+": "+test.text)
		})
	}
}
