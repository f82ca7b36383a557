package docker_test

import (
	"strings"
	"testing"
	"time"

	"hale/internal/check"
	"hale/internal/discover/docker"
	"hale/internal/kinds/kindtest"
	"hale/internal/servertest"
	"hale/internal/verdict"
)

// Every running container becomes checks.
func TestFinds(t *testing.T) {
	d := servertest.Docker(t)
	mine := mark(d)
	web := d.Run("--label", mine, "--expose", "81", "--expose", "9000/udp", d.Web())
	plain := d.Run("--label", mine, d.Busybox())
	port := d.Run("--label", mine, "--expose", "7000", d.Busybox(), "httpd", "-f", "-p", "7000")
	healthy := d.Run("--label", mine, "--expose", "7000", "--health-cmd", "true", "--health-interval", "200ms", d.Busybox(), "httpd", "-f", "-p", "7000")
	off := d.Run("--label", mine, "--label", "hale.enable=false", d.Web())
	ended := d.Run("--label", mine, d.Busybox(), "true")
	oneOff := d.Run("--label", mine, "--label", "com.docker.compose.oneoff=True", d.Busybox())
	servertest.Wait(t, ended+" to end", func() error { return isState(d, ended, "exited") })
	kindtest.ExpectLeavesNothing(t)

	w := watch(t, d.Host, mine)
	w.expectNames(web, web+"-81", plain, port, healthy, healthy+"-health")
	w.expect(docker.Name, check.Up, "Docker", d.Host, "API", "4 containers")
	if v := w.expect(web, check.Up); v.Check.Kind != "http" || v.Check.Target != "http://"+d.IP(web)+":80/" {
		t.Errorf("got %s %s", v.Check.Kind, v.Check.Target)
	}
	w.expect(web+"-81", check.Down, "refused")
	w.expect(plain, check.Up, "running since")
	if v := w.expect(port, check.Up); v.Check.Kind != "tcp" || v.Check.Target != "tcp://"+d.IP(port)+":7000" {
		t.Errorf("got %s %s", v.Check.Kind, v.Check.Target)
	}
	w.expect(healthy, check.Up, "connected")
	w.expect(healthy+"-health", check.Up, "healthy")
	w.expectLog("container="+web, "address="+d.IP(web), "http://"+d.IP(web)+":80/", "bridge of this host")
	for _, name := range []string{off, ended, oneOff} {
		if _, ok := w.view(name); ok {
			t.Errorf("%s is checked", name)
		}
	}
	w.stop()
}

// A container's death is noticed at once, without a second look, and it stays
// down until it is back or removed.
func TestDies(t *testing.T) {
	d := servertest.Docker(t)
	mine := mark(d)
	other := d.Run("--label", mine, d.Busybox())
	// No number of failures but a certain one would take it down.
	web := d.Run("--label", mine, "--label", "hale.fall=1000", d.Web())
	w := watch(t, d.Host, mine, "start_period=1h")
	w.expect(web, check.Up)
	w.expect(other, check.Up)
	w.expectOutcome(verdict.Pass)

	d.Docker("kill", web)
	v := w.expect(web, check.Down, "exit", "status 137", "signal 9", "docker logs")
	if finished, err := time.Parse(time.RFC3339Nano, d.Inspect(web, "{{.State.FinishedAt}}")); err != nil || v.State.Since.Sub(finished) > 5*time.Second {
		t.Errorf("down %v after its end (%v)", v.State.Since.Sub(finished), err)
	} else {
		t.Logf("down %v after its end", v.State.Since.Sub(finished))
	}
	w.expectOutcome(verdict.Fail)

	d.Docker("start", web)
	w.expect(web, check.Up)
	d.Docker("stop", web)
	w.expect(web, check.Down, "exit")
	w.expectOutcome(verdict.Fail)

	d.Docker("rm", web)
	w.expectNames(other)
	w.expectOutcome(verdict.Pass)

	d.Docker("rm", "-f", other)
	w.expectNames()
}

// A container that comes has time to start; one that never was up and ends has
// that time no more.
func TestComesAndHasTimeToStart(t *testing.T) {
	d := servertest.Docker(t)
	mine := mark(d)
	w := watch(t, d.Host, mine, "start_period=1h")
	other := d.Run("--label", mine, d.Busybox())
	w.expect(other, check.Up)
	w.expectOutcome(verdict.Pass)
	slow := d.Run("--label", mine, "--expose", "7000", d.Busybox())
	w.expect(slow, check.Down, "refused")
	if v := w.outcome(); v.Outcome != verdict.Pass {
		t.Errorf("got %v: %v", v.Outcome, v.Causes)
	}
	d.Docker("kill", slow)
	w.expect(slow, check.Down, "exit")
	w.expectOutcome(verdict.Fail)
	d.Docker("start", slow) // by somebody: it has time again
	w.expectOutcome(verdict.Pass)
	d.Docker("rm", "-f", slow)
	w.expectNames(other)

	// Its own start period, and the label, come before the option.
	own := d.Run("--label", mine, "--health-cmd", "false", "--health-start-period", "2h", d.Busybox())
	labelled := d.Run("--label", mine, "--label", "hale.start_period=0s", "--expose", "7000", d.Busybox())
	v := w.expect(own, check.Down, "loading")
	if left := time.Until(v.Check.StartBy); left < 110*time.Minute || left > 120*time.Minute {
		t.Errorf("it has %v", left)
	}
	if v := w.expect(labelled, check.Down, "refused"); !v.Check.StartBy.IsZero() {
		t.Errorf("it has until %v", v.Check.StartBy)
	}
	w.expectOutcome(verdict.Fail)
}

// Each way not to run has its reason.
func TestReasons(t *testing.T) {
	d := servertest.Docker(t)
	mine := mark(d)
	w := watch(t, d.Host, mine)

	paused := d.Run("--label", mine, d.Web())
	w.expect(paused, check.Up)
	d.Docker("pause", paused)
	w.expect(paused, check.Down, "paused", "docker unpause")
	d.Docker("unpause", paused)
	w.expect(paused, check.Up)

	looping := d.Run("--label", mine, "--restart", "always", d.Busybox(), "sh", "-c", "exit 3")
	w.expect(looping, check.Down, "restarting", "status 3", "times so far")
	if v, _ := w.view(looping); !v.Check.StartBy.IsZero() {
		t.Errorf("what is restarted over and over has time until %v", v.Check.StartBy)
	}

	sick := d.Run("--label", mine, "--health-cmd", "test ! -e /tmp/sick || { echo not well; exit 1; }", "--health-interval", "200ms", "--health-retries", "1", d.Busybox())
	w.expect(sick, check.Up, "healthy")
	d.Docker("exec", sick, "touch", "/tmp/sick")
	w.expect(sick, check.Down, "unhealthy", "not well")
	d.Docker("exec", sick, "rm", "/tmp/sick")
	w.expect(sick, check.Up, "healthy")

	none := d.Run("--label", mine, "--restart", "no", d.Busybox(), "sh", "-c", "sleep 1; exit 4")
	w.expect(none, check.Down, "exit", "status 4")
}

// A container that runs out of memory has that for a reason.
func TestOutOfMemory(t *testing.T) {
	d := servertest.Docker(t)
	mine := mark(d)
	w := watch(t, d.Host, mine)
	greedy := d.Run("--label", mine, "--memory", "16m", "--memory-swap", "16m", d.Busybox(), "sh", "-c", "sleep 1; exec tail /dev/zero")
	w.expect(greedy, check.Down, "memory", "ran out of memory")
}

// One that does its work and ends is not a fault.
func TestFinishes(t *testing.T) {
	d := servertest.Docker(t)
	mine := mark(d)
	w := watch(t, d.Host, mine)
	other := d.Run("--label", mine, d.Web())
	w.expectNames(other)
	job := d.Run("--label", mine, d.Busybox(), "sh", "-c", "sleep 2")
	w.expectLog("done its work", job)
	w.expectNames(other)
	// The same, stopped by somebody, is down.
	stopped := d.Run("--label", mine, d.Busybox(), "sh", "-c", "trap 'sleep 1; exit 0' TERM; while :; do sleep 0.1; done")
	w.expect(stopped, check.Up)
	d.Docker("stop", "-t", "20", stopped)
	w.expect(stopped, check.Down, "exit", "status 0")
}

// Where a container is reached.
func TestAddresses(t *testing.T) {
	d := servertest.Docker(t)
	mine := mark(d)
	network, second := d.Network(), d.Network()
	inside := d.Network("--internal")
	own := d.Run("--label", mine, "--network", network, d.Web())
	internal := d.Run("--label", mine, "--network", inside, d.Web())
	host := d.Run("--label", mine, "--network", "host", "--expose", "1", d.Busybox())
	none := d.Run("--label", mine, "--network", "none", "--expose", "80", d.Busybox())
	udp := d.Run("--label", mine, "--expose", "53/udp", d.Busybox())
	joins := d.Run("--label", mine, "--network", "container:"+own, d.Web(), "8080")
	w := watch(t, d.Host, mine)
	w.expect(own, check.Up)
	w.expectLog("container="+own, "address="+d.IP(own), "network "+network+" is a bridge")
	w.expect(internal, check.Up)
	w.expect(host, check.Down, "127.0.0.1:1", "refused")
	w.expectLog("container="+host, "uses the host's network")
	w.expect(none, check.Up, "running since")
	w.expectLog("container="+none, "it has no network", "that it runs")
	w.expect(udp, check.Up, "running since")
	w.expectLog("container="+udp, "it has no TCP port", "53/udp")
	if v := w.expect(joins, check.Up); v.Check.Target != "http://"+d.IP(own)+":80/" {
		t.Errorf("got %s", v.Check.Target)
	}
	// Another network on the way.
	later := d.Run("--label", mine, "--network", "none", d.Busybox())
	w.expect(later, check.Up)
	d.Docker("network", "connect", second, own)
	d.Docker("network", "disconnect", network, own)
	servertest.Wait(t, "the new address", func() error {
		if v, _ := w.view(own); v.Check != nil && strings.Contains(v.Check.Target, d.IP(own)) {
			return nil
		}
		return errNotYet
	})
	w.expect(own, check.Up)
}

// Labels say otherwise.
func TestLabels(t *testing.T) {
	d := servertest.Docker(t)
	mine := mark(d)
	w := watch(t, d.Host, mine)
	replaced := d.Run("--label", mine, "--label", "hale.check=http://${ip}:${port}/x?a=${name}#status=200", "--label", "hale.interval=2s", "--label", "hale.impact=warn", "--label", "hale.groups=ready,web", "--expose", "9", d.Web())
	v := w.expect(replaced, check.Up)
	if v.Check.Target != "http://"+d.IP(replaced)+":80/x?a="+replaced || v.Check.Policy.Interval != 2*time.Second || v.Check.Impact != check.ImpactWarn || strings.Join(v.Check.Groups, " ") != "ready web" {
		t.Errorf("got %+v", v.Check)
	}
	more := d.Run("--label", mine, "--label", "hale.check.ready=http://${ip}/ready", "--label", "hale.path=/p", "--label", "hale.host=example.org", "--label", "hale.status=503", "-e", "STATUS=503", d.Web())
	if v := w.expect(more, check.Up); !strings.HasSuffix(v.Check.Target, "/p") {
		t.Errorf("got %s", v.Check.Target)
	}
	w.expect(more+"-ready", check.Down, "status", "503")
	port := d.Run("--label", mine, "--label", "hale.port=8080", d.Web(), "8080")
	w.expect(port, check.Up)

	bad := d.Run("--label", mine, "--label", "hale.chekc=http://${ip}", d.Web())
	v = w.expect(bad, check.Down, "config", `label hale.chekc: there is no such label; did you mean "hale.check"?`)
	if !v.Check.StartBy.IsZero() {
		t.Error("a bad label has time to be right")
	}
	broken := d.Run("--label", mine, "--label", "hale.check=http://${ip}:port/", d.Web())
	w.expect(broken, check.Down, "config", "label hale.check", "port")
	w.expectNames(replaced, more, more+"-ready", port, bad, broken)
}

// A container that lost its network is down, though it runs.
func TestLosesItsNetwork(t *testing.T) {
	d := servertest.Docker(t)
	mine := mark(d)
	web := d.Run("--label", mine, d.Web())
	w := watch(t, d.Host, mine, "start_period=0s")
	w.expect(web, check.Up, "200")
	network := strings.TrimSpace(d.Inspect(web, "{{range $name, $n := .NetworkSettings.Networks}}{{$name}}{{end}}"))
	d.Docker("network", "disconnect", network, web)
	w.expect(web, check.Down)
	d.Docker("network", "connect", network, web)
	w.expect(web, check.Up, "200")
}

// A container that ends again and again is down all the time, although it
// answers in between.
func TestCrashLoopOfAWebContainer(t *testing.T) {
	d := servertest.Docker(t)
	mine := mark(d)
	loop := d.Run("--label", mine, "--restart", "always", "--expose", "80", d.Busybox(), "sh", "-c", "httpd -p 80 -h /; sleep 2; exit 1")
	w := watch(t, d.Host, mine, "start_period=0s")
	w.expect(loop, check.Down, "restarting")
}

// A job that does its work beside a healthy container does not make the verdict
// fail.
func TestAJobThatEndsWellIsNoFault(t *testing.T) {
	d := servertest.Docker(t)
	mine := mark(d)
	web := d.Run("--label", mine, d.Web())
	w := watch(t, d.Host, mine, "start_period=0s")
	w.expect(web, check.Up)
	w.expectOutcome(verdict.Pass)
	job := d.Run("--label", mine, d.Busybox(), "sleep", "1")
	w.expect(job, check.Up)
	w.expectLog("done its work")
	if log := w.log.String(); strings.Contains(log, job+" is down") {
		t.Errorf("the job was down:\n%s", log)
	}
}
