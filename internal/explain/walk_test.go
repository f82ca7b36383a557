package explain_test

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"hale/internal/balancer"
	"hale/internal/explain"
	"hale/internal/servertest"
)

// remarks are the causes of a result's remarks, and whether each is a guess.
func remarks(r *explain.Result) string {
	var all []string
	for _, f := range r.Remarks {
		all = append(all, string(f.Sure)+" "+string(f.Cause))
	}
	return strings.Join(all, ", ")
}

// TestWhatTheBodyIsWorth: those who are known to wait for the body's end say no
// to one that breaks off; for those of whom it is not known it is a remark.
func TestWhatTheBodyIsWorth(t *testing.T) {
	t.Parallel()
	const short = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello"
	const chunks = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n"
	const interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
	large := "HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n" + strings.Repeat("x", 10<<10)
	for _, c := range []struct {
		name, text, as string
		holds, ok      bool
		cause          balancer.CauseID
		remarks        string
	}{
		{"short", short, "kubelet", false, false, balancer.CauseBrokenBody, ""},
		{"short", short, "haproxy", false, true, "", ""},
		{"short", short, "gcp", false, true, "", "guess broken-body"},
		{"chunks", chunks, "kubelet", false, false, balancer.CauseBrokenBody, ""},
		{"chunks", chunks, "haproxy", false, false, balancer.CauseBrokenBody, ""},
		{"chunks", chunks, "caddy", false, true, "", ""},
		{"broken off behind what the kubelet reads", large, "kubelet", false, true, "", "certain large-body"},
		{"held behind what the kubelet reads", large, "kubelet", true, true, "", "certain large-body"},
		{"two lengths", twoLengths, "kubelet", false, false, balancer.CauseMalformed, ""},
		{"two lengths", twoLengths, "caddy", false, false, balancer.CauseMalformed, ""},
		{"two lengths", twoLengths, "gcp", false, true, "", "guess malformed-answer"},
		{"a line without a colon", noColon, "consul", false, false, balancer.CauseMalformed, ""},
		{"a line without a colon", noColon, "traefik", false, false, balancer.CauseMalformed, ""},
		{"a line without a colon", noColon, "haproxy", false, false, balancer.CauseMalformed, ""},
		{"the same length twice", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok", "kubelet", false, true, "", ""},
		{"interim", interim, "haproxy", false, false, balancer.CauseInterim, ""},
		{"interim", interim, "kubelet", false, true, "", ""},
		{"interim", interim, "alb", false, true, "", "guess interim-answer"},
	} {
		t.Run(c.name+" as "+c.as, func(t *testing.T) {
			t.Parallel()
			r := play(t, c.as, answered(t, c.text, c.holds))
			if r.OK != c.ok || r.Cause() != c.cause || remarks(r) != c.remarks {
				t.Errorf("got ok %v, cause %q, remarks %q; want %v, %q, %q\n%s", r.OK, r.Cause(), remarks(r), c.ok, c.cause, c.remarks, story(r))
			}
		})
	}
}

// TestABodyWithoutEnd: those who are known to wait for its end say no, for those
// of whom it is not known it is a remark, and it is not waited for by everybody
// anew.
func TestABodyWithoutEnd(t *testing.T) {
	t.Parallel()
	where := answered(t, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", true)
	start := time.Now()
	report, err := explain.Run(t.Context(), where.url, balancer.Explained(), explain.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took > 40*time.Second {
		t.Errorf("it took %v", took)
	}
	var text strings.Builder
	if err := report.WriteText(&text); err != nil || !strings.Contains(text.String(), "(but: maybe slow)") {
		t.Errorf("the text does not say that it may be slow (%v):\n%s", err, text.String())
	}
	for i := range report.Results {
		r := &report.Results[i]
		ok, cause, remark := true, balancer.CauseID(""), "guess slow"
		switch r.Balancer.Name {
		case "kubelet", "envoy":
			ok, cause, remark = false, balancer.CauseSlow, ""
		case "haproxy", "caddy", "front-door": // they do not wait, or get none
			remark = ""
		case "f5": // no request is one of HTTP/1.1
			continue
		}
		if r.OK != ok || r.Cause() != cause || remarks(r) != remark {
			t.Errorf("want ok %v, cause %q, remarks %q\n%s", ok, cause, remark, story(r))
		}
	}
}

// TestEachProbeHasItsTime: what is waited for differs with what is asked.
func TestEachProbeHasItsTime(t *testing.T) {
	t.Parallel()
	certs := servertest.NewCerts(t, time.Hour, "127.0.0.1")
	late := func(d time.Duration) place {
		return place{url: "http://" + goServer(t, func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-time.After(d):
			case <-r.Context().Done():
			}
		}, nil) + "/"}
	}
	quick := late(0)
	for _, c := range []struct {
		name, as string
		where    place
		ok       bool
		says     string
	}{
		{"NLB over TCP", "nlb", place{url: "tcp" + strings.TrimSuffix(quick.url[len("http"):], "/")}, true, "of 10s"},
		{"NLB over HTTP", "nlb", quick, true, "of 6s"},
		{"NLB over HTTPS", "nlb", secured(t, certs, ""), true, "of 10s"},
		{"Route 53 over TCP", "route53", place{url: "tcp" + strings.TrimSuffix(quick.url[len("http"):], "/")}, true, "of 10s"},
		{"Route 53", "route53", late(time.Second), true, "of 4s to connect and 2s for the status"},
		{"Route 53, whose status is late", "route53", late(3 * time.Second), false, "no answer within 2.0 s"},
		{"kubelet", "kubelet", quick, true, "of 1s"},
		{"Traefik, whose timeout is assumed", "traefik", quick, true, "of 5s (assumed: timeout)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := play(t, c.as, c.where)
			if r.OK != c.ok || !strings.Contains(story(r), c.says) || !c.ok && r.Cause() != balancer.CauseSlow {
				t.Errorf("want ok %v and %q\n%s", c.ok, c.says, story(r))
			}
		})
	}
}

// TestAnAnswerThatIsTooLateForOne: an equal request is not sent again, and its
// answer does not count for those who would not have waited.
func TestAnAnswerThatIsTooLateForOne(t *testing.T) {
	t.Parallel()
	patient, hasty := *balancer.Find("caddy"), *balancer.Find("caddy")
	hasty.Timing.Timeout = 500 * time.Millisecond
	addr := goServer(t, func(http.ResponseWriter, *http.Request) { time.Sleep(time.Second) }, nil)
	report, err := explain.Run(t.Context(), "http://"+addr+"/", []*balancer.Balancer{&patient, &hasty}, explain.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if first, second := &report.Results[0], &report.Results[1]; !first.OK || second.OK || second.Cause() != balancer.CauseSlow {
		t.Errorf("got\n%s%s", story(first), story(second))
	}
}

// TestNothingIsNoAnswer: F5 takes any answer, and a closed connection is none.
func TestNothingIsNoAnswer(t *testing.T) {
	t.Parallel()
	if r := play(t, "f5", place{url: "http://" + speaker(t, func(context.Context, net.Conn) {}) + "/"}); r.OK {
		t.Error(story(r))
	}
	if r := play(t, "f5", answered(t, "well", false)); !r.OK {
		t.Error(story(r))
	}
}

// TestWhatIsNoRedirect: Go's client follows five statuses alone.
func TestWhatIsNoRedirect(t *testing.T) {
	t.Parallel()
	addr := goServer(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", r.URL.Path)
		w.WriteHeader(http.StatusNotModified)
	}, nil)
	for name, ok := range map[string]bool{"kubelet": true, "traefik": true, "consul": false} {
		r := play(t, name, place{url: "http://" + addr + "/"})
		if r.OK != ok || strings.Contains(story(r), "redirects") {
			t.Errorf("want ok %v\n%s", ok, story(r))
		}
	}
}

// TestOldTLS: it is taken, with a remark for those who are made in Go.
func TestOldTLS(t *testing.T) {
	t.Parallel()
	certs := selfSigned(t, "127.0.0.1", "subjectAltName=IP:127.0.0.1")
	for _, c := range []struct{ name, set string }{
		{"key exchange by RSA", "ssl_protocols TLSv1.2; ssl_ciphers AES128-SHA:AES256-SHA:AES128-GCM-SHA256;"},
		{"TLS 1.0", "ssl_protocols TLSv1; ssl_ciphers ALL:@SECLEVEL=0;"},
	} {
		where := secured(t, certs, c.set)
		for as, want := range map[string]string{"alb": "", "kubelet": "certain old-tls", "traefik": "certain old-tls"} {
			if r := play(t, as, where); !r.OK || remarks(r) != want {
				t.Errorf("%s: want ok and the remarks %q\n%s", c.name, want, story(r))
			}
		}
	}
	// One that Go's clients get on with is not remarked, whatever else it does.
	both := secured(t, certs, "ssl_protocols TLSv1.2 TLSv1.3; ssl_ciphers ALL;")
	if r := play(t, "kubelet", both); !r.OK || remarks(r) != "" {
		t.Error(story(r))
	}
}

// TestTLSThatExplainCannot: what may be explain's own limit is said to be so.
func TestTLSThatExplainCannot(t *testing.T) {
	t.Parallel()
	where := secured(t, selfSigned(t, "127.0.0.1", "subjectAltName=IP:127.0.0.1"), "ssl_protocols TLSv1.2; ssl_ciphers ECDHE-RSA-CAMELLIA128-SHA256:CAMELLIA128-SHA;")
	if r := play(t, "alb", where); r.OK || !strings.Contains(story(r), "its own limit") {
		t.Error(story(r))
	}
}

// TestANameWithSeveralAddresses: the first that takes the connection is asked,
// in the balancer's own time, and the others are told of.
func TestANameWithSeveralAddresses(t *testing.T) {
	t.Parallel()
	good := goServer(t, func(http.ResponseWriter, *http.Request) {}, nil)
	url := "http://shop.example:" + port(t, good) + "/"
	refusing := place{url: url, options: explain.At(explain.Options{}, "127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5", "127.0.0.1")}
	r := play(t, "alb", refusing)
	if want := strings.TrimSuffix(strings.Repeat("certain nothing-listens, ", 4), ", "); !r.OK || remarks(r) != want {
		t.Errorf("want ok and %q\n%s", want, story(r))
	}
	p := port(t, good)
	full(t, netip.MustParseAddr("127.0.0.2"), p)
	dropping := place{url: url, options: explain.At(explain.Options{}, "127.0.0.2", "127.0.0.1")}
	start := time.Now()
	r = play(t, "traefik", dropping)
	took := time.Since(start)
	if !r.OK || remarks(r) != "certain firewall" || took > 20*time.Second {
		t.Errorf("after %v, want ok and a remark\n%s", took, story(r))
	}
	i := slices.IndexFunc(r.Steps, func(s explain.Step) bool { return s.Name == explain.StepTime })
	if i < 0 || r.Steps[i].Took < 2*time.Second {
		t.Errorf("the time of the dead address is not counted\n%s", story(r))
	}
	// The kubelet's whole second is gone with the first.
	if r = play(t, "kubelet", dropping); r.OK {
		t.Errorf("it had no time left\n%s", story(r))
	}
}

// full listens at an address and takes so many connections that the kernel drops
// what comes: its queue is full.
func full(t *testing.T, addr netip.Addr, port string) {
	t.Helper()
	listener, err := net.Listen("tcp4", net.JoinHostPort(addr.String(), port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	raw, err := listener.(*net.TCPListener).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	_ = raw.Control(func(fd uintptr) { err = syscall.Listen(int(fd), 0) })
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		conn, err := net.DialTimeout("tcp", listener.Addr().String(), 300*time.Millisecond)
		if err != nil {
			return
		}
		t.Cleanup(func() { _ = conn.Close() })
	}
	t.Fatal("the queue does not get full")
}

// TestItsOwnRequestsTripALimit: a limit that lets one through in two seconds is
// waited for, and of one that does not it is said that it is a guess.
func TestItsOwnRequestsTripALimit(t *testing.T) {
	t.Parallel()
	var some []*balancer.Balancer
	for _, name := range []string{"alb", "gcp", "nlb"} {
		some = append(some, balancer.Find(name))
	}
	nginx := servertest.NginxHTTP(t, `limit_req_zone $binary_remote_addr zone=one:1m rate=30r/m;
server { listen 127.0.0.1:$PORT; limit_req zone=one; limit_req_status 429; location / { root $DIR; try_files /nginx.conf =404; } }`)
	report, err := explain.Run(t.Context(), "http://"+nginx.Addr+"/", some, explain.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range report.Results {
		if !report.Results[i].OK {
			t.Error(story(&report.Results[i]))
		}
	}
	var came atomic.Int64
	addr := goServer(t, func(w http.ResponseWriter, _ *http.Request) {
		if came.Add(1) > 1 {
			w.WriteHeader(http.StatusTooManyRequests)
		}
	}, nil)
	report, err = explain.Run(t.Context(), "http://"+addr+"/", some, explain.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range report.Results {
		r := &report.Results[i]
		if i == 0 && r.OK {
			continue
		}
		if r.Cause() != balancer.CauseRateLimit || r.Findings[0].Sure != explain.Guess || !strings.Contains(r.Summary, "own requests") {
			t.Error(story(r))
		}
	}
	if got := came.Load(); got > 8 {
		t.Errorf("%d requests came, though each makes it worse", got)
	}
}

// TestWhatWasPlayedIsReported: also when it is interrupted.
func TestWhatWasPlayedIsReported(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	addr := goServer(t, func(_ http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.UserAgent(), "kube-probe") {
			stop()
			<-r.Context().Done()
		}
	}, nil)
	var told []string
	report, err := explain.Run(ctx, "http://"+addr+"/", []*balancer.Balancer{balancer.Find("alb"), balancer.Find("kubelet"), balancer.Find("nlb")},
		explain.Options{Progress: func(name string) { told = append(told, name) }})
	if err == nil {
		t.Fatal("there is no error after its context ended")
	}
	if report == nil || len(report.Results) != 1 || report.Results[0].Balancer.Name != "alb" || !report.Results[0].OK {
		t.Errorf("got %+v", report)
	}
	if got := strings.Join(told, " "); !strings.HasPrefix(got, "alb kubelet") {
		t.Errorf("told of %q", got)
	}
}
