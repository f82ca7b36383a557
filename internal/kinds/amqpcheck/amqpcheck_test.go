package amqpcheck_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"hale/internal/check"
	"hale/internal/kinds/amqpcheck"
	"hale/internal/kinds/kindtest"
	"hale/internal/servertest"
)

var kinds = kindtest.Kinds{amqpcheck.Kind(), amqpcheck.KindTLS()}

var (
	run           = kinds.Run
	build         = kinds.Build
	option        = kindtest.Option
	expectFailure = kindtest.ExpectFailure
)

func expectNote(t *testing.T, result check.Result, want string) {
	t.Helper()
	if result.Err != nil || !strings.HasPrefix(result.Note, want) {
		t.Errorf("got note %q and error %v, want note %q", result.Note, result.Err, want)
	}
}

func TestContract(t *testing.T) {
	t.Run("amqp", func(t *testing.T) {
		kindtest.Network{Kind: amqpcheck.Kind(), URL: func(a string) string { return "amqp://app:secret@" + a + "/shop?queue=jobs" }}.Run(t)
	})
	t.Run("amqps", func(t *testing.T) {
		kindtest.Network{Kind: amqpcheck.KindTLS(), URL: func(a string) string { return "amqps://" + a }}.Run(t)
	})
}

// One broker for all, since starting one takes seconds.
func TestRabbitMQ(t *testing.T) {
	certs := servertest.NewCerts(t, 72*time.Hour, "127.0.0.1", "mq.test")
	s := servertest.RabbitMQTLS(t, certs)
	url := s.URL("amqp")
	s.Ctl("add_vhost", "a/b")
	s.Ctl("add_vhost", "full")
	s.Ctl("add_user", "app", "p@ss/word#")
	s.Ctl("set_permissions", "-p", "/", "app", "^$", "^$", "^$")
	s.Ctl("set_permissions", "-p", "a/b", servertest.RabbitMQUser, ".*", ".*", ".*")
	s.Ctl("set_permissions", "-p", "full", servertest.RabbitMQUser, ".*", ".*", ".*")
	s.Ctl("set_vhost_limits", "-p", "full", `{"max-connections": 0}`)
	s.Ctl("eval", `rabbit_amqqueue:declare(rabbit_misc:r(<<"/">>, queue, <<"jobs">>), true, false, [], none, <<"test">>), ok.`)
	before := s.Log()

	t.Run("healthy", func(t *testing.T) {
		for _, test := range []struct {
			name, url string
			options   []check.Option
			want      string
		}{
			{"default virtual host", url, nil, "RabbitMQ 3."},
			{"encoded virtual host", url + "/%2F", nil, "RabbitMQ 3."},
			{"other virtual host", url + "/a%2fb", nil, "RabbitMQ 3."},
			{"this host", fmt.Sprintf("amqp://%s:%s@:%d", servertest.RabbitMQUser, servertest.RabbitMQPassword, s.Port), nil, "RabbitMQ 3."},
			{"password with special characters", "amqp://app:p%40ss%2Fword%23@" + s.Addr, nil, "RabbitMQ 3."},
			{"login as options", "amqp://" + s.Addr, []check.Option{option("username", "app"), option("password", "p@ss/word#")}, "RabbitMQ 3."},
			{"queue", url + "?queue=jobs", nil, "0 messages, 0 consumers"},
			{"queue, without rights", "amqp://app:p%40ss%2Fword%23@" + s.Addr + "?queue=jobs", nil, "0 messages, 0 consumers"},
			{"few messages", url + "?queue=jobs&max_messages=0", nil, "0 messages, 0 consumers"},
		} {
			t.Run(test.name, func(t *testing.T) { expectNote(t, run(t, test.url, test.options...), test.want) })
		}
	})
	t.Run("failing", func(t *testing.T) {
		for _, test := range []struct {
			name, url string
			reason    check.Reason
			parts     []string
		}{
			{"wrong password", "amqp://app:wrong-word@" + s.Addr, check.ReasonAuth, []string{"the login: ACCESS_REFUSED", "(code 403); see the user name and the password"}},
			{"guest", "amqp://" + s.Addr, check.ReasonAuth, []string{"the login: ACCESS_REFUSED", "RabbitMQ lets guest in from its own host only"}},
			{"missing virtual host", url + "/nowhere", check.ReasonMissing, []string{"opening the virtual host nowhere: NOT_ALLOWED - vhost nowhere not found (code 530)"}},
			{"empty virtual host", url + "/", check.ReasonMissing, []string{"leave out the slash at the URL's end for the virtual host /"}},
			{"forbidden virtual host", "amqp://app:p%40ss%2Fword%23@" + s.Addr + "/a%2Fb", check.ReasonPermission, []string{"refused for user 'app'", "rabbitmqctl set_permissions"}},
			{"full virtual host", url + "/full", check.ReasonStatus, []string{"limit", "look for a client that leaks connections"}},
			{"missing queue", url + "?queue=nothing", check.ReasonMissing, []string{"looking at the queue nothing: NOT_FOUND - no queue 'nothing' in vhost '/' (code 404)"}},
			{"too few consumers", url + "?queue=jobs&min_consumers=1", check.ReasonSize, []string{"0 consumers are at the queue jobs, and 1 at least are wanted; 0 messages wait"}},
		} {
			t.Run(test.name, func(t *testing.T) {
				result := run(t, test.url)
				expectFailure(t, result, test.reason, test.parts...)
				for _, secret := range []string{"wrong-word", "p@ss", servertest.RabbitMQPassword} {
					if strings.Contains(result.Text(), secret) {
						t.Errorf("the secret %q is in %q", secret, result.Text())
					}
				}
			})
		}
	})
	t.Run("messages", func(t *testing.T) {
		s.Ctl("eval", `rabbit_basic:publish(rabbit_misc:r(<<"/">>, exchange, <<"">>), <<"jobs">>, [], <<"x">>), ok.`)
		servertest.Wait(t, "the message to be there", func() error {
			if result := run(t, url+"?queue=jobs"); !strings.HasPrefix(result.Note, "1 messages") {
				return fmt.Errorf("got %q, %v", result.Note, result.Err)
			}
			return nil
		})
		expectNote(t, run(t, url+"?queue=jobs&max_messages=1"), "1 messages, 0 consumers")
		expectFailure(t, run(t, url+"?queue=jobs&max_messages=0"), check.ReasonSize, "1 messages wait in the queue jobs, and 0 at most are wanted; it has 0 consumers")
	})
	// A broker with an alarm blocks who publishes, and tells nobody else. To find
	// out by publishing would leave a connection in the broker, run by run, until
	// the alarm is over: it does not read from a blocked connection, not even
	// that it was closed.
	t.Run("alarm", func(t *testing.T) {
		s.Ctl("set_vm_memory_high_watermark", "0.0000001")
		servertest.Wait(t, "the alarm", func() error {
			if got := s.Ctl("eval", "rabbit_alarm:get_alarms()."); got == "[]" {
				return errors.New("there is none")
			}
			return nil
		})
		expectNote(t, run(t, url+"?queue=jobs"), "1 messages")
		servertest.Wait(t, "no connection to be left", func() error {
			if got := s.Ctl("list_connections", "pid", "state"); got != "" {
				return fmt.Errorf("connections: %s", got)
			}
			return nil
		})
		s.Ctl("set_vm_memory_high_watermark", "0.9")
	})
	t.Run("TLS", func(t *testing.T) {
		tls, ca := s.URL("amqps"), option("ca", certs.CA)
		expectNote(t, run(t, tls, ca), "RabbitMQ 3.")
		expectNote(t, run(t, tls, option("insecure", "true")), "RabbitMQ 3.")
		expectNote(t, run(t, tls, ca, option("server_name", "mq.test"), option("min_days", "2")), "RabbitMQ 3.")
		expectFailure(t, run(t, tls), check.ReasonTLS, "unknown authority")
		expectFailure(t, run(t, tls, ca, option("server_name", "other.test")), check.ReasonTLS, "other.test")
		expectFailure(t, run(t, tls, ca, option("min_days", "4")), check.ReasonTLS, "expires on", "at least 4 are wanted")
		expectFailure(t, run(t, strings.Replace(url, "amqp:", "amqps:", 1)), check.ReasonTLS, "write amqp:// if it is without TLS")
		result := run(t, strings.Replace(tls, "amqps:", "amqp:", 1))
		if result.Healthy() || !strings.Contains(result.Text(), "amqps://") {
			t.Errorf("without TLS: %q, %v", result.Note, result.Err)
		}
	})
	// Connections that end in an orderly way are not warned about, and none is
	// left.
	for _, line := range strings.Split(strings.TrimPrefix(s.Log(), before), "\n") {
		if strings.Contains(line, "unexpectedly") || strings.Contains(line, "handshake_timeout") {
			t.Errorf("the broker's log: %s", line)
		}
	}
	servertest.Wait(t, "all connections to be gone", func() error {
		if got := s.Ctl("list_connections", "pid", "state"); got != "" {
			return fmt.Errorf("connections: %s", got)
		}
		return nil
	})
	if got := s.Ctl("list_queues", "name"); got != "jobs" {
		t.Errorf("queues %q, want jobs alone", got)
	}
	t.Run("stopped", func(t *testing.T) {
		s.Pause()
		expectFailure(t, run(t, url+"?timeout=300ms"), check.ReasonTimeout, "no greeting")
		s.Resume()
		s.Stop()
		expectFailure(t, run(t, url), check.ReasonRefused, "amqp://"+s.Addr)
	})
}

// frame makes a method frame.
func frame(channel, class, id byte, arguments string) string {
	n := 4 + len(arguments)
	return "\x01\x00" + string([]byte{channel}) + "\x00\x00" + string([]byte{byte(n >> 8), byte(n), 0, class, 0, id}) + arguments + "\xce"
}

// What a real broker can't easily be made to say.
func TestAnswers(t *testing.T) {
	start := func(mechanisms string) string {
		return frame(0, 10, 10, "\x00\x09\x00\x00\x00\x00\x00\x00\x00"+string([]byte{byte(len(mechanisms))})+mechanisms+"\x00\x00\x00\x05en_US")
	}
	closing := func(code int, text string) string {
		return string([]byte{byte(code >> 8), byte(code), byte(len(text))}) + text + "\x00\x00\x00\x00"
	}
	greeting := start("AMQPLAIN PLAIN")
	in := greeting + frame(0, 10, 30, "\x07\xff\x00\x02\x00\x00\x00\x3c") + frame(0, 10, 41, "\x00") + frame(1, 20, 11, "\x00\x00\x00\x00")
	out := frame(1, 20, 41, "") + frame(0, 10, 51, "")
	alarm := frame(0, 10, 60, "\x0dlow on memory")
	for _, test := range []struct {
		name, answer, options string
		reason                check.Reason // "" for healthy
		text                  string
	}{
		{"all well", in + out, "", "", "logged in"},
		{"heartbeat and end of an alarm", greeting + "\x08\x00\x00\x00\x00\x00\x00\xce" + frame(0, 10, 61, "") + strings.TrimPrefix(in, greeting) + out, "", "", "logged in"},
		{"blocked", in + alarm, "", check.ReasonStatus, "the broker takes no messages: low on memory; free memory or disk space"},
		{"blocked while looking", in + alarm, "?queue=jobs", check.ReasonStatus, "the broker takes no messages: low on memory"},
		{"no method to log in", start("EXTERNAL"), "", check.ReasonAuth, "offers EXTERNAL to log in with, and hale knows PLAIN"},
		{"shutting down", in + frame(0, 10, 50, closing(320, "CONNECTION_FORCED - broker forced connection closure")), "", check.ReasonLoading, "CONNECTION_FORCED"},
		{"error of the broker", in + frame(0, 10, 50, closing(541, "INTERNAL_ERROR")), "", check.ReasonStatus, "closing the connection: INTERNAL_ERROR (code 541)"},
		{"forbidden queue", in + frame(1, 20, 40, closing(403, "ACCESS_REFUSED")) + frame(0, 10, 51, ""), "?queue=jobs", check.ReasonPermission, "rabbitmqctl set_permissions"},
		{"locked queue", in + frame(1, 20, 40, closing(405, "RESOURCE_LOCKED")) + frame(0, 10, 51, ""), "?queue=jobs", check.ReasonPermission, "it belongs to another connection alone"},
		{"gone", in, "", check.ReasonClosed, "closing the connection: EOF"},
		{"old login", greeting, "", check.ReasonClosed, "the login: EOF"},
		{"cut off in a frame", greeting[:20], "", check.ReasonClosed, "unexpected EOF"},
		{"arguments cut off", in + frame(1, 50, 11, "\x04jo"), "?queue=jobs", check.ReasonProtocol, "a method that is cut off"},
		{"count cut off", in + frame(1, 50, 11, "\x04jobs\x00\x00\x00\x01\x00"), "?queue=jobs", check.ReasonProtocol, "a method that is cut off"},
		{"closing cut off", frame(0, 10, 50, "\x01"), "", check.ReasonProtocol, "a method that is cut off"},
		{"wrong method", greeting + frame(0, 60, 10, ""), "", check.ReasonProtocol, "method 60.10 where 10.30 is due"},
		{"short method", "\x01\x00\x00\x00\x00\x00\x02\x00\x0a\xce", "", check.ReasonProtocol, "a method of 2 bytes"},
		{"no end", "\x01\x00\x00\x00\x00\x00\x04\x00\x0a\x00\x0a\x00", "", check.ReasonProtocol, "a frame without its end"},
		{"large", "\x01\x00\x00\x7f\x00\x00\x00", "", check.ReasonProtocol, "not of AMQP 0-9-1"},
		{"heartbeats alone", strings.Repeat("\x08\x00\x00\x00\x00\x00\x00\xce", 30), "", check.ReasonProtocol, "more than 20 frames without an answer"},
		{"another version", "AMQP\x00\x01\x00\x00", "", check.ReasonProtocol, "speaks another version of AMQP"},
		{"TLS", "\x15\x03\x03\x00\x02\x02\x46", "", check.ReasonProtocol, "it speaks TLS; write amqps://"},
		{"another server", "220 mail.test ESMTP\r\n", "", check.ReasonProtocol, `it begins with "220 mai"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			address := servertest.Peer(t, func(conn net.Conn) {
				_, _ = conn.Write([]byte(test.answer))
				_ = conn.(*net.TCPConn).CloseWrite()
				_, _ = io.Copy(io.Discard, conn)
			})
			result := run(t, "amqp://app:pass-word@"+address+test.options)
			if test.reason == "" {
				expectNote(t, result, test.text)
				return
			}
			expectFailure(t, result, test.reason, test.text)
		})
	}
}

func TestOptions(t *testing.T) {
	long := strings.Repeat("x", 256)
	for _, test := range []struct {
		name, url string
		options   []check.Option
		want      string
	}{
		{"opaque", "amqp:5672", nil, "url: amqp:5672 has no host; write amqp://HOST:PORT, or amqp://:PORT for this host"},
		{"port", "amqp://h:65536", nil, "url: port 65536 is out of range; a port is a number from 1 to 65535"},
		{"path", "amqp://h/a/b", nil, `url: the path "/a/b" is not one virtual host; write %2F for a slash in its name, as in amqp://HOST/%2F for the virtual host /`},
		{"two users", "amqp://a:pw@h", []check.Option{option("username", "b")}, `username: is "b", and the URL names another user; give it once`},
		{"two passwords", "amqp://a:first-pw@h", []check.Option{option("password", "second-pw")}, "password: is not the one in the URL; give it once"},
		{"user alone", "amqps://forgotten-colon@h", nil, "username: needs a password; write amqps://USER:PASSWORD@HOST"},
		{"password alone", "amqp://:pass-word@h", nil, "username: is missing, and a password needs one; write amqp://USER:PASSWORD@HOST"},
		{"zero", "amqp://a%00b:c%00d@h", nil, "username: has a zero byte, which AMQP's login has no way to hold\npassword: has a zero byte, which AMQP's login has no way to hold"},
		{"long virtual host", "amqp://h/" + long, nil, "url: names a virtual host of 256 bytes; AMQP has room for 255"},
		{"long queue", "amqp://h?queue=" + long, nil, "queue: has 256 bytes; AMQP has room for 255"},
		{"negative messages", "amqp://h?queue=q&max_messages=-2", nil, "max_messages: -2 is negative; give a number of messages, or -1 for any"},
		{"messages of nothing", "amqp://h?max_messages=0", nil, "max_messages: needs queue, the queue whose messages count"},
		{"negative consumers", "amqp://h?queue=q&min_consumers=-1", nil, "min_consumers: -1 is negative; give a number of consumers"},
		{"consumers of nothing", "amqp://h?min_consumers=1", nil, "min_consumers: needs queue, the queue whose consumers count"},
		{"TLS options without TLS", "amqp://h?ca=/ca.pem&cert=/c.pem&key=/k.pem&server_name=n&insecure&min_days=3", nil,
			`ca: is for TLS, and this URL is without; write amqps://
cert: is for TLS, and this URL is without; write amqps://
key: is for TLS, and this URL is without; write amqps://
server_name: is for TLS, and this URL is without; write amqps://
insecure: is for TLS, and this URL is without; write amqps://
min_days: is for TLS, and this URL is without; write amqps://`},
		{"relative file", "amqps://h?ca=ca.pem", nil, `ca: "ca.pem" is a relative path; give an absolute one`},
		{"missing file", "amqps://h?ca=/nowhere/ca.pem", nil, "ca: open /nowhere/ca.pem: no such file or directory"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := build(test.url, test.options...)
			if err == nil || err.Error() != test.want {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
		})
	}
}

func TestDefaults(t *testing.T) {
	for _, kind := range []check.Kind{amqpcheck.Kind(), amqpcheck.KindTLS()} {
		c := kindtest.Build(t, kind, kind.Scheme+"://:1")
		want := []check.Setting{
			{Name: "username", Value: ""}, {Name: "password", Value: ""}, {Name: "queue", Value: ""},
			{Name: "max_messages", Value: "-1"}, {Name: "min_consumers", Value: "0"},
			{Name: "ca", Value: ""}, {Name: "cert", Value: ""}, {Name: "key", Value: ""}, {Name: "server_name", Value: ""},
			{Name: "insecure", Value: "false"}, {Name: "min_days", Value: "0"},
		}
		if got := fmt.Sprint(c.Options); got != fmt.Sprint(want) {
			t.Errorf("%s: got %s, want %v", kind.Scheme, got, want)
		}
	}
}

func TestExamplesAreValid(t *testing.T) {
	for _, kind := range []check.Kind{amqpcheck.Kind(), amqpcheck.KindTLS()} {
		if _, err := build(kind.Example); err != nil {
			t.Errorf("%s: %v", kind.Example, err)
		}
	}
}
