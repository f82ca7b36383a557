package dnscheck_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hale/internal/check"
	"hale/internal/kinds/dnscheck"
	"hale/internal/kinds/kindtest"
	"hale/internal/servertest"
)

var kinds = kindtest.Kinds{dnscheck.Kind()}

var (
	run           = kinds.Run
	build         = kinds.Build
	expectNote    = kindtest.ExpectNote
	expectFailure = kindtest.ExpectFailure
)

// TestContract runs the contract, which is for streams, over TCP.
func TestContract(t *testing.T) {
	kindtest.Network{Kind: dnscheck.Kind(), URL: func(a string) string { return "dns://" + a + "/www.example.org?tcp" }}.Run(t)
}

func TestDnsmasq(t *testing.T) {
	args := []string{
		"--local=/example.org/", "--host-record=www.example.org,192.0.2.1,2001:db8::1", "--cname=alias.example.org,www.example.org",
		"--host-record=two.example.org,192.0.2.3", "--host-record=two.example.org,192.0.2.2",
		"--mx-host=example.org,mail.example.org,10", "--srv-host=_sip._tcp.example.org,sip.example.org,5060,1,2",
		"--txt-record=example.org,v=spf1 -all, and more", "--ptr-record=1.2.0.192.in-addr.arpa,www.example.org",
		"--dns-rr=example.org,257,000569737375656c657473656e63727970742e6f7267",
	}
	// One --host-record takes one address of a family.
	for i := range 60 {
		args = append(args, fmt.Sprintf("--host-record=many.example.org,192.0.2.%d", i+100))
	}
	s := servertest.Dnsmasq(t, args...)
	at := "dns://" + s.Addr + "/"
	for _, test := range []struct{ name, rest, note string }{
		{"A", "www.example.org", "192.0.2.1"},
		{"small letters", "WWW.Example.org.?type=a", "192.0.2.1"},
		{"AAAA", "www.example.org?type=AAAA&expect=2001:DB8:0::1", "2001:db8::1"},
		{"over TCP", "www.example.org?tcp", "192.0.2.1"},
		{"through an alias", "alias.example.org?expect=192.0.2.1&exact", "192.0.2.1"},
		{"CNAME", "alias.example.org?type=CNAME&expect=WWW.example.org.", "www.example.org"},
		{"several", "two.example.org?expect=192.0.2.3,192.0.2.2&exact", "192.0.2.2, 192.0.2.3"},
		{"one of several", "two.example.org?expect=192.0.2.3", "192.0.2.2, 192.0.2.3"},
		{"MX", "example.org?type=MX&expect=mail.example.org", "10 mail.example.org"},
		{"MX in full", "example.org?type=MX&expect=10 mail.example.org", "10 mail.example.org"},
		{"SRV", "_sip._tcp.example.org?type=SRV&expect=sip.example.org", "1 2 5060 sip.example.org"},
		{"TXT", "example.org?type=TXT&expect=v=spf1 -all and more", "v=spf1 -all and more"},
		{"PTR", "192.0.2.1?type=PTR&expect=www.example.org", "www.example.org"},
		{"CAA", "example.org?type=CAA&expect=0 issue letsencrypt.org", "0 issue letsencrypt.org"},
		{"NXDOMAIN wanted", "no.example.org?rcode=NXDOMAIN", "NXDOMAIN"},
		{"too long for UDP", "many.example.org?expect=192.0.2.159", "192.0.2.100, 192.0.2.101, 192.0.2.102, 192.0.2.103, 192.0.2.104 and 55 more"},
	} {
		t.Run(test.name, func(t *testing.T) { expectNote(t, run(t, at+test.rest), test.note) })
	}
	for _, test := range []struct {
		name, rest string
		reason     check.Reason
		message    string
	}{
		{"no such name", "no.example.org", check.ReasonMissing, "NXDOMAIN: there is no such name"},
		{"no answer of this type", "two.example.org?type=AAAA", check.ReasonMissing, "the name exists, but has no AAAA record"},
		{"refused", "www.example.net", check.ReasonPermission, "REFUSED: the server does not answer this client, or not for this name; see whom it allows"},
		{"another answer", "www.example.org?expect=192.0.2.9", check.ReasonBody, "the answer lacks 192.0.2.9: it is 192.0.2.1"},
		{"one lacks", "two.example.org?expect=192.0.2.2,192.0.2.9", check.ReasonBody, "the answer lacks 192.0.2.9: it is 192.0.2.2, 192.0.2.3"},
		{"one too many", "two.example.org?expect=192.0.2.2&exact", check.ReasonBody, "the answer has 192.0.2.3, which is not expected: it is 192.0.2.2, 192.0.2.3"},
		{"exists but should not", "www.example.org?rcode=NXDOMAIN", check.ReasonStatus, "NOERROR, want NXDOMAIN"},
	} {
		t.Run(test.name, func(t *testing.T) {
			name, _, _ := strings.Cut(test.rest, "?")
			result := run(t, at+test.rest)
			if want := at + name + ": " + test.message; result.Reason() != test.reason || result.Text() != want {
				t.Errorf("got  %s: %s\nwant %s: %s", result.Reason(), result.Text(), test.reason, want)
			}
		})
	}
	expectNote(t, run(t, fmt.Sprintf("dns://:%d/www.example.org", s.Port)), "192.0.2.1")

	s.Pause()
	expectFailure(t, run(t, at+"www.example.org?timeout=300ms"), check.ReasonTimeout, "no answer within 300ms: "+at+"www.example.org: no reply: ")
	s.Resume()
	expectNote(t, run(t, at+"www.example.org"), "192.0.2.1")
	s.Stop()
	expectFailure(t, run(t, at+"www.example.org"), check.ReasonRefused, at+"www.example.org: ")
	expectFailure(t, run(t, at+"www.example.org?tcp"), check.ReasonRefused, at+"www.example.org: ")
}

func TestUnbound(t *testing.T) {
	refuses := servertest.Dnsmasq(t)
	s := servertest.Unbound(t,
		`local-zone: "example.org." static`,
		`local-data: "example.org. SOA ns1.example.org. admin.example.org. 2024010101 3600 600 86400 300"`,
		`local-data: "example.org. NS ns1.example.org."`, `local-data: "example.org. NS ns2.example.org."`,
		`local-data: "www.example.org. A 192.0.2.1"`,
		`local-data: "alias.example.org. CNAME nowhere.example.org."`,
		`local-zone: "secret.example." refuse`,
		"forward-zone:", `name: "broken.example."`, fmt.Sprintf("forward-addr: 127.0.0.1@%d", refuses.Port))
	at := "dns://" + s.Addr + "/"
	expectNote(t, run(t, at+"www.example.org"), "192.0.2.1")
	expectNote(t, run(t, at+"example.org?type=NS&expect=ns1.example.org,ns2.example.org&exact"), "ns1.example.org, ns2.example.org")
	expectNote(t, run(t, at+"example.org?type=SOA&expect=ns1.example.org"), "ns1.example.org admin.example.org 2024010101")
	expectFailure(t, run(t, at+"no.example.org"), check.ReasonMissing, "NXDOMAIN: there is no such name")
	expectFailure(t, run(t, at+"www.secret.example"), check.ReasonPermission, "REFUSED: the server does not answer this client")
	expectFailure(t, run(t, at+"www.broken.example"), check.ReasonStatus, "SERVFAIL: the server could not find an answer")
	expectFailure(t, run(t, at+"www.broken.example?rcode=REFUSED"), check.ReasonStatus, "SERVFAIL, want REFUSED")
	expectFailure(t, run(t, at+"alias.example.org"), check.ReasonMissing, "it is an alias of nowhere.example.org, which has no A record")
}

func TestSystemResolver(t *testing.T) {
	conf := filepath.Join(t.TempDir(), "resolv.conf")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	kind := dnscheck.KindOf(conf)
	expectFailure(t, kindtest.Kinds{kind}.Run(t, "dns:///www.example.org"), check.ReasonMissing, "dns:///www.example.org: the system's resolver is not known: open "+conf)

	// Nothing listens on these addresses' port 53, which only root could take.
	write("# a comment\nsearch example.org\nnameserver 127.53.53.1\nnameserver 127.53.53.2\nnameserver x\noptions edns0\n")
	result := kindtest.Kinds{kind}.Run(t, "dns:///www.example.org")
	expectFailure(t, result, check.ReasonRefused, "dns:///www.example.org: name server 127.53.53.1:53: ")
	expectFailure(t, result, check.ReasonRefused, "; name server 127.53.53.2:53: ")
	expectFailure(t, result, check.ReasonRefused, "; see "+conf)

	for _, test := range []struct{ text, want string }{
		{"", "[127.0.0.1:53]"},
		{"nameserver ::1 # local\nnameserver fe80::1%eth0\n nameserver\t192.0.2.1\nnameserver 192.0.2.2\n", "[[::1]:53 [fe80::1%eth0]:53 192.0.2.1:53]"},
	} {
		write(test.text)
		if got, err := dnscheck.NameServers(conf); err != nil || fmt.Sprint(got) != test.want {
			t.Errorf("of %q: got %v, %v; want %s", test.text, got, err, test.want)
		}
	}
}

func TestOptions(t *testing.T) {
	long := strings.Repeat("a", 64)
	for _, test := range []struct{ name, url, want string }{
		{"no name", "dns://127.0.0.1", "url: has no name to ask for; write dns://RESOLVER/NAME, or dns:///NAME for the system's resolver"},
		{"port", "dns://h:70000/n", "url: port 70000 is out of range; a port is a number from 1 to 65535"},
		{"user", "dns://u:pass-word@h/n", "url: has a user name or password, and a query needs none; leave it out"},
		{"two dots", "dns://h/a..b", `url: the name "a..b" has two dots together, or one in front`},
		{"long part", "dns://h/" + long, "url: a part of the name has 64 characters; one has at most 63"},
		{"long name", "dns://h/" + strings.Repeat("abc.", 64), "url: the name has 255 characters; one has at most 253"},
		{"letters", "dns://h/b%C3%BCcher.example", `url: "bücher.example" is not a name; use letters, digits, '.', '-' and '_' (a name in other letters in its xn-- form)`},
		{"path", "dns://h/a/b", `url: "a/b" is not a name; use letters, digits, '.', '-' and '_' (a name in other letters in its xn-- form)`},
		{"address", "dns://h/192.0.2.1", "url: 192.0.2.1 is an address, and only type PTR is asked for one"},
		{"type", "dns://h/n?type=AAA", `type: "AAA" is not known; did you mean "AAAA"? (known: A, AAAA, CAA, CNAME, MX, NS, PTR, SOA, SRV, TXT)`},
		{"rcode", "dns://h/n?rcode=NXDOMIAN", `rcode: "NXDOMIAN" is not known; did you mean "NXDOMAIN"? (known: NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED)`},
		{"rcode and answers", "dns://h/n?rcode=nxdomain&expect=192.0.2.1", "expect: there are no answers with NXDOMAIN; leave out expect or rcode"},
		{"empty answer", "dns://h/n?expect=192.0.2.1,", "expect: has an empty answer; leave it out"},
		{"no IPv4", "dns://h/n?expect=::1", `expect: "::1" is not an IPv4 address, as type A has`},
		{"no IPv6", "dns://h/n?type=AAAA&expect=192.0.2.1", `expect: "192.0.2.1" is not an IPv6 address, as type AAAA has`},
		{"exact alone", "dns://h/n?exact", "exact: needs expect, the answers that may be there"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := build(test.url)
			if err == nil || err.Error() != test.want {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
		})
	}
	for _, url := range []string{dnscheck.Kind().Example, "dns:///example.org", "dns://h/.?type=NS", "dns://h/_dmarc.example.org.?type=txt", "dns://h/2001:db8::1?type=PTR"} {
		if _, err := build(url); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
}

func TestDefaults(t *testing.T) {
	c := kindtest.Build(t, dnscheck.Kind(), "dns:///example.org")
	if got, want := fmt.Sprint(c.Options), "[{type A} {expect } {exact false} {rcode NOERROR} {tcp false}]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
