package main

import (
	"encoding/csv"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"hale/internal/servertest"
)

const haproxyHead = `
global
  stats socket $DIR/stats level admin
defaults
  mode http
  timeout client 10s
  timeout server 10s
  timeout connect 10s
  timeout check 10s
frontend front
  bind 127.0.0.1:$PORT
  default_backend web
`

// stats returns what HAProxy's stats socket says of each server: its columns by
// name.
func stats(proxy *servertest.Server) (map[string]map[string]string, error) {
	text, err := tell(proxy, "show stat")
	if err != nil {
		return nil, err
	}
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(text, "# "))).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("%w in %q", err, text)
	}
	servers := map[string]map[string]string{}
	for _, row := range rows[1:] {
		columns := map[string]string{}
		for i, column := range rows[0] {
			// A star says that a check is under way.
			columns[column] = strings.TrimPrefix(row[i], "* ")
		}
		servers[columns["svname"]] = columns
	}
	return servers, nil
}

// tell gives HAProxy a command.
func tell(proxy *servertest.Server, command string) (string, error) {
	c, err := net.Dial("unix", filepath.Join(proxy.Dir, "stats"))
	if err != nil {
		return "", err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := io.WriteString(c, command+"\n"); err != nil {
		return "", err
	}
	text, err := io.ReadAll(c)
	return strings.TrimSpace(string(text)), err
}

// is is a condition: HAProxy says so of a server. The wanted are column, value,
// column, value …; a value that ends with a star is a beginning.
func is(proxy *servertest.Server, name string, wanted ...string) func() error {
	return are(proxy, []string{name}, wanted...)
}

// are is [is] for several servers.
func are(proxy *servertest.Server, names []string, wanted ...string) func() error {
	return func() error {
		servers, err := stats(proxy)
		if err != nil {
			return err
		}
		for _, name := range names {
			columns := servers[name]
			for pair := range slices.Chunk(wanted, 2) {
				got := columns[pair[0]]
				begin, open := strings.CutSuffix(pair[1], "*")
				if got != pair[1] && !(open && strings.HasPrefix(got, begin)) {
					return fmt.Errorf("%s has %s %q, want %q; status %q, check %q, agent %q %q", name, pair[0], got, pair[1],
						columns["status"], columns["check_status"], columns["agent_status"], columns["last_agt"])
				}
			}
		}
		return nil
	}
}

// documented is a block of docs/agent-check.md, the first in a language, for a
// site. The replaced must all be there.
func documented(t *testing.T, language string, replaced ...string) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/agent-check.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "```"+language+"\n")
	block, _, _ := strings.Cut(rest, "```")
	for pair := range slices.Chunk(replaced, 2) {
		if !strings.Contains(block, pair[0]) {
			t.Fatalf("the page lacks %q in\n%s", pair[0], block)
		}
		block = strings.ReplaceAll(block, pair[0], pair[1])
	}
	return block
}

// documentedProxy is the page's configuration of HAProxy for a site, with its
// server's options changed.
func documentedProxy(t *testing.T, s *site, replaced ...string) string {
	t.Helper()
	return haproxyHead + documented(t, "haproxy", append([]string{
		"192.0.2.11:8000", s.app, " port 5000", " port " + portOf(s.public), "agent-port 5002", "agent-port " + portOf(s.agent),
		"inter 2s", "inter 100ms",
	}, replaced...)...)
}

// documentedHale is the page's configuration of hale for a site, with weights.
func documentedHale(t *testing.T, s *site) string {
	t.Helper()
	return yaml(t, "degraded_weight: 50%\n"+documented(t, "yaml",
		"listen: :5000", "listen: "+s.public, "agent_check: :5002", "agent_check: "+s.agent, "127.0.0.1:8000", s.app))
}

// TestHAProxyAgentCheck: the real HAProxy, with the configurations of
// docs/agent-check.md, takes hale's instance out and in again, halves its weight
// while it is degraded, drains it, and takes it in after it has started again.
func TestHAProxyAgentCheck(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	hale := s.start(t, "--config", documentedHale(t, s), "--drain-delay", "10m")
	proxy := servertest.HAProxy(t, documentedProxy(t, s,
		"backend web\n", "backend web\n cookie SERVER insert indirect\n", "weight 100", "weight 100 cookie web1"))
	front := "http://" + proxy.Addr
	in := is(proxy, "web1", "status", "UP", "weight", "100", "check_status", "L7OK", "agent_status", "L7OK")
	s.outAndIn(t, proxy, in, is(proxy, "web1", "status", "DOWN (agent)", "agent_status", "L7STS"))
	waitLogged(t, proxy, "traffic", answered(front, "200", "the app"))

	s.remove(t, "spare")
	waitLogged(t, proxy, "half the weight", is(proxy, "web1", "status", "UP", "weight", "50"))
	// Degraded and failing: it is the failure that counts.
	s.remove(t, "work")
	waitLogged(t, proxy, "DOWN", is(proxy, "web1", "status", "DOWN (agent)"))
	waitLogged(t, proxy, "no traffic", answered(front, "503", ""))
	s.put(t, "work")
	waitLogged(t, proxy, "half the weight again", is(proxy, "web1", "status", "UP", "weight", "50"))

	// Draining comes before all else, and takes no session away. HAProxy keeps
	// it, and the weight, when hale has gone.
	hale.sigterm()
	waitLogged(t, proxy, "DRAIN", is(proxy, "web1", "status", "DRAIN (agent)", "check_status", "L7OK"))
	waitLogged(t, proxy, "no traffic", answered(front, "503", ""))
	request, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, front, nil)
	request.AddCookie(&http.Cookie{Name: "SERVER", Value: "web1"})
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != 200 {
		t.Errorf("a session that persists gets %s", response.Status)
	}
	// One that fails besides loses its sessions, until it is mended.
	s.remove(t, "work")
	waitLogged(t, proxy, "DOWN while it drains", is(proxy, "web1", "status", "DOWN*", "check_status", "L7STS"))
	s.put(t, "work")
	waitLogged(t, proxy, "DRAIN again", is(proxy, "web1", "status", "DRAIN*", "check_status", "L7OK"))
	hale.end(t)
	waitLogged(t, proxy, "DOWN", is(proxy, "web1", "status", "DOWN", "check_status", "L4CON"))

	// What was set is taken back by the next hale.
	s.put(t, "spare")
	s.start(t, "--config", documentedHale(t, s), "--drain-delay", "0s")
	waitLogged(t, proxy, "the site to be in again", in)
	waitLogged(t, proxy, "traffic", answered(front, "200", "the app"))
}

// TestHAProxyAgentHasItsWay pins what docs/agent-check.md says of HAProxy: lines
// undo what an operator sets, unless the agent is disabled; and of HAProxy's
// default weight half is none. What HAProxy sends to the agent does not matter.
func TestHAProxyAgentHasItsWay(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.start(t, "--config", documentedHale(t, s), "--drain-delay", "0s")
	proxy := servertest.HAProxy(t, documentedProxy(t, s, "weight 100 ", "", "agent-inter", `agent-send "web1\n" agent-inter`))
	in := is(proxy, "web1", "status", "UP", "weight", "1", "agent_status", "L7OK")
	waitLogged(t, proxy, "the site to be in", in)

	order := func(command string) {
		t.Helper()
		if text, err := tell(proxy, command); err != nil || text != "" {
			t.Fatalf("%s: %q, %v", command, text, err)
		}
	}
	for _, state := range []string{"drain", "maint"} {
		order("set server web/web1 state " + state)
		waitLogged(t, proxy, "the agent to undo "+state, in)
	}
	order("disable agent web/web1")
	s.remove(t, "work")
	waitLogged(t, proxy, "hale to fail", answered("http://"+s.public, "503", "fail"))
	// By now no line is under way to HAProxy any more.
	order("set server web/web1 state drain")
	s.put(t, "work")
	waitLogged(t, proxy, "hale to pass", answered("http://"+s.public, "200", "ok"))
	// The health check has seen the failure too; several good answers later what
	// was ordered is still in force.
	waitLogged(t, proxy, "what was ordered", is(proxy, "web1", "status", "DRAIN", "check_status", "L7OK"))
	order("enable agent web/web1")
	waitLogged(t, proxy, "the agent to undo drain", in)

	s.remove(t, "spare")
	waitLogged(t, proxy, "half of 1", is(proxy, "web1", "weight", "0"))
	waitLogged(t, proxy, "no traffic", answered("http://"+proxy.Addr, "503", ""))
}

// TestHAProxyWithoutItsAgent: when HAProxy can't reach the agent, an instance that
// fails is DOWN all the same, and one that is mended is in again.
func TestHAProxyWithoutItsAgent(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.start(t, "--config", documentedHale(t, s), "--drain-delay", "0s")
	nobody := portOf(loopback(servertest.FreePort(t)))
	proxy := servertest.HAProxy(t, documentedProxy(t, s, "agent-port "+portOf(s.agent), "agent-port "+nobody))
	in := is(proxy, "web1", "status", "UP", "check_status", "L7OK", "agent_status", "L4CON")
	s.outAndIn(t, proxy, in, is(proxy, "web1", "status", "DOWN", "check_status", "L7STS", "agent_status", "L4CON"))
	waitLogged(t, proxy, "traffic", answered("http://"+proxy.Addr, "200", "the app"))
}

// TestHAProxyHealthChecks: the real HAProxy's health checks, in each form in
// which it can ask, see hale out and in again on one port.
func TestHAProxyHealthChecks(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	certs := servertest.NewCerts(t, time.Hour, "hale.example")
	pair := filepath.Join(t.TempDir(), "pair.pem")
	if err := os.WriteFile(pair, slices.Concat(certs.CertPEM, certs.KeyPEM), 0o600); err != nil {
		t.Fatal(err)
	}
	// Another hale that looks at the same files, has a certificate that can be
	// verified, wants one too, and takes the PROXY protocol from nobody.
	strict := newSite(t)
	strict.dir = s.dir
	s.start(t, "--proxy-protocol", "127.0.0.0/8")
	strict.start(t, "--config", yaml(t, fmt.Sprintf("tls_cert: %s\ntls_key: %s\ntls_client_ca: %s\n", certs.Cert, certs.Key, certs.CA)))

	config, names := everyCheck(s, strict, certs, pair)
	proxy := servertest.HAProxy(t, config)
	s.outAndIn(t, proxy, are(proxy, names, "status", "UP", "check_status", "L7OK"), are(proxy, names, "status", "DOWN", "check_status", "L7*"))
	waitLogged(t, proxy, "the PROXY protocol of a stranger to be refused", is(proxy, "proxies", "status", "DOWN"))
	waitLogged(t, proxy, "a client without a certificate to be refused", is(proxy, "nocert", "status", "DOWN"))
}

// everyCheck is a configuration of HAProxy in which each of its health checks
// asks in each way it can, and the names of the servers in it. Those that are
// never in, proxies and nocert, are not among the names. The site strict has a
// certificate and wants one.
func everyCheck(s, strict *site, certs *servertest.Certs, pair string) (config string, names []string) {
	verified := " check-ssl verify required ca-file " + certs.CA + " check-sni hale.example verifyhost hale.example"
	config = haproxyHead + "backend web\n"
	for _, check := range []string{
		"option httpchk",
		"option httpchk GET /readyz",
		"option httpchk\n http-check send meth GET uri /readyz ver HTTP/1.1 hdr Host example.org",
		"option httpchk\n http-check send meth HEAD uri /group/ready ver HTTP/1.1 hdr Host example.org\n http-check expect status 200",
		"option httpchk GET /readyz\n http-check expect string ok",
	} {
		config += fmt.Sprintf("backend b%d\n %s\n", len(names), check)
		for _, how := range []struct{ port, options string }{
			{s.public, ""},
			{s.public, " check-ssl verify none"},
			{s.public, " check-ssl verify none check-alpn h2"},
			{s.public, " check-proto h2"},
			{s.public, " check-send-proxy send-proxy"},
			{s.public, " check-send-proxy send-proxy-v2"},
			{s.public, " check-send-proxy send-proxy-v2 check-ssl verify none"},
			{s.public, " check-send-proxy send-proxy check-proto h2"},
			{strict.public, ""},
			{strict.public, verified + " crt " + pair},
		} {
			name := fmt.Sprintf("s%d", len(names))
			names = append(names, name)
			config += fmt.Sprintf(" server %s %s check port %s inter 200ms fall 1 rise 1%s\n", name, s.app, portOf(how.port), how.options)
		}
	}
	// These two are never in.
	config += fmt.Sprintf(`backend never
 option httpchk
 server proxies %s check port %s inter 100ms fall 1 check-send-proxy send-proxy
 server nocert %[1]s check port %[2]s inter 100ms fall 1 %s
`, s.app, portOf(strict.public), verified)
	return config, names
}

// TestHAProxyTellsClients: where HAProxy passes requests on to hale with a PROXY
// protocol header, in each of its forms and with all it can put into one, hale
// answers them.
func TestHAProxyTellsClients(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.start(t, "--proxy-protocol", "127.0.0.1")
	config := haproxyHead + " use_backend %[path,field(2,/)]\n unique-id-format %{+X}o%ci:%cp\nbackend web\n"
	ways := []string{
		"send-proxy", "send-proxy-v2", "send-proxy-v2-ssl", "send-proxy-v2-ssl-cn",
		"send-proxy-v2 proxy-v2-options ssl,cert-cn,ssl-cipher,cert-sig,cert-key,authority,crc32c,unique-id",
		"send-proxy ssl verify none", "send-proxy-v2 ssl verify none alpn h2", "send-proxy-v2 proto h2",
	}
	for i, way := range ways {
		config += fmt.Sprintf("backend way%d\n server s %s %s\n", i, s.public, way)
	}
	proxy := servertest.HAProxy(t, config)
	servertest.Wait(t, "hale", answered("http://"+s.public, "200", "ok"))
	for i, way := range ways {
		if got, want := ask(fmt.Sprintf("http://%s/way%d", proxy.Addr, i)), "200 ok"; got != want {
			t.Errorf("%s: got %q, want %q", way, got, want)
		}
	}
}
