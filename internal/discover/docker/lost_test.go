package docker_test

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"hale/internal/check"
	"hale/internal/discover/docker"
	"hale/internal/kinds/kindtest"
	"hale/internal/servertest"
	"hale/internal/verdict"
)

// While the engine is lost, what was found is kept and dialled; the loss is a
// warning; and all is looked at anew after it.
func TestEngineIsLostAndFound(t *testing.T) {
	for name, how := range map[string]struct {
		lose, find func(p *servertest.SocketProxy)
		says       string
	}{
		"ended": {func(p *servertest.SocketProxy) { p.Break() }, func(p *servertest.SocketProxy) { p.Mend() }, "proxy.sock"},
		"hung":  {func(p *servertest.SocketProxy) { p.Hang() }, func(p *servertest.SocketProxy) { p.Resume() }, "proxy.sock"},
	} {
		t.Run(name, func(t *testing.T) {
			d := servertest.Docker(t)
			mine := mark(d)
			stays := d.Run("--label", mine, d.Web())
			plain := d.Run("--label", mine, d.Busybox())
			dies := d.Run("--label", mine, d.Busybox())
			goes := d.Run("--label", mine, d.Busybox())
			p := d.Proxy()
			kindtest.ExpectLeavesNothing(t)
			w := watch(t, p.Host, mine)
			w.expectNames(stays, plain, dies, goes)
			w.expectOutcome(verdict.Pass)

			how.lose(p)
			w.expect(docker.Name, check.Down, how.says)
			w.expectOutcome(verdict.Degraded)
			w.expectNames(stays, plain, dies, goes)
			w.expect(plain, check.Up, "the engine does not answer; the last that is known")
			runs := w.expect(stays, check.Up, "200").Runs
			servertest.Wait(t, "a further run", func() error {
				if v, _ := w.view(stays); v.Runs > runs && v.State.Status == check.Up {
					return nil
				}
				return errNotYet
			})
			d.Docker("exec", plain, "true")
			d.Docker("kill", dies)
			d.Docker("rm", "-f", goes)
			comes := d.Run("--label", mine, d.Web())

			how.find(p)
			w.expectNames(stays, plain, dies, comes)
			w.expect(docker.Name, check.Up)
			w.expect(dies, check.Down, "exit", "137")
			w.expect(comes, check.Up)
			w.expect(plain, check.Up, "running since")
			w.expectOutcome(verdict.Fail) // for what died
			w.stop()
			p.Break()

			for _, request := range p.Requests() {
				path := strings.TrimPrefix(request, "GET ")
				parts := strings.Split(path, "/")
				known := strings.HasSuffix(path, "/version") || strings.HasSuffix(path, "/events") || strings.HasSuffix(path, "/containers/json") ||
					len(parts) > 3 && parts[len(parts)-3] == "containers" && parts[len(parts)-1] == "json"
				if path == request || !known {
					t.Errorf("it asked %s", request)
				}
			}
		})
	}
}

// An engine that was never seen is a failure, and not one of the verdict's
// passes.
func TestEngineIsNotThere(t *testing.T) {
	d := servertest.Docker(t)
	mine := mark(d)
	web := d.Run("--label", mine, d.Web())
	p := d.Proxy()
	p.Break()
	kindtest.ExpectLeavesNothing(t)
	w := watch(t, p.Host, mine)
	w.expect(docker.Name, check.Down, "proxy.sock")
	w.expectOutcome(verdict.Fail)
	p.Mend()
	w.expect(web, check.Up)
	w.expectOutcome(verdict.Pass)
	w.stop()
	p.Break()
}

// An engine of the test's own is restarted: its containers end, and those that
// come back are up again.
func TestEngineRestarts(t *testing.T) {
	d := servertest.OwnDocker(t)
	mine := mark(d)
	back := d.Run("--label", mine, "--restart", "always", d.Web())
	ends := d.Run("--label", mine, d.Web())
	w := watch(t, d.Host, mine)
	w.expect(back, check.Up)
	w.expect(ends, check.Up)
	d.Server.Stop()
	w.expect(docker.Name, check.Down)
	w.expect(back, check.Down)
	w.expectOutcome(verdict.Fail)
	d.Server.Start()
	w.expect(docker.Name, check.Up)
	w.expect(back, check.Up)
	w.expect(ends, check.Down, "exit")
	w.expectNames(back, ends)
}

// Many containers come and go in a short time: what is there at the end is
// checked, nothing else, and no memory is left behind.
func TestBursts(t *testing.T) {
	d := servertest.Docker(t)
	mine := mark(d)
	image := d.Busybox()
	kept := d.Run("--label", mine, image)
	w := watch(t, d.Host, mine)
	w.expectNames(kept)
	churn := func() {
		for range 4 {
			var names []string
			for range 3 {
				names = append(names, d.Run("--label", mine, image))
			}
			for _, name := range names {
				d.Docker("restart", "-t", "0", name)
			}
			d.Docker(append([]string{"rm", "-f"}, names...)...)
		}
	}
	churn()
	w.expectNames(kept)
	before := heap()
	churn()
	last := d.Run("--label", mine, image)
	w.expectNames(kept, last)
	w.expect(last, check.Up)
	if grown := heap() - before; grown > 2<<20 {
		t.Errorf("%d bytes more are in use than after the first time", grown)
	}
}

func heap() int {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// Names that are long or taken, and more ports than a container may have checks.
func TestBounds(t *testing.T) {
	d := servertest.Docker(t)
	mine := mark(d)
	long := d.Name() + "-" + strings.Repeat("x", 182)
	d.RunNamed(long, "--label", mine, "--expose", "80", "--expose", "81", "--health-cmd", "true", "--health-interval", "200ms", d.Busybox(), "httpd", "-f")
	many := d.Run("--label", mine, "--expose", "1000-1299", "--health-cmd", "true", "--health-interval", "200ms", d.Busybox())
	w := watch(t, d.Host, mine)
	w.expect(long, check.Down, "status") // it has no pages
	w.expect(long+"-81", check.Down, "refused")
	w.expect(long+"-health", check.Up)
	w.expect(many+"-health", check.Up)
	names := []string{long, long + "-81", long + "-health", many, many + "-health"}
	for port := 1001; port < 1049; port++ {
		names = append(names, fmt.Sprintf("%s-%d", many, port))
	}
	w.expectNames(names...)
	w.expectLog("container="+many, "251 more checks are left out")
	// What it is called now.
	renamed := d.Name()
	d.Docker("rename", long, renamed)
	t.Cleanup(func() { d.Remove(renamed) })
	w.expect(renamed+"-health", check.Up)
	if _, ok := w.view(long); ok {
		t.Error("the old name is still there")
	}
}

// A death is noticed at once also while a run hangs, and when many happen.
func TestDiesWhileARunHangs(t *testing.T) {
	d := servertest.Docker(t)
	mine := mark(d)
	// It takes connections and never answers.
	silent := d.Run("--label", mine, "--label", "hale.timeout=1m", "--label", "hale.interval=1m", "--expose", "80", d.Busybox(), "nc", "-l", "-p", "80", "-e", "sleep", "1000")
	w := watch(t, d.Host, mine)
	w.expectNames(silent)
	servertest.Wait(t, "a run to hang: nc becomes sleep when it has a connection", func() error {
		if top := d.Docker("top", silent); strings.Contains(top, "nc -l") {
			return errors.New(top)
		}
		return nil
	})
	began := time.Now()
	d.Docker("pause", silent)
	w.expect(silent, check.Down, "paused")
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("it took %v", took)
	}
	d.Docker("unpause", silent)
}

func TestFilters(t *testing.T) {
	d := servertest.Docker(t)
	mine := mark(d)
	network := d.Network()
	a := d.Run("--label", mine, "--network", network, "--label", "com.docker.compose.project=shop", d.Busybox())
	b := d.Run("--label", mine, "--network", network, "--label", "tier=front", d.Busybox())
	c := d.Run("--label", mine, "--network", "none", "--label", "tier=back", d.Busybox())
	for option, want := range map[string][]string{
		"networks=" + network:            {a, b},
		"networks=none," + network:       {a, b, c},
		"projects=shop,other":            {a},
		"labels=" + mine + ",tier":       {b, c},
		"labels=" + mine + ",tier=front": {b},
	} {
		w := watch(t, d.Host, mine, option)
		w.expectNames(slices.Clone(want)...)
		w.stop()
	}
}
