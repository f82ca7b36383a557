// Package admin is the admin listener: what hale tells its operators, as JSON
// at /api/v1/status and for Prometheus at /metrics.
//
// It shows details that the public listener never does, so it listens on
// loopback addresses and unix sockets only.
package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"time"

	"hale/internal/monitor"
	"hale/internal/verdict"
)

// A Source is what the listener tells about; its methods do not block.
type Source interface {
	// Views returns a view of every check, in the order of names.
	Views() []monitor.View
	// Groups returns the names of all groups, sorted.
	Groups() []string
	// Verdict returns a group's verdict; ok is false when there is no such group.
	Verdict(group string) (v verdict.Verdict, ok bool)
	// Draining reports whether the instance is draining.
	Draining() bool
}

// Info is what does not change while hale runs.
type Info struct {
	Version string
	Started time.Time
}

// Listen opens the admin listener at an address: HOST:PORT with a loopback
// host, or unix:PATH. The caller closes it.
func Listen(address string) (net.Listener, error) {
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		return listenUnix(path)
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("the admin address %q is not HOST:PORT, unix:PATH or off", address)
	}
	if !isLoopback(host) {
		return nil, fmt.Errorf("the admin listener shows details and has no authentication, so it can't listen on %q: use 127.0.0.1:%s, a unix socket (unix:/run/hale.sock) or off", address, port)
	}
	l, err := net.Listen("tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("the admin address %s is in use: give another with --admin HOST:PORT, or --admin off", address)
	}
	return l, err
}

// listenUnix listens on a socket that only this user may open. A socket that
// nobody listens on any more is replaced.
func listenUnix(path string) (net.Listener, error) {
	info, err := os.Lstat(path)
	if err == nil && info.Mode().Type() != os.ModeSocket {
		return nil, fmt.Errorf("the admin listener can't be at %s: there is something that is not a socket; remove it or name another path", path)
	}
	if conn, err := net.Dial("unix", path); err == nil {
		_ = conn.Close()
		return nil, fmt.Errorf("the admin socket %s is in use: another hale is running there", path)
	}
	if err == nil {
		_ = os.Remove(path)
	}
	old := syscall.Umask(0o177)
	defer syscall.Umask(old)
	return net.Listen("unix", path)
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

// Serve serves the handler on the listener, which it closes, until ctx ends.
func Serve(ctx context.Context, l net.Listener, handler http.Handler, log *slog.Logger) error {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       60 * time.Second,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if server.Shutdown(grace) != nil {
			_ = server.Close()
		}
	})
	err := server.Serve(l)
	if !stop() {
		<-stopped
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// Handler serves the API and the metrics.
func Handler(source Source, info Info, metrics http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/status", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		_ = encoder.Encode(StatusOf(source, info, time.Now()))
	})
	mux.Handle("GET /metrics", metrics)
	return guardHost(mux)
}

// guardHost refuses requests that reach a loopback address under a foreign
// name: a web page that rebinds its own name to 127.0.0.1 must not read this.
func guardHost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		host = strings.Trim(host, "[]")
		if _, unix := r.Context().Value(http.LocalAddrContextKey).(*net.UnixAddr); !unix && host != "" && !isLoopback(host) {
			http.Error(w, "hale's admin listener is asked by its address or as localhost only", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}
