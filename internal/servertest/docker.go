package servertest

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A DockerEngine is a Docker engine, or Podman in its place. Containers, images
// and networks that its methods make have names that begin with hale-test- and
// the label hale-test=1, and are removed when the test ends.
type DockerEngine struct {
	// Socket is the path of its socket, Host the same as DOCKER_HOST has it.
	Socket, Host string
	// Server is the engine's process, when the test started one of its own that
	// it may stop, kill and pause; else nil.
	Server *Server

	tb           testing.TB
	cli          []string // the command line's program and its first arguments
	env          []string
	busybox, web string // images, "" until they are made
}

// Docker returns the engine that runs at /var/run/docker.sock, which others use
// too and which is not to be stopped. When none runs it starts one for the test.
func Docker(tb testing.TB) *DockerEngine {
	tb.Helper()
	const socket = "/var/run/docker.sock"
	if _, err := apiVersion(socket); err == nil {
		d := &DockerEngine{tb: tb, Socket: socket}
		d.begin(Program(tb, "docker", "docker.io"))
		return d
	}
	return OwnDocker(tb)
}

// OwnDocker starts a Docker engine that is the test's own: it may be stopped,
// killed, paused and started again through Server. It has a bridge of its own
// and touches no packet filter. It takes a few seconds to start. options are
// further ones of dockerd.
func OwnDocker(tb testing.TB, options ...string) *DockerEngine {
	tb.Helper()
	program := Program(tb, "dockerd", "docker.io")
	dir := shortDir(tb)
	d := &DockerEngine{tb: tb, Socket: filepath.Join(dir, "docker.sock")}
	args := append([]string{
		"--data-root", filepath.Join(dir, "data"), "--exec-root", filepath.Join(dir, "exec"),
		"--pidfile", filepath.Join(dir, "pid"), "-H", "unix://" + d.Socket, "--config-file", filepath.Join(dir, "none.json"),
		"--iptables=false", "--ip6tables=false", "--bridge", ownBridge(tb), "--shutdown-timeout", "3",
	}, options...)
	if err := os.WriteFile(filepath.Join(dir, "none.json"), []byte("{}"), 0o600); err != nil {
		tb.Fatal(err)
	}
	d.Server = launch(tb, dir, recipe{
		name:    "dockerd",
		command: func(*Server) *exec.Cmd { return exec.Command(program, args...) },
		ready:   func(*Server) error { _, err := apiVersion(d.Socket); return err },
		stop:    syscall.SIGTERM,
	})
	d.begin(Program(tb, "docker", "docker.io"))
	return d
}

// Podman starts Podman's service, which speaks Docker's API, with storage of its
// own. Its containers should be run with --network none or host, as it may have
// no program to make networks with.
func Podman(tb testing.TB) *DockerEngine {
	tb.Helper()
	program := Program(tb, "podman", "podman")
	dir := shortDir(tb)
	d := &DockerEngine{tb: tb, Socket: filepath.Join(dir, "podman.sock")}
	own := []string{
		program, "--root", filepath.Join(dir, "root"), "--runroot", filepath.Join(dir, "run"), "--tmpdir", filepath.Join(dir, "tmp"),
		"--storage-driver", "vfs", "--cgroup-manager", "cgroupfs", "--events-backend", "file", "--log-level", "error",
	}
	// Podman would give its containers as many files and processes as the kernel allows,
	// which it may not do everywhere.
	conf := filepath.Join(dir, "containers.conf")
	if err := os.WriteFile(conf, []byte("[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]\n"), 0o600); err != nil {
		tb.Fatal(err)
	}
	d.env = append(os.Environ(), "CONTAINERS_CONF="+conf)
	d.Server = launch(tb, dir, recipe{
		name: "podman",
		command: func(*Server) *exec.Cmd {
			cmd := exec.Command(own[0], append(own[1:], "system", "service", "--time=0", "unix://"+d.Socket)...)
			cmd.Env = d.env
			return cmd
		},
		ready: func(*Server) error { _, err := apiVersion(d.Socket); return err },
		stop:  syscall.SIGTERM,
	})
	d.begin(own...)
	return d
}

// shortDir makes a directory with a path short enough for sockets in it, and
// readable for all. What engines mount in it is unmounted at the end.
func shortDir(tb testing.TB) string {
	tb.Helper()
	dir, err := os.MkdirTemp("", "hale")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		unmountBelow(dir)
		if err := os.RemoveAll(dir); err != nil {
			tb.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		tb.Fatal(err)
	}
	return dir
}

// unmountBelow unmounts what a killed engine left mounted.
func unmountBelow(dir string) {
	table, _ := os.ReadFile("/proc/self/mounts")
	for line := range strings.Lines(string(table)) {
		if fields := strings.Fields(line); len(fields) > 1 && strings.HasPrefix(fields[1], dir+"/") {
			_ = exec.Command("umount", "-l", fields[1]).Run()
		}
	}
}

// ownBridge makes a network bridge for a test's own engine.
func ownBridge(tb testing.TB) string {
	tb.Helper()
	ip := Program(tb, "ip", "iproute2")
	n := rand.IntN(200 * 250)
	name := fmt.Sprintf("hale%d", n)
	for _, args := range [][]string{
		{"link", "add", name, "type", "bridge"},
		{"addr", "add", fmt.Sprintf("10.%d.%d.1/24", 20+n/250, n%250), "dev", name},
		{"link", "set", name, "up"},
	} {
		if out, err := exec.Command(ip, args...).CombinedOutput(); err != nil {
			tb.Fatalf("ip %s: %v: %s", strings.Join(args, " "), err, out)
		}
		if args[1] == "add" && args[0] == "link" {
			tb.Cleanup(func() { _ = exec.Command(ip, "link", "delete", name).Run() })
		}
	}
	return name
}

// begin says which command line the engine is used with.
func (d *DockerEngine) begin(cli ...string) {
	d.tb.Helper()
	api, err := apiVersion(d.Socket)
	if err != nil {
		d.tb.Fatal(err)
	}
	d.Host = "unix://" + d.Socket
	d.cli = cli
	if d.env == nil {
		d.env = append(os.Environ(), "DOCKER_HOST="+d.Host, "DOCKER_API_VERSION="+api)
	}
}

// apiVersion asks the engine at a socket for the version of its API.
func apiVersion(socket string) (string, error) {
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		},
	}}
	answer, err := client.Get("http://docker/version")
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	var version struct{ ApiVersion string }
	if err := json.NewDecoder(answer.Body).Decode(&version); err != nil {
		return "", err
	}
	if version.ApiVersion == "" {
		return "", errors.New("no engine answers at " + socket)
	}
	return version.ApiVersion, nil
}

// Docker runs a command of the engine's command line, such as "stop", and
// returns what it prints. Its failure is the test's.
func (d *DockerEngine) Docker(args ...string) string {
	d.tb.Helper()
	out, err := d.Try(args...)
	if err != nil {
		d.tb.Fatal(err)
	}
	return out
}

// Try is Docker for a command that may fail.
func (d *DockerEngine) Try(args ...string) (string, error) { return d.try(nil, args...) }

func (d *DockerEngine) try(input []byte, args ...string) (string, error) {
	cmd := exec.Command(d.cli[0], append(d.cli[1:], args...)...)
	cmd.Env, cmd.Stdin = d.env, bytes.NewReader(input)
	var faults bytes.Buffer
	cmd.Stderr = &faults
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%s %s: %w: %s", filepath.Base(d.cli[0]), strings.Join(args, " "), err, faults.String())
	}
	return strings.TrimSpace(string(out)), err
}

// Run runs a container in the background and returns its name. args are those of
// docker run: options, an image, a command. It is given a second to stop.
func (d *DockerEngine) Run(args ...string) string {
	d.tb.Helper()
	return d.RunNamed(d.Name(), args...)
}

// Name returns a new name for something that the test makes.
func (d *DockerEngine) Name() string { return fmt.Sprintf("hale-test-%08x", rand.Uint32()) }

// RunNamed is Run with a name, which must begin with hale-test-.
func (d *DockerEngine) RunNamed(name string, args ...string) string {
	d.tb.Helper()
	return d.create(name, []string{"run", "-d"}, args)
}

// Create is Run for a container that is not started.
func (d *DockerEngine) Create(args ...string) string {
	d.tb.Helper()
	return d.create(d.Name(), []string{"create"}, args)
}

func (d *DockerEngine) create(name string, how, args []string) string {
	d.tb.Helper()
	d.mustBeOurs(name)
	d.tb.Cleanup(func() { d.Remove(name) })
	d.Docker(append(append(how, "--name", name, "--label", "hale-test=1", "--stop-timeout", "1"), args...)...)
	return name
}

func (d *DockerEngine) mustBeOurs(name string) {
	d.tb.Helper()
	if !strings.HasPrefix(name, "hale-test-") {
		d.tb.Fatalf("%q does not begin with hale-test-", name)
	}
}

// Remove removes a container, running or not. That it is gone already, or the
// engine is, is fine.
func (d *DockerEngine) Remove(name string) {
	d.tb.Helper()
	d.mustBeOurs(name)
	d.clean("rm", "-f", "-v", name)
}

// clean removes something. What a test's own engine holds goes with it.
func (d *DockerEngine) clean(args ...string) {
	d.tb.Helper()
	if d.Server != nil && d.Server.process == nil {
		return
	}
	_, err := d.Try(args...)
	if err != nil && !strings.Contains(strings.ToLower(err.Error()), "no such ") && !strings.Contains(err.Error(), "already in progress") {
		d.tb.Error(err)
	}
}

// Network makes a network and returns its name; args are options of docker
// network create.
func (d *DockerEngine) Network(args ...string) string {
	d.tb.Helper()
	name := d.Name()
	d.tb.Cleanup(func() { d.clean("network", "rm", name) })
	d.Docker(append(append([]string{"network", "create", "--label", "hale-test=1"}, args...), name)...)
	return name
}

// Inspect returns what a template of docker inspect makes of a container.
func (d *DockerEngine) Inspect(name, template string) string {
	d.tb.Helper()
	return d.Docker("inspect", "--type", "container", "--format", template, name)
}

// IP returns a container's address in the network it is in, the last by name of
// several.
func (d *DockerEngine) IP(name string) string {
	d.tb.Helper()
	all := strings.Fields(d.Inspect(name, "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}"))
	if len(all) == 0 {
		d.tb.Fatalf("%s has no address", name)
	}
	return all[len(all)-1]
}

// Busybox returns an image with busybox's commands in /bin, without a command of
// its own.
func (d *DockerEngine) Busybox() string {
	d.tb.Helper()
	if d.busybox == "" {
		names := []string{"sh", "sleep", "echo", "cat", "touch", "rm", "true", "false", "test", "nc", "httpd", "kill", "dd", "tail", "wget"}
		d.busybox = d.image(Program(d.tb, "busybox", "busybox-static"), "bin/busybox", names, `CMD ["/bin/sleep", "1000000"]`)
	}
	return d.busybox
}

// Web returns an image with a web server that exposes port 80; see webapp for
// how its answers can be changed.
func (d *DockerEngine) Web() string {
	d.tb.Helper()
	if d.web == "" {
		binary := filepath.Join(d.tb.TempDir(), "webapp")
		build := exec.Command("go", "build", "-trimpath", "-o", binary, "hale/internal/servertest/webapp")
		build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
		if out, err := build.CombinedOutput(); err != nil {
			d.tb.Fatalf("building the web server: %v: %s", err, out)
		}
		d.web = d.image(binary, "webapp", nil, "EXPOSE 80", `ENTRYPOINT ["/webapp"]`)
	}
	return d.web
}

// image makes an image of one program, with links to it beside it.
func (d *DockerEngine) image(program, path string, links []string, changes ...string) string {
	d.tb.Helper()
	content, err := os.ReadFile(program)
	if err != nil {
		d.tb.Fatal(err)
	}
	var file bytes.Buffer
	w := tar.NewWriter(&file)
	add := func(h *tar.Header, content []byte) {
		if err := w.WriteHeader(h); err != nil {
			d.tb.Fatal(err)
		}
		if _, err := w.Write(content); err != nil {
			d.tb.Fatal(err)
		}
	}
	for _, dir := range []string{"bin/", "tmp/", "etc/"} {
		add(&tar.Header{Typeflag: tar.TypeDir, Name: dir, Mode: 0o777}, nil)
	}
	add(&tar.Header{Typeflag: tar.TypeReg, Name: path, Mode: 0o755, Size: int64(len(content))}, content)
	for _, link := range links {
		add(&tar.Header{Typeflag: tar.TypeSymlink, Name: filepath.Join(filepath.Dir(path), link), Linkname: filepath.Base(path)}, nil)
	}
	if err := w.Close(); err != nil {
		d.tb.Fatal(err)
	}
	args := []string{"import"}
	for _, change := range append(changes, "ENV PATH=/bin", "LABEL hale-test=1") {
		args = append(args, "--change", change)
	}
	name := d.Name() + ":latest"
	if _, err := d.try(file.Bytes(), append(args, "-", name)...); err != nil {
		d.tb.Fatal(err)
	}
	d.tb.Cleanup(func() { d.clean("rmi", "-f", name) })
	return name
}
