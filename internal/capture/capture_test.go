package capture_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"hale/internal/balancer"
	"hale/internal/capture"
)

// TestEveryBalancerIsRecognised sends the exact bytes of every probe that the
// table has: the balancer is among those that capture names, is answered, and no
// other is certain.
func TestEveryBalancerIsRecognised(t *testing.T) {
	s := start(t, capture.Options{})
	address := netip.MustParseAddrPort(s.addr)
	for _, b := range balancer.All() {
		for _, p := range b.Probes {
			if !p.Protocol.HTTP() {
				continue // HTTP/2 and gRPC: TestHTTP2Probes; without a request: TestConnections
			}
			target := balancer.Target{Name: "app.example.org", Address: address, Balancer: netip.MustParseAddr("127.0.0.1"), Path: "/health_check"}
			sent := string(p.Request(target))
			preambles := []string{""}
			if p.ProxyLocal {
				preambles = append(preambles, string(balancer.ProxyLocal()))
			}
			for _, preamble := range preambles {
				answer := s.send(t, preamble+sent)
				a := s.next(t)
				if !has(a, b.Name) {
					t.Errorf("%s: not among %s", b.Name, names(a))
				}
				for _, who := range a.Who {
					if who.Name != b.Name && who.Sure == balancer.Certain {
						t.Errorf("%s: taken for %s", b.Name, names(a))
					}
				}
				if !strings.HasPrefix(answer, "HTTP/1.1 200 OK\r\n") || p.Method == "HEAD" != strings.HasSuffix(answer, "\r\n\r\n") {
					t.Errorf("%s is answered %q", b.Name, answer)
				}
				if want := strings.NewReplacer("\r", `\r`, "\n", `\n`).Replace(sent); a.Raw != want {
					t.Errorf("%s:\ngot  %s\nwant %s", b.Name, a.Raw, want)
				}
				if (preamble != "") != (a.Proxy != nil && a.Proxy.Local) {
					t.Errorf("%s: the PROXY header is %+v", b.Name, a.Proxy)
				}
			}
		}
	}
}

// TestIndistinguishable: where the bytes are those of several, each is named and
// none is certain.
func TestIndistinguishable(t *testing.T) {
	s := start(t, capture.Options{})
	for _, test := range []struct {
		sent string
		want []string
	}{
		{"GET / HTTP/1.1\r\nHost: app.example.org:8000\r\nUser-Agent: Go-http-client/1.1\r\nAccept-Encoding: gzip\r\n\r\n", []string{"caddy", "traefik"}},
		{"GET / HTTP/1.0\r\n\r\n", []string{"hetzner", "haproxy"}},
		{"GET / HTTP/1.1\r\nHost: 127.0.0.1:8000\r\nUser-Agent: ELB-HealthChecker/2.0\r\nConnection: close\r\n\r\n", []string{"alb", "nlb"}},
	} {
		s.send(t, test.sent)
		a := s.next(t)
		for _, name := range test.want {
			if !has(a, name) {
				t.Errorf("%q: %s is not among %s", test.sent, name, names(a))
			}
		}
		if a.Who[0].Sure == balancer.Certain {
			t.Errorf("%q: %s", test.sent, names(a))
		}
	}
}

// TestConnections: what connects and asks nothing.
func TestConnections(t *testing.T) {
	s := start(t, capture.Options{})
	s.dial(t).Close()
	a := s.next(t)
	if a.Kind != capture.Connect || !strings.Contains(a.Ended, "closed by the peer after") || !strings.Contains(minds(a), "however broken") {
		t.Errorf("got %s %q, %s", a.Kind, a.Ended, minds(a))
	}
	for _, name := range []string{"nlb", "azure-lb", "kubelet", "haproxy", "gcp", "elb", "consul", "envoy", "hetzner", "cloudflare", "route53"} {
		if !has(a, name) {
			t.Errorf("%s is not among %s", name, names(a))
		}
	}
	c := s.dial(t)
	_ = c.SetLinger(0)
	c.Close()
	if a := s.next(t); a.Kind != capture.Connect || !strings.Contains(a.Ended, "reset by the peer") {
		t.Errorf("got %s %q", a.Kind, a.Ended)
	}
	s.send(t, string(balancer.ProxyLocal()))
	if a := s.next(t); a.Kind != capture.Connect || names(a) != "nlb likely" || a.Proxy == nil {
		t.Errorf("a LOCAL header alone: %s %q %s", a.Kind, a.Ended, names(a))
	}
}

func TestProxy(t *testing.T) {
	const get = "GET / HTTP/1.0\r\n\r\n"
	v2 := "\r\n\r\n\x00\r\nQUIT\n"
	s := start(t, capture.Options{})
	for _, test := range []struct{ sent, want string }{
		{"PROXY TCP4 192.0.2.1 192.0.2.2 1234 80\r\n" + get, `"version":1,"local":false,"from":"192.0.2.1:1234","to":"192.0.2.2:80"`},
		{"PROXY TCP6 2001:db8::1 2001:db8::2 1234 80\r\n" + get, `"from":"[2001:db8::1]:1234","to":"[2001:db8::2]:80"`},
		{"PROXY UNKNOWN\r\n" + get, `"version":1,"local":true`},
		{v2 + "\x21\x11\x00\x0c\xc0\x00\x02\x01\xc0\x00\x02\x02\x04\xd2\x00\x50" + get, `"version":2,"local":false,"from":"192.0.2.1:1234","to":"192.0.2.2:80"`},
		{v2 + "\x21\x11\x00\x14\xc0\x00\x02\x01\xc0\x00\x02\x02\x04\xd2\x00\x50\xea\x00\x05\x01vpce" + get, `"extra":["AWS, 5 bytes"]`},
		{v2 + "\x20\x00\x00\x00" + get, `"version":2,"local":true,"bare":true`},
	} {
		s.send(t, test.sent)
		a := s.next(t)
		got, _ := json.Marshal(a.Proxy)
		if a.Kind != capture.Request || a.Raw != `GET / HTTP/1.0\r\n\r\n` || !strings.Contains(string(got), test.want) {
			t.Errorf("%q:\ngot  %s %s %s %s\nwant %s", test.sent, a.Kind, a.Raw, a.Ended, got, test.want)
		}
		if !strings.Contains(minds(a), "PROXY protocol header comes first") {
			t.Errorf("%q: not minded: %s", test.sent, minds(a))
		}
	}
	for _, sent := range []string{
		"PROXY NONSENSE\r\n" + get, "PROXY " + strings.Repeat("x", 200), "PROXY TCP4", v2 + "\x31\x11\x00\x00", v2 + "\x21\x11\xff\xff", v2 + "\x21",
	} {
		s.send(t, sent)
		if a := s.next(t); a.Kind != capture.Other || !strings.Contains(a.Ended, "PROXY header of version") {
			t.Errorf("%.40q: %s %q", sent, a.Kind, a.Ended)
		}
	}
}

// TestSecrets: credentials are not shown, in whatever form the output is.
func TestSecrets(t *testing.T) {
	s := start(t, capture.Options{})
	for _, sent := range []string{
		"GET /h?token=hunter2&x=1 HTTP/1.1\r\nHost: a\r\nAuthorization: Basic hunter2\r\n\r\n",
		"GET http://me:hunter2@a/ HTTP/1.1\r\nHost: a\r\nCookie: session=hunter2\r\n\r\n",
		"GET / HTTP/1.1\r\nauthorization : hunter2\r\nproxy-authorization: Bearer hunter2\r\nX-Api-Key: hunter2\r\n\r\n",
		"GET / HTTP/1.1\r\nCookie: a=1;\r\n b=hunter2\r\n\r\n",
		"GET / HTTP/1.1\r\nReferer: https://me:hunter2@a/?password=hunter2\r\n\r\n",
		"GET / HTTP/1.1\r\nAuthorization: Basic hunter2", // never ends
		"Authorization: Basic hunter2\r\n",
		"GET /?%74oken=hunter2\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 16\r\n\r\npassword=hunter2",
		"GET / HTTP/1.1\r\nX-Functions-Key: hunter2\r\nOcp-Apim-Subscription-Key: hunter2 x\r\nX-JWT: hunter2\r\n\r\n",
		"GET / HTTP/1.1\r\nX-Functions-Key: hunter2x is spaced\r\nAuthorization: hunterhunter2 is no scheme\r\nX-Api-Key: thehunter2 x\r\n\r\n",
		"GET /?functions-key=hunter2&code=hunter2&state=hunter2 HTTP/1.1\r\n\r\n",
		"GET /a;token=hunter2/b;c=d?jwt=hunter2?;hunter2#access_token=hunter2 HTTP/1.1\r\n\r\n",
		"GET /cb?a=b;sessionid=hunter2 HTTP/1.1\r\nReferer: https://sso.example/cb#access_token=hunter2\r\n\r\n",
		"GET /?next=https%3A%2F%2Fa%2F%3Ftoken%3Dhunter2&to=/b?token=hunter2 HTTP/1.1\r\n\r\n",
		"GET /?next=https%3A%2F%2Fme%3Ahunter2%40a%2F HTTP/1.1\r\nX-Thing: a=b; sig=hunter2\r\nX-Folded: a\r\n /?key=hunter2\r\n/?key=hunter2\r\n\r\n",
		"GET http://me:a#hunter2@a/ HTTP/1.1\r\nX-Url: http://me:a/hunter2@a/\r\nX-Other: http://me:a?hunter2@a/\r\n\r\n",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00" + "\x00\x00\x19\x01\x05\x00\x00\x00\x01" + "\x82\x86\x84\x40\x0dauthorization\x07hunter2",
	} {
		s.send(t, sent)
		a := s.next(t)
		var out bytes.Buffer
		if err := a.WriteJSON(&out); err != nil {
			t.Fatal(err)
		}
		if got := out.String() + text(t, a); strings.Contains(got, "hunter2") {
			t.Errorf("%q: the secret is shown:\n%s", sent, got)
		}
	}
}

// TestNoSecrets: what says nothing secret is shown as it came.
func TestNoSecrets(t *testing.T) {
	s := start(t, capture.Options{})
	sent := "GET /a;v=1/b?x=1&y=a%20b;z=2?k=https%3A%2F%2Fa%2F#part HTTP/1.1\r\nHost: a\r\nAccept: text/html;q=0.9, */*\r\nX-Request-Id: 7\r\n" +
		"Accept-Encoding: gzip\r\nX-Url: https://a/users/@me\r\nCache-Control: max-age=0\r\ntracestate: a=b\r\n\r\n"
	s.send(t, sent)
	if a := s.next(t); a.Raw != strings.NewReplacer("\r", `\r`, "\n", `\n`).Replace(sent) {
		t.Errorf("%q is shown as\n%s", sent, a.Raw)
	}
}

// TestTerminal: nothing that arrives acts on a terminal.
func TestTerminal(t *testing.T) {
	s := start(t, capture.Options{})
	evil := "\x1b]0;owned\a\x1b[2J\x9b31m\xc2\x9b\x7f\x00"
	for _, sent := range []string{
		evil + "\r\n",
		"GET /" + evil + " HTTP/1.1\r\nHost: " + evil + "\r\n" + evil + ": " + evil + "\r\nUser-Agent: curl/" + evil + "\r\n\r\n",
		"GET / HTTP/" + evil + "\r\n\r\n",
		"PROXY TCP4 " + evil + "\r\n",
	} {
		s.send(t, sent)
		a := s.next(t)
		var out bytes.Buffer
		if err := a.WriteJSON(&out); err != nil {
			t.Fatal(err)
		}
		for _, got := range []string{text(t, a), out.String()} {
			for _, c := range []byte(got) {
				if c < ' ' && c != '\n' || c == 0x7f {
					t.Fatalf("%q: byte %x in\n%q", sent, c, got)
				}
			}
			if strings.ContainsRune(got, '\u009b') {
				t.Errorf("%q: a C1 control in\n%q", sent, got)
			}
		}
	}
}

func TestKeepAlive(t *testing.T) {
	s := start(t, capture.Options{Code: 503})
	c := s.dial(t)
	for i := range 3 {
		c.Write([]byte("GET /h HTTP/1.1\r\nHost: cluster\r\nUser-Agent: Envoy/HC\r\nContent-Length: 3\r\n\r\nabc"))
		a := s.next(t)
		if a.Nth != i+1 || a.Body != 3 || a.Answer != "503 Service Unavailable, Connection: keep-alive" || a.Pace.Seen != i+1 || names(a) != "envoy likely" {
			t.Errorf("request %d: nth %d, body %d, %s, pace %+v, %s", i+1, a.Nth, a.Body, a.Answer, a.Pace, names(a))
		}
	}
}

// TestContinue: who waits to be asked for a body is asked, and nobody else.
func TestContinue(t *testing.T) {
	s := start(t, capture.Options{})
	const go1 = "HTTP/1.1 100 Continue\r\n\r\n"
	for _, test := range []struct {
		head, body string
		asked      bool
	}{
		{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-Continue\r\n\r\n", "abc", true},
		{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n", "abc", false},
		{"POST / HTTP/1.0\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n", "abc", false},
		{"GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n", "", false},
		{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1073741824\r\nExpect: 100-continue\r\n\r\n", "", false},
		{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n", "", false},
	} {
		c := s.dial(t)
		_, _ = io.WriteString(c, test.head)
		if test.asked {
			got := make([]byte, len(go1))
			_ = c.SetReadDeadline(time.Now().Add(5 * time.Second)) // the body is waited for 10 s
			if _, err := io.ReadFull(c, got); err != nil || string(got) != go1 {
				t.Errorf("%q: asked with %q, %v", test.head, got, err)
			}
			_ = c.SetReadDeadline(time.Now().Add(long))
		}
		_, _ = io.WriteString(c, test.body)
		_ = c.CloseWrite()
		answer, err := io.ReadAll(c)
		if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 200 OK\r\n") {
			t.Errorf("%q: answered %q, %v", test.head, answer, err)
		}
		if a := s.next(t); int(a.Body) != len(test.body) || strings.HasPrefix(a.Answer, "100 Continue, then 200 OK") != test.asked {
			t.Errorf("%q: %d bytes of body, %s", test.head, a.Body, a.Answer)
		}
	}
}

// TestHint: all who are equally likely are named, and nobody less so.
func TestHint(t *testing.T) {
	s := start(t, capture.Options{})
	for sent, want := range map[string]string{
		"GET / HTTP/1.0\r\n\r\n":     "--as hetzner,haproxy says what each of them makes of",
		"OPTIONS / HTTP/1.0\r\n\r\n": "--as haproxy says what it makes of",
		"GET / HTTP/1.1\r\nHost: a:1\r\nUser-Agent: Go-http-client/1.1\r\nAccept-Encoding: gzip\r\n\r\n": "--as caddy,traefik says",
	} {
		s.send(t, sent)
		if shown := text(t, s.next(t)); !strings.Contains(shown, want) {
			t.Errorf("%q: %q is not in\n%s", sent, want, shown)
		}
	}
}

// TestHeldConnection: who holds a silent connection waits for something.
func TestHeldConnection(t *testing.T) {
	s := start(t, capture.Options{})
	c := s.dial(t)
	<-time.After(700 * time.Millisecond)
	c.Close()
	a := s.next(t)
	if names(a) != "haproxy guess" || !strings.Contains(minds(a), "waits to be told something") || strings.Contains(minds(a), "port being open is enough") {
		t.Errorf("%s: %s", names(a), minds(a))
	}
}

func TestCount(t *testing.T) {
	s := start(t, capture.Options{Count: 2})
	s.send(t, "GET / HTTP/1.0\r\n\r\n")
	s.send(t, "GET / HTTP/1.0\r\n\r\n")
	s.wait(t)
	if s.err != nil || s.summary.Arrivals != 2 {
		t.Errorf("%+v, %v", s.summary, s.err)
	}
	if c, err := net.Dial("tcp", s.addr); err == nil {
		c.Close()
		t.Error("it listens still")
	}
}

// TestShowFails: an output that fails ends the capture with its error.
func TestShowFails(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	full := errors.New("no space left")
	if _, err := capture.Run(t.Context(), l, capture.Options{Code: 200}, func(*capture.Arrival) error { return full }); !errors.Is(err, full) {
		t.Errorf("got %v, want %v", err, full)
	}
}

// TestObjections: what applications are known to refuse.
func TestObjections(t *testing.T) {
	s := start(t, capture.Options{})
	for sent, want := range map[string]string{
		"GET / HTTP/1.1\r\nHost: 10.0.1.85:80\r\n\r\n":                              "django-allowed-hosts",
		"GET / HTTP/1.1\r\nHost: [2001:db8::1]\r\n\r\n":                             "rails-hosts",
		"GET / HTTP/1.1\r\n\r\n":                                                    "no-host",
		"GET / HTTP/1.0\r\n\r\n":                                                    "default-server",
		"GET / HTTP/1.1\r\nHost: a.example.org\r\n\r\n":                             "django-ssl-redirect",
		"GET / HTTP/1.1\r\nHost: a.example.org\r\nX-Forwarded-Proto: http\r\n\r\n":  "rails-force-ssl",
		"HEAD / HTTP/1.1\r\nHost: a.example.org\r\n\r\n":                            "method-refused",
		"OPTIONS / HTTP/1.0\r\n\r\n":                                                "method-refused",
		"GET / HTTP/1.1\r\nHost: cluster\r\n\r\n":                                   "host-guard",
		"GET / HTTP/1.1\r\nHost: a.example.org\r\nX-Forwarded-Proto: https\r\n\r\n": "bot-filter",
		"GET / HTTP/1.1\r\nHost: a.example.org\r\nX-Forwarded-Proto: https\r\nUser-Agent: ELB-HealthChecker/2.0\r\n\r\n":             "",
		string(balancer.ProxyLocal()) + "GET / HTTP/1.1\r\nHost: a.example.org\r\nX-Forwarded-Proto: https\r\nUser-Agent: a\r\n\r\n": "proxy-protocol-unexpected",
	} {
		s.send(t, sent)
		a := s.next(t)
		var causes []string
		for _, o := range a.Objections {
			for _, c := range o.Causes {
				causes = append(causes, string(c))
				if balancer.CauseOf(c).Title == "" {
					t.Errorf("%s is not in the table", c)
				}
			}
		}
		if got := strings.Join(causes, " "); want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%q:\ngot  %s\nwant %s", sent, got, want)
		}
	}
}

// Who got an answer and then ends the capture must not read that nothing arrived.
func TestWhatWasAnsweredIsShown(t *testing.T) {
	for range 200 {
		s := start(t, capture.Options{})
		c := s.dial(t)
		if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, make([]byte, len("HTTP/1.1 200"))); err != nil {
			t.Fatal(err)
		}
		s.stop()
		s.wait(t)
		if s.summary.Arrivals != 1 {
			t.Fatalf("%d arrivals, want 1", s.summary.Arrivals)
		}
		if a := s.next(t); a.Line != "GET / HTTP/1.1" {
			t.Fatalf("%q arrived", a.Line)
		}
	}
}
