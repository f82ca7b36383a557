package smtpcheck_test

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"hale/internal/check"
	"hale/internal/kinds/kindtest"
	"hale/internal/kinds/smtpcheck"
	"hale/internal/servertest"
)

var kinds = kindtest.Kinds{smtpcheck.Kind(), smtpcheck.KindTLS()}

var (
	run           = kinds.Run
	build         = kinds.Build
	expectFailure = kindtest.ExpectFailure
)

func expectNote(t *testing.T, result check.Result, end string) {
	t.Helper()
	if result.Err != nil || !strings.HasSuffix(result.Note, end) || strings.HasPrefix(result.Note, ",") {
		t.Errorf("got note %q and error %v, want a note that ends in %q", result.Note, result.Err, end)
	}
}

func TestContract(t *testing.T) {
	t.Run("smtp", func(t *testing.T) {
		kindtest.Network{Kind: smtpcheck.Kind(), URL: func(a string) string { return "smtp://" + a }}.Run(t)
	})
	t.Run("starttls", func(t *testing.T) {
		kindtest.Network{Kind: smtpcheck.Kind(), URL: func(a string) string { return "smtp://" + a + "?starttls&insecure" }}.Run(t)
	})
	t.Run("smtps", func(t *testing.T) {
		kindtest.Network{Kind: smtpcheck.KindTLS(), URL: func(a string) string { return "smtps://" + a + "?insecure" }}.Run(t)
	})
}

const day = 24 * time.Hour

func TestPlain(t *testing.T) {
	s := servertest.SMTP(t)
	url := "smtp://" + s.Addr
	result := run(t, url)
	expectNote(t, result, "")
	if strings.ContainsAny(result.Note, " ,") || result.Note == "" {
		t.Errorf("note %q, want the server's name", result.Note)
	}
	expectNote(t, run(t, fmt.Sprintf("smtp://:%d?helo=probe.example.com", s.Port)), "")
	for _, line := range []string{"b'EHLO localhost'", "b'EHLO probe.example.com'", "b'QUIT'"} {
		if !strings.Contains(s.Log(), line) {
			t.Errorf("the server's log lacks %s:\n%s", line, s.Log())
		}
	}
	expectFailure(t, run(t, url+"?starttls"), check.ReasonTLS, url+": does not offer STARTTLS; see whether it has a certificate")
	expectFailure(t, run(t, strings.Replace(url, "smtp", "smtps", 1)), check.ReasonTLS, "TLS handshake: the port does not speak TLS: it greets without: use smtp://")
	s.Pause()
	expectFailure(t, run(t, url+"?timeout=300ms"), check.ReasonTimeout, url+": no greeting: ")
	s.Resume()
	expectNote(t, run(t, url), "")
	s.Stop()
	expectFailure(t, run(t, url), check.ReasonRefused, url+": ")
}

func TestTLS(t *testing.T) {
	certs := servertest.NewCerts(t, 10*day+time.Hour, "mail.example", "127.0.0.1")
	expired := servertest.NewCerts(t, -time.Minute, "mail.example", "127.0.0.1")
	for _, test := range []struct{ scheme, option, file string }{
		{"smtp", "starttls&", "tls"},
		{"smtps", "", "smtps"},
	} {
		t.Run(test.scheme, func(t *testing.T) {
			start := func(c *servertest.Certs) string {
				return test.scheme + "://" + servertest.SMTP(t, "--"+test.file+"cert", c.Cert, "--"+test.file+"key", c.Key).Addr
			}
			url := start(certs)
			with := "?" + test.option + "ca=" + certs.CA
			expectNote(t, run(t, url+with), ", TLS 1.3, 10 days left")
			expectNote(t, run(t, url+with+"&min_days=10&server_name=mail.example"), ", TLS 1.3, 10 days left")
			expectNote(t, run(t, url+"?"+test.option+"insecure"), ", TLS 1.3, 10 days left, not verified")
			expectFailure(t, run(t, url+with+"&min_days=11"), check.ReasonTLS, url+": the certificate of mail.example expires on ")
			expectFailure(t, run(t, url+with+"&server_name=db.example"), check.ReasonTLS, url+": the certificate is for mail.example, 127.0.0.1, not for db.example")
			expectFailure(t, run(t, url+strings.TrimSuffix("?"+test.option, "&")), check.ReasonTLS, `is signed by "test authority", which is not trusted`)
			expectFailure(t, run(t, start(expired)+"?"+test.option+"ca="+expired.CA), check.ReasonTLS, ": the certificate of mail.example, 127.0.0.1 expired on ")
		})
	}
	t.Run("smtp to smtps", func(t *testing.T) {
		s := servertest.SMTP(t, "--smtpscert", certs.Cert, "--smtpskey", certs.Key)
		expectFailure(t, run(t, "smtp://"+s.Addr+"?timeout=300ms"), check.ReasonTimeout, "; it may wait for TLS (then use smtps://), or let clients wait on purpose (then set a longer timeout)")
	})
}

// scripted is a server that greets and answers each command with the next of
// replies, and then says nothing more. It is for what a real server can't be
// made to say.
func scripted(t *testing.T, replies ...string) string {
	t.Helper()
	return "smtp://" + servertest.Peer(t, func(conn net.Conn) {
		lines := bufio.NewScanner(conn)
		for _, reply := range replies {
			_, _ = conn.Write([]byte(reply))
			if !lines.Scan() {
				return
			}
		}
		for lines.Scan() {
		}
	})
}

func TestReplies(t *testing.T) {
	const hello, ehlo = "220 mail.example ESMTP\r\n", "250-mail.example\r\n250-starttls\r\n250 HELP\r\n"
	for _, test := range []struct {
		name    string
		replies []string
		options string
		reason  check.Reason
		message string
	}{
		{"shutting down", []string{"421 mail.example closing\r\n"}, "", check.ReasonStatus, "greets with 421 mail.example closing; it is overloaded, or shutting down, or takes no more connections from here; see its log"},
		{"no service", []string{"554-go\r\n554 away\r\n"}, "", check.ReasonStatus, "greets with 554 go away; it gives no service to this client; see its log"},
		{"another code", []string{"530 \x1b[31mno\r\n"}, "", check.ReasonStatus, "greets with 530 no"},
		{"EHLO refused", []string{hello, "501 bad name\r\n"}, "", check.ReasonStatus, "answers EHLO with 501 bad name; see the option helo"},
		{"STARTTLS refused", []string{hello, ehlo, "454 TLS not available\r\n"}, "?starttls", check.ReasonStatus, "answers STARTTLS with 454 TLS not available; see its log"},
		{"plain text after STARTTLS", []string{hello, ehlo, "220 go ahead\r\n250 injected\r\n"}, "?starttls", check.ReasonProtocol, "goes on in plain text after its answer to STARTTLS"},
		{"no code", []string{"hello\r\n"}, "", check.ReasonProtocol, `no greeting: this is not SMTP: it sends "hello"`},
		{"HTTP", []string{hello, "HTTP/1.1 400 Bad Request\r\n"}, "", check.ReasonProtocol, `no answer to EHLO: this is not SMTP: it sends "HTTP/1.1 400 Bad Request"`},
		{"another code in the next line", []string{"220-a\r\n250 b\r\n"}, "", check.ReasonProtocol, `no greeting: this is not SMTP: it sends "250 b"`},
		{"long line", []string{"220 " + strings.Repeat("a", smtpcheck.MaxLine)}, "", check.ReasonProtocol, `no greeting: this is not SMTP: it sends a line without end: "220 ` + strings.Repeat("a", 76) + `"`},
		{"many lines", []string{strings.Repeat("220-a\r\n", smtpcheck.MaxLines+1)}, "", check.ReasonProtocol, "no greeting: this is not SMTP: it sends a reply of more than 128 lines"},
	} {
		t.Run(test.name, func(t *testing.T) {
			url := scripted(t, test.replies...)
			result := run(t, url+test.options)
			if want := url + ": " + test.message; result.Reason() != test.reason || result.Text() != want {
				t.Errorf("got  %s: %s\nwant %s: %s", result.Reason(), result.Text(), test.reason, want)
			}
		})
	}
	for _, test := range []struct{ name, greeting, note string }{
		{"several lines", "220-mail.example ESMTP\r\n220-\r\n220 no spam\r\n", "mail.example"},
		{"code alone", "220\r\n", ""},
		{"bare line feed", "220 mail.example\n", "mail.example"},
	} {
		t.Run(test.name, func(t *testing.T) {
			// The answer to QUIT never comes.
			if result := run(t, scripted(t, test.greeting, ehlo)); result.Err != nil || result.Note != test.note {
				t.Errorf("got %q, %v; want %q", result.Note, result.Err, test.note)
			}
		})
	}
}

func TestOptions(t *testing.T) {
	const without = "is for TLS, and this check is without; set starttls, or write smtps://"
	for _, test := range []struct{ name, url, want string }{
		{"port", "smtp://h:70000", "url: port 70000 is out of range; a port is a number from 1 to 65535"},
		{"user", "smtp://u:pass-word@h", "url: has a user name or password, and this check does not log in; leave it out"},
		{"path", "smtp://h/in", `url: has the path "/in", and a mail server has none; leave it out`},
		{"starttls", "smtps://h?starttls", "starttls: smtps:// has TLS from the start; leave it out, or use smtp://"},
		{"no helo", "smtp://h?helo=", `helo: "" is not a host's name; give one such as probe.example.com`},
		{"helo", "smtp://h?helo=a%0Ab", `helo: "a b" is not a host's name; give one such as probe.example.com`},
		{"ca", "smtp://h?ca=/x", "ca: " + without},
		{"cert and key", "smtp://h?cert=/x&key=/y", "cert: " + without + "\nkey: " + without},
		{"server_name", "smtp://h?server_name=x", "server_name: " + without},
		{"insecure", "smtp://h?insecure", "insecure: " + without},
		{"min_days", "smtp://h?min_days=3", "min_days: " + without},
		{"days", "smtp://h?starttls&min_days=-3", "min_days: -3 is negative; give a number of days"},
		{"no file", "smtps://h?ca=/no/such.pem", "ca: open /no/such.pem: no such file or directory"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := build(test.url)
			if err == nil || err.Error() != test.want {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
		})
	}
}

func TestDefaults(t *testing.T) {
	for _, kind := range []check.Kind{smtpcheck.Kind(), smtpcheck.KindTLS()} {
		c := kindtest.Build(t, kind, kind.Scheme+"://:1")
		if got, want := fmt.Sprint(c.Options), "[{starttls false} {helo localhost} {ca } {cert } {key } {server_name } {insecure false} {min_days 0}]"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if _, err := build(kind.Example); err != nil {
			t.Errorf("the example: %v", err)
		}
	}
}
