package tcpcheck_test

import (
	"bufio"
	"io"
	"net"
	"net/url"
	"strings"
	"testing"

	"hale/internal/check"
	"hale/internal/kinds/kindtest"
	"hale/internal/kinds/tcpcheck"
	"hale/internal/servertest"
)

// serve runs talk for every connection to the address it returns, until the
// test ends, and then closes the connection once its peer has.
func serve(t *testing.T, address string, talk func(net.Conn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	servertest.Handle(t, listener, func(conn net.Conn) {
		talk(conn)
		_, _ = io.Copy(io.Discard, conn)
	})
	return listener.Addr().String()
}

// says returns a conversation that sends a text.
func says(text string) func(net.Conn) {
	return func(conn net.Conn) { _, _ = conn.Write([]byte(text)) }
}

func TestExpect(t *testing.T) {
	full := strings.Repeat("A", tcpcheck.MaxRead)
	for _, test := range []struct {
		name    string
		talk    func(net.Conn)
		options string
		want    string // the note or, after "!", the error
	}{
		{"at once", says("220 ready\r\n"), "expect=220", `answered "220 ready\r\n"`},
		{"a match", says("220 ready\r\n"), `expect_regexp=^220 .*\r\n$`, `answered "220 ready\r\n"`},
		{"escapes", says("a\x00\t\\\"\xff\r\n"), `expect=\0\t\\\"\xFF\r\n`, `answered "a\x00\t\\\"\xff\r\n"`},
		{"the last bytes read", says(full[:tcpcheck.MaxRead-3] + "END"), "expect=END", `answered "AAAA`},
		{"past what is read", says(full + "END"), "expect=END", `!%s sent "` + full[:80] + `"… and more, want "END" within the first 64 KiB`},
		{"a match past what is read", says(full + "END"), "expect_regexp=END", `!%s sent "` + full[:80] + `"… and more, want a match of "END" within the first 64 KiB`},
		{"control characters", hangsUp("\x1b[31mno\x07"), "expect=yes", `!%s sent "\x1b[31mno\a" and closed the connection, want "yes"`},
		{"nothing", hangsUp(""), "expect=yes", `!%s closed the connection without a word, want "yes"`},
		{"a match of nothing", hangsUp(""), "expect_regexp=y+", `!%s closed the connection without a word, want a match of "y+"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			address := serve(t, "127.0.0.1:0", test.talk)
			result := runPatiently(t, "tcp://"+address+"?"+strings.ReplaceAll(test.options, "%", "%25"))
			want, fails := strings.CutPrefix(test.want, "!")
			want = strings.ReplaceAll(want, "%s", address)
			if result.Healthy() == fails || !strings.HasPrefix(result.Text(), want) {
				t.Errorf("healthy is %v\n got %s\nwant %s", result.Healthy(), result.Text(), want)
			}
		})
	}
}

// hangsUp returns a conversation that sends a text and closes.
func hangsUp(text string) func(net.Conn) {
	return func(conn net.Conn) {
		says(text)(conn)
		_ = conn.(*net.TCPConn).CloseWrite()
	}
}

func TestExpectTimesOutWithWhatCame(t *testing.T) {
	address := serve(t, "127.0.0.1:0", says("500 no"))
	c := kindtest.Build(t, tcpcheck.Kind(), "tcp://"+address+"?expect=220")
	result := kindtest.Run(t, t.Context(), c)
	kindtest.ExpectReason(t, result, check.ReasonTimeout)
	want := "no answer within 400ms: " + address + ` sent "500 no", want "220"`
	if result.Text() != want {
		t.Errorf("got  %s\nwant %s", result.Text(), want)
	}
}

func TestSendIsSentUnescaped(t *testing.T) {
	received := make(chan string, 1)
	address := serve(t, "127.0.0.1:0", func(conn net.Conn) {
		line, _ := bufio.NewReader(conn).ReadString('\n')
		received <- line
		says("ok")(conn)
	})
	text := "\x00 a+b%\\ \"q\" é\r\n"
	escaped := `\0 a+b%\\ \"q\" \xc3\xa9\r\n`
	result := runPatiently(t, "tcp://"+address+"?expect=ok&send="+url.PathEscape(escaped))
	if !result.Healthy() {
		t.Fatalf("got %v, want healthy", result.Err)
	}
	if got := <-received; got != text {
		t.Errorf("the server got %q, want %q", got, text)
	}
}
