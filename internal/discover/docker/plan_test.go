package docker

import (
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"hale/internal/check"
	"hale/internal/discover"
	"hale/internal/engine"
	"hale/internal/kinds"
)

func newRules(t *testing.T) *rules {
	t.Helper()
	registry, err := check.NewRegistry(check.Env{}, kinds.All()...)
	if err != nil {
		t.Fatal(err)
	}
	return &rules{config: *defaults(), webPorts: []int{80}, env: discover.Env{
		Registry: registry, Policy: check.DefaultPolicy(), OwnPorts: []int{5000}, Log: slog.New(slog.DiscardHandler),
	}}
}

// host is a vantage on a host with one bridge.
var host = vantage{bridges: []netip.Prefix{netip.MustParsePrefix("172.17.0.0/16"), netip.MustParsePrefix("fd00:17::/64")}}

// container makes one on the bridge, with TCP ports.
func container(ports ...int) *engine.Container {
	c := &engine.Container{ID: "id", Name: "web", NetworkMode: "bridge", Labels: map[string]string{}, Networks: map[string]engine.Network{"bridge": {ID: "n1", IP: "172.17.0.2"}}}
	for _, port := range ports {
		c.Exposed = append(c.Exposed, engine.Port{Number: port, Proto: "tcp"})
	}
	c.State = engine.State{Status: "running", Running: true}
	return c
}

// shown says a plan in words: NAME URL, for each check.
func shown(p *plan) string {
	if p.fault != nil {
		return "fault: " + p.fault.Error()
	}
	var all []string
	for _, c := range p.checks {
		all = append(all, strings.TrimSpace(c.suffix+" "+c.describe(p)))
	}
	if p.remark != "" {
		all = append(all, "("+p.remark+")")
	}
	return strings.Join(all, ", ")
}

func TestPlan(t *testing.T) {
	var many []int
	for port := range 300 {
		many = append(many, 1000+port)
	}
	for _, test := range []struct {
		name   string
		c      *engine.Container
		change func(c *engine.Container)
		from   vantage
		want   string // begins with
	}{
		{"web", container(80), nil, host, "http://172.17.0.2:80/"},
		{"web and others", container(22, 80, 443), nil, host, "http://172.17.0.2:80/, 22 tcp://172.17.0.2:22, 443 tcp://172.17.0.2:443"},
		{"no port", container(), nil, host, "that it runs"},
		{"udp only", container(), func(c *engine.Container) { c.Exposed = []engine.Port{{Number: 53, Proto: "udp"}} }, host, "that it runs"},
		{"health only", container(), func(c *engine.Container) { c.Healthcheck = &engine.Healthcheck{} }, host, "its own health"},
		{"web and health", container(80), func(c *engine.Container) { c.Healthcheck = &engine.Healthcheck{} }, host, "http://172.17.0.2:80/, health its own health"},
		{"300 ports", container(many...), func(c *engine.Container) { c.Healthcheck = &engine.Healthcheck{} }, host, "tcp://172.17.0.2:1000, 1001 tcp://172.17.0.2:1001"},
		{"IPv6 only", container(80), func(c *engine.Container) { c.Networks["bridge"] = engine.Network{ID: "n", IPv6: "fd00:17::2"} }, host, "http://[fd00:17::2]:80/"},
		{"no network", container(80), func(c *engine.Container) { c.NetworkMode, c.Networks = "none", nil }, host, "that it runs"},
		{"the host's network", container(80, 5000), func(c *engine.Container) { c.NetworkMode, c.Networks = "host", nil }, host, "http://127.0.0.1:80/"},
		{"the host's network, from a container", container(80), func(c *engine.Container) { c.NetworkMode, c.Networks = "host", nil }, insider(), "http://172.18.0.1:80/"},
		{"Swarm", container(80), swarm, host, "that it runs"},
		{"Swarm, published", container(80, 90), func(c *engine.Container) { swarm(c); publish("0.0.0.0", 8080)(c) }, host, "http://127.0.0.1:8080/, (not reached from here, and so not checked: 90 (not published))"},
		{"published at IPv6", container(80), func(c *engine.Container) { swarm(c); publish("::", 8080)(c) }, host, "http://[::1]:8080/"},
		{"published at an address", container(80), func(c *engine.Container) { swarm(c); publish("192.0.2.1", 8080)(c) }, host, "http://192.0.2.1:8080/"},
		{"published, from a container", container(80), func(c *engine.Container) { swarm(c); publish("0.0.0.0", 8080)(c) }, insider(), "http://172.18.0.1:8080/"},
		{"published at loopback, from a container", container(80), func(c *engine.Container) { swarm(c); publish("127.0.0.1", 8080)(c) }, insider(), "that it runs"},
		{"another host's engine", container(80), publish("0.0.0.0", 8080), vantage{remote: "docker.example", bridges: host.bridges}, "http://docker.example:8080/"},
		{"another host's loopback", container(80), publish("127.0.0.1", 8080), vantage{remote: "docker.example"}, "that it runs"},
		{"path", container(80), label("path", "/health?x=1"), host, "http://172.17.0.2:80/health?x=1"},
		{"path with one port", container(8000), label("path", "/health"), host, "http://172.17.0.2:8000/health"},
		{"path with two ports", container(8000, 9000), label("path", "/health"), host, "fault: hale.path, hale.host and hale.status are for a web port, and which one that is can't be told: 2 TCP ports are exposed"},
		{"a path that is none", container(80), label("path", "health"), host, `fault: label hale.path: "health" is not a path`},
		{"port", container(80, 9000), label("port", "8000, 8001"), host, "http://172.17.0.2:8000/, 8001 http://172.17.0.2:8001/"},
		{"no port number", container(80), label("port", "http"), host, `fault: label hale.port: "http" is not a port`},
		{"check", container(80), label("check", "redis://${ip}:6379#interval=1s"), host, "redis://172.17.0.2:6379"},
		{"check by port and name", container(80), label("check", "http://${ip}:${port}/${name}"), host, "http://172.17.0.2:80/web"},
		{"check by IPv6", container(80), func(c *engine.Container) {
			c.Networks["bridge"] = engine.Network{ID: "n", IPv6: "fd00:17::2"}
			label("check", "tcp://${ip}:1")(c)
		}, host, "tcp://[fd00:17::2]:1"},
		{"check of a published port", container(80), func(c *engine.Container) {
			swarm(c)
			publish("0.0.0.0", 8080)(c)
			label("check", "http://${ip}:${port}/")(c)
		}, host, "http://127.0.0.1:8080/"},
		{"more checks", container(80), label("check.api", "tcp://${ip}:81"), host, "http://172.17.0.2:80/, api tcp://172.17.0.2:81"},
		{"more checks alone", container(), label("check.api", "tcp://${ip}:81"), host, "api tcp://172.17.0.2:81"},
		{"check and path", container(80), func(c *engine.Container) { label("check", "tcp://${ip}:1")(c); label("path", "/")(c) }, host, "fault: hale.path, hale.port, hale.host and hale.status have no effect beside hale.check"},
		{"no address to fill in", container(80), func(c *engine.Container) {
			c.NetworkMode, c.Networks = "none", nil
			label("check", "tcp://${ip}:1")(c)
		}, host, "fault: label hale.check: ${ip} is not known: it has no network"},
		{"no port to fill in", container(), label("check", "tcp://${ip}:${port}"), host, "fault: label hale.check: ${port} is not known, as the container exposes no TCP port"},
		{"compose took the variable", container(80), label("check", "http://:80/"), host, "fault: label hale.check: it has no host, and so would check hale's own"},
		{"another variable", container(80), label("check", "http://${env:HOME}/"), host, "fault: label hale.check: ${env:HOME} is not known here"},
		{"unclosed", container(80), label("check", "http://${ip/"), host, "fault: label hale.check: a ${ without its }"},
		{"a broken URL", container(80), label("check", "http//x"), host, "fault: label hale.check: url: "},
		{"another host", container(80), label("check", "http://db.internal/"), host, "fault: label hale.check: it names another host than the container"},
		{"another host, and the address in its path", container(80), label("check", "http://127.0.0.1:5001/metrics?${ip}"), host, "fault: label hale.check: it names another host than the container"},
		{"another host, and the address as its user", container(80), label("check", "http://${ip}@127.0.0.1:5001/metrics"), host, "fault: label hale.check: it names another host than the container"},
		{"another host, and the address in its query", container(80), label("check", "http://10.9.9.9?${ip}"), host, "fault: label hale.check: it names another host than the container"},
		{"another host, and the address in an option", container(80), label("check", "http://10.9.9.9#host=${ip}"), host, "fault: label hale.check: it names another host than the container"},
		{"a host that begins with the address", container(80), label("check", "http://${ip}.example.org/"), host, "fault: label hale.check: it names another host than the container"},
		{"a port in the place of a host", container(80), label("check", "http://${port}/${ip}"), host, "fault: label hale.check: it names another host than the container"},
		{"the system's resolver", container(80), label("check", "dns:/${ip}"), host, "fault: label hale.check: it has no host"},
		{"a user", container(80), label("check", "redis://${name}:x@${ip}:${port}/1"), host, "redis://web:***@172.17.0.2:80/1"},
		{"a unix socket", container(80), label("check", "http://${ip}/#unix=/run/x"), host, "fault: label hale.check: its option unix may lead to another host than the container"},
		{"a unix socket of gRPC", container(80), label("check", "grpc://${ip}?unix=/run/x"), host, "fault: label hale.check: its option unix may lead to another host"},
		{"a unix socket of PostgreSQL", container(80), label("check", "postgres://${ip}?host=/run"), host, "fault: label hale.check: host: is for a unix socket, and the URL names a host"},
		{"a proxy", container(80), label("check", "http://${ip}/#proxy=http://10.9.9.9"), host, "fault: label hale.check: its option proxy may lead to another host"},
		{"redirects", container(80), label("check.x", "http://${ip}/#follow=3"), host, "fault: label hale.check.x: its option follow may lead to another host"},
		{"hale itself, in a URL", container(80), label("check", "http://${ip}/#groups=ready,live"), host, `fault: label hale.check: a label can't put a check into the group "live"`},
		{"a name, on a host", container(80), label("check", "http://${name}/"), host, "fault: label hale.check: ${name} is no host here"},
		{"a name, in the default network", container(80), label("check", "http://${name}/"), beside("bridge"), "fault: label hale.check: ${name} is no host here"},
		{"a name, in a network", container(80), func(c *engine.Container) {
			c.Networks = map[string]engine.Network{"shop": {ID: "n9", IP: "172.18.0.3"}}
			label("check", "http://${name}:81/")(c)
		}, beside("shop"), "http://web:81/"},
		{"a number of a published port", container(80), func(c *engine.Container) {
			swarm(c)
			publish("0.0.0.0", 8080)(c)
			label("check", "http://${ip}:80/")(c)
		}, host, "http://127.0.0.1:8080/"},
		{"a number of the host's", container(80), func(c *engine.Container) {
			swarm(c)
			publish("0.0.0.0", 8080)(c)
			label("check", "http://${ip}:5001/")(c)
		}, host, "fault: label hale.check: the container can be reached by published ports only, and this one can't: 5001 (not published)"},
		{"no number, and published ports", container(80), func(c *engine.Container) {
			swarm(c)
			publish("0.0.0.0", 8080)(c)
			label("check", "redis://${ip}")(c)
		}, host, "fault: label hale.check: it has no port, and the container can be reached by published ports only"},
		{"hale itself", container(80), label("groups", "ready, live"), host, `fault: label hale.groups: a label can't put a check into the group "live"`},
		{"an unknown option", container(80), label("check", "http://${ip}/#stauts=200"), host, "fault: label hale.check: stauts: http has no such option"},
		{"a command", container(80), label("check", "exec:/bin/true"), host, `fault: label hale.check: a label can't ask for the kind "exec"`},
		{"a file", container(80), label("check.x", "FILE:///etc/shadow"), host, `fault: label hale.check.x: a label can't ask for the kind "file"`},
		{"an unknown label", container(80), label("intreval", "1s"), host, `fault: label hale.intreval: there is no such label; did you mean "hale.interval"?`},
		{"an interval", container(80), label("interval", "soon"), host, `fault: label hale.interval: "soon" is not a duration`},
		{"an impact", container(), label("impact", "none"), host, `fault: label hale.impact: "none" is not an impact`},
		{"empty", container(80), label("check", " "), host, "fault: label hale.check: is empty"},
		{"a status", container(80), label("status", "two hundred"), host, `fault: label hale.status: "two hundred" is not a status`},
		{"enable", container(80), label("enable", "maybe"), host, `fault: label hale.enable: "maybe" is not true or false`},
		{"a name", container(80), label("check.a b", "tcp://${ip}:1"), host, `fault: label hale.check.a b: "a b" is not a name`},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.change != nil {
				test.change(test.c)
			}
			p := newRules(t).plan(test.c, test.from.locate(test.c, test.c))
			got := shown(p)
			if !strings.HasPrefix(got, test.want) || !strings.HasPrefix(test.want, "fault") && len(got) > len(test.want) && len(p.checks) < maxPerContainer {
				t.Errorf("got %q\nwant %q", got, test.want)
			}
			if p.at.why == "" || len(p.checks) > maxPerContainer {
				t.Errorf("%d checks at %+v", len(p.checks), p.at)
			}
		})
	}
}

// swarm gives a container networks that its host is not in.
func swarm(c *engine.Container) {
	c.NetworkMode = "default"
	c.Networks = map[string]engine.Network{"ingress": {ID: "n2", IP: "10.0.0.5"}, "shop": {ID: "n3", IP: "10.0.1.5"}}
}

func publish(ip string, port int) func(c *engine.Container) {
	return func(c *engine.Container) {
		c.Published = append(c.Published, engine.Published{HostIP: ip, HostPort: port, Port: 80, Proto: "tcp"})
	}
}

func label(name, value string) func(c *engine.Container) {
	return func(c *engine.Container) { c.Labels["hale."+name] = value }
}

// insider is a vantage in a container of another network.
func insider() vantage {
	self := &engine.Container{ID: "self", NetworkMode: "hale", Networks: map[string]engine.Network{"hale": {ID: "n9", IP: "172.18.0.2"}}}
	return vantage{self: self, selfNet: self, gateway: "172.18.0.1", bridges: host.bridges}
}

// beside is a vantage in a container of a network of this name.
func beside(network string) vantage {
	v := insider()
	id := map[string]string{"bridge": "n1"}[network]
	if id == "" {
		id = "n9"
	}
	v.selfNet.Networks = map[string]engine.Network{network: {ID: id, IP: "172.18.0.2"}}
	return v
}

// Why a container is asked where it is, or not asked.
func TestWhy(t *testing.T) {
	ends := container(80)
	ends.ID, ends.Name, ends.State = "owner", "gate", engine.State{Status: "exited"}
	for _, test := range []struct {
		name   string
		c      *engine.Container
		change func(c *engine.Container)
		owner  *engine.Container
		from   vantage
		want   string
	}{
		{"a bridge", container(80), nil, nil, host, "its network bridge is a bridge of this host"},
		{"UDP", container(), func(c *engine.Container) { c.Exposed = []engine.Port{{Number: 53, Proto: "udp"}} }, nil, host, "it has no TCP port, and others can't be asked without knowing what they speak: 53/udp"},
		{"UDP, and a label", container(), func(c *engine.Container) {
			c.Exposed = []engine.Port{{Number: 53, Proto: "udp"}}
			label("check", "dns://${ip}/localhost")(c)
		}, nil, host, "its network bridge is a bridge of this host"},
		{"no port", container(), nil, nil, host, "it exposes no port"},
		{"hidden", container(80), func(c *engine.Container) { swarm(c); publish("127.0.0.1", 8082)(c) }, nil, insider(), "none of its networks (ingress, shop) can be reached from here, nor any of its ports: 80 (published at 127.0.0.1, which is not here)"},
		{"not published", container(80), swarm, nil, insider(), "none of its networks (ingress, shop) can be reached from here, and none of its ports is published"},
		{"of one that ended", container(80), nil, ends, host, "it uses the network of container gate, which does not run"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.change != nil {
				test.change(test.c)
			}
			if test.owner == nil {
				test.owner = test.c
			}
			if got := newRules(t).plan(test.c, test.from.locate(test.c, test.owner)).at.why; got != test.want {
				t.Errorf("got %q\nwant %q", got, test.want)
			}
		})
	}
	if got := host.locate(container(80), nil); got.why != "it uses the network of a container that is gone" || !got.lost {
		t.Errorf("got %+v", got)
	}
}

func TestPlanBounds(t *testing.T) {
	var many []int
	for port := range 300 {
		many = append(many, 1000+port)
	}
	c := container(many...)
	c.Healthcheck = &engine.Healthcheck{}
	p := newRules(t).plan(c, host.locate(c, c))
	if len(p.checks) != 50 || p.checks[49].own != itsCheck || p.remark != "251 more checks are left out, as a container may have 50" {
		t.Errorf("%d checks, the last %+v, %q", len(p.checks), p.checks[len(p.checks)-1], p.remark)
	}
}

// What a URL says is stronger than labels, and these than defaults.
func TestOptionsOfLabels(t *testing.T) {
	r := newRules(t)
	r.env.Defaults = []check.Option{{Name: "impact", Values: []string{"warn"}}, {Name: "groups", Values: []string{"a"}}}
	c := container(80)
	c.Healthcheck = &engine.Healthcheck{Interval: time.Second, StartPeriod: time.Minute}
	for name, value := range map[string]string{"interval": "7s", "groups": "b", "fall": "5", "check.x": "tcp://${ip}:1?groups=c#fall=3&interval=8s"} {
		label(name, value)(c)
	}
	p := r.plan(c, host.locate(c, c))
	var got []string
	for _, one := range p.checks {
		made := &check.Check{}
		if r.common(made, p.options); one.built != nil {
			made = one.built
		}
		got = append(got, fmt.Sprintf("%v %d %s %v", made.Policy.Interval, made.Policy.Fall, made.Impact, made.Groups))
	}
	if want := []string{"7s 5 warn [b]", "7s 5 warn [b]", "8s 3 warn [c]"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if p.period != time.Minute || p.slack != 31*time.Second {
		t.Errorf("got %v and %v", p.period, p.slack)
	}
}

func TestOwnIDs(t *testing.T) {
	const id = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	for _, test := range []struct{ name, mounts, cgroup, hostname, want string }{
		{"Docker", "575 560 8:1 /var/lib/docker/containers/" + id + "/hostname /etc/hostname rw,relatime - ext4 /dev/sda1 rw\n", "0::/\n", "web", id},
		{"Podman", "575 560 0:24 /containers/overlay-containers/" + id + "/userdata/hosts /etc/hosts rw - tmpfs tmpfs rw\n", "", "", id},
		{"cgroup v1", "", "12:memory:/docker/" + id + "\n", "", id},
		{"systemd", "", "0::/system.slice/docker-" + id + ".scope\n", "", id},
		{"hostname", "", "0::/\n", "0123456789ab", "0123456789ab"},
		{"a host with containers", "88 29 0:47 / /var/lib/docker/containers/" + id + "/mounts/shm rw - tmpfs shm rw\n", "0::/user.slice\n", "server", ""},
	} {
		if got := readIDs(test.mounts, test.cgroup, test.hostname); strings.Join(slices.Concat(got.certain, got.network), " ") != test.want {
			t.Errorf("%s: got %v, want %s", test.name, got, test.want)
		}
	}
	up := engine.State{Running: true}
	port := []engine.Port{{Number: 5000, Proto: "tcp"}}
	a, b, c := engine.Container{ID: id, State: up}, engine.Container{ID: "b", State: up, NetworkMode: "container:" + id}, engine.Container{ID: "c", State: up, NetworkMode: "container:" + id, Exposed: port}
	exposing := a
	exposing.Exposed = port
	notYet := engine.Container{ID: id, State: engine.State{Status: "created"}}
	for _, test := range []struct {
		ids  ownIDs
		list []engine.Container
		want string
	}{
		{ownIDs{}, []engine.Container{a}, ""},
		{ownIDs{network: []string{"other", id[:12]}}, []engine.Container{{ID: "x", State: up}, a}, id},
		// The engine may say that a container runs only after its program has begun.
		{ownIDs{network: []string{id}}, []engine.Container{notYet}, id},
		{ownIDs{network: []string{id}}, []engine.Container{notYet, b}, "b"},
		{ownIDs{network: []string{id}}, []engine.Container{a, b}, "b"},
		{ownIDs{network: []string{id}}, []engine.Container{a, b, c}, "c"},
		{ownIDs{network: []string{id}}, []engine.Container{exposing, b}, id},
		{ownIDs{certain: []string{"b"}, network: []string{id}}, []engine.Container{a, b, c}, "b"},
	} {
		got := test.ids.find(test.list, []int{5000})
		if got == nil && test.want != "" || got != nil && got.ID != test.want {
			t.Errorf("%+v: got %+v, want %s", test.ids, got, test.want)
		}
	}
	if got := defaultGateway("Iface\tDestination\tGateway\neth0\t00000000\t010012AC\t0003\n"); got != "172.18.0.1" {
		t.Errorf("got the gateway %q", got)
	}
	for address, want := range map[string]string{"unix:///x": "", "tcp://127.0.0.1:2375": "", "tcp://[::1]:2375": "", "https://docker.example:2376": "docker.example"} {
		if got := remoteHost(address); got != want {
			t.Errorf("%s: got %q", address, got)
		}
	}
}

func TestBadOptions(t *testing.T) {
	_, err := Method().New([]check.Option{
		{Name: "web_ports", Values: []string{"80,http"}}, {Name: "start_period", Values: []string{"-1s"}}, {Name: "labels", Values: []string{"=x"}},
		{Name: "network", Values: []string{"x"}}, {Name: "host", Values: []string{"ftp://x"}},
	}, discover.Env{Log: slog.New(slog.DiscardHandler), Getenv: func(string) (string, bool) { return "", false }})
	var got []string
	for _, e := range check.OptionErrors(err) {
		got = append(got, e.Option)
	}
	slices.Sort(got)
	if want := []string{"host", "labels", "network", "start_period", "web_ports"}; !slices.Equal(got, want) {
		t.Errorf("got %v: %v", got, err)
	}
	if _, err := Method().New(nil, discover.Env{Log: slog.New(slog.DiscardHandler), Getenv: func(string) (string, bool) { return "", false }}); err != nil {
		t.Errorf("no options: %v", err)
	}
}
