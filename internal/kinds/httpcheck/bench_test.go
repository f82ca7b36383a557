package httpcheck_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"hale/internal/check"
	"hale/internal/kinds/httpcheck"
	"hale/internal/servertest"
)

// cpu returns the CPU time that this process has used, in user and system mode.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func benchmark(b *testing.B, url string, options ...check.Option) {
	registry, err := check.NewRegistry(check.Env{}, httpcheck.Kind(), httpcheck.KindTLS())
	if err != nil {
		b.Fatal(err)
	}
	c, err := registry.Build(check.Spec{URL: url, Options: options, Policy: check.DefaultPolicy()})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	before := cpu(b)
	for b.Loop() {
		if r := c.Run(context.Background(), nil); r.Err != nil {
			b.Fatal(r.Err)
		}
	}
	b.ReportMetric(float64(cpu(b)-before)/float64(b.N), "cpu-ns/op")
}

// BenchmarkHTTP is a whole run against nginx in a process of its own, a new
// connection each, but for keepalive.
func BenchmarkHTTP(b *testing.B) {
	server := servertest.Nginx(b, "location / { return 200 ok; }")
	b.Run("direct", func(b *testing.B) { benchmark(b, "http://"+server.Addr+"/") })
	b.Run("body", func(b *testing.B) { benchmark(b, "http://"+server.Addr+"/#body=ok") })
	b.Run("keepalive", func(b *testing.B) { benchmark(b, "http://"+server.Addr+"/#keepalive") })
	b.Run("transport", func(b *testing.B) { benchmarkTransport(b, "http://"+server.Addr+"/", nil) })
}

// BenchmarkHTTPS is BenchmarkHTTP with TLS.
func BenchmarkHTTPS(b *testing.B) {
	url, _ := secureNginx(b, servertest.NewCerts(b, time.Hour, "127.0.0.1"), "")
	b.Run("direct", func(b *testing.B) { benchmark(b, url+"/#insecure&version=1.1") })
	b.Run("http2", func(b *testing.B) { benchmark(b, url+"/#insecure") })
	b.Run("keepalive", func(b *testing.B) { benchmark(b, url+"/#insecure&version=1.1&keepalive") })
	b.Run("keepalive http2", func(b *testing.B) { benchmark(b, url+"/#insecure&keepalive") })
	b.Run("transport", func(b *testing.B) { benchmarkTransport(b, url, &tls.Config{InsecureSkipVerify: true}) })
}

// benchmarkTransport is what a request through net/http's client costs.
func benchmarkTransport(b *testing.B, url string, config *tls.Config) {
	dialer := net.Dialer{KeepAlive: -1}
	t := &http.Transport{DisableKeepAlives: true, DisableCompression: true, DialContext: dialer.DialContext, TLSClientConfig: config}
	b.ReportAllocs()
	before := cpu(b)
	for b.Loop() {
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			b.Fatal(err)
		}
		answer, err := t.RoundTrip(r)
		if err != nil {
			b.Fatal(err)
		}
		_ = answer.Body.Close()
		cancel()
	}
	b.ReportMetric(float64(cpu(b)-before)/float64(b.N), "cpu-ns/op")
}

// BenchmarkMemory is the memory that idle checks hold, each of which has run
// once, and that checks hold while they hang waiting for an answer.
func BenchmarkMemory(b *testing.B) {
	server := servertest.Nginx(b, "location / { return 200 ok; }")
	registry, err := check.NewRegistry(check.Env{}, httpcheck.Kind(), httpcheck.KindTLS())
	if err != nil {
		b.Fatal(err)
	}
	b.Run("idle", func(b *testing.B) {
		for b.Loop() {
			const n = 20_000
			before := inUse()
			checks := make([]*check.Check, n)
			for i := range checks {
				checks[i], err = registry.Build(check.Spec{URL: fmt.Sprintf("http://%s/%d", server.Addr, i), Policy: check.DefaultPolicy()})
				if err != nil {
					b.Fatal(err)
				}
			}
			for _, c := range checks[:1000] {
				if r := c.Run(context.Background(), nil); r.Err != nil {
					b.Fatal(r.Err)
				}
			}
			b.ReportMetric(float64(inUse()-before)/n, "bytes/check")
			runtime.KeepAlive(checks)
		}
	})
	b.Run("hanging", func(b *testing.B) {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		defer listener.Close()
		for b.Loop() {
			const n = 1000
			c, err := registry.Build(check.Spec{URL: "http://" + listener.Addr().String(), Policy: check.DefaultPolicy()})
			if err != nil {
				b.Fatal(err)
			}
			before := inUse()
			ctx, cancel := context.WithCancel(context.Background())
			var runs sync.WaitGroup
			for range n {
				runs.Go(func() { c.Checker.Check(ctx) })
			}
			var conns []net.Conn
			for range n {
				conn, err := listener.Accept()
				if err != nil {
					b.Fatal(err)
				}
				_, _ = conn.Read(make([]byte, 1<<10)) // the request was sent
				conns = append(conns, conn)
			}
			b.ReportMetric(float64(inUse()-before)/n, "bytes/check")
			cancel()
			runs.Wait()
			for _, conn := range conns {
				_ = conn.Close()
			}
		}
	})
}

// inUse returns the bytes of heap and stacks in use.
func inUse() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}
