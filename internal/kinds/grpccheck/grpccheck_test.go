package grpccheck_test

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"hale/internal/check"
	"hale/internal/kinds/grpccheck"
	"hale/internal/kinds/kindtest"
	"hale/internal/servertest"
)

func TestContract(t *testing.T) {
	for name, n := range map[string]kindtest.Network{
		"grpc":  {Kind: grpccheck.Kind(), URL: func(a string) string { return "grpc://" + a }},
		"grpcs": {Kind: grpccheck.KindTLS(), URL: func(a string) string { return "grpcs://" + a }},
	} {
		t.Run(name, n.Run)
	}
}

func TestServing(t *testing.T) {
	address := serveGRPC(t, shop())
	url := "grpc://" + address
	kindtest.ExpectLeavesNothing(t)
	expectServing(t, run(t, url))
	expectServing(t, run(t, "grpc://"+address[strings.LastIndexByte(address, ':'):]))
	expectServing(t, run(t, url+"?service=shop.Cart"))
	for _, test := range []struct {
		service string
		reason  check.Reason
		text    string
	}{
		{"shop.Pay", check.ReasonStatus, url + `: the service "shop.Pay" is NOT_SERVING`},
		{"shop.Mail", check.ReasonStatus, url + `: the service "shop.Mail" is UNKNOWN: the server has not said yet whether it serves`},
		{"shop.Old", check.ReasonMissing, url + `: its health service knows no service "shop.Old" (SERVICE_UNKNOWN); the name is PACKAGE.SERVICE as the server has set it`},
		{"shop.Kart", check.ReasonMissing, url + `: its health service knows no service "shop.Kart" (NOT_FOUND: unknown service); the name is`},
	} {
		t.Run(test.service, func(t *testing.T) {
			expectFailure(t, run(t, url+"?service="+test.service), test.reason, test.text)
		})
	}
}

// TestShutdown is about what a server says in its last moments and afterwards.
func TestShutdown(t *testing.T) {
	service := shop()
	url := "grpc://" + serveGRPC(t, service)
	service.Shutdown()
	expectFailure(t, run(t, url), check.ReasonStatus, url+": the server is NOT_SERVING")
	service.Resume()
	expectServing(t, run(t, url))
}

func TestNoHealthService(t *testing.T) {
	url := "grpc://" + serveGRPC(t, nil)
	expectFailure(t, run(t, url), check.ReasonMissing, url+": has no health service; register grpc.health.v1.Health in the server (most gRPC libraries have one ready), or check its port with tcp:// (UNIMPLEMENTED: unknown service grpc.health.v1.Health)")
}

func TestStatuses(t *testing.T) {
	for _, test := range []struct {
		code   codes.Code
		reason check.Reason
		text   string
	}{
		{codes.Canceled, check.ReasonStatus, "gave up the call (CANCELLED: no, 100% näm)"},
		{codes.Unknown, check.ReasonStatus, "failed to answer (UNKNOWN: no"},
		{codes.InvalidArgument, check.ReasonStatus, "refuses the question (INVALID_ARGUMENT: no"},
		{codes.DeadlineExceeded, check.ReasonTimeout, "did not answer in time (DEADLINE_EXCEEDED: no"},
		{codes.NotFound, check.ReasonMissing, `its health service says nothing about the server as a whole (NOT_FOUND: no, 100% näm); set the status of "" in it`},
		{codes.AlreadyExists, check.ReasonStatus, "failed to answer (ALREADY_EXISTS: no"},
		{codes.PermissionDenied, check.ReasonPermission, "does not allow the call; see what it demands for grpc.health.v1.Health, and the option headers (PERMISSION_DENIED: no"},
		{codes.ResourceExhausted, check.ReasonStatus, "is over a limit of its own (RESOURCE_EXHAUSTED: no"},
		{codes.FailedPrecondition, check.ReasonStatus, "is in no state to answer (FAILED_PRECONDITION: no"},
		{codes.Aborted, check.ReasonStatus, "gave up the call (ABORTED: no"},
		{codes.OutOfRange, check.ReasonStatus, "refuses the question (OUT_OF_RANGE: no"},
		{codes.Unimplemented, check.ReasonMissing, "has no health service; register"},
		{codes.Internal, check.ReasonStatus, "has a fault of its own (INTERNAL: no"},
		{codes.Unavailable, check.ReasonStatus, "is not available, or what is behind it is not (UNAVAILABLE: no"},
		{codes.DataLoss, check.ReasonStatus, "failed to answer (DATA_LOSS: no"},
		{codes.Unauthenticated, check.ReasonAuth, "demands credentials, or refuses those it got; set headers, such as authorization=Bearer TOKEN (UNAUTHENTICATED: no"},
		{codes.Code(17), check.ReasonProtocol, `ends the call with the status "17", which is not one of gRPC`},
	} {
		t.Run(test.code.String(), func(t *testing.T) {
			url := "grpc://" + serveGRPC(t, healthFunc(func(context.Context, *healthpb.HealthCheckRequest) (*healthpb.HealthCheckResponse, error) {
				return nil, status.Error(test.code, "no, 100% näm")
			}))
			expectFailure(t, run(t, url), test.reason, url+": "+test.text)
		})
	}
}

// TestHangs is about a server that takes the call and does not answer: it is
// told how long there is to answer, and that nobody waits any more.
func TestHangs(t *testing.T) {
	limits := make(chan time.Duration, 1)
	gone := make(chan struct{})
	url := "grpc://" + serveGRPC(t, healthFunc(func(ctx context.Context, _ *healthpb.HealthCheckRequest) (*healthpb.HealthCheckResponse, error) {
		deadline, _ := ctx.Deadline()
		limits <- time.Until(deadline)
		<-ctx.Done()
		close(gone)
		return nil, ctx.Err()
	}))
	c := kindtest.Build(t, grpccheck.Kind(), url)
	kindtest.ExpectLeavesNothing(t)
	expectFailure(t, kindtest.Run(t, t.Context(), c), check.ReasonTimeout, url)
	if limit := <-limits; limit > kindtest.Timeout+kindtest.Grace {
		t.Errorf("the server was told %v, want about %v", limit, kindtest.Timeout)
	}
	select {
	case <-gone:
	case <-time.After(30 * time.Second):
		t.Error("the server was not told that nobody waits any more")
	}
}

// TestMetadata is about what a server gets besides the service's name.
func TestMetadata(t *testing.T) {
	got := make(chan metadata.MD, 1)
	address := serveGRPC(t, healthFunc(func(ctx context.Context, r *healthpb.HealthCheckRequest) (*healthpb.HealthCheckResponse, error) {
		md, _ := metadata.FromIncomingContext(ctx)
		got <- md
		if md.Get("authorization") != nil {
			return nil, status.Error(codes.Unauthenticated, "bad token "+strings.TrimPrefix(md.Get("authorization")[0], "Bearer "))
		}
		return &healthpb.HealthCheckResponse{Status: healthpb.HealthCheckResponse_SERVING}, nil
	}))
	url := "grpc://" + address
	expect := func(name, want string) {
		t.Helper()
		md := <-got
		if values := md.Get(name); len(values) != 1 || values[0] != want {
			t.Errorf("the server got %v of %s, want %q", values, name, want)
		}
	}
	expectServing(t, run(t, url))
	expect(":authority", address)
	expectServing(t, run(t, url, value("authority", "shop.example:443")))
	expect(":authority", "shop.example:443")
	expectServing(t, run(t, url, value("headers", "X-Tenant=a b")))
	expect("x-tenant", "a b")
	result := run(t, url, value("headers", "authorization=Bearer s3cr3t-t0k3n"))
	expect("authorization", "Bearer s3cr3t-t0k3n")
	expectFailure(t, result, check.ReasonAuth, "(UNAUTHENTICATED: bad token ***)")
}

func TestUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "grpc.sock")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	serveOn(t, listener, shop())
	expectServing(t, run(t, "grpc://shop.example", value("unix", path)))
	expectServing(t, run(t, "grpc:", value("unix", path)))
	expectServing(t, run(t, "grpc://[::1]", value("unix", path)))
	expectFailure(t, run(t, "grpc://shop.example?service=shop.Pay", value("unix", path)), check.ReasonStatus, "grpc://shop.example ("+path+`): the service "shop.Pay" is NOT_SERVING`)
	expectFailure(t, run(t, "grpc://shop.example:1", value("unix", path+"x")), check.ReasonMissing, "grpc://shop.example:1 ("+path+"x): no connection: ")
}

func TestTLS(t *testing.T) {
	certs := servertest.NewCerts(t, 240*time.Hour, "shop.example", "127.0.0.1")
	address := serveGRPC(t, shop(), withTLS(t, certs, false))
	url := "grpcs://" + address
	kindtest.ExpectLeavesNothing(t)
	expectServing(t, run(t, url+"?ca="+certs.CA))
	expectServing(t, run(t, url+"?insecure"))
	expectServing(t, run(t, url+"?server_name=shop.example&min_days=9&ca="+certs.CA))
	expectFailure(t, run(t, url), check.ReasonTLS, url+`: the certificate of shop.example, 127.0.0.1 is signed by "test authority", which is not trusted; set ca`)
	expectFailure(t, run(t, url+"?server_name=db.example&ca="+certs.CA), check.ReasonTLS, "not for db.example; set server_name")
	expectFailure(t, run(t, url+"?min_days=11&insecure"), check.ReasonTLS, url+": the certificate of shop.example expires on ")
	expectFailure(t, run(t, url+"?service=shop.Pay&insecure"), check.ReasonStatus, url+`: the service "shop.Pay" is NOT_SERVING`)

	plain := "grpcs://" + serveGRPC(t, shop())
	expectFailure(t, run(t, plain), check.ReasonTLS, plain+": TLS handshake: the port does not speak TLS; write grpc:// if it is without TLS")
	// The server waits for TLS and hangs up: before or after it says why.
	result := run(t, "grpc://"+address)
	if text := result.Text(); result.Healthy() || !strings.Contains(text, "write grpcs://") {
		t.Errorf("got %s, want the hint to write grpcs://", text)
	}
}

func TestMutualTLS(t *testing.T) {
	certs := servertest.NewCerts(t, time.Hour, "127.0.0.1")
	other := servertest.NewCerts(t, time.Hour, "127.0.0.1")
	url := "grpcs://" + serveGRPC(t, shop(), withTLS(t, certs, true)) + "?ca=" + certs.CA
	with := func(c *servertest.Certs) string { return "&cert=" + c.Cert + "&key=" + c.Key }
	expectServing(t, run(t, url+with(certs)))
	expectFailure(t, run(t, url), check.ReasonTLS, "ends the connection after it asked for a client certificate: set cert and key")
	expectFailure(t, run(t, url+with(other)), check.ReasonTLS, "ends the connection after it asked for a client certificate: it refuses the one that cert has")
}

func TestOptions(t *testing.T) {
	long := "/" + strings.Repeat("x", 107)
	headers := func(name, value string) check.Option {
		return check.Option{Name: "headers", IsMap: true, Pairs: [][2]string{{name, value}}}
	}
	for _, test := range []struct {
		name, url string
		option    check.Option
		want      string
	}{
		{"no port", "grpc://h", check.Option{}, "url: grpc://h has no port; write grpc://h:PORT"},
		{"no host", "grpc:", check.Option{}, "url: grpc:// has no host; write grpc://HOST:PORT, or grpc://:PORT for this host"},
		{"user", "grpc://u:pass-word@h:1", check.Option{}, "url: has a user name or password, and gRPC sends credentials as metadata; set headers, such as authorization=Bearer TOKEN"},
		{"path", "grpc://h:1/shop.Cart", check.Option{}, `url: has the path "/shop.Cart"; to ask about a service, set the option service=shop.Cart`},
		{"service", "grpc://h:1?service=a%0Ab", check.Option{}, `service: "a b" has a character that no name has; write it as PACKAGE.SERVICE`},
		{"long service", "grpc://h:1?service=" + strings.Repeat("x", 256), check.Option{}, "service: is longer than 255 bytes"},
		{"authority", "grpc://h:1?authority=a%20b", check.Option{}, `authority: "a b" is not a host; give a name or an address, and :PORT if need be`},
		{"header name", "grpc://h:1", headers("a b", "x"), `headers: "a b" is not a name of metadata; use a-z, 0-9, '_', '-' and '.'`},
		{"own header", "grpc://h:1", headers("TE", "x"), "headers: TE is set by hale itself; leave it out"},
		{"grpc header", "grpc://h:1", headers("grpc-timeout", "1S"), "headers: grpc-timeout is set by hale itself; leave it out"},
		{"header value", "grpc://h:1", headers("x", "é"), "headers: the value of x has a character that is not printable ASCII; a name that ends in -bin takes any bytes, in base64"},
		{"relative socket", "grpc://h:1?unix=run/x", check.Option{}, `unix: "run/x" is a relative path; give an absolute one`},
		{"long socket", "grpc://h:1?unix=" + long, check.Option{}, "unix: the path has 108 bytes; that of a socket has at most 107"},
		{"TLS options", "grpc://h:1?insecure&ca=/ca&cert=/c&key=/k&server_name=n&min_days=1", check.Option{}, "ca: is for TLS, and this URL is without; write grpcs://\ncert: is for TLS, and this URL is without; write grpcs://\nkey: is for TLS, and this URL is without; write grpcs://\nserver_name: is for TLS, and this URL is without; write grpcs://\ninsecure: is for TLS, and this URL is without; write grpcs://\nmin_days: is for TLS, and this URL is without; write grpcs://"},
		{"relative CA", "grpcs://h?ca=ca.pem", check.Option{}, `ca: "ca.pem" is a relative path; give an absolute one`},
		{"missing CA", "grpcs://h?ca=/nowhere/ca.pem", check.Option{}, "ca: open /nowhere/ca.pem: no such file or directory"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var options []check.Option
			if test.option.Name != "" {
				options = append(options, test.option)
			}
			_, err := build(test.url, options...)
			if err == nil || err.Error() != test.want {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
		})
	}
}

func TestDefaults(t *testing.T) {
	const want = "[{service } {authority } {headers } {unix } {ca } {cert } {key } {server_name } {insecure false} {min_days 0}]"
	for _, kind := range []check.Kind{grpccheck.Kind(), grpccheck.KindTLS()} {
		c := kindtest.Build(t, kind, kind.Example)
		if got := fmt.Sprint(c.Options); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
