package mysqlcheck_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"hale/internal/check"
	"hale/internal/servertest"
)

// A script is what a server that Debian does not have would say: MySQL itself,
// or one that breaks the protocol.
type script struct {
	conn     net.Conn
	sequence byte
}

func (s *script) say(body string) {
	n := len(body)
	packet := append([]byte{byte(n), byte(n >> 8), byte(n >> 16), s.sequence}, body...)
	s.sequence++
	_, _ = s.conn.Write(packet)
}

func (s *script) hear() string {
	header := make([]byte, 4)
	if _, err := io.ReadFull(s.conn, header); err != nil {
		return ""
	}
	body := make([]byte, int(header[0])|int(header[1])<<8|int(header[2])<<16)
	_, _ = io.ReadFull(s.conn, body)
	s.sequence = header[3] + 1
	return string(body)
}

const (
	scramble = "abcdefghijklmnopqrst"
	okay     = "\x00\x00\x00\x02\x00\x00\x00"
)

// hello is a greeting of MySQL 8.
func hello(method string) string {
	return "\x0a8.4.3\x00\x01\x00\x00\x00" + scramble[:8] + "\x00\xff\xf7\xff\x02\x00\xff\xdf\x15" + strings.Repeat("\x00", 10) +
		scramble[8:] + "\x00" + method + "\x00"
}

func failure(code int, text string) string {
	return "\xff" + string([]byte{byte(code), byte(code >> 8)}) + "#HY000" + text
}

// serve runs the script for each connection to a loopback port and returns the address.
func serve(t *testing.T, play func(s *script)) string {
	t.Helper()
	var playing sync.WaitGroup
	address := servertest.Peer(t, func(conn net.Conn) {
		playing.Add(1)
		defer playing.Done()
		play(&script{conn: conn})
		_ = conn.(*net.TCPConn).CloseWrite()
		_, _ = io.Copy(io.Discard, conn)
	})
	t.Cleanup(playing.Wait) // to the goodbye
	return address
}

func TestAnswers(t *testing.T) {
	greet := func(answers ...string) func(*script) {
		return func(s *script) {
			s.say(hello("caching_sha2_password"))
			s.hear()
			for i, a := range answers {
				if i > 0 {
					s.hear()
				}
				s.say(a)
			}
		}
	}
	const in = "mysql://app:pass-word@%s?tls=disable"
	tests := []struct {
		name, url string
		play      func(*script)
		reason    check.Reason
		text      string // of the error, or the note
	}{
		{"denied", "mysql://%s", greet(failure(1045, "Access denied")), "", "accepts connections, 8.4.3"},
		{"method that nobody knows", "mysql://%s", greet("\xfeauthentication_fido_client\x00"+scramble+"\x00", failure(1045, "Access denied")), "", "accepts connections"},
		{"asks more", "mysql://%s", greet("\x01\x04", failure(1045, "Access denied")), "", "accepts connections"},
		{"method before 4.1", "mysql://%s", greet("\xfe", failure(1045, "Access denied")), "", "accepts connections"},
		{"wants TLS", "mysql://%s", greet(failure(3159, "Connections using insecure transport are prohibited")), "", "accepts connections"},
		{"full after the login", "mysql://%s", greet(failure(1040, "Too many connections")), check.ReasonStatus, "raise max_connections"},
		{"shutting down", "mysql://%s", greet(failure(1053, "Server shutdown in progress")), check.ReasonLoading, "Server shutdown in progress (error 1053)"},
		{"offline", "mysql://%s", greet(failure(3032, "The server is currently in offline mode")), check.ReasonStatus, "offline mode (error 3032)"},
		{"blocked", "mysql://%s", func(s *script) { s.say("\xff\x69\x04Host 'h' is blocked because of many connection errors") }, check.ReasonPermission, "FLUSH HOSTS"},
		{"not allowed", "mysql://%s", func(s *script) { s.say("\xff\x6a\x04Host 'h' is not allowed to connect") }, check.ReasonPermission, "(error 1130); no account may log in from this host"},
		{"any error for a greeting", "mysql://%s", func(s *script) { s.say("\xff\x15\x04Access denied") }, check.ReasonAuth, "Access denied"},
		{"long error", "mysql://%s", func(s *script) { s.say("\xff\x6a\x04" + strings.Repeat("x", 3000)) }, check.ReasonPermission, strings.Repeat("x", 200) + " (error 1130)"},
		{"short error", "mysql://%s", func(s *script) { s.say("\xff\x6a") }, check.ReasonProtocol, "an error of 2 bytes"},
		{"old", "mysql://%s", func(s *script) { s.say(strings.Replace(hello(""), "\xff\xf7", "\xff\x01", 1)) }, check.ReasonProtocol, `version "8.4.3" is older than 4.1`},
		{"other protocol", "mysql://%s", func(s *script) { s.say("\x09" + hello("")[1:]) }, check.ReasonProtocol, "no greeting: not of the MySQL protocol: it begins with"},
		{"half a greeting", "mysql://%s", func(s *script) { s.say(hello("")[:40]) }, check.ReasonProtocol, "not of the MySQL protocol"},
		{"empty greeting", "mysql://%s", func(s *script) { s.say("") }, check.ReasonProtocol, "an empty packet"},
		{"another server", "mysql://%s", func(s *script) { _, _ = s.conn.Write([]byte("220 mail.test ESMTP\r\n")) }, check.ReasonProtocol, `it begins with "220 "`},
		{"cut off", "mysql://%s", func(s *script) { _, _ = s.conn.Write([]byte("\x50\x00\x00\x00\x0a8.4")) }, check.ReasonClosed, "unexpected EOF"},
		{"gone after the greeting", "mysql://%s", func(s *script) { s.say(hello("")) }, check.ReasonClosed, "the login broke off"},
		{"wrong count", "mysql://%s", func(s *script) { s.say(hello("")); s.hear(); s.sequence = 7; s.say(okay) }, check.ReasonProtocol, "packet 7 where 2 is due"},
		{"without end", "mysql://%s", greet(strings.Split(strings.Repeat("\xfex\x00|", 12), "|")[:12]...), check.ReasonProtocol, "a login of more than 10 packets"},
		{"nonsense for a login", "mysql://%s", greet("\x42"), check.ReasonProtocol, "a packet of type 0x42 during the login"},

		{"known password", in, greet("\x01\x03"), check.ReasonClosed, "the login broke off"},
		{"not a key", in, greet("\x01\x04", "\x01key"), check.ReasonProtocol, "not in PEM form"},
		{"method", in, greet("\xfedialog\x00x\x00", failure(1045, "Access denied")), check.ReasonAuth, "in the way of dialog, and hale knows"},
		{"expired", in, greet(failure(1862, "Your password has expired.")), check.ReasonAuth, "Your password has expired."},
		{"no answer to ping", in, greet(okay, ""), check.ReasonProtocol, "an empty packet"},
		{"ping refused", in, greet(okay, failure(1053, "Server shutdown in progress")), check.ReasonLoading, "(error 1053)"},
		{"asks for a file", in + "&query=x", greet(okay, okay, "\xfb/etc/passwd"), check.ReasonProtocol, "asks for a file of this host"},
		{"value cut off", in + "&query=x", greet(okay, okay), check.ReasonClosed, "no answer to the query"},
		{"value too short", in + "&query=x", func(s *script) {
			greet(okay, okay)(s)
			s.hear()
			for _, p := range []string{"\x01", "column", "\xfe\x00\x00\x02\x00", "\xfc\xff\xffx", "\xfe\x00\x00\x02\x00"} {
				s.say(p)
			}
		}, check.ReasonProtocol, "a value that is cut off"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c, err := build(check.Env{}, fmt.Sprintf(test.url, serve(t, test.play)))
			if err != nil {
				t.Fatal(err)
			}
			// Without the masking of results, so that the kind's own shows.
			ctx, cancel := context.WithTimeout(t.Context(), c.Policy.Timeout)
			defer cancel()
			note, err := c.Checker.Check(ctx)
			result := check.NewResult(time.Now(), 0, note, err, nil)
			if test.reason == "" {
				expectNote(t, result, test.text)
				return
			}
			expectFailure(t, result, test.reason, test.text)
			if strings.Contains(result.Text(), "pass-word") {
				t.Errorf("the password is in %q", result.Text())
			}
		})
	}
}

// MySQL's own method, by its documentation: a proof is enough when the server
// has seen the password before, else it must be told it, encrypted with its key.
func TestCachingSHA2(t *testing.T) {
	const password = "p@ss-word"
	proof := func() string {
		once := sha256.Sum256([]byte(password))
		twice := sha256.Sum256(once[:])
		thrice := sha256.Sum256(append(twice[:], scramble...))
		for i := range thrice {
			thrice[i] ^= once[i]
		}
		return string(thrice[:])
	}()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	public := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))

	expectLogin := func(s *script) {
		got := s.hear()
		if want := "app\x00\x20" + proof + "shop\x00caching_sha2_password\x00"; !strings.HasSuffix(got, want) {
			t.Errorf("login request %q, want it to end with %q", got, want)
		}
	}
	for _, test := range []struct {
		name string
		play func(*script)
	}{
		{"known", func(s *script) {
			s.say(hello("caching_sha2_password"))
			expectLogin(s)
			s.say("\x01\x03")
			s.say(okay)
		}},
		{"switched", func(s *script) {
			s.say(hello("mysql_native_password"))
			s.hear()
			s.say("\xfecaching_sha2_password\x00" + scramble + "\x00")
			if got := s.hear(); got != proof {
				t.Errorf("got the proof %q, want %q", got, proof)
			}
			s.say("\x01\x03")
			s.say(okay)
		}},
		{"not known", func(s *script) {
			s.say(hello("caching_sha2_password"))
			expectLogin(s)
			s.say("\x01\x04")
			if got := s.hear(); got != "\x02" {
				t.Errorf("got %q, want a request for the key", got)
			}
			s.say("\x01" + public)
			text, err := rsa.DecryptOAEP(sha1.New(), nil, key, []byte(s.hear()), nil)
			if err != nil {
				t.Error(err)
			}
			for i := range text {
				text[i] ^= scramble[i%len(scramble)]
			}
			if string(text) != password+"\x00" {
				t.Errorf("got the password %q", text)
			}
			s.say(okay)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			address := serve(t, func(s *script) {
				test.play(s)
				if got := s.hear(); got != "\x0e" {
					t.Errorf("got %q, want a ping", got)
				}
				s.say(okay)
				if got := s.hear(); got != "\x01" {
					t.Errorf("got %q, want a goodbye", got)
				}
			})
			expectNote(t, run(t, "mysql://app@"+address+"/shop?tls=disable", option("password", password)), "logged in, 8.4.3")
		})
	}
}
