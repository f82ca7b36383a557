package resp_test

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"hale/internal/check"
	"hale/internal/resp"
	"hale/internal/servertest"
)

func TestAppendCommand(t *testing.T) {
	got := string(resp.AppendCommand([]byte("x"), "SET", "key", "a\r\nb", ""))
	if want := "x*4\r\n$3\r\nSET\r\n$3\r\nkey\r\n$4\r\na\r\nb\r\n$0\r\n\r\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAppendLogin(t *testing.T) {
	for _, test := range []struct {
		server   resp.Server
		request  string
		commands []string
	}{
		{resp.Server{}, "", nil},
		{resp.Server{Password: "p"}, "*2\r\n$4\r\nAUTH\r\n$1\r\np\r\n", []string{"AUTH"}},
		{resp.Server{Username: "u", Password: "p", DB: 12}, "*3\r\n$4\r\nAUTH\r\n$1\r\nu\r\n$1\r\np\r\n*2\r\n$6\r\nSELECT\r\n$2\r\n12\r\n", []string{"AUTH", "SELECT"}},
	} {
		request, commands := test.server.AppendLogin(nil)
		if string(request) != test.request || !slices.Equal(commands, test.commands) {
			t.Errorf("got %q, %v", request, commands)
		}
	}
}

func TestReader(t *testing.T) {
	r := resp.NewReader(strings.NewReader("+OK\r\n:-7\r\n*2\r\n*-1\r\n$5\r\na\r\nbc\r\n-ERR no\r\n"))
	if got, err := r.Status(); got != "OK" || err != nil {
		t.Errorf("status: got %q, %v", got, err)
	}
	for i, read := range []func() (int, error){r.Int, r.Array, r.Array} {
		if got, err := read(); got != []int{-7, 2, -1}[i] || err != nil {
			t.Errorf("number %d: got %d, %v", i, got, err)
		}
	}
	if got, err := r.Bulk(5); got != "a\r\nbc" || err != nil {
		t.Errorf("bulk: got %q, %v", got, err)
	}
	if _, err := r.Int(); !errors.As(err, new(*resp.Refusal)) || err.Error() != "ERR no" {
		t.Errorf("refusal: got %v", err)
	}
	if _, err := r.Status(); !errors.Is(err, io.EOF) {
		t.Errorf("end: got %v", err)
	}
}

// A reply that is too long, of another type, or none is refused.
func TestReaderBounds(t *testing.T) {
	bulk := func(r *resp.Reader) error { _, err := r.Bulk(4); return err }
	status := func(r *resp.Reader) error { _, err := r.Status(); return err }
	number := func(r *resp.Reader) error { _, err := r.Int(); return err }
	for _, test := range []struct {
		text string
		read func(*resp.Reader) error
		want string
	}{
		{"$5\r\nabcde\r\n", bulk, `"$5", want a string of at most 4 bytes`},
		{"$-1\r\n", bulk, `"$-1", want a string of at most 4 bytes`},
		{"$99999999999999999999\r\n", bulk, `"$99999999999999999999", want a number`},
		{"$4\r\nab", bulk, "unexpected EOF"},
		{"+" + strings.Repeat("a", 2000) + "\r\n", status, `"+` + strings.Repeat("a", 39) + `", want a status`},
		{"+OK\n", status, `"+OK", want a status`},
		{"+O", status, `"+O", want a status`},
		{":x\r\n", number, `":x", want a number`},
		{"+1\r\n", number, `"+1", want a number after :`},
	} {
		err := test.read(resp.NewReader(strings.NewReader(test.text)))
		if err == nil || err.Error() != test.want {
			t.Errorf("%.20q: got %v, want %s", test.text, err, test.want)
		}
	}
	long := "-ERR " + strings.Repeat("a", 2000) + "\r\n"
	if err := status(resp.NewReader(strings.NewReader(long))); !strings.HasPrefix(err.Error(), "ERR aaa") || len(err.Error()) > resp.MaxLine {
		t.Errorf("a long refusal: got %d bytes: %.20q", len(err.Error()), err)
	}
}

// What a connection waits for ends with the context, and it can be used a while
// longer all the same.
func TestOutlive(t *testing.T) {
	s := servertest.Redis(t)
	server := &resp.Server{Dial: check.Dial, Scheme: "redis", Address: s.Addr}
	ctx, cancel := context.WithCancel(t.Context())
	conn, err := server.Connect(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ping := resp.AppendCommand(nil, "PING")
	expectPong := func() {
		t.Helper()
		if err := conn.Write(ping); err != nil {
			t.Fatal(err)
		}
		if got, err := conn.Status(); got != "PONG" || err != nil {
			t.Fatalf("got %q, %v", got, err)
		}
	}
	expectPong()
	time.AfterFunc(20*time.Millisecond, cancel)
	if _, err := conn.Status(); check.ReasonOf(err) != check.ReasonTimeout {
		t.Errorf("waiting until the context ended: got %v", err)
	}
	if err := conn.Write(ping); check.ReasonOf(err) != check.ReasonTimeout {
		t.Errorf("writing after the context ended: got %v", err)
	}
	conn.Outlive(time.Minute)
	expectPong()
	conn.Outlive(20 * time.Millisecond)
	if _, err := conn.Status(); check.ReasonOf(err) != check.ReasonTimeout {
		t.Errorf("waiting longer than it may: got %v", err)
	}
}

func TestExplain(t *testing.T) {
	s := &resp.Server{Scheme: "celery+redis", Address: "h:1", Password: "hunter2"}
	for _, test := range []struct {
		err    error
		reason check.Reason
		want   string
	}{
		{&resp.Refusal{Text: "READONLY You can't write against a read only replica."}, check.ReasonRole,
			"celery+redis://h:1: is a replica and can't be written to; give its master: READONLY You can't write against a read only replica."},
		{&resp.Refusal{Text: "OOM command not allowed"}, check.ReasonStatus,
			"celery+redis://h:1: has used all the memory it may use (maxmemory) and refuses to be written to: OOM command not allowed"},
		{&resp.Refusal{Text: "ERR hunter2"}, check.ReasonStatus, "celery+redis://h:1: answers GET with an error: ERR ***"},
		{io.EOF, check.ReasonClosed, "celery+redis://h:1: no reply to GET: EOF; write celery+rediss:// if it speaks TLS"},
		{net.ErrClosed, check.ReasonOther, "celery+redis://h:1: no reply to GET: use of closed network connection"},
	} {
		err := s.Explain("GET", test.err)
		if check.ReasonOf(err) != test.reason || err.Error() != test.want {
			t.Errorf("got  %s: %v\nwant %s: %s", check.ReasonOf(err), err, test.reason, test.want)
		}
	}
	told := check.Failf(check.ReasonAuth, "told")
	if s.Explain("GET", told) != told || s.Explain("GET", nil) != nil {
		t.Error("what has a reason, or is nothing, is explained again")
	}
}
