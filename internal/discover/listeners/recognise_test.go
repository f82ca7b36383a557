package listeners

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"hale/internal/check"
	"hale/internal/discover"
	"hale/internal/servertest"
)

// recognised says hello to a listener. A second is long for a server on this
// host, but not when that is busy: what is not known is asked again.
func recognised(t *testing.T, l listener) found {
	t.Helper()
	var f found
	for range 5 {
		var err error
		f, err = recogniser{discover.Env{Registry: registry(t), Policy: check.DefaultPolicy()}}.recognise(t.Context(), l)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(f.why, "not known") {
			break
		}
	}
	return f
}

// hello recognises what listens on a port, owned by the process of that name.
// Its check must be healthy.
func hello(t *testing.T, port int, process string) *check.Check {
	t.Helper()
	f := recognised(t, listener{place: place{port: port}, owner: called(process)})
	if result := f.check.Run(t.Context(), nil); !result.Healthy() {
		t.Errorf("the check of %s fails: %v", f.check, result.Text())
	}
	return f.check
}

func called(name string) process { return process{name: name} }

// want checks the kind and the options that are not empty.
func want(t *testing.T, c *check.Check, kind string, settings ...string) {
	t.Helper()
	if c.Kind != kind {
		t.Errorf("got %s, want %s", c, kind)
	}
	for i := 0; i < len(settings); i += 2 {
		if got := setting(c, settings[i]); got != settings[i+1] {
			t.Errorf("%s: %s is %q, want %q", c, settings[i], got, settings[i+1])
		}
	}
}

func setting(c *check.Check, name string) string {
	for _, s := range c.Options {
		if s.Name == name {
			return s.Value
		}
	}
	return ""
}

// By the process' name.
func TestRecogniseByProcess(t *testing.T) {
	t.Run("redis", func(t *testing.T) {
		s := servertest.Redis(t)
		want(t, hello(t, s.Port, "redis-server"), "redis")
		if strings.Contains(s.Log(), "ATTACK") {
			t.Errorf("Redis took it for an attack: %s", s.Log())
		}
	})
	t.Run("redis that wants a password", func(t *testing.T) {
		s := servertest.Redis(t, "requirepass hunter22")
		for _, process := range []string{"redis-server", ""} {
			want(t, hello(t, s.Port, process), "tcp", "send", `PING\r\n`)
		}
	})
	t.Run("postgres", func(t *testing.T) {
		want(t, hello(t, servertest.Postgres(t).Port, "postgres"), "postgres")
	})
	t.Run("memcached", func(t *testing.T) {
		want(t, hello(t, servertest.Memcached(t).Port, "memcached"), "memcached")
	})
	t.Run("a process of another name", func(t *testing.T) {
		want(t, hello(t, servertest.Nginx(t, "return 200;").Port, "postgres"), "http")
	})
}

// By what they say, whoever they are.
func TestRecogniseByAnswer(t *testing.T) {
	t.Run("redis", func(t *testing.T) {
		s := servertest.Redis(t)
		want(t, hello(t, s.Port, ""), "redis")
		if strings.Contains(s.Log(), "ATTACK") {
			t.Errorf("Redis took it for an attack: %s", s.Log())
		}
	})
	t.Run("mariadb", func(t *testing.T) { want(t, hello(t, servertest.MariaDB(t).Port, ""), "mysql") })
	t.Run("nats", func(t *testing.T) { want(t, hello(t, servertest.NATS(t).Port, ""), "nats") })
	t.Run("smtp", func(t *testing.T) { want(t, hello(t, servertest.SMTP(t).Port, ""), "smtp") })
	t.Run("rabbitmq", func(t *testing.T) {
		c := hello(t, servertest.RabbitMQ(t, "default_user = guest", "default_pass = guest").Port, "beam.smp")
		want(t, c, "amqp")
		if c.Policy.Interval != 15*time.Second {
			t.Errorf("interval %v", c.Policy.Interval)
		}
	})
	t.Run("nats that wants a login", func(t *testing.T) {
		s := servertest.NATS(t, `authorization { user: "a", password: "b" }`)
		f := recognised(t, listener{place: place{port: s.Port}})
		if f.check.Kind != "tcp" || !strings.Contains(f.why, "with one, use nats://") {
			t.Errorf("got %v, %s", f.check, f.why)
		}
	})
	t.Run("grpc", func(t *testing.T) {
		listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", fmt.Sprint(servertest.FreePort(t))))
		if err != nil {
			t.Fatal(err)
		}
		server := grpc.NewServer()
		healthpb.RegisterHealthServer(server, health.NewServer())
		go func() { _ = server.Serve(listener) }()
		t.Cleanup(server.Stop)
		want(t, hello(t, listener.Addr().(*net.TCPAddr).Port, "app"), "grpc")
	})
	t.Run("zookeeper", func(t *testing.T) {
		s := servertest.ZooKeeper(t)
		r := recogniser{discover.Env{Registry: registry(t), Policy: check.DefaultPolicy()}}
		// A Java program that has just started may take longer than a hello has.
		servertest.Wait(t, "ZooKeeper to be recognised", func() error {
			f, ok := r.first(t.Context(), listener{place: place{port: s.Port}}, []candidate{{scheme: portHint(2181)}})
			if !ok || f.check.Kind != "zookeeper" {
				return fmt.Errorf("got %v", f.check)
			}
			return nil
		})
	})
	for name, body := range map[string]string{
		"ok": "return 200;", "nothing there": "return 404;", "login": "return 401;", "elsewhere": "return 302 https://x.example/;",
	} {
		t.Run("http, "+name, func(t *testing.T) {
			want(t, hello(t, servertest.Nginx(t, body).Port, ""), "http", "status", "200-499")
		})
	}
	t.Run("http that does not serve", func(t *testing.T) {
		s := servertest.Nginx(t, "return 503;")
		f := recognised(t, listener{place: place{port: s.Port}})
		if f.check.Kind != "http" || !strings.Contains(f.why, "does not serve now") || !strings.Contains(f.why, "503") {
			t.Errorf("got %v, %q", f.check, f.why)
		}
	})
}

func TestRecogniseTLS(t *testing.T) {
	certs := servertest.NewCerts(t, time.Hour, "app.example")
	t.Run("https", func(t *testing.T) {
		s := servertest.Nginx(t, fmt.Sprintf("listen 127.0.0.2:$PORT ssl; ssl_certificate %s; ssl_certificate_key %s; return 200;", certs.Cert, certs.Key))
		f := recognised(t, listener{place: place{netip.MustParseAddr("127.0.0.2"), s.Port}})
		want(t, f.check, "https", "insecure", "true", "status", "200-499")
		if !strings.Contains(f.why, "not verified") {
			t.Errorf("why: %s", f.why)
		}
	})
	t.Run("tls", func(t *testing.T) {
		s := servertest.RedisTLS(t, certs)
		l := listener{place: place{port: s.Port}}
		want(t, recognised(t, l).check, "tls", "insecure", "true")
		if chain := handshake(t.Context(), l); len(chain) == 0 || chain[0].DNSNames[0] != "app.example" {
			t.Errorf("got %v", chain)
		}
	})
}

// server answers each connection as told, and counts them.
type server struct {
	port               int
	open, most, served atomic.Int32
	got                atomic.Value
}

func serve(t *testing.T, talk func(conn net.Conn)) *server {
	t.Helper()
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", fmt.Sprint(servertest.FreePort(t))))
	if err != nil {
		t.Fatal(err)
	}
	s := &server{port: listener.Addr().(*net.TCPAddr).Port}
	s.got.Store("")
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			s.served.Add(1)
			// That the one before was closed is noticed a moment later.
			for end := time.Now().Add(2 * time.Second); s.open.Load() > 0 && time.Now().Before(end); {
				time.Sleep(time.Millisecond)
			}
			if n := s.open.Add(1); n > s.most.Load() {
				s.most.Store(n)
			}
			go func() {
				talk(conn)
				got := make([]byte, 4096)
				_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
				n, _ := conn.Read(got)
				s.got.Store(s.got.Load().(string) + string(got[:n]))
				s.open.Add(-1)
				_ = conn.Close()
			}()
		}
	}()
	return s
}

// What is not known is a tcp check, and was asked as little as said.
func TestWhatIsNotKnown(t *testing.T) {
	for name, test := range map[string]struct {
		process string
		talk    func(net.Conn)
		sent    string
		kind    string
	}{
		"silent":         {"app", func(net.Conn) {}, "GET / HTTP/1.0\r\n\r\n", "tcp"},
		"greets":         {"app", func(c net.Conn) { fmt.Fprint(c, "RFB 003.008\n") }, "", "tcp"},
		"greets as FTP":  {"app", func(c net.Conn) { fmt.Fprint(c, "220 files\r\n") }, "", "tcp"},
		"left alone":     {"nc", func(net.Conn) {}, "", "tcp"},
		"SSH":            {"app", func(c net.Conn) { fmt.Fprint(c, "SSH-2.0-OpenSSH_9.2\r\n") }, "", "tcp"},
		"endless":        {"app", func(c net.Conn) { endless(c) }, "", "tcp"},
		"closes at once": {"app", func(c net.Conn) { _ = c.Close() }, "", "tcp"},
		"not like Redis": {"redis-server", func(net.Conn) {}, "GET / HTTP/1.0\r\n\r\n", "tcp"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, test.talk)
			l := listener{place: place{port: s.port}, owner: called(test.process)}
			began := time.Now()
			f, err := recogniser{discover.Env{Registry: registry(t), Policy: check.DefaultPolicy()}}.recognise(t.Context(), l)
			if err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); took > 20*time.Second {
				t.Errorf("it took %v", took)
			}
			want(t, f.check, test.kind)
			servertest.Wait(t, "its connections to be closed", func() error {
				if n := s.open.Load(); n > 0 {
					return fmt.Errorf("%d are open", n)
				}
				return nil
			})
			if got := s.got.Load().(string); !strings.Contains(got, test.sent) || test.sent == "" && got != "" {
				t.Errorf("it was sent %q", got)
			}
			if s.most.Load() > 1 {
				t.Errorf("%d connections at once", s.most.Load())
			}
			if name == "left alone" && s.served.Load() > 0 {
				t.Error("it was connected to")
			}
			if name == "SSH" {
				want(t, f.check, "tcp", "expect", "SSH-")
				if f.check.Impact != check.ImpactWarn || f.check.Policy.Interval != time.Minute {
					t.Errorf("impact %s, interval %v", f.check.Impact, f.check.Policy.Interval)
				}
			}
		})
	}
}

func endless(c net.Conn) {
	for {
		if _, err := c.Write(make([]byte, 64<<10)); err != nil {
			return
		}
	}
}

// A hello ends with its context.
func TestHelloEnds(t *testing.T) {
	s := serve(t, func(net.Conn) {})
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	began := time.Now()
	for range 100 {
		_, _ = recogniser{discover.Env{Registry: registry(t), Policy: check.DefaultPolicy()}}.recognise(ctx, listener{place: place{port: s.port}})
	}
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("it took %v", took)
	}
}

// A host with Redis, nginx and PostgreSQL, as the kernel tells of it.
func TestAHost(t *testing.T) {
	redis, nginx, postgres := servertest.Redis(t), servertest.Nginx(t, "return 200;"), servertest.Postgres(t)
	p := newProc(t)
	mirror(p, redis.Port, nginx.Port, postgres.Port)
	kinds := map[string]bool{}
	servertest.Wait(t, "all three to be recognised", func() error {
		s, _ := p.source(discover.Env{})
		s.look(t.Context())
		clear(kinds)
		for _, c := range s.checks {
			kinds[strings.TrimRight(c.Name, "0123456789")+" "+c.Kind] = true
			if result := c.Run(t.Context(), nil); !result.Healthy() {
				return fmt.Errorf("%s: %s", c, result.Text())
			}
		}
		if len(kinds) != 4 || !kinds["redis-server- redis"] || !kinds["nginx- http"] || !kinds["postgres- postgres"] {
			return errors.New(fmt.Sprint(kinds))
		}
		return nil
	})
}

// mirror lets a proc show the real sockets of some ports and the real processes,
// so that nothing else on this host is said hello to. To it, hale is young.
func mirror(p proc, ports ...int) {
	p.t.Helper()
	sockets, err := readSockets("/proc")
	if err != nil {
		p.t.Fatal(err)
	}
	var shown []string
	for _, k := range sockets {
		for _, port := range ports {
			if k.port == port && k.addr.Is4() {
				shown = append(shown, fmt.Sprintf("%s:%d=%d", k.addr, k.port, k.inode))
			}
		}
	}
	p.listen(shown...)
	for _, pid := range pids("/proc") {
		_ = os.Symlink(fmt.Sprintf("/proc/%d", pid), filepath.Join(p.root, fmt.Sprint(pid)))
	}
	p.process(halePID, "hale", 1<<60)
}
