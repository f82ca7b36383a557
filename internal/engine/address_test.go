package engine_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"hale/internal/check"
	"hale/internal/engine"
	"hale/internal/servertest"
)

func TestAddresses(t *testing.T) {
	const examples = "; give one such as unix:///var/run/docker.sock or tcp://127.0.0.1:2376"
	for _, test := range []struct{ host, env, want, fault string }{
		{"unix:///run/x.sock", "", "unix:///run/x.sock", ""},
		{"/run/x.sock", "", "unix:///run/x.sock", ""},
		{"tcp://1.2.3.4", "", "tcp://1.2.3.4:2375", ""},
		{"tcp://1.2.3.4", "DOCKER_TLS=1", "tcp://1.2.3.4:2376", ""},
		{"tcp://[::1]:99/", "", "tcp://[::1]:99", ""},
		{"http://host:80", "", "http://host:80", ""},
		{"https://host", "", "https://host:2376", ""},
		{"", "DOCKER_HOST=tcp://there:1", "tcp://there:1", ""},
		{"tcp://here:1", "DOCKER_HOST=tcp://there:1", "tcp://here:1", ""},
		{"here", "", "", "the engine's address has no scheme" + examples},
		{"", "DOCKER_HOST=here:2375", "", "DOCKER_HOST has no scheme" + examples},
		{"unix://x.sock", "", "", "the engine's address has no absolute path" + examples},
		{"unix:///" + strings.Repeat("x", 107), "", "", "the engine's address has a path longer than the 107 bytes that are possible" + examples},
		{"unix:///a\x00", "", "", "the engine's address holds a NUL character" + examples},
		{"npipe:////./pipe/docker", "", "", "the engine's address begins with npipe://, which is not supported" + examples},
		{"ssh://me:secret@host", "", "", "the engine's address begins with ssh://, which hale does not speak; let ssh forward the socket (ssh -N -L /run/remote.sock:/var/run/docker.sock HOST) and give unix:///run/remote.sock"},
		{"tcp://", "", "", "the engine's address has no host" + examples},
		{"tcp://:2375", "", "", "the engine's address has no host" + examples},
		{"tcp://me:secret@host", "", "", "the engine's address holds a user, which engines do not have" + examples},
		{"tcp://host:0", "", "", "the engine's address has a port that is out of range" + examples},
		{"tcp://host:secret", "", "", "the engine's address is not a URL" + examples},
		{"tcp://host/path", "", "", "the engine's address has something after the port" + examples},
		{"http://host", "DOCKER_TLS_VERIFY=1", "", "http://host:2376 is without TLS, but DOCKER_TLS_VERIFY is set; give tcp:// or https://, or unset that"},
	} {
		c, err := engine.New(engine.Options{Host: test.host, Getenv: variables(test.env)})
		if err == nil && c.Host() != test.want || err != nil && err.Error() != test.fault || err == nil && test.fault != "" {
			t.Errorf("%q %s: got %v\nwant %s%s", test.host, test.env, err, test.want, test.fault)
		}
	}
}

func TestFound(t *testing.T) {
	dir := t.TempDir()
	if !engine.Found(variables("DOCKER_HOST=tcp://x")) {
		t.Error("DOCKER_HOST is not looked at")
	}
	if err := os.Mkdir(filepath.Join(dir, "podman"), 0o755); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("unix", filepath.Join(dir, "podman/podman.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if !engine.Found(variables("XDG_RUNTIME_DIR=" + dir)) {
		t.Error("the user's socket is not found")
	}
}

func ask(t *testing.T, c *engine.Client) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	_, err := c.Containers(ctx)
	return err
}

func expectFault(t *testing.T, err error, reason check.Reason, want string) {
	t.Helper()
	if check.ReasonOf(err) != reason || !regexp.MustCompile("^"+want+"$").MatchString(fmt.Sprint(err)) {
		t.Errorf("got %q: %v\nwant %q: %s", check.ReasonOf(err), err, reason, want)
	}
}

func TestNobodyThere(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.sock")
	c := client(t, path)
	expectFault(t, ask(t, c), check.ReasonMissing,
		"no engine's socket at "+path+`; does Docker run here\? In a container, mount it \(-v /var/run/docker.sock:/var/run/docker.sock\), or set DOCKER_HOST`)
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	listener.SetUnlinkOnClose(false)
	_ = listener.Close()
	expectFault(t, ask(t, c), check.ReasonRefused,
		"asking the engine at unix://"+path+`: dial unix .*: connection refused; who listened there has ended: start the engine \(systemctl start docker\)`)
	expectFault(t, ask(t, client(t, fmt.Sprintf("tcp://127.0.0.1:%d", servertest.FreePort(t)))), check.ReasonRefused,
		`asking the engine at tcp://127.0.0.1:\d+: dial tcp .*: connection refused; nothing listens there: see whether the engine runs and listens at that address`)
}

// asNobody dials as a user that owns nothing. It leaves its thread as it is, to
// be ended by the runtime with the goroutine.
func asNobody(ctx context.Context, network, address string) (net.Conn, error) {
	type answer struct {
		conn net.Conn
		err  error
	}
	done := make(chan answer)
	go func() {
		runtime.LockOSThread()
		var a answer
		if a.err = syscall.Setfsuid(65534); a.err == nil {
			a.conn, a.err = (&net.Dialer{}).DialContext(ctx, network, address)
		}
		done <- a
	}()
	a := <-done
	return a.conn, a.err
}

func TestPermission(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.sock")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	c, err := engine.New(engine.Options{Host: path, Getenv: variables(), Dial: asNobody})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		group int
		mode  os.FileMode
		want  string
	}{
		{1, 0o660, "and the socket is for the group daemon, 1: add hale's user to it; for a container, --group-add 1"},
		{54321, 0o660, "and the socket is for the group 54321: add hale's user to it; for a container, --group-add 54321"},
		{1, 0o600, "and only the socket's owner may use it; see its mode"},
	} {
		if err := os.Chown(path, 0, test.group); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, test.mode); err != nil {
			t.Fatal(err)
		}
		expectFault(t, ask(t, c), check.ReasonPermission,
			`asking the engine at unix://.*: dial unix .*: permission denied; hale runs as user \d+, `+test.want)
	}
}

// certificates are in a directory as DOCKER_CERT_PATH wants it.
func certificates(t *testing.T, names ...string) (dir string, pool *x509.CertPool, pair tls.Certificate) {
	t.Helper()
	certs := servertest.NewCerts(t, time.Hour, names...)
	dir = t.TempDir()
	for name, path := range map[string]string{"ca.pem": certs.CA, "cert.pem": certs.Cert, "key.pem": certs.Key} {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool = x509.NewCertPool()
	ca, err := os.ReadFile(certs.CA)
	if err != nil || !pool.AppendCertsFromPEM(ca) {
		t.Fatal(err)
	}
	pair, err = tls.LoadX509KeyPair(certs.Cert, certs.Key)
	if err != nil {
		t.Fatal(err)
	}
	return dir, pool, pair
}

func TestTLS(t *testing.T) {
	dir, pool, pair := certificates(t, "127.0.0.1")
	other, _, _ := certificates(t, "127.0.0.1")
	elsewhere, elsewherePool, elsewherePair := certificates(t, "elsewhere.test")
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/version" {
			fmt.Fprint(w, version124)
			return
		}
		fmt.Fprint(w, "[]")
	})
	start := func(pair tls.Certificate, pool *x509.CertPool) string {
		server := httptest.NewUnstartedServer(handler)
		server.Config.ErrorLog = log.New(io.Discard, "", 0)
		server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool}
		server.StartTLS()
		t.Cleanup(server.Close)
		return "tcp://" + server.Listener.Addr().String()
	}
	plain := httptest.NewServer(handler)
	t.Cleanup(plain.Close)
	secure, misnamed := start(pair, pool), start(elsewherePair, elsewherePool)
	verify := func(dir string) []string { return []string{"DOCKER_TLS_VERIFY=1", "DOCKER_CERT_PATH=" + dir} }

	if err := ask(t, client(t, secure, verify(dir)...)); err != nil {
		t.Error(err)
	}
	if err := ask(t, client(t, secure, "DOCKER_CERT_PATH="+dir)); err != nil {
		t.Errorf("without verification: %v", err)
	}
	home := t.TempDir()
	if err := os.Symlink(dir, filepath.Join(home, ".docker")); err != nil {
		t.Fatal(err)
	}
	if err := ask(t, client(t, secure, "DOCKER_TLS_VERIFY=1", "HOME="+home)); err != nil {
		t.Errorf("certificates in ~/.docker: %v", err)
	}
	const asking = `asking the engine at tcp://127.0.0.1:\d+: `
	const signed = "; ca.pem in DOCKER_CERT_PATH must be of who signed the engine's certificate, which must hold the name or address that is asked"
	expectFault(t, ask(t, client(t, secure)), check.ReasonTLS, asking+"it wants TLS; set DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH")
	expectFault(t, ask(t, client(t, "tcp://"+plain.Listener.Addr().String(), verify(dir)...)), check.ReasonTLS,
		asking+"it speaks no TLS there; unset DOCKER_TLS_VERIFY, or give the port with TLS, usually 2376")
	expectFault(t, ask(t, client(t, secure, verify(other)...)), check.ReasonTLS, asking+"tls: failed to verify certificate: x509: certificate signed by unknown authority.*"+signed)
	expectFault(t, ask(t, client(t, misnamed, verify(elsewhere)...)), check.ReasonTLS, asking+"tls: failed to verify certificate: x509: .*127.0.0.1.*"+signed)
	expectFault(t, ask(t, client(t, secure, "DOCKER_TLS=1", "HOME=/nonexistent")), check.ReasonTLS,
		asking+"remote error: tls: .*; the engine wants a certificate that it trusts: cert.pem and key.pem in DOCKER_CERT_PATH")
}

func TestBadTLSFiles(t *testing.T) {
	const hint = "; DOCKER_CERT_PATH is the directory with ca.pem, cert.pem and key.pem"
	for name, test := range map[string]struct {
		spoil func(dir string) error
		want  string
	}{
		"no ca":    {func(dir string) error { return os.Remove(filepath.Join(dir, "ca.pem")) }, "TLS for the engine: open .*/ca.pem: no such file or directory"},
		"bad ca":   {func(dir string) error { return os.WriteFile(filepath.Join(dir, "ca.pem"), []byte("x"), 0o600) }, "TLS for the engine: .*/ca.pem holds no certificate in PEM form"},
		"no key":   {func(dir string) error { return os.Remove(filepath.Join(dir, "key.pem")) }, "TLS for the engine: open .*/key.pem: no such file or directory"},
		"bad cert": {func(dir string) error { return os.WriteFile(filepath.Join(dir, "cert.pem"), []byte("x"), 0o600) }, "TLS for the engine: .*/cert.pem and .*/key.pem: tls: failed to find any PEM data in certificate input"},
		"nothing":  {os.RemoveAll, "TLS for the engine: open .*/ca.pem: no such file or directory"},
	} {
		dir, _, _ := certificates(t, "127.0.0.1")
		if err := test.spoil(dir); err != nil {
			t.Fatal(err)
		}
		_, err := engine.New(engine.Options{Host: "tcp://127.0.0.1:1", Getenv: variables("DOCKER_TLS_VERIFY=1", "DOCKER_CERT_PATH="+dir)})
		if err == nil || !regexp.MustCompile("^"+test.want+hint+"$").MatchString(err.Error()) {
			t.Errorf("%s: got %v\nwant %s", name, err, test.want+hint)
		}
	}
}
