package explain_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"hale/internal/balancer"
	"hale/internal/servertest"
)

// TestTheFixDoesNotRepeatTheFault: what was sent as Host, and refused, is not
// what the balancer is told to send.
func TestTheFixDoesNotRepeatTheFault(t *testing.T) {
	t.Parallel()
	certs := servertest.NewCerts(t, time.Hour, "shop.example")
	secure := secured(t, certs, "")
	guard := goServer(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte("DisallowedHost at /"))
	}, nil)
	for _, c := range []struct{ as, url, site, want string }{
		{"cloudflare", secure.url, "", "domain to shop.example"},
		{"app-gateway", secure.url, "", "host name to shop.example"},
		{"front-door", secure.url, "", "origin's host name to shop.example"},
		{"traefik", secure.url, "", "serverName: shop.example"},
		{"caddy", secure.url, "", "tls_server_name shop.example"},
		{"consul", secure.url, "", `"tls_server_name": "shop.example"`},
		{"consul", secure.url, "another.example", `"tls_server_name": "shop.example"`},
		{"envoy", "http://" + guard + "/", "", "host: SITE-NAME"},
		{"envoy", "http://" + guard + "/", "shop.example", "host: shop.example"},
		{"consul", "http://" + guard + "/", "", `"Host": ["SITE-NAME"]`},
		{"envoy", "http://" + guard + "/", "wrong.example", ""}, // it is what was sent
	} {
		where := place{url: c.url, options: secure.options}
		where.options.Host, where.options.Site = "wrong.example", c.site
		r := play(t, c.as, where)
		if r.OK {
			t.Errorf("as %s: it is satisfied", c.as)
			continue
		}
		f := r.Findings[0]
		text := strings.Join(f.Fix, "\n") + "\n" + f.Config
		for _, fault := range []string{"host: wrong", "hostname: wrong", "to wrong", `"Host": ["wrong`, "server_name wrong", "serverName: wrong"} {
			if strings.Contains(text, fault) {
				t.Errorf("as %s: it repeats the fault, %s:\n%s", c.as, fault, text)
			}
		}
		if !strings.Contains(text, c.want) {
			t.Errorf("as %s: it lacks %q:\n%s", c.as, c.want, text)
		}
	}
	if r := play(t, "haproxy", place{url: "http://" + guard + "/"}); !strings.Contains(story(r), "hdr Host SITE-NAME") {
		t.Errorf("HAProxy, that sends no Host, may send one:\n%s", story(r))
	}
}

// TestTheRealBalancersTakeTheFix: what HAProxy and Caddy are told has them call
// the server up.
func TestTheRealBalancersTakeTheFix(t *testing.T) {
	t.Parallel()
	certs := servertest.NewCerts(t, time.Hour, "shop.example")
	pair := "ssl_certificate " + certs.Cert + "; ssl_certificate_key " + certs.Key + ";"
	two := goServer(t, hello, func(s *http.Server) {
		s.Protocols = new(http.Protocols)
		s.Protocols.SetUnencryptedHTTP2(true)
	})
	newer := servertest.NginxHTTP(t, `server { listen 127.0.0.1:$PORT; if ($server_protocol = HTTP/1.0) { return 426; } return 200; }`)
	t.Run("HAProxy", func(t *testing.T) {
		t.Parallel()
		for name, url := range map[string]string{"h2c": "http://" + two + "/", "old": "http://" + newer.Addr + "/"} {
			before := play(t, "haproxy", place{url: url})
			if before.Cause() != balancer.CauseHTTP2 {
				t.Fatal(story(before))
			}
			config := before.Findings[0].Config
			if !strings.Contains(config, "server web1 ") {
				config += "\nserver web1 " + strings.Trim(strings.TrimPrefix(url, "http://"), "/") + " check"
			}
			config = strings.ReplaceAll(config, "server web1", "server one") + " inter 300ms fall 1 rise 1"
			haproxy := servertest.HAProxy(t, haproxyDefaults+"global\n stats socket $DIR/stats mode 600 level user\nfrontend f\n bind 127.0.0.1:$PORT\nbackend b\n"+config+"\n")
			servertest.Wait(t, "HAProxy's judgement of "+name, func() error {
				if status, check := judged(t, haproxy, "b"); status != "UP" || !strings.HasPrefix(check, "L7OK") {
					return fmt.Errorf("status %s, check %q, with\n%s", status, check, config)
				}
				return nil
			})
		}
	})
	t.Run("Caddy", func(t *testing.T) {
		t.Parallel()
		named := servertest.NginxHTTP(t, `server { listen 127.0.0.1:$PORT ssl; `+pair+` return 200; }`)
		for _, c := range []struct {
			url, upstream, transport string
			want                     balancer.CauseID
		}{
			{"http://" + two + "/", "http://" + two, "", balancer.CauseHTTP2},
			{"https://" + named.Addr + "/", "https://" + named.Addr, "tls_trusted_ca_certs " + certs.CA, balancer.CauseWrongName},
		} {
			where := place{url: c.url}
			where.options.Roots = roots(t, certs)
			before := play(t, "caddy", where)
			if before.Cause() != c.want {
				t.Fatal(story(before))
			}
			config := strings.Replace(before.Findings[0].Config, "transport http {", "transport http {\n"+c.transport, 1)
			caddy := servertest.Caddy(t, "http://:$PORT {\nreverse_proxy "+c.upstream+" {\nhealth_uri /\nhealth_interval 200ms\n"+config+"\n}\n}")
			servertest.Wait(t, "Caddy's judgement", func() error {
				if got := status(t, caddy.Addr); got != http.StatusOK {
					return fmt.Errorf("%d, with\n%s", got, config)
				}
				return nil
			})
			if log := caddy.Log(); strings.Contains(log, "HTTP request failed") || strings.Contains(log, "unhealthy") {
				t.Errorf("Caddy's health checks fail, with\n%s\n%s", config, log)
			}
		}
	})
}

// TestVersionsAreEachBalancersOwn: of the versions of HTTP, each is told what it
// can be told. Target groups are those of AWS.
func TestVersionsAreEachBalancersOwn(t *testing.T) {
	t.Parallel()
	newer := "http://" + servertest.NginxHTTP(t, "server { listen 127.0.0.1:$PORT http2; return 200; }").Addr + "/"
	older := "grpc://" + servertest.Nginx(t, "return 200;").Addr
	const only = "over HTTP/1 only: serve HTTP/1.1"
	for _, c := range []struct {
		url   string
		wants map[string]string
	}{
		{newer, map[string]string{
			"alb": "--protocol-version GRPC", "nlb": only, "elb": only, "azure-lb": "TCP alone", "app-gateway": only, "front-door": only,
			"cloudflare": only, "route53": only, "hetzner": only, "gcp": "create grpc NAME", "haproxy": "check-proto h2",
			"kubelet": "grpc: {port:", "consul": `"h2ping":`, "traefik": "h2c://", "caddy": "versions h2c 2", "envoy": "codec_client_type: HTTP2",
			"nginx-plus": "health_check type=grpc",
		}},
		{older, map[string]string{
			"alb": "--protocol-version HTTP1", "gcp": "create http NAME", "kubelet": "httpGet:", "consul": `"http": "http://`,
			"traefik": "mode: http", "envoy": "http_health_check", "nginx-plus": "proxy_pass http://",
		}},
	} {
		for _, b := range balancer.Explained() {
			want, ok := c.wants[b.Name]
			_, grpc := b.Probe(balancer.GRPC)
			if !ok && (c.url == newer && b.Name != "f5" || grpc) { // over HTTP/0.9 frames are a body
				t.Errorf("%s: what is %s to be told?", c.url, b.Name)
			}
			if !ok {
				continue
			}
			r := play(t, b.Name, place{url: c.url})
			if r.Cause() != balancer.CauseHTTP2 {
				t.Errorf("as %s: the cause is %q\n%s", b.Name, r.Cause(), story(r))
				continue
			}
			f := r.Findings[0]
			text := strings.Join(f.Fix, "\n") + "\n" + f.Config
			if !strings.Contains(text, want) {
				t.Errorf("as %s: it lacks %q:\n%s", b.Name, want, text)
			}
			if c.url == older && !strings.Contains(text, "the port that speaks gRPC") || c.url == older && strings.Contains(text, only) {
				t.Errorf("as %s: the port speaks HTTP/1.1 as it is:\n%s", b.Name, text)
			}
			if b.Name != "alb" && strings.Contains(strings.ToLower(text), "target group") {
				t.Errorf("as %s: it has no target groups:\n%s", b.Name, text)
			}
		}
	}
}

// TestASPNetIsToldWhatItHeeds: its host filter comes before all that an
// application's own Program.cs says.
func TestASPNetIsToldWhatItHeeds(t *testing.T) {
	t.Parallel()
	addr := goServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Host != "shop.example" {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte("<BODY><h2>Bad Request - Invalid Hostname</h2></BODY>"))
		}
	}, nil)
	for _, as := range []string{"alb", "kubelet"} {
		where := place{url: "http://" + addr + "/health"}
		where.options.Site = "shop.example"
		r := play(t, as, where)
		text := story(r)
		if r.Cause() != balancer.CauseASPNetHosts || !strings.Contains(text, `"AllowedHosts": "shop.example;127.0.0.1"`) || strings.Contains(text, "MapWhen") {
			t.Errorf("as %s:\n%s", as, text)
		}
		sends := slices.ContainsFunc(r.Findings[0].Fix, func(s string) bool { return strings.Contains(s, "send the site's Host") })
		if sends != (as == "kubelet") {
			t.Errorf("as %s: another Host is offered: %v\n%s", as, sends, text)
		}
	}
}
