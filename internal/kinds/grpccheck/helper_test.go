package grpccheck_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"hale/internal/check"
	"hale/internal/kinds/grpccheck"
	"hale/internal/kinds/kindtest"
	"hale/internal/servertest"
)

var kinds = kindtest.Kinds{grpccheck.Kind(), grpccheck.KindTLS()}

var (
	run           = kinds.Run
	build         = kinds.Build
	value         = kindtest.Option
	expectFailure = kindtest.ExpectFailure
)

func expectServing(t *testing.T, result check.Result) {
	t.Helper()
	if result.Err != nil || result.Note != "SERVING" {
		t.Errorf("got note %q and error %v, want SERVING", result.Note, result.Err)
	}
}

// serveGRPC serves the health service, unless it is nil, with the gRPC library
// until the test ends and returns its address.
func serveGRPC(t *testing.T, service healthpb.HealthServer, options ...grpc.ServerOption) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serveOn(t, listener, service, options...)
	return listener.Addr().String()
}

func serveOn(t *testing.T, listener net.Listener, service healthpb.HealthServer, options ...grpc.ServerOption) {
	t.Helper()
	server := grpc.NewServer(options...)
	if service != nil {
		healthpb.RegisterHealthServer(server, service)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener)
	}()
	t.Cleanup(func() {
		server.Stop()
		<-done
	})
}

// shop is a server's health: that of the server itself and of four services.
func shop() *health.Server {
	s := health.NewServer()
	s.SetServingStatus("shop.Cart", healthpb.HealthCheckResponse_SERVING)
	s.SetServingStatus("shop.Pay", healthpb.HealthCheckResponse_NOT_SERVING)
	s.SetServingStatus("shop.Mail", healthpb.HealthCheckResponse_UNKNOWN)
	s.SetServingStatus("shop.Old", healthpb.HealthCheckResponse_SERVICE_UNKNOWN)
	return s
}

// healthFunc is a health service made of one function.
type healthFunc func(context.Context, *healthpb.HealthCheckRequest) (*healthpb.HealthCheckResponse, error)

func (f healthFunc) Check(ctx context.Context, r *healthpb.HealthCheckRequest) (*healthpb.HealthCheckResponse, error) {
	return f(ctx, r)
}

func (healthFunc) List(context.Context, *healthpb.HealthListRequest) (*healthpb.HealthListResponse, error) {
	return nil, nil
}

func (healthFunc) Watch(*healthpb.HealthCheckRequest, healthpb.Health_WatchServer) error { return nil }

// withTLS makes a server speak TLS, and demand a client certificate of the same
// authority if it is to.
func withTLS(t *testing.T, certs *servertest.Certs, mutual bool) grpc.ServerOption {
	t.Helper()
	return grpc.Creds(credentials.NewTLS(serverTLS(t, certs, mutual)))
}

func serverTLS(t *testing.T, certs *servertest.Certs, mutual bool) *tls.Config {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(certs.Cert, certs.Key)
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{pair}}
	if mutual {
		pem, err := os.ReadFile(certs.CA)
		if err != nil {
			t.Fatal(err)
		}
		config.ClientCAs = x509.NewCertPool()
		config.ClientCAs.AppendCertsFromPEM(pem)
		config.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return config
}

// serveHTTP2 serves a handler over HTTP/2 without TLS until the test ends and
// returns its address.
func serveHTTP2(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}
