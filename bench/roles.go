package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

// The peers that Debian does not package. bench starts itself to be them.

// startRole starts bench in a role that listens, and waits until it does.
func (b *bench) startRole(ctx context.Context, role string) (p *process, port int, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, 0, err
	}
	if port, err = b.ports.free(); err != nil {
		return nil, 0, err
	}
	p, err = b.start(role, self, "-role", role, "-role-addr", local(port))
	if err != nil {
		return nil, 0, err
	}
	if err := accepting(ctx, p, port); err != nil {
		p.stop()
		return nil, 0, err
	}
	return p, port, nil
}

func runRole(ctx context.Context, role, addr string, out io.Writer) error {
	switch role {
	case "nethttp":
		return serveNetHTTP(ctx, addr)
	case "silent":
		return serveSilence(ctx, addr)
	case "client":
		return runClient(ctx, addr, out)
	}
	return fmt.Errorf("there is no role %q", role)
}

// serveNetHTTP is the least that answers 200 with Go's own server.
func serveNetHTTP(ctx context.Context, addr string) error {
	server := &http.Server{Addr: addr, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "ok\n")
	})}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	return server.ListenAndServe()
}

// serveSilence accepts connections, reads what comes and never says a word.
func serveSilence(ctx context.Context, addr string) error {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = listener.Close() })()
	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer conn.Close()
			_, _ = io.Copy(io.Discard, conn)
		}()
	}
}

// clientRate is how many requests a second the bare client starts: as many as
// 2,000 checks every 10 s.
const clientRate = 200

// runClient is the least that makes HTTP checks with Go's own client, a new
// connection each. The addr is DURATION,ADDRESS…; for the duration, three times,
// it writes how many requests it has made and what CPU seconds they took.
func runClient(ctx context.Context, addr string, out io.Writer) error {
	fields := strings.Split(addr, ",")
	window, err := time.ParseDuration(fields[0])
	if err != nil {
		return err
	}
	client := &http.Client{Timeout: 3 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	var done, failed atomic.Uint64
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		ticker := time.NewTicker(time.Second / clientRate)
		defer ticker.Stop()
		for i := 0; ctx.Err() == nil; i++ {
			<-ticker.C
			go func() {
				url := fmt.Sprintf("http://%s/%05d", fields[1+i%(len(fields)-1)], i%2000)
				if err := get(ctx, client, url, func(r io.Reader) error { return nil }); err != nil {
					failed.Add(1)
				}
				done.Add(1)
			}()
		}
	}()
	if err := sleep(ctx, window/2); err != nil { // to warm up
		return err
	}
	for range 3 {
		before, cpu := done.Load(), cpuTime(os.Getpid())
		if err := sleep(ctx, window); err != nil {
			return err
		}
		fmt.Fprintln(out, done.Load()-before, (cpuTime(os.Getpid()) - cpu).Seconds())
	}
	if n := failed.Load(); n > 0 {
		return fmt.Errorf("%d requests failed", n)
	}
	return nil
}
