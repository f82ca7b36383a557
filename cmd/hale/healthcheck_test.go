package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"hale/internal/servertest"
)

// haleImage makes hale's own image, under another name.
func haleImage(t *testing.T, docker *servertest.DockerEngine) string {
	t.Helper()
	name := docker.Name()
	t.Cleanup(func() {
		if _, err := docker.Try("rmi", "-f", name+":test", name+":latest"); err != nil {
			t.Error(err)
		}
	})
	build := exec.Command("../../scripts/image", "test")
	build.Env = append(os.Environ(), "HALE_IMAGE_NAME="+name, "GOFLAGS=", "DOCKER_HOST="+docker.Host)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return name // :latest
}

// expectHealth waits until a container's HEALTHCHECK tells of one state.
func expectHealth(t *testing.T, docker *servertest.DockerEngine, name, want string) {
	t.Helper()
	servertest.Wait(t, name+" "+want, func() error {
		if got := docker.Inspect(name, "{{.State.Health.Status}}"); got != want {
			return fmt.Errorf("it is %s: %s", got, docker.Inspect(name, "{{json .State.Health.Log}}"))
		}
		return nil
	})
}

// The HEALTHCHECK of hale's image tells whether hale is alive, wherever it
// listens, whatever it answers, and whatever else listens there.
func TestImageHealthcheck(t *testing.T) {
	docker := servertest.Docker(t)
	image, app := haleImage(t, docker), docker.Run(docker.Web())
	soon := []string{"--health-interval", "200ms", "--health-start-period", "0s", "--health-retries", "2"}
	run := func(args ...string) string { return docker.Run(append(soon, args...)...) }

	elsewhere := run("--read-only", "--cap-drop", "ALL", image, "serve", "--listen", ":8080", "--admin", "off", "file:///none")
	expectHealth(t, docker, elsewhere, "healthy")
	expectAnswer(t, docker.IP(elsewhere)+":8080", http.StatusServiceUnavailable)

	// As docker-status, of which the port could be the one that hale has else.
	status := run("--link", app+":app", "-e", "LISTEN_PORT=5000", "-e", "TEST_INTERVAL=1", image)
	expectHealth(t, docker, status, "healthy")
	expectAnswer(t, docker.IP(status)+":5000", http.StatusOK)
	// (Once a linked container has ended, Docker runs no HEALTHCHECK.)
	response, err := http.Get("http://" + docker.IP(app) + "/set/503")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	expectAnswer(t, docker.IP(status)+":5000", http.StatusInternalServerError)
	seen := docker.Inspect(status, "{{(index .State.Health.Log 0).Start}}")
	servertest.Wait(t, "five more health checks", func() error {
		if docker.Inspect(status, "{{(index .State.Health.Log 0).Start}}") == seen {
			return errors.New("the log of five has not moved on")
		}
		return nil
	})
	expectHealth(t, docker, status, "healthy")

	// With a failing check in the group live, and where no hale runs, though
	// another one does in the same network.
	dead := run(image, "serve", "file:///none#groups=live")
	expectHealth(t, docker, dead, "unhealthy")
	address := servertest.FreeAddress(t)
	host := run("--network", "host", image, "serve", "--listen", address, "--admin", "off", "tcp://"+address)
	expectHealth(t, docker, host, "healthy")
	other := run("--network", "host", image, "wait", "file:///none", "--timeout", "1h")
	expectHealth(t, docker, other, "unhealthy")
	if log := docker.Inspect(other, "{{json .State.Health.Log}}"); !strings.Contains(log, "answers in this container") {
		t.Error(log)
	}
}

// With links alone hale's image is docker-status; with anything said to serve it
// is hale, which finds the links.
func TestImageWithLinks(t *testing.T) {
	docker := servertest.Docker(t)
	image, app := haleImage(t, docker), docker.Run(docker.Web())
	link := []string{"--link", app + ":app"}
	plain := docker.Run(append(link, image)...)
	flags := docker.Run(append(link, image, "serve", "--listen", ":8888", "--fail-status", "504")...)
	checks := docker.Run(append(link, "-e", "HALE_CHECKS=file:///none", image)...)
	expectAnswer(t, docker.IP(plain)+":80", http.StatusOK)
	expectAnswer(t, docker.IP(flags)+":8888", http.StatusOK)
	expectAnswer(t, docker.IP(checks)+":5000", http.StatusServiceUnavailable)
	docker.Docker("kill", app)
	expectAnswer(t, docker.IP(flags)+":8888", http.StatusGatewayTimeout)
	if log := docker.Docker("logs", flags); strings.Contains(log, "docker-status") {
		t.Error(log)
	}
}
