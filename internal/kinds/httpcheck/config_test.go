package httpcheck_test

import (
	"net"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hale/internal/check"
	"hale/internal/kinds/httpcheck"
	"hale/internal/servertest"
)

func TestNoOptionsAreTheDefaults(t *testing.T) {
	for _, kind := range []check.Kind{httpcheck.Kind(), httpcheck.KindTLS()} {
		c := mustBuild(t, nil, kind.Scheme+"://127.0.0.1/")
		want := []check.Setting{
			{Name: "method", Value: "GET"}, {Name: "host"}, {Name: "headers"},
			{Name: "status", Value: "200-299"}, {Name: "body"}, {Name: "body_regexp"},
			{Name: "follow", Value: "0"}, {Name: "slow", Value: "0s"},
			{Name: "username"}, {Name: "password"}, {Name: "bearer"},
			{Name: "version", Value: "auto"}, {Name: "keepalive", Value: "false"},
			{Name: "unix"}, {Name: "proxy"}, {Name: "ca"}, {Name: "cert"}, {Name: "key"},
			{Name: "server_name"}, {Name: "insecure", Value: "false"}, {Name: "min_days", Value: "0"},
		}
		if diff := cmp.Diff(want, c.Options); diff != "" {
			t.Errorf("%s (-want +got):\n%s", kind.Scheme, diff)
		}
		for i, o := range kind.Options() {
			if o.Default != want[i].Value || o.Help == "" {
				t.Errorf("%s: option %+v, want the default %q and a help", kind.Scheme, o, want[i].Value)
			}
		}
		if _, err := build(t, nil, kind.Example); err != nil {
			t.Errorf("the example %s: %v", kind.Example, err)
		}
	}
}

// TestTarget is about what is dialled and what the Host header says.
func TestTarget(t *testing.T) {
	for _, test := range []struct{ url, network, address, host string }{
		{"http://127.0.0.1:8000/x", "tcp", "127.0.0.1:8000", "127.0.0.1:8000"},
		{"http://app.example", "tcp", "app.example:80", "app.example"},
		{"http://app.example:/", "tcp", "app.example:80", "app.example"},
		{"http://app.example:80/", "tcp", "app.example:80", "app.example:80"},
		{"http://[::1]:8000/", "tcp", "[::1]:8000", "[::1]:8000"},
		{"http://[fe80::1%25lo]/", "tcp", "[fe80::1%lo]:80", "[fe80::1]"},
		{"http://:8000/", "tcp", ":8000", "localhost:8000"},
		{"http://8000/", "tcp", ":8000", "localhost:8000"},
		{"http://:80/", "tcp", ":80", "localhost"},
		{"http://user:secret@app.example/", "tcp", "app.example:80", "app.example"},
		{"http://127.0.0.1:8000/#host=www.example.com", "tcp", "127.0.0.1:8000", "www.example.com"},
		{"http://127.0.0.1:8000/#host=[::1]:9000", "tcp", "127.0.0.1:8000", "[::1]:9000"},
		{"http://app.example/#unix=/run/app.sock", "unix", "/run/app.sock", "app.example"},
	} {
		t.Run(test.url, func(t *testing.T) {
			var network, address, host string
			server := servertest.Peer(t, func(conn net.Conn) {
				host = readRequest(conn).Host
				_, _ = conn.Write([]byte("HTTP/1.1 204 No Content\r\n\r\n"))
			})
			c := mustBuild(t, dialing(server, func(n, a string) { network, address = n, a }), test.url)
			expectUp(t, once(t, c), "204 in ")
			if network != test.network || address != test.address || host != test.host {
				t.Errorf("got %s %s with Host %q, want %s %s with Host %q", network, address, host, test.network, test.address, test.host)
			}
		})
	}
}

func TestBadOptions(t *testing.T) {
	long := "/" + strings.Repeat("x", 107)
	for _, test := range []struct {
		url     string
		options []check.Option
		want    string
	}{
		{url: "http:///x", want: "url: http:///x has no host; write http://HOST:PORT, or http://:PORT for this host"},
		{url: "http://h:65536/", want: "url: port 65536 is out of range; a port is a number from 1 to 65535"},
		{url: "http://h:0/", want: "url: port 0 is out of range; a port is a number from 1 to 65535"},
		{url: "http://a b/", want: "url: not a URL: invalid character … in host name"},
		{url: "http://a;b/", want: `url: "a;b" is not a host; use letters, digits, '.', '-' and '_' (a name in other letters in its xn-- form)`},
		{url: "http://bücher.example/", want: `url: "bücher.example" is not a host; use letters, digits, '.', '-' and '_' (a name in other letters in its xn-- form)`},
		{url: "http://h/?a b", want: "url: there is a space in the query; write %20"},
		{url: "http://h/#method=get", want: `method: "get" is not in capitals; write GET`},
		{url: "http://h/#method=G%20T", want: `method: "G T" is not a method; give one such as GET, HEAD or OPTIONS`},
		{url: "http://h/#method=", want: `method: "" is not a method; give one such as GET, HEAD or OPTIONS`},
		{url: "http://h/#method=CONNECT", want: "method: CONNECT is for proxies; see the option proxy"},
		{url: "http://h/#host=a%20b", want: `host: "a b" is not a Host header; give a name or an address, and :PORT if need be`},
		{url: "http://h/#host=a%0d%0aX: y", want: `host: "a X: y" is not a Host header; give a name or an address, and :PORT if need be`},
		{url: "http://h/#host=a:70000", want: `host: "a:70000" is not a Host header; give a name or an address, and :PORT if need be`},
		{url: "http://h/#host=::1", want: `host: "::1" is not a Host header; give a name or an address, and :PORT if need be`},
		{url: "http://h/#host=http://a", want: `host: "http://a" is not a Host header; give a name or an address, and :PORT if need be`},
		{url: "http://h/#headers=X%20Y=z", want: `headers: "X Y" is not the name of a header; use letters, digits and '-'`},
		{url: "http://h/#headers=X%0d%0aY=z", want: `headers: "X Y" is not the name of a header; use letters, digits and '-'`},
		{url: "http://h/#headers=X=a%0d%0aY: b", want: "headers: the value of X has a line break or another control character in it"},
		{url: "http://h/#headers=host=a", want: "headers: Host has an option of its own: host"},
		{url: "http://h/#headers=transfer-encoding=chunked", want: "headers: Transfer-Encoding is set by hale itself; leave it out"},
		{url: "http://h/", options: []check.Option{pairs("headers", [2]string{"X-A", "1"}, [2]string{"x-a", "2"})}, want: "headers: X-A is given twice"},
		{url: "http://h/#status=2xx", want: `status: "2xx" is not a status or a range of them; give 200, 200-299 or a list such as 200,301-302`},
		{url: "http://h/#status=", want: `status: "" is not a status or a range of them; give 200, 200-299 or a list such as 200,301-302`},
		{url: "http://h/#status=200,99", want: `status: "99" is not a status or a range of them; give 200, 200-299 or a list such as 200,301-302`},
		{url: "http://h/#status=200-1000", want: `status: "200-1000" is not a status or a range of them; give 200, 200-299 or a list such as 200,301-302`},
		{url: "http://h/#status=299-200", want: "status: the range 299-200 ends before it begins; write 200-299"},
		{url: "http://h/#body_regexp=a(b", want: "body_regexp: not a regular expression: missing closing ): a(b"},
		{url: "http://h/#method=HEAD&body=a&body_regexp=b", want: "body: the answer to HEAD has no body; use GET, or leave body out\nbody_regexp: the answer to HEAD has no body; use GET, or leave body_regexp out"},
		{url: "http://h/#follow=-1", want: "follow: -1 is out of range; give a count from 0 to 20"},
		{url: "http://h/#follow=21", want: "follow: 21 is out of range; give a count from 0 to 20"},
		{url: "http://h/#slow=-1s", want: "slow: -1s is negative; give a duration such as 500ms"},
		{url: "http://h/#slow=3s&timeout=3s", want: "slow: 3s is not shorter than the timeout 3s, after which there is no healthy answer that could be slow; give a shorter one, or a longer timeout"},
		{url: "http://h/#slow=2s&interval=2s", want: "slow: 2s is not shorter than the timeout 2s, after which there is no healthy answer that could be slow; give a shorter one, or a longer timeout"},
		{url: "http://h/#slow=1h&timeout=x", want: `timeout: "x" is not a duration; write one such as 500ms, 5s or 1h`},
		{url: "http://h/#status=204&body=x", want: "body: an answer with the status 204 has no body; accept one that has, such as 200, or leave body out"},
		{url: "http://h/#status=100-199,204,304&body_regexp=x", want: "body_regexp: an answer with the status 100-199,204,304 has no body; accept one that has, such as 200, or leave body_regexp out"},
		{url: "http://u:p@h/#bearer=t", want: "a user in the URL and bearer exclude each other; give one of them"},
		{url: "http://u:p@h/#username=u", want: "a user in the URL and username exclude each other; give one of them"},
		{url: "http://h/#bearer=t&headers=authorization=x", want: "bearer and the header Authorization exclude each other; give one of them"},
		{url: "http://h/#password=secret", want: "password: needs username, the user it is the password of"},
		{url: "http://h/#username=a:b", want: "username: the user name has a colon in it, which basic authentication does not allow"},
		{url: "http://a%3Ab:c@h/", want: "url: the user name has a colon in it, which basic authentication does not allow"},
		{url: "http://h/#username=a%0a", want: "username: the user name has a line break or another control character in it"},
		{url: "http://h/#username=a&password=hidden%0a", want: "password: the password has a line break or another control character in it"},
		{url: "http://h/#bearer=hidden%0a", want: "bearer: the token has a line break or another control character in it"},
		{url: "http://h/#version=3", want: `version: "3" is not a version of HTTP; give auto, 1.1, 2 or h2c`},
		{url: "http://h/#version=2", want: "version: 2 needs TLS; use https://, or h2c for HTTP/2 without TLS"},
		{url: "https://h/#version=h2c", want: "version: h2c is HTTP/2 without TLS; use 2, or http://"},
		{url: "https://h/#version=2&unix=/s", want: "version: 2 is not spoken over a unix socket; use 1.1, or http:// with h2c"},
		{url: "http://h/#version=h2c&proxy=env", want: "version: h2c does not go through a proxy; leave proxy out, or use 1.1"},
		{url: "http://h/#unix=app.sock", want: `unix: "app.sock" is a relative path; give an absolute one`},
		{url: "http://h/#unix=" + long, want: "unix: the path has 108 bytes; that of a socket has at most 107"},
		{url: "http://h/#unix=/s&proxy=env", want: "proxy: a unix socket is not reached through a proxy; leave out unix or proxy"},
		{url: "http://h/#proxy=http://p&host=a", want: "host: a proxy goes by the Host header, which can therefore be no other than the URL's host; leave out host or proxy"},
		{url: "http://h/#proxy=env&host=a", want: "host: a proxy goes by the Host header, which can therefore be no other than the URL's host; leave out host or proxy"},
		{url: "http://:80/#proxy=http://p", want: "proxy: a URL without a host is about this host, which a proxy does not reach; write the host"},
		{url: "http://h/#proxy=p:3128", want: "proxy: neither env nor the URL of a proxy; write http://HOST:PORT or socks5://HOST:PORT"},
		{url: "http://h/#proxy=http://u:hid den@p:x/", want: "proxy: neither env nor the URL of a proxy; write http://HOST:PORT or socks5://HOST:PORT"},
		{url: "http://h/#proxy=https://p", want: "proxy: a proxy that speaks https is not supported; write http://HOST:PORT or socks5://HOST:PORT"},
		{url: "https://h/#ca=ca.pem", want: `ca: "ca.pem" is a relative path; give an absolute one`},
		{url: "https://h/#ca=/nonexistent/ca.pem", want: "ca: open /nonexistent/ca.pem: no such file or directory"},
		{url: "http://h/#insecure", want: "insecure: is about TLS, which http:// does not have; use https://"},
		{url: "http://h/#min_days=7", want: "min_days: is about TLS, which http:// does not have; use https://"},
		{url: "http://h/#ca=/ca.pem", want: "ca: is about TLS, which http:// does not have; use https://"},
		{url: "http://h/#follow=1&cert=/c&key=/k", want: "cert: is about TLS, which http:// does not have; use https://\nkey: is about TLS, which http:// does not have; use https://"},
		{url: "http://h/#follow=1&server_name=a", want: "server_name: is about TLS, which http:// does not have; use https://"},
	} {
		_, err := build(t, nil, test.url, test.options...)
		if err == nil {
			t.Errorf("%s: accepted, want: %s", test.url, test.want)
		} else if err.Error() != test.want {
			t.Errorf("%s:\n got %s\nwant %s", test.url, err, test.want)
		}
	}
}

// TestAccepted is about options that are near to a combination that can't work.
func TestAccepted(t *testing.T) {
	for _, url := range []string{
		"http://h/#slow=2999ms&timeout=3s", "http://h/#slow=5s&timeout=10s&interval=10s", "http://h/#slow=0s",
		"http://h/#status=204,205&body=x", "http://h/#status=304-305&body=x", "http://h/#status=199-200&body=x", "http://h/#status=204&body_regexp=^$",
	} {
		if _, err := build(t, nil, url); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
}

// TestSocketIsShown: what tells two checks of sockets apart is in their targets,
// and not in their names.
func TestSocketIsShown(t *testing.T) {
	c := mustBuild(t, nil, "http://app.example/up?x=1", value("unix", "/run/a b&c.sock"))
	if c.Target != "http://app.example/up?x=1#unix=/run/a%20b%26c.sock" || c.URL != "http://app.example/up?x=1" || c.Name != "http-app.example-up" {
		t.Errorf("the target is %s, the URL %s, the name %s", c.Target, c.URL, c.Name)
	}
	again := mustBuild(t, nil, c.Target)
	if again.Target != c.Target {
		t.Errorf("%s is shown as %s", c.Target, again.Target)
	}
}

// TestTextForms reads the options that are not plain text and writes them.
func TestTextForms(t *testing.T) {
	for _, test := range []struct{ option, value, want string }{
		{"status", "200", "200"},
		{"status", " 200 , 301-302,204 ", "200,301-302,204"},
		{"body_regexp", "^ok$", "^ok$"},
		{"body_regexp", "", ""},
		{"proxy", "env", "env"},
		{"proxy", "", ""},
		{"proxy", "http://proxy.example:3128", "http://proxy.example:3128"},
		{"proxy", "http://user:secret@proxy.example/", "http://user:***@proxy.example/"},
		{"proxy", "socks5://proxy.example", "socks5://proxy.example"},
	} {
		c := mustBuild(t, nil, "http://app.example/", value(test.option, test.value))
		for _, o := range c.Options {
			if o.Name == test.option && o.Value != test.want {
				t.Errorf("%s %q is shown as %q, want %q", test.option, test.value, o.Value, test.want)
			}
		}
	}
	list := mustBuild(t, nil, "http://app.example/", value("status", "200", "301-302"))
	if got := list.Options[3].Value; got != "200,301-302" {
		t.Errorf("a list of statuses is %q, want 200,301-302", got)
	}
	for _, status := range []struct {
		code int
		want bool
	}{{199, false}, {200, true}, {204, true}, {205, false}, {404, true}, {403, false}} {
		var s httpcheck.Statuses
		if err := s.UnmarshalText([]byte("200-204,404")); err != nil {
			t.Fatal(err)
		}
		if got := s.Contains(status.code); got != status.want {
			t.Errorf("200-204,404 contains %d: %v, want %v", status.code, got, status.want)
		}
	}
}

// TestSecretsAreMasked looks for secrets in all that people see of a check.
func TestSecretsAreMasked(t *testing.T) {
	for _, url := range []string{
		"http://user:hidden1@app.example/?token=hidden1#follow=1",
		"http://app.example/#username=user&password=hidden1",
		"http://app.example/#bearer=hidden1",
		"http://app.example/#headers=X-Auth-Token=hidden1",
		"http://app.example/#proxy=http://user:hidden1@proxy.example",
	} {
		c := mustBuild(t, dialing("", nil), url)
		result := once(t, c)
		if result.Healthy() {
			t.Errorf("%s: healthy", url)
		}
		seen := c.Target + c.Name + result.Err.Error()
		for _, o := range c.Options {
			seen += o.Value
		}
		if strings.Contains(seen, "hidden1") {
			t.Errorf("%s: a secret is shown in %q", url, seen)
		}
	}
}
