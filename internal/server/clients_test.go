package server_test

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"hale/internal/server"
	"hale/internal/verdict"
)

// TestNetHTTPClient: Go's client gets every answer, with and without a body of
// its own, and reuses its connections.
func TestNetHTTPClient(t *testing.T) {
	r := start(t, server.Verdicts(groups{"ready": verdict.Pass, "live": verdict.Fail}, server.VerdictOptions{}), server.Options{})
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: patience}
	url := "http://" + r.address.String()
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for i := range 100 {
				path, want := "/", "200 ok"
				if i%2 == 0 {
					path, want = "/livez", "503 fail"
				}
				var body io.Reader
				method := http.MethodGet
				switch i % 5 {
				case 1:
					method, body = http.MethodPost, strings.NewReader("small")
				case 2:
					method, body = http.MethodPost, bytes.NewReader(make([]byte, 1<<20))
				case 3:
					method, body = http.MethodPut, io.MultiReader(strings.NewReader("chunked")) // of unknown length
				}
				request, _ := http.NewRequestWithContext(t.Context(), method, url+path, body)
				response, err := client.Do(request)
				if err != nil {
					t.Error(err)
					return
				}
				text, _ := io.ReadAll(response.Body)
				response.Body.Close()
				if got := response.Status[:4] + string(text); got != want {
					t.Errorf("%s %s: got %s, want %s", method, path, got, want)
				}
			}
		})
	}
	all.Wait()
}

// TestCurl runs Debian's curl in the ways people use it.
func TestCurl(t *testing.T) {
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Fatal("curl is needed (apt-get install curl)")
	}
	r := start(t, server.Verdicts(groups{"ready": verdict.Pass, "live": verdict.Fail}, server.VerdictOptions{}), server.Options{})
	secure := startOn(t, listenTLS(t), dialTLS, server.Verdicts(groups{"ready": verdict.Pass}, server.VerdictOptions{}), server.Options{})
	url := "http://" + r.address.String()
	versatile := startVersatile(t, server.Verdicts(groups{"ready": verdict.Pass}, server.VerdictOptions{}), server.Options{})
	every, everySecure := "http://"+versatile.address.String(), "https://"+versatile.address.String()
	big := filepath.Join(t.TempDir(), "big")
	if err := os.WriteFile(big, make([]byte, 10<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args string
		want string // the output
	}{
		{url, "ok"},
		{url + "/livez", "fail"},
		{"--http1.0 " + url, "ok"},
		{"--http2-prior-knowledge " + url, "ok"},
		{"--http2-prior-knowledge " + url + "/livez", "fail"},
		{"--http2-prior-knowledge -I -w %{http_code},%{http_version} -o /dev/null " + url, "200,2"},
		{"--http2-prior-knowledge -d small=body " + url, "ok"},
		{"--http2 -w %{http_version} " + url, "ok1.1"}, // Upgrade: h2c is passed over
		{"--haproxy-protocol " + url, "bad request"},
		{"--haproxy-protocol " + every, "ok"},
		{"--haproxy-protocol --http2-prior-knowledge -w %{http_version} " + every, "ok2"},
		{"--haproxy-protocol -k -w %{http_version} " + everySecure, "ok2"},
		{"-k -w %{http_version} " + everySecure, "ok2"},
		{"-k --http1.1 -w %{http_version} " + everySecure, "ok1.1"},
		{"-k --tls-max 1.2 -w %{http_version} " + everySecure, "ok2"},
		{"-k -I -w %{http_code} -o /dev/null " + everySecure, "200"},
		{"-I -w %{http_code} -o /dev/null " + url, "200"},
		{"-X OPTIONS " + url, "ok"},
		{"-d small=body " + url, "ok"},
		{"-T " + big + " " + url, "ok"},
		{"--data-binary @" + big + " " + url, "ok"},
		{"--data-binary @" + big + " -H Expect: " + url, "ok"},
		{"--data-binary @" + big + " -H Expect: -H Transfer-Encoding:chunked " + url, "ok"},
		{"-H Host: " + url, "ok"},
		{"-H Accept:application/json " + url, `{"status":"pass"}`},
		{"-w %{num_connects} " + url + " " + url + "/livez", "ok1fail0"},
		{"-k https://" + secure.address.String(), "ok"},
		{"-k https://" + r.address.String(), ""}, // TLS where none is spoken
		{"http://" + secure.address.String(), ""},
		{"--proxy " + url + " http://example.invalid/livez", "fail"},
	} {
		args := append([]string{"-s", "-q", "--noproxy", "127.0.0.1", "-m", "20"}, strings.Fields(tt.args)...)
		if strings.Contains(tt.args, "--proxy ") {
			args = append([]string{"-s", "-q", "-m", "20"}, strings.Fields(tt.args)...)
		}
		out, _ := exec.CommandContext(t.Context(), curl, args...).Output()
		if got := string(out); got != tt.want {
			t.Errorf("curl %s: got %q, want %q", tt.args, got, tt.want)
		}
	}
}
