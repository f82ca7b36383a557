package dockerstatus_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hale/internal/servertest"
)

// TestLinkedContainers: hale is the program of an image, called docker-status,
// and linked to web apps with docker run --link. There is nothing to configure
// but a shorter interval than half a minute.
func TestLinkedContainers(t *testing.T) {
	engine := servertest.Docker(t)
	web, status := engine.Web(), image(t, engine)
	first, second := engine.Run(web), engine.Run(web, "8080")
	// The third hands on a variable that looks like a link.
	third := engine.Run("-e", "DB_PORT_80_TCP=tcp://192.0.2.1:80", web)
	name := engine.Run("--link", first, "--link", first+":app-1", "--link", second+":App2", "--link", third+":app_3",
		"-e", "TEST_INTERVAL=1", "-e", "APP2_GET_PATH=:8080/status", "-e", "APP_3_CONNECT_IP=true", status)
	ip := engine.IP(name)
	waitFor(t, ip, "200 OK")
	log := engine.Docker("logs", name)
	for _, part := range []string{
		"targets=3 ", "link=APP_1 target=http://app-1/", "link=APP2 target=http://app2:8080/status", "link=APP_3 target=http://" + engine.IP(third) + "/",
	} {
		if !strings.Contains(log, part) {
			t.Errorf("the log lacks %q", part)
		}
	}

	// One dies.
	engine.Docker("kill", first)
	waitFor(t, ip, "500 Fail")
	// It comes back, with another address, as its own was taken.
	old := engine.Run(web)
	engine.Docker("start", first)
	waitFor(t, ip, "200 OK")
	t.Logf("%s has the address %s, and %s now %s", old, engine.IP(old), first, engine.IP(first))

	// One answers, but not well.
	set(t, engine.IP(third)+":80", 503)
	waitFor(t, ip, "500 Fail")
	set(t, engine.IP(third)+":80", 302)
	waitFor(t, ip, "200 OK")
	engine.Docker("pause", second)
	waitFor(t, ip, "500 Fail")
	engine.Docker("unpause", second)
	waitFor(t, ip, "200 OK")

	// It ends when it is told to, as the first process of its container too.
	engine.Docker("stop", "--time", "20", name)
	if code := engine.Inspect(name, "{{.State.ExitCode}}"); code != "0" {
		t.Errorf("docker-status ended with %s, want 0", code)
	}
	if t.Failed() {
		t.Log(engine.Docker("logs", name))
	}
}

// TestNoLinks: a container without links answers, and says that it checks
// nothing.
func TestNoLinks(t *testing.T) {
	engine := servertest.Docker(t)
	name := engine.Run(image(t, engine))
	waitFor(t, engine.IP(name), "200 OK")
	if log := engine.Docker("logs", name); !strings.Contains(log, "no linked container exposes port 80") {
		t.Errorf("the log does not warn:\n%s", log)
	}
}

// image makes an image of nothing but hale, static, and a symlink to it.
func image(t *testing.T, engine *servertest.DockerEngine) string {
	t.Helper()
	dir := t.TempDir()
	files := filepath.Join(dir, "files")
	if err := os.Mkdir(files, 0o755); err != nil {
		t.Fatal(err)
	}
	build := exec.Command("go", "build", "-trimpath", "-o", filepath.Join(files, "hale"), "hale/cmd/hale")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building hale: %v: %s", err, out)
	}
	if err := os.Symlink("hale", filepath.Join(files, "docker-status")); err != nil {
		t.Fatal(err)
	}
	const dockerfile = "FROM scratch\nLABEL hale.test=1\nCOPY files/ /\nEXPOSE 80\nENTRYPOINT [\"/docker-status\"]\n"
	if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(dockerfile), 0o644); err != nil {
		t.Fatal(err)
	}
	name := engine.Name()
	t.Cleanup(func() {
		if out, err := engine.Try("rmi", "-f", name); err != nil && !strings.Contains(strings.ToLower(err.Error()), "no such image") {
			t.Errorf("%v: %s", err, out)
		}
	})
	engine.Docker("build", "--quiet", "--tag", name, dir)
	return name
}

// client does not follow redirects, and gives up soon.
var client = &http.Client{
	Timeout:       10 * time.Second,
	Transport:     &http.Transport{DisableKeepAlives: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// ask returns the status and body of an answer.
func ask(url string) (string, error) {
	response, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return fmt.Sprintf("%d %s", response.StatusCode, body), err
}

// waitFor waits until docker-status answers so.
func waitFor(t *testing.T, host, want string) {
	t.Helper()
	servertest.Wait(t, want, func() error {
		got, err := ask("http://" + host + "/")
		if err == nil && got != want {
			err = fmt.Errorf("the answer is %s", got)
		}
		return err
	})
}

// set makes a web app answer with a status.
func set(t *testing.T, address string, status int) {
	t.Helper()
	if _, err := ask(fmt.Sprintf("http://%s/set/%d", address, status)); err != nil {
		t.Fatal(err)
	}
}
