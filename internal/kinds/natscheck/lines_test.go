package natscheck_test

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"hale/internal/check"
	"hale/internal/kinds/kindtest"
	"hale/internal/kinds/natscheck"
	"hale/internal/servertest"
)

// serve greets every client, reads CONNECT and PING, answers and hangs up, until
// the test ends.
func serve(t *testing.T, greeting, answer string) string {
	t.Helper()
	return "nats://" + servertest.Peer(t, func(conn net.Conn) {
		// Small writes, for lines that come in pieces.
		for part := range strings.SplitSeq(greeting, "|") {
			_, _ = io.WriteString(conn, part)
		}
		if answer != "" {
			r := bufio.NewReader(conn)
			_, _ = r.ReadString('\n')
			_, _ = r.ReadString('\n')
			_, _ = io.WriteString(conn, answer)
		}
	})
}

const hello = "INFO {\"version\":\"2.1\"}\r\n"

func TestReplies(t *testing.T) {
	for _, test := range []struct{ name, greeting, answer string }{
		{"plain", hello, "PONG\r\n"},
		{"line feeds only", "INFO {\"version\":\"2.1\"}\n", "PONG\n"},
		{"a PING and another INFO first", hello, "PING\r\nINFO {\"version\":\"2.1\"}\r\nPONG\r\n"},
		{"INFO in pieces", "IN|FO {\"version\":|\"2.1\"} \r|\n", "PONG\r\n"},
		{"a long INFO", "INFO {\"version\":\"2.1\",\"connect_urls\":[\"" + strings.Repeat("x", 30<<10) + "\"]}\r\n", "PONG\r\n"},
	} {
		t.Run(test.name, func(t *testing.T) { expectPong(t, run(t, serve(t, test.greeting, test.answer)), "") })
	}
}

func TestWrongReplies(t *testing.T) {
	for _, test := range []struct {
		name, greeting, answer string
		reason                 check.Reason
		text                   string
	}{
		{"lame duck", "INFO {\"version\":\"2.1\",\"ldm\":true}\r\n", "PONG\r\n", check.ReasonLoading, "is in lame duck mode: it is shutting down and sends its clients to other servers"},
		{"error in place of INFO", "-ERR 'maximum connections exceeded'\r\n", "", check.ReasonStatus, "has as many clients as it accepts"},
		{"account full", hello, "-ERR 'maximum account active connections exceeded'\r\n", check.ReasonStatus, "has as many clients of this account as it accepts"},
		{"throttled", hello, "-ERR 'Connection throttling is active'\r\n", check.ReasonStatus, "throttles new connections: Connection throttling is active"},
		{"expired", hello, "-ERR 'User Authentication Expired'\r\n", check.ReasonAuth, "refuses the login, which has expired"},
		{"revoked", hello, "-ERR 'User Authentication Revoked'\r\n", check.ReasonAuth, "refuses the login, which was revoked"},
		{"login too late", hello, "-ERR 'Authentication Timeout'\r\n", check.ReasonTimeout, "did not get or check the login in the time"},
		{"shutdown", hello, "-ERR 'Server Shutdown'\r\n", check.ReasonLoading, "is shutting down: Server Shutdown"},
		{"TLS demanded", hello, "-ERR 'Secure Connection - TLS Required'\r\n", check.ReasonTLS, "demands TLS"},
		{"TLS failed", hello, "-ERR 'TLS Handshake Error'\r\n", check.ReasonTLS, "has a problem with TLS"},
		{"port of a cluster", hello, "-ERR 'Attempted To Connect To Route Port'\r\n", check.ReasonProtocol, "is no port for clients"},
		{"unknown operation", hello, "-ERR 'Unknown Protocol Operation'\r\n", check.ReasonProtocol, "does not know what it was sent"},
		{"unknown error", hello, "-ERR 'Something new'\r\n", check.ReasonStatus, "answers with an error: Something new"},
		{"no PONG", hello, strings.Repeat("PING\r\n", 20), check.ReasonProtocol, "sends 8 lines and no PONG"},
		{"not PONG", hello, "+OK\r\n", check.ReasonProtocol, `is not NATS: it says "+OK", want PONG`},
		{"hangs up", hello, "PO", check.ReasonClosed, "waiting for PONG: EOF"},
		{"no INFO", "SSH-2.0-OpenSSH_9.2p1\r\n", "", check.ReasonProtocol, `is not NATS: it says "SSH-2.0-OpenSSH_9.2p1", want INFO`},
		{"broken INFO", "INFO {\"version\":\r\n", "", check.ReasonProtocol, `is not NATS: it says "INFO {\"version\":", want INFO`},
		{"too long INFO", "INFO {" + strings.Repeat("x", 40<<10), "", check.ReasonProtocol, `is not NATS: it says "INFO {` + strings.Repeat("x", 54) + `", want a line of at most 32768 bytes`},
		{"more before TLS", "INFO {\"tls_required\":true}\r\nPONG\r\n", "", check.ReasonProtocol, "sends more than INFO before TLS begins"},
		{"nothing", "", "", check.ReasonClosed, "waiting for INFO: EOF; see whether it is NATS, and has handshake_first off"},
	} {
		t.Run(test.name, func(t *testing.T) {
			url := serve(t, test.greeting, test.answer)
			kindtest.ExpectLeavesNothing(t)
			expectFailure(t, run(t, url), test.reason, url+": "+test.text)
		})
	}
}

// TestHangs is about servers that begin well and then fall silent.
func TestHangs(t *testing.T) {
	for name, greeting := range map[string]string{
		"in INFO":     "INFO {",
		"before PONG": hello,
		"before TLS":  "INFO {\"tls_required\":true}\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer listener.Close()
			gone := make(chan struct{})
			go func() {
				defer close(gone)
				if conn, err := listener.Accept(); err == nil {
					_, _ = io.WriteString(conn, greeting)
					_, _ = io.Copy(io.Discard, conn)
					_ = conn.Close()
				}
			}()
			c := kindtest.Build(t, natscheck.Kind(), "nats://"+listener.Addr().String())
			kindtest.ExpectReason(t, kindtest.Run(t, t.Context(), c), check.ReasonTimeout)
			select {
			case <-gone:
			case <-time.After(30 * time.Second):
				t.Error("the connection is still open")
			}
		})
	}
}
