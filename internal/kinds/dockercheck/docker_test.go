package dockercheck_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"hale/internal/check"
	"hale/internal/kinds/dockercheck"
	"hale/internal/kinds/kindtest"
	"hale/internal/servertest"
)

// registry is one for all checks of a test, as an agent has it.
func registry(t *testing.T) *check.Registry {
	t.Helper()
	r, err := check.NewRegistry(check.Env{}, dockercheck.Kind())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func build(t *testing.T, r *check.Registry, url string) *check.Check {
	t.Helper()
	policy := check.DefaultPolicy()
	policy.Timeout = 10 * time.Second
	c, err := r.Build(check.Spec{URL: url, Policy: policy})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func run(t *testing.T, url string) check.Result {
	t.Helper()
	return build(t, registry(t), url).Run(t.Context(), func(v any, stack []byte) { t.Errorf("panic: %v\n%s", v, stack) })
}

// expect waits until a check says what is wanted, whole, which it should soon.
func expect(t *testing.T, url string, reason check.Reason, want string) {
	t.Helper()
	pattern := regexp.MustCompile("^" + want + "$")
	servertest.Wait(t, url, func() error {
		result := run(t, url)
		if text := result.Text(); result.Reason() != reason || !pattern.MatchString(text) {
			return fmt.Errorf("got %q: %s\nwant %q: %s", result.Reason(), text, reason, want)
		}
		return nil
	})
}

const moment = `20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ`

func TestStates(t *testing.T) {
	d := servertest.Docker(t)
	busybox := d.Busybox()
	sleep := func(options ...string) string { return d.Run(append(options, busybox)...) }
	sh := func(script string, options ...string) string {
		return d.Run(append(options, busybox, "sh", "-c", script)...)
	}
	health := func(command string) []string {
		return []string{"--health-cmd", command, "--health-interval", "200ms", "--health-retries", "2"}
	}
	running, paused, killed := sleep(), sleep(), sleep()
	healthy, unhealthy := sleep(health("echo fine")...), sleep(health("echo; echo no database; echo more; exit 1")...)
	starting := sleep(append(health("echo not yet; exit 1"), "--health-start-period", "1h")...)
	created := d.Create(busybox)
	exited, failed := sh("exit 0"), sh("exit 3")
	loops := sh("exit 4", "--restart", "always")
	gaveUp := sh("exit 5", "--restart", "on-failure:2")
	once := sh("test -e /tmp/x || { touch /tmp/x; exit 1; }; exec sleep 1000", "--restart", "always")
	hog := hog(t, d)
	wrong := d.Create(busybox, "/no/such/program")
	if _, err := d.Try("start", wrong); err == nil {
		t.Error("a container without its program starts")
	}
	d.Docker("pause", paused)
	d.Docker("kill", killed)
	for _, test := range []struct {
		name, options string
		reason        check.Reason
		want          string
	}{
		{running, "", "", "running since " + moment},
		{running, "?healthy", check.ReasonStatus, "docker://NAME: is running since " + moment + ", but has no health check, and healthy wants one; give it a HEALTHCHECK"},
		{paused, "", check.ReasonStatus, "docker://NAME: is paused; docker unpause NAME"},
		{killed, "", check.ReasonExit, `docker://NAME: was killed \(exit code 137\) at ` + moment + "; see docker logs NAME"},
		{healthy, "", "", "healthy, running since " + moment},
		{healthy, "?healthy", "", "healthy, running since " + moment},
		{unhealthy, "", check.ReasonStatus, `docker://NAME: is unhealthy: its health check failed \d+ times in a row: exit code 1: no database`},
		{starting, "", check.ReasonLoading, `docker://NAME: is starting: its health check has not passed yet.*`},
		{created, "", check.ReasonStatus, "docker://NAME: was created and never started; docker start NAME"},
		{exited, "", check.ReasonExit, "docker://NAME: exited with code 0 at " + moment + "; see docker logs NAME"},
		{failed, "", check.ReasonExit, "docker://NAME: exited with code 3 at " + moment + "; see docker logs NAME"},
		{loops, "", check.ReasonExit, `docker://NAME: restarts in a loop: exited with code 4 at ` + moment + `, and the engine has restarted it (once|\d+ times); see docker logs NAME`},
		{gaveUp, "", check.ReasonExit, "docker://NAME: exited with code 5 at " + moment + ", after the engine had restarted it 2 times; see docker logs NAME"},
		{once, "?min_uptime=1h", check.ReasonStatus, `docker://NAME: restarts in a loop: is running, but the engine restarted it \S+ ago, once in all, want it to stay up for 1h0m0s; see docker logs NAME`},
		{once, "?min_uptime=0s", "", "running since " + moment + ", restarted once"},
		{once, "?min_uptime=0s&max_restarts=1", "", "running since " + moment + ", restarted once"},
		{once, "?max_restarts=0", check.ReasonStatus, "docker://NAME: is running since " + moment + ", but the engine has restarted it once, want at most 0; see docker logs NAME"},
		{hog, "", check.ReasonExit, `docker://NAME: was killed for lack of memory \(exit code 137\) at ` + moment + "; see docker logs NAME"},
		{wrong, "", check.ReasonStatus, "docker://NAME: could not be started: .*no such file.*"},
		{"hale-test-none", "", check.ReasonMissing, "docker://NAME: the engine at " + d.Host + " has no such container; see docker ps --all"},
	} {
		url := "docker://" + test.name + test.options
		if strings.HasPrefix(test.options, "?") {
			url += "&host=" + d.Host
		} else {
			url += "?host=" + d.Host
		}
		expect(t, url, test.reason, strings.ReplaceAll(test.want, "NAME", test.name))
	}
	// By id, and the beginning of it.
	id := d.Inspect(running, "{{.Id}}")
	expect(t, "docker://"+id+"?host="+d.Host, "", "running since "+moment)
	expect(t, "docker:"+id[:12]+"?host="+d.Host, "", "running since "+moment)
	expect(t, "docker:"+id[:13]+"?host="+d.Host, "", "running since "+moment)
	// What somebody restarts begins at none.
	d.Docker("restart", once)
	expect(t, "docker://"+once+"?min_uptime=1h&max_restarts=0&host="+d.Host, "", "running since "+moment)
}

// An engine takes few characters for an id. A name made of them, such as db, must
// not be up by a container that merely has such an id.
func TestShortIDs(t *testing.T) {
	d := servertest.Docker(t)
	web := d.Run(d.Busybox())
	id := d.Inspect(web, "{{.Id}}")
	const missing = "docker://NAME: the engine at .* has no such container: .* and an id has to be given with 12 characters or more; see docker ps --all"
	for _, n := range []int{4, 11} {
		expect(t, "docker://"+id[:n]+"?host="+d.Host, check.ReasonMissing, strings.ReplaceAll(missing, "NAME", id[:n]))
	}
	short, whole := watch(t, registry(t), "docker://"+id[:4]+"?host="+d.Host), watch(t, registry(t), "docker://"+id[:12]+"?host="+d.Host)
	quiet(short)
	quiet(whole)
	d.Docker("pause", web)
	<-whole
	select {
	case <-short:
		t.Error("what happens to a container is told to a check that has four characters of its id")
	case <-time.After(time.Second):
	}
	// Of 17 containers two have ids with the same first digit, which the engine
	// calls ambiguous.
	seen := map[byte]bool{id[0]: true}
	for range 16 {
		digit := d.Inspect(d.Create(d.Busybox()), "{{.Id}}")[0]
		if seen[digit] {
			name := string(digit)
			if _, err := d.Try("inspect", "--type", "container", name); err == nil {
				t.Errorf("the engine has a container for %s", name)
			}
			expect(t, "docker://"+name+"?host="+d.Host, check.ReasonMissing, strings.ReplaceAll(missing, "NAME", name))
			return
		}
		seen[digit] = true
	}
	t.Error("no two ids begin alike")
}

// hog returns the name of a container that was killed, and of which the engine
// knows that it lacked memory: it is killed when it has said so. The engine hears
// of it in another way than of the container's end, and may miss it.
func hog(t *testing.T, d *servertest.DockerEngine) string {
	begin := fmt.Sprint(time.Now().Add(-time.Minute).Unix())
	name := d.Run("--memory", "16m", "--memory-swap", "16m", d.Busybox(),
		"sh", "-c", "while :; do tail /dev/zero; sleep 0.5; done")
	servertest.Wait(t, name+" to lack memory", func() error {
		now := fmt.Sprint(time.Now().Unix() + 1)
		if d.Docker("events", "--since", begin, "--until", now, "--filter", "container="+name, "--filter", "event=oom") == "" {
			return errors.New("the engine has not said so")
		}
		return nil
	})
	// It may have ended by itself, if the kernel chose the shell.
	if out, err := d.Try("kill", name); err != nil && d.Inspect(name, "{{.State.Running}}") == "true" {
		t.Fatalf("%v\n%s", err, out)
	}
	return name
}

// A container that loops is up for a moment again and again. Nobody who looks
// then may take it for up.
func TestNeverHealthy(t *testing.T) {
	d := servertest.Docker(t)
	name := d.Run("--restart", "always", d.Busybox(), "sh", "-c", "sleep 0.3; exit 1")
	url := "docker://" + name + "?host=" + d.Host
	expect(t, url, check.ReasonExit, ".*")
	for range 200 {
		if result := run(t, url); result.Healthy() {
			t.Fatalf("got %s", result.Note)
		}
	}
}

func TestPodman(t *testing.T) {
	d := servertest.Podman(t)
	name := d.Run("--network", "none", d.Busybox(), "sleep", "1000")
	url := "docker://" + name + "?host=" + d.Host
	expect(t, url, "", "running since "+moment)
	changes := watch(t, registry(t), url)
	<-changes
	d.Docker("pause", name)
	until(t, changes, url, false)
	expect(t, url, check.ReasonStatus, ".*: is paused; docker unpause "+name)
	d.Docker("unpause", name)
	until(t, changes, url, true)
	d.Docker("kill", name)
	until(t, changes, url, false)
	expect(t, url, check.ReasonExit, `.*: was killed \(exit code 137\) at `+moment+".*")
	d.Remove(name)
	expect(t, url, check.ReasonMissing, ".* has no such container; .*")
	loops := d.Run("--network", "none", "--restart", "always", d.Busybox(), "sh", "-c", "sleep 0.2; exit 3")
	expect(t, "docker://"+loops+"?host="+d.Host, check.ReasonStatus, ".*: restarts in a loop: is running, but .*")
}

// watch watches until the test ends.
func watch(t *testing.T, r *check.Registry, url string) <-chan struct{} {
	t.Helper()
	c := build(t, r, url)
	ctx, cancel := context.WithCancel(t.Context())
	changes := make(chan struct{}, 1)
	ended := make(chan error, 1)
	go func() {
		ended <- c.Checker.(check.Watcher).Watch(ctx, func() {
			select {
			case changes <- struct{}{}:
			default:
			}
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("watching ended with %v", err)
		}
	})
	return changes
}

// until runs the check at every change until it is as it should be.
func until(t *testing.T, changes <-chan struct{}, url string, healthy bool) {
	t.Helper()
	patience := time.After(time.Minute)
	var last check.Result
	for {
		select {
		case <-changes:
			if last = run(t, url); last.Healthy() == healthy {
				return
			}
		case <-patience:
			t.Fatalf("nothing said that %s is healthy %v; at last: %s", url, healthy, last.Text())
		}
	}
}

// Checks of one registry share one stream, each is told of what concerns it, and
// the loss of the engine and its return are noticed.
func TestWatch(t *testing.T) {
	d := servertest.Docker(t)
	proxy := d.Proxy()
	kindtest.ExpectLeavesNothing(t)
	t.Cleanup(proxy.Break)
	r := registry(t)
	one, other := d.Run(d.Busybox()), d.Run(d.Busybox())
	at := "?host=" + proxy.Host
	first, second := watch(t, r, "docker://"+one+at), watch(t, r, "docker://"+d.Inspect(other, "{{.Id}}")[:12]+at)
	until(t, first, "docker://"+one+at, true)
	until(t, second, "docker://"+other+at, true)
	servertest.Wait(t, "a stream of events", func() error {
		if n := streams(proxy); n != 1 {
			return fmt.Errorf("there are %d", n)
		}
		return nil
	})
	quiet(second) // when the stream has begun, all are told once more

	d.Docker("kill", one)
	until(t, first, "docker://"+one+at, false)
	select {
	case <-second:
		t.Error("one check is told of the other's container")
	default:
	}
	d.Docker("start", one)
	until(t, first, "docker://"+one+at, true)
	d.Docker("pause", other)
	until(t, second, "docker://"+other+at, false)
	d.Docker("unpause", other)
	until(t, second, "docker://"+other+at, true)
	if n := streams(proxy); n != 1 {
		t.Errorf("there were %d streams of events, want 1", n)
	}

	proxy.Break()
	until(t, first, "docker://"+one+at, false)
	proxy.Mend()
	until(t, first, "docker://"+one+at, true)
	d.Remove(one)
	until(t, first, "docker://"+one+at, false)
}

// quiet waits until nothing has been told for a while.
func quiet(changes <-chan struct{}) {
	for {
		select {
		case <-changes:
		case <-time.After(time.Second):
			return
		}
	}
}

func streams(proxy *servertest.SocketProxy) int {
	n := 0
	for _, request := range proxy.Requests() {
		if strings.HasSuffix(request, "/events") {
			n++
		}
	}
	return n
}

// An engine that is away is tried again and again, with pauses that grow to five
// seconds and no further.
func TestPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		refuse := func(context.Context, string, string) (net.Conn, error) {
			tries++
			return nil, syscall.ECONNREFUSED
		}
		r, err := check.NewRegistry(check.Env{Dial: refuse}, dockercheck.Kind())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := build(t, r, "docker://web?host=unix:///x.sock").Checker.(check.Watcher).Watch(ctx, func() {}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		// 0.1 + 0.2 + 0.4 + 0.8 + 1.6 + 3.2 seconds, and then every five.
		if want := 6 + int((time.Hour-6*time.Second)/(5*time.Second)); tries < want || tries > want+3 {
			t.Errorf("it was tried %d times in an hour, want %d", tries, want)
		}
	})
}

// From the death of a container to the word of it.
func TestWatchIsSoon(t *testing.T) {
	d := servertest.Docker(t)
	name := d.Run(d.Busybox())
	url := "docker://" + name + "?host=" + d.Host
	changes := watch(t, registry(t), url)
	until(t, changes, url, true)
	var took []time.Duration
	for range 5 {
		d.Docker("kill", name)
		until(t, changes, url, false)
		died, err := time.Parse(time.RFC3339Nano, d.Inspect(name, "{{.State.FinishedAt}}"))
		if err != nil {
			t.Fatal(err)
		}
		took = append(took, time.Since(died))
		d.Docker("start", name)
		until(t, changes, url, true)
	}
	t.Logf("from the end of the program until this test knew: %v", took)
	if slices.Min(took) > 5*time.Second {
		t.Errorf("got %v", took)
	}
}

func TestEngineHangs(t *testing.T) {
	d := servertest.Docker(t)
	proxy := d.Proxy()
	name := d.Run(d.Busybox())
	url := "docker://" + name + "?timeout=300ms&host=" + proxy.Host
	expect(t, url, "", "running since .*")
	kindtest.ExpectLeavesNothing(t)
	proxy.Hang()
	for range 2 {
		result := kindtest.Run(t, t.Context(), build(t, registry(t), url))
		kindtest.ExpectReason(t, result, check.ReasonTimeout)
		if want := "no answer within 300ms: docker://" + name + ": asking the engine at " + proxy.Host; !strings.HasPrefix(result.Text(), want) {
			t.Errorf("got %s\nwant %s…", result.Text(), want)
		}
	}
	proxy.Resume()
	expect(t, url, "", "running since .*")
	proxy.Break()
	expect(t, url, check.ReasonMissing, "docker://"+name+": no engine's socket at "+proxy.Socket+`; does Docker run here\? In a container, mount it .*`)
}

func TestContract(t *testing.T) {
	for _, name := range []string{"DOCKER_HOST", "DOCKER_TLS", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"} {
		t.Setenv(name, "")
	}
	kindtest.Network{
		Kind: dockercheck.Kind(),
		URL:  func(address string) string { return "docker://web?host=tcp://" + address },
	}.Run(t)
}

func TestBadURLsAndOptions(t *testing.T) {
	for _, name := range []string{"DOCKER_TLS", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"} {
		t.Setenv(name, "")
	}
	for url, want := range map[string]string{
		"docker://":                            "url: names no container; write one such as docker://web",
		"docker:///web":                        "url: names no container; write two slashes: docker://web",
		"docker://web/x":                       `url: has the path "/x" after a container; leave it out, and set options after ?`,
		"docker://web:80":                      "url: has a port, and this kind looks at a container, not at a port of it; write docker://web, or http:// or tcp:// with an address",
		"docker://a@web":                       "url: a container has no user; write one such as docker://web",
		"docker:we!b":                          `url: "we!b" is not a container's name, which has letters, digits, '_', '.' and '-' only; see docker ps --all`,
		"docker://" + strings.Repeat("a", 256): "url: the container's name is longer than 255 characters",
		"docker://web?min_uptime=-1s":          "min_uptime: -1s is negative; give a duration such as 10s",
		"docker://web?max_restarts=-2":         "max_restarts: -2 is out of range; give a count from 0, or -1 for any",
		"docker://web?host=nope":               "host: the engine's address has no scheme; give one such as unix:///var/run/docker.sock or tcp://127.0.0.1:2376",
	} {
		_, err := registry(t).Build(check.Spec{URL: url, Policy: check.DefaultPolicy()})
		if err == nil || err.Error() != want {
			t.Errorf("%s:\n got %v\nwant %s", url, err, want)
		}
	}
	t.Setenv("DOCKER_HOST", "ssh://me@host")
	_, err := registry(t).Build(check.Spec{URL: "docker://web", Policy: check.DefaultPolicy()})
	if err == nil || !strings.HasPrefix(err.Error(), "host: DOCKER_HOST begins with ssh://, which hale does not speak; ") {
		t.Errorf("got %v", err)
	}
	for _, url := range []string{"docker://my_app", "docker://My.App-1", "docker:web", "docker://" + strings.Repeat("a", 200)} {
		_ = os.Unsetenv("DOCKER_HOST")
		build(t, registry(t), url)
	}
}

func TestDefaults(t *testing.T) {
	c := build(t, registry(t), "docker://web?host=unix:///run/x.sock")
	var got []string
	for _, o := range c.Options {
		got = append(got, o.Name+"="+o.Value)
	}
	if want := "healthy=false min_uptime=10s max_restarts=-1 host=unix:///run/x.sock"; strings.Join(got, " ") != want {
		t.Errorf("got %v, want %s", got, want)
	}
	if c.Name != "docker-web" {
		t.Errorf("it is called %s", c.Name)
	}
}
