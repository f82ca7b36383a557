package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"hale/internal/balancer"
	"hale/internal/servertest"
)

// TestWhyIsMyBalancerUnhappy is docs/why-is-my-balancer-unhappy.md as it
// happens: a Django site under gunicorn behind nginx, on ports 80 and 443 of a
// network of its own, from a TCP probe that is green while the site is broken to
// a balancer that asks a page and gets 200. What the page shows must be what was
// printed.
func TestWhyIsMyBalancerUnhappy(t *testing.T) {
	// The page is read in this process too, so that go test knows that the
	// result depends on it.
	page, err := os.ReadFile("../../docs/why-is-my-balancer-unhappy.md")
	if err != nil {
		t.Fatal(err)
	}
	if !servertest.OwnNetwork(t) {
		return
	}
	s := newStory(t)
	s.tell()
	s.shownIn(string(page))
}

// tell tells it, from the beginning to the end.
func (s *story) tell() {
	const page = "http://" + servertest.OwnAddress + "/health_check"

	// The balancer connects, and is content. The site is not.
	s.hale(0, "explain", "--as", "nlb", "tcp://"+servertest.OwnAddress+":80")
	s.said("it passes too while the application fails")
	s.hale(1, "explain", "--as", "alb", "--host", siteName, "https://"+servertest.OwnAddress+"/health_check")
	s.said("500 Internal Server Error")

	// The site is mended, and the balancer asks a page.
	s.settings(mended)
	s.expect("https://"+servertest.OwnAddress+"/health_check", siteName, 200)
	s.hale(1, "explain", "--as", "alb", page)
	s.said("301 Moved Permanently", "nginx", "location = /health_check {")

	// nginx answers the page without a redirect, as it was told, and Django
	// refuses the Host.
	s.site(strings.Replace(redirecting, redirect, s.advised("location = /health_check {")+"\n    location / { "+redirect+" }", 1))
	s.expect(page, siteName, 200)
	s.capture("/health_check")
	s.said("Host: "+servertest.OwnAddress+":8080", "alb", "ALLOWED_HOSTS")
	s.hale(1, "explain", "--as", "alb", "--site", siteName, page)
	s.said("400 Bad Request", "Django", "ALLOWED_HOSTS", servertest.OwnAddress)

	// The site asks for its own address when it starts, and hale does too.
	s.into("hale_health.py", "snippet", "django", "--server-name", siteName)
	own := "import sys; sys.path.append('" + s.dir + "')\nfrom hale_health import own_addresses\nALLOWED_HOSTS = ['" + siteName + "'] + own_addresses()\n"
	s.settings(own)
	s.expect(page, servertest.OwnAddress, 200)
	s.hale(0, "explain", "--as", "alb", page)
	s.hale(0, "check", "--config", "hale.yaml")

	// Other balancers send another Host, or none, and a middleware suits all.
	s.hale(1, "explain", page)
	s.settings(own + "MIDDLEWARE = ['hale_health.HealthCheck'] + MIDDLEWARE\n")
	s.hale(0, "explain", page)
}

const (
	siteName = "mysite.example"
	// broken is a release whose module of URLs is missing: Django starts, and
	// every page is an error.
	broken   = "ALLOWED_HOSTS = ['" + siteName + "']\nROOT_URLCONF = 'mysite.urls'\n"
	mended   = "ALLOWED_HOSTS = ['" + siteName + "']\n"
	redirect = "return 301 https://$host$request_uri;"
	// redirecting is the nginx of a site that wants TLS.
	redirecting = `server {
    listen 80;
    server_name mysite.example;
    ` + redirect + `
}
server {
    listen 443 ssl;
    server_name mysite.example;
    ssl_certificate $CERT;
    ssl_certificate_key $KEY;
    location / {
        proxy_pass http://127.0.0.1:8000;
        proxy_set_header Host $host;
        proxy_set_header X-Forwarded-Proto $scheme;
    }
}
`
)

// A story is the site, and what was printed.
type story struct {
	t             *testing.T
	dir           string
	nginx, django *servertest.Server
	certs         *servertest.Certs
	printed       strings.Builder
	last          string // what the last command printed
}

func newStory(t *testing.T) *story {
	s := &story{t: t, dir: t.TempDir(), certs: servertest.NewCerts(t, time.Hour, siteName)}
	s.write("settings.py", broken)
	s.write("hale.yaml", "own_ip: ec2\nchecks:\n  site: {url: \"http://"+servertest.OwnAddress+"/health_check\", host: \"${own_ip}\"}\n")
	s.write("site.conf", s.filled(redirecting))
	t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://"+metadataService(t))
	s.django = servertest.Django(t, "exec(open('"+filepath.Join(s.dir, "settings.py")+"').read())", "--bind", "127.0.0.1:8000")
	s.nginx = servertest.NginxHTTP(t, "server { listen 127.0.0.1:$PORT; return 200; }\ninclude "+filepath.Join(s.dir, "site.conf")+";")
	return s
}

func (s *story) filled(conf string) string {
	return strings.NewReplacer("$CERT", s.certs.Cert, "$KEY", s.certs.Key).Replace(conf)
}

func (s *story) write(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

// settings has Django start again with other settings.
func (s *story) settings(text string) {
	s.t.Helper()
	s.write("settings.py", text)
	s.django.Stop()
	s.django.Start()
}

// site has nginx start again with another configuration.
func (s *story) site(text string) {
	s.t.Helper()
	s.write("site.conf", s.filled(text))
	s.nginx.Stop()
	s.nginx.Start()
}

// hale runs hale, which must exit with the code.
func (s *story) hale(code int, args ...string) {
	s.t.Helper()
	s.run(code, args)
	fmt.Fprintf(&s.printed, "$ hale %s\n%s", strings.Join(args, " "), s.last)
}

// balancerAddress is where the balancer asks from.
const balancerAddress = "10.0.1.7"

// capture runs hale capture, to which a balancer sends its probe.
func (s *story) capture(path string) {
	s.t.Helper()
	servertest.Run(s.t, servertest.Program(s.t, "ip", "iproute2"), "addr", "add", balancerAddress+"/24", "dev", "here")
	at := netip.MustParseAddrPort(servertest.OwnAddress + ":8080")
	args := []string{"capture", "--listen", at.String(), "--count", "1", "--timeout", "1m"}
	out, in, err := os.Pipe()
	if err != nil {
		s.t.Fatal(err)
	}
	defer out.Close()
	cmd := exec.CommandContext(s.t.Context(), "hale", args...)
	cmd.Stdout, cmd.Stderr = in, in
	err = cmd.Start()
	in.Close()
	if err != nil {
		s.t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	first, err := lines.ReadString('\n') // that it listens
	if err == nil {
		probe, _ := balancer.Find("alb").HTTP()
		err = send(at, probe.Request(balancer.Target{Name: servertest.OwnAddress, Address: at, Path: path}))
	}
	rest, _ := io.ReadAll(lines)
	s.last = first + string(rest)
	if ended := cmd.Wait(); err != nil || ended != nil {
		s.t.Fatalf("hale capture: %v, %v\n%s", err, ended, s.last)
	}
	fmt.Fprintf(&s.printed, "$ hale %s\n%s", strings.Join(args, " "), s.last)
}

// send sends bytes from the balancer's address, and waits for the answer's end.
func send(at netip.AddrPort, request []byte) error {
	dialer := net.Dialer{Timeout: time.Minute, LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(balancerAddress), 0))}
	conn, err := dialer.Dial("tcp", at.String())
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	if _, err := conn.Write(request); err != nil {
		return err
	}
	_, err = io.ReadAll(conn)
	return err
}

// into runs hale and puts into a file what it prints.
func (s *story) into(file string, args ...string) {
	s.t.Helper()
	s.run(0, args)
	s.write(file, s.last)
	fmt.Fprintf(&s.printed, "$ hale %s > %s\n", strings.Join(args, " "), file)
}

func (s *story) run(code int, args []string) {
	s.t.Helper()
	cmd := exec.CommandContext(s.t.Context(), "hale", args...)
	cmd.Dir = s.dir
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok || cmd.ProcessState.ExitCode() != code {
		s.t.Fatalf("hale %s: %v (%v), want %d\n%s", strings.Join(args, " "), err, exit, code, out.String())
	}
	s.last = out.String()
}

// said fails unless the last command printed all of these.
func (s *story) said(wanted ...string) {
	s.t.Helper()
	for _, want := range wanted {
		if !strings.Contains(s.last, want) {
			s.t.Errorf("hale does not say %q:\n%s", want, s.last)
		}
	}
}

// advised returns the block of configuration that the last command printed,
// from its first line to the brace that closes it.
func (s *story) advised(first string) string {
	s.t.Helper()
	_, rest, found := strings.Cut(s.last, first)
	depth := 1
	for i, c := range rest {
		switch c {
		case '{':
			depth++
		case '}':
			depth--
		}
		if depth == 0 {
			return first + rest[:i+1]
		}
	}
	s.t.Fatalf("no block %s (found %v) in\n%s", first, found, s.last)
	return ""
}

// expect asks a page itself, with a Host, and expects a status.
func (s *story) expect(url, host string, status int) {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, url, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	request.Host = host
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}
	response, err := transport.RoundTrip(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	if body, _ := io.ReadAll(response.Body); response.StatusCode != status {
		s.t.Fatalf("%s of %s: %s, want %d\n%s\n%s", url, host, response.Status, status, body, s.django.Log())
	}
}

// storyDiffers is what another run prints otherwise: durations, times, dates and
// the balancer's port.
var storyDiffers = regexp.MustCompile(`\b\d\d:\d\d:\d\d\.\d+\b|\b10\.0\.1\.7:\d+\b|(less than )?\b[\d.]+ ?(ms|µs|s)\b|\b20\d\d-\d\d-\d\d\b`)

// shownIn fails unless each command that the page shows was run, and printed
// what the page shows of it.
func (s *story) shownIn(text string) {
	s.t.Helper()
	alike := func(text string) string { return storyDiffers.ReplaceAllString(text, "…") }
	printed := alike(s.printed.String())
	blocks := regexp.MustCompile("(?s)\n```console\n(\\$ hale .*?)```").FindAllStringSubmatch(text, -1)
	if got, want := len(blocks), strings.Count(printed, "$ hale "); got != want {
		s.t.Errorf("the page shows %d commands, want %d", got, want)
	}
	for _, block := range blocks {
		if !strings.Contains(printed, alike(block[1])) {
			s.t.Errorf("the page shows what hale does not print:\n%s", block[1])
		}
	}
	s.t.Log(s.printed.String())
}

// metadataService is EC2's on loopback, of an instance with the network's
// address; it returns where it is.
func metadataService(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodPut && r.URL.Path == "/latest/api/token":
			fmt.Fprint(w, "a-token")
		case r.URL.Path == "/latest/meta-data/local-ipv4" && r.Header.Get("X-aws-ec2-metadata-token") == "a-token":
			fmt.Fprint(w, servertest.OwnAddress)
		default:
			w.WriteHeader(http.StatusUnauthorized)
		}
	})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener)
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-done
	})
	return listener.Addr().String()
}
