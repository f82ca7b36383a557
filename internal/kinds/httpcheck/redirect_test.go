package httpcheck_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"hale/internal/check"
	"hale/internal/servertest"
)

// echo answers with what of a request must not go astray.
func echo(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintf(w, "%s %s%s auth=%q x=%q", r.Method, r.Host, r.URL, r.Header.Get("Authorization"), r.Header.Get("X-Check"))
}

// redirecting makes a handler that redirects /to?status=S&url=U and echoes all
// else.
func redirecting(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/to":
	case "/head":
		if r.Method != http.MethodHead {
			w.WriteHeader(http.StatusMethodNotAllowed)
		}
		return
	default:
		echo(w, r)
		return
	}
	status := http.StatusFound
	_, _ = fmt.Sscan(r.FormValue("status"), &status)
	w.Header().Set("Location", r.FormValue("url"))
	w.WriteHeader(status)
}

func TestFollow(t *testing.T) {
	home := goServer(t, http.HandlerFunc(redirecting), nil)
	port := home[strings.LastIndex(home, ":"):]
	other := goServer(t, http.HandlerFunc(echo), nil)
	const auth = `#follow=2&username=u&password=hidden1&headers=X-Check=1&body_regexp=`
	for _, test := range []struct{ name, rest, want, note string }{
		{"relative", "/to?url=/x%3Fy=z", `^GET 127.0.0.1:\d%2B/x\?y=z auth="Basic .*" x="1"$`, "200 in "},
		{"relative to the path", "/to?url=x", `^GET 127.0.0.1:\d%2B/x auth="Basic .*" x="1"$`, "200 in "},
		{"home in full", "/to?url=" + home + "/x", `/x auth="Basic .*" x="1"$`, "200 in "},
		{"twice", "/to?url=/to%3Furl=/x", `/x auth="Basic .*" x="1"$`, "200 in "},
		{"elsewhere without credentials", "/to?url=" + other + "/x", `^GET 127.0.0.1:\d%2B/x auth="" x=""$`, "200 in "},
		{"POST becomes GET", "/to?url=/x", "^GET&method=POST", "200 in "},
		{"POST stays POST", "/to?status=307&url=/x", "^POST&method=POST", "200 in "},
		{"303", "/to?status=303&url=/x", "^GET&method=PUT", "200 in "},
		{"home by the Host header", "/to?url=http://www.example.com/x", `^GET www.example.com/x auth="Basic .*" x="1"$&host=www.example.com`, "200 in "},
		{"home by the Host header and the port", "/to?url=http://www.example.com" + port + "/x", `^GET www.example.com/x auth="Basic .*"&host=www.example.com`, "200 in "},
		{"home by the Host header with a port", "/to?url=http://www.example.com:81/x", `^GET www.example.com:81/x auth="Basic .*"&host=www.example.com:81`, "200 in "},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := run(t, home+test.rest+auth+test.want)
			expectUp(t, got, test.note)
			if !strings.Contains(got.Note, " after 1 redirect") && !strings.Contains(got.Note, " after 2 redirects") {
				t.Errorf("the note %q does not tell of the redirect", got.Note)
			}
		})
	}
	t.Run("HEAD stays HEAD", func(t *testing.T) {
		expectUp(t, run(t, home+"/to?url=/head#method=HEAD&follow=1"), "200 in ")
	})
	t.Run("not home with another scheme", func(t *testing.T) {
		var dialled string
		to := dialing(strings.TrimPrefix(home, "http://"), func(_, address string) { dialled = address })
		c := mustBuild(t, to, "http://app.example/to?url=https://www.example.com/x#host=www.example.com&follow=1")
		if got := once(t, c); got.Reason() != check.ReasonTLS || dialled != "www.example.com:443" {
			t.Errorf("dialled %s: %v; want www.example.com:443, which does not speak TLS", dialled, got.Text())
		}
	})
	for _, test := range []struct {
		name, rest string
		reason     check.Reason
		message    string
	}{
		{"not followed", "/to?url=/x", check.ReasonRedirect,
			"GET $URL/to?url=/x: 302 Found leads to $URL/x; check that URL, set follow to go there, or accept status 302"},
		{"too many", "/to?url=/to%3Furl=/x#follow=1", check.ReasonRedirect,
			"GET $URL/to?url=/to%3Furl=/x: after 1 redirect 302 Found leads on to $URL/x; follow is 1"},
		{"secrets", "/to?url=http://user:hidden1@h/%3Ftoken=hidden1", check.ReasonRedirect,
			"GET $URL/to?url=***: 302 Found leads to http://h/?token=***; check that URL, set follow to go there, or accept status 302"},
		{"not HTTP", "/to?url=ftp://h/x#follow=1", check.ReasonRedirect,
			"GET $URL/to?url=ftp://h/x: 302 Found leads to ftp://h/x, which is not HTTP"},
		{"no host", "/to?url=http:///x#follow=1", check.ReasonRedirect,
			"GET $URL/to?url=http:///x: 302 Found leads to http:///x, which is not HTTP"},
		{"not a URL", "/to?url=http://%5B/#follow=1", check.ReasonRedirect,
			"GET $URL/to?url=http://%5B/: 302 Found leads to what is not a URL"},
		{"refused there", "/to?url=http://127.0.0.1:1/x#follow=1", check.ReasonRefused,
			"GET $URL/to?url=http://127.0.0.1:1/x: redirected to http://127.0.0.1:1/x: dial tcp 127.0.0.1:1: connect: connection refused; nothing listens there"},
		{"wrong there", "/to?url=" + other + "/x#follow=1&status=204", check.ReasonStatus,
			"GET $URL/to?url=" + other + "/x: redirected to " + other + "/x: status 200 OK, want 204; the body starts with \"GET " + strings.TrimPrefix(other, "http://") + `/x auth="" x="""`},
	} {
		t.Run(test.name, func(t *testing.T) {
			expectDown(t, run(t, home+test.rest), test.reason, home, test.message)
		})
	}
}

// TestFollowLoop ends, for the redirects that may be followed are bounded.
func TestFollowLoop(t *testing.T) {
	requests := 0
	url := goServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests++
		http.Redirect(w, r, "/", http.StatusFound)
	}), nil)
	expectDown(t, run(t, url+"#follow=20"), check.ReasonRedirect, url,
		"GET $URL: after 20 redirects 302 Found leads on to $URL/; follow is 20")
	if requests != 21 {
		t.Errorf("%d requests, want 21", requests)
	}
}

// TestFollowToTLS follows nginx's usual redirect from http to https.
func TestFollowToTLS(t *testing.T) {
	certs := servertest.NewCerts(t, 240*time.Hour, "127.0.0.1")
	secure, _ := secureNginx(t, certs, "")
	plain := servertest.Nginx(t, "location / { return 301 "+secure+"$request_uri; }")
	url := "http://" + plain.Addr
	expectUp(t, run(t, url+"/x#follow=1&body=HTTP/2.0&ca="+certs.CA), "200 in ")
	expectUp(t, run(t, url+"/x#follow=1&insecure"), "200 in ")
	expectDown(t, run(t, url+"/x"), check.ReasonRedirect, url,
		"GET $URL/x: 301 Moved Permanently leads to "+secure+"/x; check that URL, set follow to go there, or accept status 301")
	expectDown(t, run(t, url+"/x#follow=1"), check.ReasonTLS, url,
		"GET $URL/x: redirected to "+secure+`/x: the certificate of 127.0.0.1 is signed by "test authority", which is not trusted; set ca to the file with that authority's certificate`)
	got := run(t, url+"/x#follow=1&min_days=30&ca="+certs.CA)
	if got.Reason() != check.ReasonTLS || !strings.Contains(got.Text(), "in 9 days; at least 30 are wanted") {
		t.Errorf("got %v, want a certificate that expires too soon", got.Err)
	}
}
