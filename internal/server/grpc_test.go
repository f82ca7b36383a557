package server_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	health "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"hale/internal/server"
	"hale/internal/verdict"
)

// healthClient returns grpc-go's client.
func healthClient(t *testing.T, r *running, secure bool) health.HealthClient {
	t.Helper()
	c := insecure.NewCredentials()
	if secure {
		c = credentials.NewTLS(&tls.Config{InsecureSkipVerify: true})
	}
	conn, err := grpc.NewClient("passthrough:"+r.address.String(), grpc.WithTransportCredentials(c))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return health.NewHealthClient(conn)
}

func TestGRPCCheck(t *testing.T) {
	a := groups{"ready": verdict.Pass, "live": verdict.Fail, "web": verdict.Degraded}
	r := startVersatile(t, server.Verdicts(a, server.VerdictOptions{FailStatus: 500, DegradedStatus: 429}), server.Options{})
	for _, secure := range []bool{false, true} {
		client := healthClient(t, r, secure)
		for service, want := range map[string]health.HealthCheckResponse_ServingStatus{
			"": health.HealthCheckResponse_SERVING, "ready": health.HealthCheckResponse_SERVING,
			"live": health.HealthCheckResponse_NOT_SERVING, "web": health.HealthCheckResponse_SERVING,
		} {
			answer, err := client.Check(t.Context(), &health.HealthCheckRequest{Service: service}, grpc.WaitForReady(true))
			if err != nil || answer.Status != want {
				t.Errorf("%q: got %v, %v, want %v", service, answer, err, want)
			}
		}
		_, err := client.Check(t.Context(), &health.HealthCheckRequest{Service: "nosuch"})
		if got := status.Code(err); got != codes.NotFound {
			t.Errorf("got %v, want %v", got, codes.NotFound)
		}
		_, err = client.List(t.Context(), &health.HealthListRequest{})
		if got := status.Code(err); got != codes.Unimplemented {
			t.Errorf("List: got %v, want %v", got, codes.Unimplemented)
		}
	}
}

// TestGRPCWatch: each change is told, and an unknown service stays open.
func TestGRPCWatch(t *testing.T) {
	a := newChanging(conditions[0])
	r := start(t, server.Verdicts(a, server.VerdictOptions{WatchInterval: 5 * time.Millisecond}), server.Options{})
	client := healthClient(t, r, false)
	unknown, err := client.Watch(t.Context(), &health.HealthCheckRequest{Service: "nosuch"})
	if err != nil {
		t.Fatal(err)
	}
	checkNext(t, unknown, health.HealthCheckResponse_SERVICE_UNKNOWN)
	ready, err := client.Watch(t.Context(), &health.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	checkNext(t, ready, health.HealthCheckResponse_SERVING)
	for _, i := range []int{2, 1, 3, 0, 1, 2, 0} { // to degraded and back is no change
		before := a.now.Load()
		a.now.Store(&conditions[i])
		switch {
		case before.healthy == conditions[i].healthy:
		case conditions[i].healthy:
			checkNext(t, ready, health.HealthCheckResponse_SERVING)
		default:
			checkNext(t, ready, health.HealthCheckResponse_NOT_SERVING)
		}
	}
	ended := make(chan error, 1)
	go func() { ended <- r.stop() }()
	for _, stream := range []health.Health_WatchClient{unknown, ready} {
		if _, err := stream.Recv(); status.Code(err) != codes.Unavailable {
			t.Errorf("at the end: got %v, want %v", err, codes.Unavailable)
		}
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestGRPCWatchTellsOfDraining soon, also where it asks for the verdict rarely.
func TestGRPCWatchTellsOfDraining(t *testing.T) {
	a := newChanging(conditions[0])
	r := start(t, server.Verdicts(a, server.VerdictOptions{WatchInterval: time.Hour}), server.Options{})
	ready, err := healthClient(t, r, false).Watch(t.Context(), &health.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	checkNext(t, ready, health.HealthCheckResponse_SERVING)
	a.now.Store(&conditions[3])
	checkNext(t, ready, health.HealthCheckResponse_NOT_SERVING)
	a.now.Store(&conditions[0])
	checkNext(t, ready, health.HealthCheckResponse_SERVING)
}

func checkNext(t *testing.T, stream health.Health_WatchClient, want health.HealthCheckResponse_ServingStatus) {
	t.Helper()
	answer, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	if answer.Status != want {
		t.Fatalf("got %v, want %v", answer.Status, want)
	}
}

// TestGRPCWatchEndsWithItsClient, and leaves nothing.
func TestGRPCWatchEndsWithItsClient(t *testing.T) {
	asked := make(chan struct{})
	a := answerFunc(func(ctx context.Context, _ string) (verdict.Outcome, bool) {
		select {
		case asked <- struct{}{}:
		case <-ctx.Done():
		}
		return verdict.Pass, true
	})
	r := start(t, server.Verdicts(a, server.VerdictOptions{WatchInterval: time.Millisecond}), server.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := healthClient(t, r, false).Watch(ctx, &health.HealthCheckRequest{}); err != nil {
		t.Fatal(err)
	}
	<-asked
	<-asked
	cancel()
	for quiet := false; !quiet; {
		select {
		case <-asked:
		case <-time.After(200 * time.Millisecond):
			quiet = true
		}
	}
}

// TestGRPCWatchesAreBounded: there is an end to them, and it is no end to
// Checks.
func TestGRPCWatchesAreBounded(t *testing.T) {
	r := start(t, server.Verdicts(groups{"ready": verdict.Pass}, server.VerdictOptions{}), server.Options{})
	var last health.Health_WatchClient
	for i := range 1025 {
		client := healthClient(t, r, false)
		for range min(32, 1025-i) {
			stream, err := client.Watch(t.Context(), &health.HealthCheckRequest{})
			if err != nil {
				t.Fatal(err)
			}
			if _, err = stream.Recv(); err != nil {
				last = stream
				if got := status.Code(err); got != codes.ResourceExhausted {
					t.Errorf("got %v, want %v", got, codes.ResourceExhausted)
				}
				break
			}
		}
		if last != nil {
			if i != 32 {
				t.Errorf("the end came with connection %d, want 32", i)
			}
			break
		}
	}
	if answer, err := healthClient(t, r, false).Check(t.Context(), &health.HealthCheckRequest{}); err != nil || answer.Status != health.HealthCheckResponse_SERVING {
		t.Errorf("Check: got %v, %v", answer, err)
	}
}

// TestGRPCWatchIsEvicted: a connection that only watches makes room, though the
// verdict is looked at all the time.
func TestGRPCWatchIsEvicted(t *testing.T) {
	r := start(t, server.Verdicts(groups{"ready": verdict.Pass}, server.VerdictOptions{WatchInterval: time.Millisecond}), server.Options{MaxConnections: 2})
	stream, err := healthClient(t, r, false).Watch(t.Context(), &health.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	checkNext(t, stream, health.HealthCheckResponse_SERVING)
	kept := r.dial(t)
	ask(t, kept)
	ask(t, r.dial(t))
	if _, err := stream.Recv(); status.Code(err) != codes.Unavailable {
		t.Errorf("got %v, want that the connection is lost", err)
	}
	ask(t, kept)
}

// TestGRPCTimeout: a Check waits no longer than the client does.
func TestGRPCTimeout(t *testing.T) {
	a := answerFunc(func(ctx context.Context, _ string) (verdict.Outcome, bool) {
		<-ctx.Done()
		return verdict.Fail, true
	})
	r := start(t, server.Verdicts(a, server.VerdictOptions{}), server.Options{})
	answer, _ := callRaw(t, r, "/grpc.health.v1.Health/Check", frame(0, ""), "Grpc-Timeout", "50m")
	if got := answer.Header.Get("Grpc-Status"); got != "4" {
		t.Errorf("got status %s, want 4", got)
	}
}

// TestGRPCMessageThatNeverComes ends in time.
func TestGRPCMessageThatNeverComes(t *testing.T) {
	r := start(t, server.Verdicts(groups{"ready": verdict.Pass}, server.VerdictOptions{}), server.Options{HeadTimeout: 200 * time.Millisecond})
	_, f := framed(t, r)
	f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, EndHeaders: true, BlockFragment: headersOf(
		"POST", "/grpc.health.v1.Health/Check", hpack.HeaderField{Name: "content-type", Value: "application/grpc"})})
	block := awaitFrame(t, f, http2.FrameHeaders).(*http2.HeadersFrame).HeaderBlockFragment()
	fields, err := hpack.NewDecoder(4096, nil).DecodeFull(block)
	if err != nil {
		t.Fatal(err)
	}
	if want := (hpack.HeaderField{Name: "grpc-status", Value: "4"}); !slices.Contains(fields, want) {
		t.Errorf("got %v, want %v among them", fields, want)
	}
}

// frame is a gRPC message with its prefix.
func frame(compressed byte, message string) string {
	return string(compressed) + string(binary.BigEndian.AppendUint32(nil, uint32(len(message)))) + message
}

// callRaw sends any body to a method.
func callRaw(t *testing.T, r *running, path, body string, fields ...string) (*http.Response, []byte) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), "POST", "http://"+r.address.String()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/grpc+proto")
	for i := 0; i < len(fields); i += 2 {
		request.Header.Set(fields[i], fields[i+1])
	}
	answer, err := r.client2(t, "http").Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	all, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, all
}

func TestGRPCMessages(t *testing.T) {
	a := groups{"ready": verdict.Pass, "live": verdict.Fail}
	r := start(t, server.Verdicts(a, server.VerdictOptions{}), server.Options{})
	ok := []byte{0, 0, 0, 0, 2, 8, 1}
	failed := []byte{0, 0, 0, 0, 2, 8, 2}
	for _, tt := range []struct {
		name, body, status string
		answer             []byte
	}{
		{"empty message", frame(0, ""), "0", ok},
		{"no message", "", "0", ok},
		{"group", frame(0, "\x0a\x04live"), "0", failed},
		{"the last one counts", frame(0, "\x0a\x04live\x0a\x05ready"), "0", ok},
		{"unknown fields", frame(0, "\x10\x96\x01\x19abcdefgh\x22\x01x\x2dabcd\x0a\x04live"), "0", failed},
		{"more after the message", frame(0, "\x0a\x04live") + "more", "0", failed},
		{"unknown group", frame(0, "\x0a\x06nosuch"), "5", nil},
		{"compressed", frame(1, "\x0a\x04live"), "3", nil},
		{"too long", frame(0, strings.Repeat("x", 5000)), "8", nil},
		{"4 GiB, not sent", "\x00\xff\xff\xff\xff", "8", nil},
		{"prefix cut short", "\x00\x00", "3", nil},
		{"message cut short", "\x00\x00\x00\x00\x09abc", "3", nil},
		{"length beyond the end", frame(0, "\x0a\x7fx"), "3", nil},
		{"huge length", frame(0, "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), "3", nil},
		{"endless varint", frame(0, strings.Repeat("\xff", 20)), "3", nil},
		{"service is no string", frame(0, "\x08\x01"), "3", nil},
		{"not UTF-8", frame(0, "\x0a\x02\xff\xfe"), "3", nil},
		{"field 0", frame(0, "\x02\x00"), "3", nil},
		{"group wire type", frame(0, "\x0b"), "3", nil},
	} {
		for _, method := range []string{"Check", "Watch"} {
			if method == "Watch" && (tt.status == "0" || tt.status == "5") {
				continue // stays open
			}
			answer, body := callRaw(t, r, "/grpc.health.v1.Health/"+method, tt.body)
			got := answer.Header.Get("Grpc-Status") + answer.Trailer.Get("Grpc-Status")
			if got != tt.status || !bytes.Equal(body, tt.answer) || answer.StatusCode != 200 || answer.Header.Get("Content-Type") != "application/grpc" {
				t.Errorf("%s, %s: got %d, status %s, % x; want status %s, % x", method, tt.name, answer.StatusCode, got, body, tt.status, tt.answer)
			}
		}
	}
}

// TestGRPCOfOtherFaces: a handler without groups is healthy or not.
func TestGRPCOfOtherFaces(t *testing.T) {
	for code, want := range map[int]string{200: "12", 503: "14", 500: "14", 404: "14"} {
		r := start(t, server.HandlerFunc(func(context.Context, *server.Request) *server.Response {
			return server.NewResponse(code, "text/plain", "x")
		}), server.Options{})
		for _, path := range []string{"/AWS.ALB/healthcheck", "/grpc.health.v1.Health/Check"} {
			answer, _ := callRaw(t, r, path, frame(0, ""))
			if got := answer.Header.Get("Grpc-Status"); got != want {
				t.Errorf("%d, %s: got %s, want %s", code, path, got, want)
			}
		}
	}
}
