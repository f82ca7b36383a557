package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hale/internal/servertest"
)

// TestBesideAnEngine is the zero-configuration job, but for a filter that keeps
// other tests' containers out: hale finds the web containers, says no when one
// dies, yes when it is back, and forgets one that is removed.
func TestBesideAnEngine(t *testing.T) {
	docker := servertest.Docker(t)
	label := docker.Name()
	shop := docker.Run("--label", label+"=1", docker.Web())
	blog := docker.Run("--label", label+"=1", docker.Web())
	config := filepath.Join(t.TempDir(), "hale.yaml")
	text := fmt.Sprintf("defaults: {interval: 1s}\ndiscover: {docker: {host: \"unix://%s\", labels: [%s=1], start_period: 1s}}\n", docker.Socket, label)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	public, private := servertest.FreeAddress(t), servertest.FreeAddress(t)
	start(t, "hale", "serve", "--config", config, "--listen", public, "--admin", private, "--log-level", "error")
	expectAnswer(t, public, 200)

	// What hale init writes of it is a good configuration.
	t.Setenv("DOCKER_HOST", "unix://"+docker.Socket)
	written := filepath.Join(t.TempDir(), "written.yaml")
	for _, args := range [][]string{{"init", "--docker", "--output", written}, {"config", "check", "--config", written}} {
		if out, err := exec.Command("hale", args...).CombinedOutput(); err != nil {
			t.Fatalf("hale %q: %v: %s", args, err, out)
		}
	}
	found, err := os.ReadFile(written)
	if err != nil || !strings.Contains(string(found), "\n  "+shop+":\n") || !strings.Contains(string(found), docker.IP(blog)) {
		t.Errorf("%v; hale init wrote:\n%s", err, found)
	}

	docker.Docker("kill", blog)
	expectAnswer(t, public, 503)
	if down := downChecks(t, private); !slices.Equal(down, []string{blog + " exit"}) {
		t.Errorf("down: %q, want %s for exit and nothing else", down, blog)
	}
	docker.Docker("start", blog)
	expectAnswer(t, public, 200)
	docker.Docker("pause", shop)
	expectAnswer(t, public, 503)
	docker.Docker("unpause", shop)
	expectAnswer(t, public, 200)
	docker.Docker("kill", blog)
	expectAnswer(t, public, 503)
	docker.Remove(blog)
	expectAnswer(t, public, 200)
}

// A container that fails for a label that is wrong does not become a check that
// passes, as it runs.
func TestInitWithAWrongLabel(t *testing.T) {
	docker := servertest.Docker(t)
	good, bad := docker.Run(docker.Web()), docker.Run("--label", "hale.check=ht!tp://${ip}", docker.Web())
	t.Setenv("DOCKER_HOST", "unix://"+docker.Socket)
	file := filepath.Join(t.TempDir(), "hale.yaml")
	out, err := exec.Command("hale", "init", "--docker", "--output", file).CombinedOutput()
	if err != nil || !strings.Contains(string(out), " commented out, each with its reason") {
		t.Errorf("%v: %s", err, out)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	for _, want := range []string{
		"\n  #" + bad + ":\n  #  url: docker://" + bad + "\n", "\n  # The container " + good + ", at " + docker.IP(good) + ": ", "\n  " + good + ":\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	words := strings.Join(strings.Fields(strings.ReplaceAll(text, "#", " ")), " ")
	if want := "It would pass, and what was found fails: container " + bad + " is not checked until its labels are right: "; !strings.Contains(words, want) {
		t.Errorf("%q is missing in\n%s", want, text)
	}
}
