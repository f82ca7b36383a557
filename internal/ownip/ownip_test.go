package ownip_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"hale/internal/ownip"
	"hale/internal/servertest"
)

// guard makes connections to loopback only, and fails the test for any other.
// The UDP sockets that tell the default route send nothing, and get an address
// of the test's.
type guard struct {
	t     *testing.T
	mu    sync.Mutex
	tried []string
}

func (g *guard) dial(ctx context.Context, network, address string) (net.Conn, error) {
	g.mu.Lock()
	g.tried = append(g.tried, network+" "+address)
	g.mu.Unlock()
	if network == "udp4" {
		return routed{addr: &net.UDPAddr{IP: net.ParseIP("10.9.8.7"), Port: 1}}, nil
	}
	host, _, err := net.SplitHostPort(address)
	if ip, parseErr := netip.ParseAddr(host); err != nil || parseErr != nil || !ip.IsLoopback() {
		g.t.Errorf("hale connects to %s %s", network, address)
		return nil, fmt.Errorf("not in a test")
	}
	return (&net.Dialer{}).DialContext(ctx, network, address)
}

// routed is a socket that has a local address, and no more.
type routed struct {
	net.Conn
	addr net.Addr
}

func (r routed) LocalAddr() net.Addr { return r.addr }
func (r routed) Close() error        { return nil }

// find asks with the environment given and nothing else of this machine.
func find(t *testing.T, source string, environment map[string]string, dmi map[string]string) (ownip.Answer, error) {
	t.Helper()
	g := &guard{t: t}
	begin := time.Now()
	a, err := ownip.Find(t.Context(), ownip.Options{
		Source: source, DMI: names(t, dmi), DialContext: g.dial,
		Getenv: func(name string) string { return environment[name] },
	})
	if took := time.Since(begin); took > ownip.Limit+2*time.Second {
		t.Errorf("it took %v", took)
	}
	return a, err
}

// names makes a directory of the names that DMI has for a machine.
func names(t *testing.T, dmi map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range dmi {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// service is a metadata service on loopback.
func service(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	return s.URL
}

// hangs answers when the test is over, or its client gone.
func hangs(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// imds is EC2's service: put answers for a token, and address for the address.
func imds(put, address http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		switch r.Method + " " + r.URL.Path {
		case "PUT /latest/api/token":
			if r.Header.Get("X-aws-ec2-metadata-token-ttl-seconds") == "" {
				w.WriteHeader(http.StatusBadRequest)
				return
			}
			put(w, r)
		case "GET /latest/meta-data/local-ipv4":
			address(w, r)
		case "GET /latest/meta-data/ipv6":
			fmt.Fprint(w, "fd00::25")
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}
}

func says(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) }
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// withToken answers only who has the token.
func withToken(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("X-aws-ec2-metadata-token") != "AQAEAtoken==" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	fmt.Fprint(w, "10.0.1.85")
}

func TestEC2(t *testing.T) {
	token := says("AQAEAtoken==")
	for name, c := range map[string]struct {
		service http.HandlerFunc
		want    string // the address, or a part of the error
	}{
		"with a token":        {imds(token, withToken), "10.0.1.85"},
		"without tokens":      {imds(status(404), says("10.0.1.86")), "10.0.1.86"},
		"tokens not allowed":  {imds(status(405), says("10.0.1.86\n")), "10.0.1.86"},
		"IPv6 alone":          {imds(token, status(404)), "fd00::25"},
		"no answer, v1 does":  {imds(hangs, says("10.0.1.87")), "10.0.1.87"},
		"no answer, no v1":    {imds(hangs, withToken), "PUT $URL/latest/api/token: connected, but no answer within 1s; in a container the answer needs a hop limit of 2"},
		"no answer at all":    {hangs, "hop limit of 2"},
		"switched off":        {status(403), "PUT $URL/latest/api/token answered 403 Forbidden, want a token: the metadata service is switched off"},
		"no token, v1 is off": {imds(status(500), withToken), "GET $URL/latest/meta-data/local-ipv4 answered 401 Unauthorized, want the instance's IP address: this instance demands a token"},
		"a page as the token": {imds(says("<html>\x1b[31mlogin</html>"), withToken), `answered "<html>.[31mlogin</html>", want a token`},
		"garbage":             {imds(token, says("\x1b[2Jnot an address \xff")), `answered ".[2Jnot an address .", want the instance's IP address`},
		"loopback":            {imds(token, says("127.0.0.1")), `answered "127.0.0.1", want the instance's IP address`},
		"unspecified":         {imds(token, says("0.0.0.0")), `answered "0.0.0.0"`},
		"a redirect": {imds(token, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://192.0.2.9/", http.StatusFound)
		}), "answered 302 Found"},
		"a body without end": {imds(token, endless), "answered with more than 64 KiB"},
		"not HTTP":           {func(w http.ResponseWriter, r *http.Request) { hijack(w, "SSH-2.0-OpenSSH\r\n") }, "what came is not an answer in HTTP"},
		"closed at once":     {func(w http.ResponseWriter, r *http.Request) { hijack(w, "") }, "what came is not an answer in HTTP"},
		"a head without end": {func(w http.ResponseWriter, r *http.Request) {
			hijack(w, "HTTP/1.1 200 OK\r\nX: "+strings.Repeat("a", 1<<20))
		}, "what came is not an answer in HTTP"},
		"half of an answer": {imds(token, func(w http.ResponseWriter, r *http.Request) {
			hijack(w, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n10.0.")
		}), "GET $URL/latest/meta-data/local-ipv4: connected, but"},
		"an answer that drips": {imds(token, drips), "no answer within 1s"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := service(t, c.service)
			a, err := find(t, ownip.EC2, map[string]string{ownip.EnvEC2: url + "/"}, nil)
			expect(t, a, err, ownip.EC2, strings.ReplaceAll(c.want, "$URL", url))
		})
	}
}

// expect holds an answer against the address, or a part of the error.
func expect(t *testing.T, a ownip.Answer, err error, source, want string) {
	t.Helper()
	if addr, parseErr := netip.ParseAddr(want); parseErr == nil {
		if err != nil || a.Addr != addr || a.Source != source || a.Warning != "" {
			t.Errorf("got %+v, %v; want %v from %s", a, err, addr, source)
		}
		return
	}
	if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "own_ip source "+source+": ") {
		t.Fatalf("got %+v and the error\n%v\nwant\n%s", a, err, want)
	}
	if len(err.Error()) > 800 || strings.ContainsAny(err.Error(), "\x1b\n") || !utf8.ValidString(err.Error()) {
		t.Errorf("the error may do harm: %q", err)
	}
}

func hijack(w http.ResponseWriter, text string) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	_, _ = conn.Write([]byte(text))
	_ = conn.Close()
}

func endless(w http.ResponseWriter, _ *http.Request) {
	for {
		if _, err := w.Write(make([]byte, 4096)); err != nil {
			return
		}
	}
}

func drips(w http.ResponseWriter, r *http.Request) {
	for r.Context().Err() == nil {
		fmt.Fprint(w, "1")
		w.(http.Flusher).Flush()
		select {
		case <-r.Context().Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func TestNothingIsThere(t *testing.T) {
	address := servertest.FreeAddress(t)
	for source, variable := range map[string]string{ownip.EC2: ownip.EnvEC2, ownip.ECS: ownip.EnvECS, ownip.Azure: ownip.EnvAzure} {
		a, err := find(t, source, map[string]string{variable: "http://" + address}, nil)
		expect(t, a, err, source, "the connection was refused: no metadata service is there")
	}
	a, err := find(t, ownip.GCP, map[string]string{ownip.EnvGCP: address}, nil)
	expect(t, a, err, ownip.GCP, "the connection was refused: no metadata service is there")
}

func TestECS(t *testing.T) {
	const bridge = `{"Networks":[{"NetworkMode":"bridge","IPv4Addresses":["172.17.0.3"]}]}`
	for name, c := range map[string]struct{ container, task, want string }{
		"awsvpc":        {`{"DockerId":"x","Networks":[{"NetworkMode":"awsvpc","IPv4Addresses":["10.0.2.106"],"MACAddress":"0e:9e:32:c7:48:85"}]}`, "", "10.0.2.106"},
		"the task's":    {`{}`, `{"Containers":[{"Networks":[]},{"Networks":[{"NetworkMode":"awsvpc","IPv4Addresses":["10.0.2.107"]}]}]}`, "10.0.2.107"},
		"IPv6 alone":    {`{"Networks":[{"NetworkMode":"awsvpc","IPv4Addresses":[],"IPv6Addresses":["fd00::6"]}]}`, "", "fd00::6"},
		"bridge":        {bridge, "", "network mode is bridge, so the balancer's target is the instance: own_ip: {source: ec2}"},
		"no networks":   {`{}`, `{}`, `answered "{}", want a network with IPv4Addresses`},
		"garbage":       {"nothing", "", "want the container's metadata, in JSON"},
		"not addresses": {`{"Networks":[{"IPv4Addresses":["\u001b[1m","127.0.0.1"]}]}`, `[]`, "/task answered \"[]\", want the container's metadata"},
		"deep":          {strings.Repeat(`{"Containers":[`, 20_000), "", "JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			url := service(t, func(w http.ResponseWriter, r *http.Request) {
				switch r.URL.Path {
				case "/v4/abc":
					fmt.Fprint(w, c.container)
				case "/v4/abc/task":
					fmt.Fprint(w, c.task)
				}
			})
			a, err := find(t, ownip.ECS, map[string]string{ownip.EnvECS: url + "/v4/abc"}, nil)
			if name == "deep" {
				if err == nil {
					t.Error("no error")
				}
				return
			}
			expect(t, a, err, ownip.ECS, c.want)
		})
	}
	a, err := find(t, ownip.ECS, nil, nil)
	expect(t, a, err, ownip.ECS, "the environment variable ECS_CONTAINER_METADATA_URI_V4 is not set")
	// The instance is asked where the task has no address of its own.
	both := service(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v4" {
			fmt.Fprint(w, bridge)
			return
		}
		imds(says("AQAEAtoken=="), withToken)(w, r)
	})
	a, err = find(t, "", map[string]string{ownip.EnvECS: both + "/v4", ownip.EnvEC2: both}, nil)
	expect(t, a, err, ownip.EC2, "10.0.1.85")
}

func TestGCPAndAzure(t *testing.T) {
	const gcp, azure = "/computeMetadata/v1/instance/network-interfaces/0/ip",
		"/metadata/instance/network/interface/0/ipv4/ipAddress/0/privateIpAddress?api-version=2021-02-01&format=text"
	url := service(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.String() == gcp && r.Header.Get("Metadata-Flavor") == "Google":
			w.Header().Set("Metadata-Flavor", "Google")
			fmt.Fprint(w, "10.128.0.2")
		case r.URL.String() == azure && r.Header.Get("Metadata") == "true" && r.Header.Get("X-Forwarded-For") == "":
			fmt.Fprint(w, "10.0.0.4")
		default:
			w.WriteHeader(http.StatusForbidden)
		}
	})
	host := strings.TrimPrefix(url, "http://")
	a, err := find(t, ownip.GCP, map[string]string{ownip.EnvGCP: host}, nil)
	expect(t, a, err, ownip.GCP, "10.128.0.2")
	a, err = find(t, ownip.Azure, map[string]string{ownip.EnvAzure: url}, nil)
	expect(t, a, err, ownip.Azure, "10.0.0.4")

	other := service(t, says("10.128.0.2"))
	a, err = find(t, ownip.GCP, map[string]string{ownip.EnvGCP: strings.TrimPrefix(other, "http://")}, nil)
	expect(t, a, err, ownip.GCP, "answered without Metadata-Flavor: Google")
	a, err = find(t, ownip.Azure, map[string]string{ownip.EnvAzure: url + "/elsewhere"}, nil)
	expect(t, a, err, ownip.Azure, "answered 403 Forbidden")
}

func TestBadVariables(t *testing.T) {
	for _, value := range []string{"169.254.0.1", "https://127.0.0.1", "http://user:hunter2x@127.0.0.1", "http://", "http://127.0.0.1/?q", "::", "http://[::1"} {
		for source, variable := range map[string]string{ownip.EC2: ownip.EnvEC2, ownip.ECS: ownip.EnvECS, ownip.Azure: ownip.EnvAzure} {
			a, err := find(t, source, map[string]string{variable: value}, nil)
			expect(t, a, err, source, "the environment variable "+variable+" is not the URL of a metadata service; write http://HOST:PORT")
			if err != nil && strings.Contains(err.Error(), "hunter2x") {
				t.Errorf("%v shows a password", err)
			}
		}
	}
	a, err := find(t, ownip.GCP, map[string]string{ownip.EnvGCP: "http://127.0.0.1/x"}, nil)
	expect(t, a, err, ownip.GCP, "GCE_METADATA_HOST is not a host")
	a, err = find(t, ownip.EC2, map[string]string{"AWS_EC2_METADATA_DISABLED": "true"}, nil)
	expect(t, a, err, ownip.EC2, "AWS_EC2_METADATA_DISABLED=true forbids asking")
	if _, err = find(t, "ec3", nil, nil); err == nil || !strings.Contains(err.Error(), `"ec3" is no source of the own address; there are auto, ec2,`) {
		t.Error(err)
	}
}

func TestEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	asked := make(chan struct{}, 9)
	url := service(t, func(w http.ResponseWriter, r *http.Request) { asked <- struct{}{}; hangs(w, r) })
	go func() { <-asked; cancel() }()
	g := &guard{t: t}
	_, err := ownip.Find(ctx, ownip.Options{DMI: t.TempDir(), DialContext: g.dial, Getenv: func(name string) string {
		return map[string]string{ownip.EnvEC2: url}[name]
	}})
	if err == nil || !strings.Contains(err.Error(), "given up") {
		t.Errorf("it went on after its context ended: %v", err)
	}
}
