package httpcheck_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hale/internal/check"
	"hale/internal/servertest"
)

// site is the configuration of an nginx with $ROOT for a directory.
const site = `
    listen unix:$ROOT/nginx.sock;
    root $ROOT;
    default_type text/plain;
    location = /ok       { return 200 "ready to serve\n"; }
    location = /empty    { return 204; }
    location = /old      { return 301 /ok; }
    location = /tls      { return 302 https://www.example.com/login?token=hidden1; }
    location = /missing  { return 404; }
    location = /broken   { return 500; }
    location = /busy     { return 503 "no workers left\n"; }
    location = /gone     { return 444; }
    location = /method   { return 200 $request_method; }
    location = /protocol { return 200 $server_protocol; }
    location = /query    { return 200 $args; }
    location = /host     { return 200 $http_host; }
    location = /headers  { return 200 "$http_user_agent|$http_accept|$http_accept_encoding|$http_connection|$http_x_check"; }
    location = /bearer   { if ($http_authorization != "Bearer hidden1") { return 401; } return 200; }
    location = /private  { auth_basic private; auth_basic_user_file $ROOT/users; try_files /page =404; }
`

// newSite starts an nginx with the site and returns its URL and its unix
// socket.
func newSite(t *testing.T) (url, socket string) {
	t.Helper()
	root := t.TempDir()
	for name, content := range map[string]string{
		"users": "check:{PLAIN}p@ss word\n",
		"page":  "the private page\n",
	} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	server := servertest.Nginx(t, strings.ReplaceAll(site, "$ROOT", root))
	return "http://" + server.Addr, filepath.Join(root, "nginx.sock")
}

func TestNginxIsHealthy(t *testing.T) {
	url, socket := newSite(t)
	for _, test := range []struct{ name, rest, note string }{
		{"ok", "/ok", "200 in "},
		{"no content", "/empty", "204 in "},
		{"status accepted", "/missing#status=404", "404 in "},
		{"status in a list", "/broken#status=200,404-500", "500 in "},
		{"redirect accepted", "/old#status=200,301", "301 in "},
		{"redirect accepted although followed", "/old#status=301&follow=1", "301 in "},
		{"redirect followed", "/old#follow=1&body=ready", "200 in "},
		{"body", "/ok#body=to serve", "200 in "},
		{"regular expression", `/ok#body_regexp=^ready\s.*serve`, "200 in "},
		{"body and regular expression", "/ok#body=ready&body_regexp=serve", "200 in "},
		{"method", "/method#method=OPTIONS&body=OPTIONS", "200 in "},
		{"POST without a body", "/method#method=POST&body=POST", "200 in "},
		{"HEAD", "/ok#method=HEAD", "200 in "},
		{"HTTP/1.1", "/protocol#body=HTTP/1.1", "200 in "},
		{"query is the request's", "/query?follow=3&a=b#body=follow=3%26a=b", "200 in "},
		{"Host of the URL", "/host#body_regexp=^127.0.0.1:[0-9]%2B$", "200 in "},
		{"Host by option", "/host#host=www.example.com&body_regexp=^www.example.com$", "200 in "},
		{"headers", "/headers#headers=X-Check=a: b&body_regexp=" + `^hale\|\*/\*\|\|close\|a: b$`, "200 in "},
		{"headers replaced", "/headers#headers=user-agent=probe&headers=Accept=text/plain&body=probe|text/plain||", "200 in "},
		{"basic authentication", "/private#username=check&password=p@ss word&body=private", "200 in "},
		{"bearer", "/bearer#bearer=hidden1", "200 in "},
		{"unix socket", "/ok#body=ready&unix=" + socket, "200 in "},
		{"unix socket and Host", "/host#host=app&body_regexp=^app$&unix=" + socket, "200 in "},
	} {
		t.Run(test.name, func(t *testing.T) { expectUp(t, run(t, url+test.rest), test.note) })
	}
	t.Run("user in the URL", func(t *testing.T) {
		withUser := strings.Replace(url, "://", "://check:p%40ss%20word@", 1)
		expectUp(t, run(t, withUser+"/private#body=private"), "200 in ")
	})
	t.Run("this host", func(t *testing.T) {
		port := url[strings.LastIndex(url, ":"):]
		expectUp(t, run(t, "http://"+port+"/host#body=localhost"+port), "200 in ")
	})
	t.Run("options beside the URL", func(t *testing.T) {
		expectUp(t, run(t, url+"/headers", pairs("headers", [2]string{"X-Check", "from a map"}), value("body", "from a map")), "200 in ")
	})
}

func TestNginxIsNot(t *testing.T) {
	url, socket := newSite(t)
	missing := filepath.Join(filepath.Dir(socket), "missing.sock")
	for _, test := range []struct {
		name, rest string
		reason     check.Reason
		message    string
	}{
		{"status", "/busy", check.ReasonStatus,
			`GET $URL/busy: status 503 Service Unavailable, want 200-299; the body starts with "no workers left"`},
		{"status of HEAD", "/busy#method=HEAD", check.ReasonStatus,
			`HEAD $URL/busy: status 503 Service Unavailable, want 200-299`},
		{"status not accepted", "/ok#status=204,300-399", check.ReasonStatus,
			`GET $URL/ok: status 200 OK, want 204,300-399; the body starts with "ready to serve"`},
		{"redirect", "/old", check.ReasonRedirect,
			"GET $URL/old: 301 Moved Permanently leads to $URL/ok; check that URL, set follow to go there, or accept status 301"},
		{"redirect to TLS", "/tls", check.ReasonRedirect,
			"GET $URL/tls: 302 Found leads to https://www.example.com/login?token=***; check that URL, set follow to go there, or accept status 302"},
		{"body", "/ok#body=healthy", check.ReasonBody,
			`GET $URL/ok: the body does not contain "healthy"; it starts with "ready to serve"`},
		{"empty body", "/empty#body=healthy", check.ReasonBody,
			`GET $URL/empty: the body does not contain "healthy"; it is empty`},
		{"regular expression", "/ok#body_regexp=^serve", check.ReasonBody,
			`GET $URL/ok: the body does not match ^serve; it starts with "ready to serve"`},
		{"no answer", "/gone", check.ReasonClosed,
			"GET $URL/gone: the server closed the connection without an answer"},
		{"no credentials", "/private", check.ReasonAuth,
			`GET $URL/private: status 401 Unauthorized, want 200-299; the server asks for credentials: give username and password, or bearer; the page's title is "401 Authorization Required"`},
		{"wrong credentials", "/bearer#bearer=hidden2", check.ReasonAuth,
			`GET $URL/bearer: status 401 Unauthorized, want 200-299; the server refuses the credentials; the page's title is "401 Authorization Required"`},
		{"no socket", "/ok#unix=" + missing, check.ReasonMissing,
			"GET $URL/ok (" + missing + "): dial unix " + missing + ": connect: no such file or directory"},
	} {
		t.Run(test.name, func(t *testing.T) {
			expectDown(t, run(t, url+test.rest), test.reason, url, test.message)
		})
	}
}

func TestNginxStopped(t *testing.T) {
	server := servertest.Nginx(t, "location / { return 200; }")
	url := "http://" + server.Addr
	c := mustBuild(t, nil, url)
	expectUp(t, once(t, c), "200 in ")
	server.Stop()
	expectDown(t, once(t, c), check.ReasonRefused, url,
		"GET $URL: dial tcp "+server.Addr+": connect: connection refused; nothing listens there")
	server.Start()
	expectUp(t, once(t, c), "200 in ")
}
