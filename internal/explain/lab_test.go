package explain_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"hale/internal/balancer"
	"hale/internal/explain"
	"hale/internal/servertest"
)

// The lab makes each cause with the software that makes it in the world. A case
// proves first, by bytes sent over a plain connection, that the software does
// what the case says; then hale explain must name the cause, and no other.

// A labCase is a setup that a balancer calls unhealthy, and why.
type labCase struct {
	name string
	// start starts it and says where it is.
	start func(t *testing.T, lab *laboratory) place
	// as are the balancers that are played, separated by spaces.
	as string
	// sends is what is sent to it for the proof: a request line's method, path
	// and version, to which Host and Connection are added for HTTP/1.1; GET and
	// the URL's path if it is "". sees is how the answer begins, or closed, or
	// silent; "" if there is nothing to prove over a plain connection.
	sends, sees string
	// secure is part of what comes over TLS without a server name or a client's
	// certificate: of the answer, or of the error.
	secure string
	// waits is true if the case takes seconds in which nothing is done.
	waits bool
	// again is true if a request may be let through now and then, on a machine
	// that is slow: then the next is not.
	again bool
	want  balancer.CauseID
	// otherwise are balancers of which another cause is as true: they stumble
	// over something else first.
	otherwise string
	// software and fix must be part of what is said to be the software, and of
	// the fix or its configuration.
	software, fix string
	// asks must be part of what is asked for, as it can't be seen from here.
	asks string
	// content are balancers that must be satisfied with it.
	content string
}

// A place is where a setup is, and what hale explain is told besides.
type place struct {
	url     string
	options explain.Options
}

// at is a path of a server, over http.
func at(s *servertest.Server, path string) place { return place{url: "http://" + s.Addr + path} }

// atTLS is a path of a server, over https.
func atTLS(s *servertest.Server, path string) place { return place{url: "https://" + s.Addr + path} }

// A laboratory is what several cases share.
type laboratory struct {
	// open is a Django that allows every Host, strict one that allows only
	// shop.example, and ssl one that redirects all to https.
	open, strict, ssl *servertest.Server
	// certs are for 127.0.0.1, localhost and shop.example.
	certs *servertest.Certs
}

func newLaboratory(t *testing.T) *laboratory {
	return &laboratory{
		open:   servertest.Django(t, "", "--worker-class", "gthread", "--threads", "8"),
		strict: servertest.Django(t, `ALLOWED_HOSTS = ["shop.example"]`, "--worker-class", "gthread", "--threads", "8"),
		ssl:    servertest.Django(t, "SECURE_SSL_REDIRECT = True\nSECURE_PROXY_SSL_HEADER = ('HTTP_X_FORWARDED_PROTO', 'https')", "--worker-class", "gthread", "--threads", "8"),
		certs:  servertest.NewCerts(t, time.Hour, "127.0.0.1", "localhost", "shop.example"),
	}
}

// roots is a pool of one authority.
func roots(t *testing.T, c *servertest.Certs) *x509.CertPool {
	t.Helper()
	text, err := os.ReadFile(c.CA)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		t.Fatalf("%s holds no certificate", c.CA)
	}
	return pool
}

func TestEveryCauseIsNamed(t *testing.T) {
	t.Parallel()
	lab := newLaboratory(t)
	for _, c := range allCases() {
		if !c.waits {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				c.try(t, lab)
			})
		}
	}
}

// TestEveryCauseThatTakesTimeIsNamed: these do little but wait, so they all run
// at once, however few tests may.
func TestEveryCauseThatTakesTimeIsNamed(t *testing.T) {
	t.Parallel()
	lab := newLaboratory(t)
	var all sync.WaitGroup
	defer all.Wait()
	for _, c := range allCases() {
		if c.waits {
			all.Go(func() { t.Run(c.name, func(t *testing.T) { c.try(t, lab) }) })
		}
	}
}

func allCases() []labCase {
	return slices.Concat(webCases(), djangoCases(), railsCases(), otherCases(), tlsCases(), wireCases())
}

// try starts the case's setup and has all its balancers played.
func (c labCase) try(t *testing.T, lab *laboratory) {
	where := c.start(t, lab)
	prove(t, c, where)
	for _, name := range strings.Fields(c.as) {
		c.named(t, name, where)
	}
	if !c.waits {
		c.everywhere(t, where)
	}
	for _, name := range strings.Fields(c.content) {
		result := play(t, name, where)
		for i := 0; hurried(result) && i < 3; i++ {
			result = play(t, name, where)
		}
		if !result.OK {
			t.Errorf("as %s: it is content with this, and the report is\n%s", name, story(result))
		}
	}
}

// named has a balancer played, and fails the test unless the cause is named.
func (c labCase) named(t *testing.T, as string, where place) {
	t.Helper()
	result := play(t, as, where)
	for i := 0; i < 5 && (c.again && result.OK || hurried(result) && !c.waits); i++ {
		result = play(t, as, where)
	}
	t.Log(story(result))
	if complaint := misnamed(c, result); complaint != "" {
		t.Errorf("as %s: %s", as, complaint)
	}
}

// everywhere has every balancer played: who is not satisfied must be so for the
// same cause.
func (c labCase) everywhere(t *testing.T, where place) {
	t.Helper()
	report, err := explain.Run(t.Context(), where.url, balancer.Explained(), where.options)
	if err != nil {
		t.Fatal(err)
	}
	for i := range report.Results {
		r := &report.Results[i]
		if r.OK || hurried(r) || slices.Contains(strings.Fields(c.otherwise), r.Balancer.Name) {
			continue
		}
		// Over HTTP/0.9 an answer without a body is nothing at all.
		if r.Balancer.Name == "f5" && r.Cause() == balancer.CauseHTTP2 {
			continue
		}
		if r.Cause() != c.want {
			t.Errorf("as %s: the cause is %q, want %s:\n%s", r.Balancer.Name, r.Cause(), c.want, story(r))
		}
	}
}

// hurried reports whether the balancer had no time for the answer, which on a
// busy machine is nobody's fault.
func hurried(r *explain.Result) bool {
	return r.Cause() == balancer.CauseSlow || r.Cause() == balancer.CauseBusyWorkers
}

// play has one balancer played.
func play(t *testing.T, name string, where place) *explain.Result {
	t.Helper()
	b := balancer.Find(name)
	if b == nil {
		t.Fatalf("there is no balancer %s", name)
	}
	report, err := explain.Run(t.Context(), where.url, []*balancer.Balancer{b}, where.options)
	if err != nil {
		t.Fatalf("as %s: %v", name, err)
	}
	if len(report.Results) != 1 {
		t.Fatalf("as %s: %d results, want 1", name, len(report.Results))
	}
	return &report.Results[0]
}

// misnamed says what is wrong with a result; "" if nothing is.
func misnamed(c labCase, r *explain.Result) string {
	if r.OK {
		return fmt.Sprintf("satisfied, want %s", c.want)
	}
	if r.Cause() != c.want {
		return fmt.Sprintf("the cause is %q, want %s", r.Cause(), c.want)
	}
	first := r.Findings[0]
	for _, f := range r.Findings[1:] {
		if f.Cause != c.want {
			return fmt.Sprintf("besides %s it names %s", c.want, f.Cause)
		}
	}
	if !strings.Contains(first.Software, c.software) {
		return fmt.Sprintf("the software is %q, want %s", first.Software, c.software)
	}
	if text := strings.Join(first.Fix, "\n") + "\n" + first.Config; !strings.Contains(text, c.fix) {
		return fmt.Sprintf("the fix lacks %q:\n%s", c.fix, text)
	}
	if text := strings.Join(first.Ask, "\n"); !strings.Contains(text, c.asks) {
		return fmt.Sprintf("it does not ask about %q: %s", c.asks, text)
	}
	if len(first.Why) == 0 {
		return "no evidence is given"
	}
	return ""
}

// story gives a result for a reader.
func story(r *explain.Result) string {
	var b strings.Builder
	fmt.Fprintf(&b, "as %s: ok %v\n", r.Balancer.Name, r.OK)
	for _, s := range r.Steps {
		fmt.Fprintf(&b, "  %-8s %-5v %s (%v)\n", s.Name, s.OK, s.Text, s.Took.Round(time.Millisecond))
	}
	for _, f := range slices.Concat(r.Findings, r.Remarks) {
		fmt.Fprintf(&b, "  %s (%s) of %q\n    why: %s\n    fix: %s\n    config: %s\n    ask: %s\n", f.Cause, f.Sure, f.Software,
			strings.Join(f.Why, " | "), strings.Join(f.Fix, " | "), f.Config, strings.Join(f.Ask, " | "))
	}
	return b.String()
}

// What a server does instead of answering.
const (
	closed = "(closed)"
	silent = "(silent)"
)

// prove sends the case's request as it is and compares the answer.
func prove(t *testing.T, c labCase, where place) {
	t.Helper()
	_, rest, _ := strings.Cut(where.url, "://")
	addr, path, _ := strings.Cut(rest, "/")
	if c.secure != "" {
		if got := overTLS(t, addr); !strings.Contains(got, c.secure) {
			t.Fatalf("over TLS the setup answers %.300q, want %q", got, c.secure)
		}
	}
	if c.sees == "" {
		return
	}
	sends := c.sends
	if sends == "" {
		sends = "GET /" + path + " HTTP/1.1"
	}
	if strings.HasSuffix(sends, "HTTP/1.1") {
		sends += "\r\nHost: " + addr + "\r\nUser-Agent: ELB-HealthChecker/2.0\r\nConnection: close"
	}
	patience := 30 * time.Second
	if c.sees == silent {
		patience = time.Second
	}
	got := raw(t, addr, sends+"\r\n\r\n", patience)
	for i := 0; c.again && !strings.HasPrefix(got, c.sees) && i < 5; i++ {
		got = raw(t, addr, sends+"\r\n\r\n", patience)
	}
	if !strings.HasPrefix(got, c.sees) {
		t.Fatalf("the setup answers %q with %.300q, want %q", sends, got, c.sees)
	}
}

// raw sends a text and returns what comes back until the connection ends, or
// silent if nothing comes for as long as patience.
func raw(t *testing.T, addr, text string, patience time.Duration) string {
	t.Helper()
	conn, err := net.DialTimeout("tcp", addr, 20*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := conn.Write([]byte(text)); err != nil {
		return closed
	}
	answer, err := io.ReadAll(conn)
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() && len(answer) == 0 {
		return silent
	}
	if len(answer) == 0 {
		return closed
	}
	return string(answer)
}

// overTLS asks for / over TLS, and returns the answer or the error.
func overTLS(t *testing.T, addr string) string {
	t.Helper()
	conn, err := net.DialTimeout("tcp", addr, 20*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	secure := tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
	if _, err := secure.Write([]byte("GET / HTTP/1.0\r\n\r\n")); err != nil {
		return err.Error()
	}
	answer, err := io.ReadAll(secure)
	if len(answer) == 0 && err != nil {
		return err.Error()
	}
	return string(answer)
}

// goServer starts Go's own server with a handler.
func goServer(t *testing.T, handler http.HandlerFunc, change func(*http.Server)) string {
	t.Helper()
	// Not a port of outgoing connections, which would be taken at other addresses.
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(servertest.FreePort(t))))
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute, ErrorLog: quiet()}
	if change != nil {
		change(server)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if server.TLSConfig != nil {
			_ = server.ServeTLS(listener, "", "")
		} else {
			_ = server.Serve(listener)
		}
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-done
	})
	return listener.Addr().String()
}
