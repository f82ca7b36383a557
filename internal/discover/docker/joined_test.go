package docker_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"hale/internal/check"
	"hale/internal/servertest"
)

// A container that joined the network of one that is not checked is asked there,
// and is down when that one's network is gone.
func TestJoinsOneThatIsNotChecked(t *testing.T) {
	d := servertest.Docker(t)
	mine := mark(d)
	network := d.Network()
	for name, owns := range map[string][]string{
		"filtered out":     {},
		"hale.enable":      {"--label", mine, "--label", "hale.enable=false"},
		"joined in a line": nil,
	} {
		t.Run(name, func(t *testing.T) {
			owner := d.Run(append([]string{"--network", network}, append(owns, d.Busybox())...)...)
			joins := owner
			if owns == nil {
				joins = d.Run("--network", "container:"+owner, d.Busybox())
			}
			web := d.Run("--label", mine, "--network", "container:"+joins, d.Web())
			// The network that counts is the owner's.
			w := watch(t, d.Host, mine, "networks="+network, "start_period=0s")
			if v := w.expect(web, check.Up, "200"); v.Check.Target != "http://"+d.IP(owner)+":80/" {
				t.Errorf("got %s", v.Check.Target)
			}
			w.expectNames(web)
			d.Docker("kill", web)
			w.expect(web, check.Down, "exit")
			d.Docker("start", web)
			w.expect(web, check.Up)

			d.Docker("kill", owner)
			w.expect(web, check.Down, "unreachable", "it uses the network of container "+owner+", which does not run")
			again := watch(t, d.Host, mine, "start_period=0s") // as one that comes later sees it
			again.expect(web, check.Down, "unreachable", "does not run")
			d.Docker("rm", owner)
			w.expect(web, check.Down, "unreachable", "of a container that is gone")
			w.stop()
			again.stop()
			d.Docker("rm", "-f", web)
		})
	}
}

// One that lost its network is not asked where it was: that address may be
// another's by now.
func TestAnotherGetsItsAddress(t *testing.T) {
	d := servertest.Docker(t)
	mine := mark(d)
	subnet := fmt.Sprintf("10.%d.%d", 200+rand.IntN(50), rand.IntN(250))
	network := d.Network("--subnet", subnet+".0/24")
	address := []string{"--label", mine, "--network", network, "--ip", subnet + ".77"}
	web := d.Run(append(address, d.Web())...)
	w := watch(t, d.Host, mine, "start_period=0s", "networks="+network+",other")
	w.expect(web, check.Up, "200")
	d.Docker("network", "disconnect", network, web)
	w.expect(web, check.Down, "unreachable", "it has no network")
	w.expectLog("container="+web, `address=""`, "it has no network")

	other := d.Run(append(address, d.Web())...)
	runs := w.expect(other, check.Up, "200").Runs
	first, _ := w.view(web)
	servertest.Wait(t, "both to be asked again", func() error {
		v, _ := w.view(web)
		if o, _ := w.view(other); v.Runs < first.Runs+2 || o.Runs < runs+2 {
			return errNotYet
		}
		return nil
	})
	w.expect(web, check.Down, "unreachable", "it has no network")
	d.Docker("rm", "-f", other)
	d.Docker("network", "connect", "--ip", subnet+".78", network, web)
	if v := w.expect(web, check.Up, "200"); !strings.Contains(v.Check.Target, subnet+".78") {
		t.Errorf("got %s", v.Check.Target)
	}
}

// What is there to be asked is down when it ends by itself, also with status 0.
func TestServesAndEnds(t *testing.T) {
	d := servertest.Docker(t)
	mine := mark(d)
	image := d.Busybox()
	w := watch(t, d.Host, mine)
	ends := []string{image, "sleep", "1"}
	for name, options := range map[string][]string{
		"a port":               {"--expose", "80"},
		"a port not reached":   {"--expose", "80", "--network", "none"},
		"a UDP port":           {"--expose", "53/udp"},
		"a health check":       {"--health-cmd", "true"},
		"a label with a URL":   {"--label", "hale.check=icmp://${ip}"},
		"a further check":      {"--label", "hale.check.x=icmp://${ip}"},
		"one that is to stay":  {"--label", "hale.enable=true"},
		"one restarted always": {"--restart", "unless-stopped"},
	} {
		container := d.Run(append(append([]string{"--label", mine}, options...), ends...)...)
		t.Logf("%s: %s", name, container)
		found := container
		if name == "a further check" {
			found += "-x"
		}
		if name == "one restarted always" {
			w.expect(found, check.Down, "restarting")
			d.Docker("rm", "-f", container)
			continue
		}
		w.expect(found, check.Down, "exit", "status 0")
	}
}
