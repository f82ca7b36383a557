package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	_ "google.golang.org/grpc/health" // balancers watch the health of what they balance to
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"hale/internal/servertest"
)

// TestGRPC: grpc-go's round-robin balancer, which watches the health service,
// takes hale's site out and in again, with and without TLS; and its health
// client gets the answers that kubelets, Envoy and ALB would.
func TestGRPC(t *testing.T) {
	t.Parallel()
	certs := servertest.NewCerts(t, time.Hour, "hale.example")
	verified, err := credentials.NewClientTLSFromFile(certs.CA, "hale.example")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, config string
		credentials  credentials.TransportCredentials
	}{
		{"plain", "{}", insecure.NewCredentials()},
		{"self-signed", "{}", credentials.NewTLS(&tls.Config{InsecureSkipVerify: true})},
		{"verified", fmt.Sprintf("tls_cert: %s\ntls_key: %s\n", certs.Cert, certs.Key), verified},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.start(t, "--config", yaml(t, tt.config))
			conn, err := grpc.NewClient("passthrough:///"+s.public, grpc.WithTransportCredentials(tt.credentials),
				grpc.WithDefaultServiceConfig(`{"loadBalancingConfig":[{"round_robin":{}}],"healthCheckConfig":{"serviceName":"ready"}}`))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			asker, err := grpc.NewClient("passthrough:///"+s.public, grpc.WithTransportCredentials(tt.credentials))
			if err != nil {
				t.Fatal(err)
			}
			defer asker.Close()
			state := func(state connectivity.State, answer string) func() error {
				return func() error {
					conn.Connect()
					if got := conn.GetState(); got != state {
						return fmt.Errorf("the balancer has it as %v, want %v", got, state)
					}
					if got := checkAll(t.Context(), asker); got != answer {
						return fmt.Errorf("checks get %s, want %s", got, answer)
					}
					return nil
				}
			}
			in := state(connectivity.Ready, "SERVING SERVING SERVING NotFound Unimplemented")
			out := state(connectivity.TransientFailure, "NOT_SERVING NOT_SERVING SERVING NotFound Unavailable")
			servertest.Wait(t, "the site to be in", in)
			s.remove(t, "work")
			servertest.Wait(t, "the site to be out", out)
			s.put(t, "work")
			servertest.Wait(t, "the site to be in again", in)
		})
	}
}

// checkAll asks for "", ready, live and a group that is not there, and as ALB
// does.
func checkAll(ctx context.Context, conn *grpc.ClientConn) string {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	answers := ""
	for _, service := range []string{"", "ready", "live", "nope"} {
		response, err := grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: service})
		if err != nil {
			answers += status.Code(err).String() + " "
			continue
		}
		answers += response.Status.String() + " "
	}
	err := conn.Invoke(ctx, "/AWS.ALB/healthcheck", &grpc_health_v1.HealthCheckRequest{}, &grpc_health_v1.HealthCheckResponse{})
	if err == nil {
		return answers + codes.OK.String()
	}
	return answers + status.Code(err).String()
}

// TestGRPCThroughNginx: nginx speaks HTTP/2 to gRPC servers, without TLS from the
// first byte on, or with it.
func TestGRPCThroughNginx(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.start(t)
	for _, scheme := range []string{"grpc", "grpcs"} {
		t.Run(scheme, func(t *testing.T) {
			nginx := servertest.NginxHTTP(t, fmt.Sprintf("server {\nlisten 127.0.0.1:$PORT http2;\nlocation / { grpc_pass %s://%s; }\n}", scheme, s.public))
			conn, err := grpc.NewClient("passthrough:///"+nginx.Addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			state := func(answer string) func() error {
				return func() error {
					if got := checkAll(t.Context(), conn); got != answer {
						return fmt.Errorf("checks get %s, want %s", got, answer)
					}
					return nil
				}
			}
			s.outAndIn(t, nginx, state("SERVING SERVING SERVING NotFound Unimplemented"), state("NOT_SERVING NOT_SERVING SERVING NotFound Unavailable"))
		})
	}
}
