package engine

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"hale/internal/check"
)

// maxOutput bounds what is kept of a health check's output, in bytes.
const maxOutput = 4 << 10

// Containers lists all containers, whether they run or not.
func (c *Client) Containers(ctx context.Context) ([]Container, error) {
	answer, err := c.get(ctx, "/containers/json?all=1")
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	return c.readList(answer)
}

// readList reads one container after the other, so that what is not needed of
// them is never in memory all at once.
func (c *Client) readList(answer *http.Response) ([]Container, error) {
	d := json.NewDecoder(&bounded{answer.Body, maxList})
	begin, err := d.Token()
	if err != nil {
		return nil, c.explain(err)
	}
	if begin == nil {
		return nil, nil // null is how Go writes an empty list
	}
	if begin != json.Delim('[') {
		return nil, c.notAnEngine("a list of containers was expected")
	}
	var list []Container
	for d.More() {
		if len(list) == maxInList {
			return nil, check.Failf(check.ReasonSize, "the engine at %s has more than %d containers, which is more than hale looks at", c.Host(), maxInList)
		}
		var one listed
		if err := d.Decode(&one); err != nil {
			return nil, c.explain(err)
		}
		list = append(list, one.container())
	}
	if _, err := d.Token(); err != nil {
		return nil, c.explain(err)
	}
	return list, nil
}

// Inspect tells of one container, by its name or id, or the beginning of its
// id. That there is none is [ErrNotFound].
func (c *Client) Inspect(ctx context.Context, name string) (*Container, error) {
	if !IsName(name) {
		return nil, check.Failf(check.ReasonMissing, "%q is not a container's name or id: %w", check.CleanText(name), ErrNotFound)
	}
	var one inspected
	if err := c.askFor(ctx, "/containers/"+url.PathEscape(name)+"/json", &one); err != nil {
		return nil, err
	}
	if one.ID == "" {
		return nil, c.notAnEngine("a container was expected")
	}
	return one.container(), nil
}

// IsName reports whether a container can have a name: letters, digits, '_', '.'
// and '-', with a letter or digit first.
func IsName(name string) bool {
	for i, r := range name {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
		case i > 0 && strings.ContainsRune("_.-", r):
		default:
			return false
		}
	}
	return name != ""
}

// networks is how a container's networks are told of, in a list and otherwise.
type networks map[string]struct{ NetworkID, IPAddress, GlobalIPv6Address string }

func (n networks) networks() map[string]Network {
	all := make(map[string]Network, len(n))
	for name, one := range n {
		all[name] = Network{ID: one.NetworkID, IP: one.IPAddress, IPv6: one.GlobalIPv6Address}
	}
	return all
}

// stateWord turns Podman's words for what a container does into Docker's.
func stateWord(word string) string {
	switch word {
	case "stopped":
		return "exited"
	case "configured", "initialized":
		return "created"
	case "stopping":
		return "running"
	}
	return word
}

// networkMode has one word for what Docker calls by two.
func networkMode(mode string) string {
	if mode == "default" {
		return "bridge"
	}
	return mode
}

// listed is one container in a list.
type listed struct {
	ID, Image, State, Status string
	Names                    []string
	Created                  int64
	Labels                   map[string]string
	HostConfig               struct{ NetworkMode string }
	NetworkSettings          struct{ Networks networks }
	Ports                    []struct {
		IP, Type                string
		PrivatePort, PublicPort int
	}
}

func (l listed) container() Container {
	c := Container{
		ID: l.ID, Image: l.Image, Labels: l.Labels, Created: time.Unix(l.Created, 0).UTC(),
		State: listedState(l.State, l.Status), NetworkMode: networkMode(l.HostConfig.NetworkMode),
		Networks: l.NetworkSettings.Networks.networks(),
	}
	for i, name := range l.Names {
		name = strings.TrimPrefix(name, "/")
		// Another name has a slash in it: that of a link to this container.
		if i == 0 || strings.Contains(c.Name, "/") {
			c.Name = name
		}
	}
	exposed := map[Port]bool{}
	for _, p := range l.Ports {
		exposed[Port{p.PrivatePort, p.Type}] = true
		if p.PublicPort != 0 {
			c.Published = append(c.Published, Published{p.IP, p.PublicPort, p.PrivatePort, p.Type})
		}
	}
	c.Exposed = sortedPorts(exposed)
	sortPublished(c.Published)
	return c
}

// listedState makes a state of a word and a text such as "Up 3 minutes
// (healthy)" or "Exited (137) 2 hours ago".
func listedState(word, text string) State {
	s := State{Status: stateWord(word)}
	switch s.Status {
	case "running", "paused", "restarting":
		s.Running = true
	}
	s.Paused, s.Restarting, s.Dead = word == "paused", word == "restarting", word == "dead"
	if _, after, ok := strings.Cut(text, "("); ok {
		inside, _, _ := strings.Cut(after, ")")
		switch code, err := strconv.Atoi(inside); {
		case err == nil:
			s.ExitCode = code
		case inside == "healthy", inside == "unhealthy":
			s.Health = &Health{Status: inside}
		case inside == "health: starting", inside == "starting":
			s.Health = &Health{Status: "starting"}
		}
	}
	return s
}

// inspected is all that is told of a container.
type inspected struct {
	ID, Name     string
	Created      moment
	RestartCount int
	State        struct {
		Status                                       string
		Running, Paused, Restarting, OOMKilled, Dead bool
		ExitCode                                     int
		Error                                        string
		StartedAt, FinishedAt                        moment
		Health                                       *struct {
			Status        string
			FailingStreak int
			Log           []struct {
				ExitCode int
				Output   string
			}
		}
	}
	Config struct {
		Image, Hostname string
		Labels          map[string]string
		ExposedPorts    map[string]any
		Healthcheck     *Healthcheck
	}
	HostConfig struct {
		NetworkMode   string
		RestartPolicy struct{ Name string }
	}
	NetworkSettings struct {
		Networks networks
		Ports    map[string][]struct{ HostIP, HostPort string }
	}
}

func (i *inspected) container() *Container {
	c := &Container{
		ID: i.ID, Name: strings.TrimPrefix(i.Name, "/"), Image: i.Config.Image, Labels: i.Config.Labels,
		Created: time.Time(i.Created), RestartCount: i.RestartCount, RestartPolicy: cmp.Or(i.HostConfig.RestartPolicy.Name, "no"),
		NetworkMode: networkMode(i.HostConfig.NetworkMode), Networks: i.NetworkSettings.Networks.networks(),
		Hostname: i.Config.Hostname, State: i.state(),
	}
	if h := i.Config.Healthcheck; h != nil && len(h.Test) > 0 && h.Test[0] != "NONE" {
		c.Healthcheck = h
	}
	exposed := map[Port]bool{}
	for text := range i.Config.ExposedPorts {
		if p, ok := parsePort(text); ok {
			exposed[p] = true
		}
	}
	for text, bindings := range i.NetworkSettings.Ports {
		p, ok := parsePort(text)
		if !ok {
			continue
		}
		exposed[p] = true
		for _, b := range bindings {
			if host, err := strconv.Atoi(b.HostPort); err == nil && i.State.Running {
				c.Published = append(c.Published, Published{b.HostIP, host, p.Number, p.Proto})
			}
		}
	}
	c.Exposed = sortedPorts(exposed)
	sortPublished(c.Published)
	return c
}

func (i *inspected) state() State {
	s := State{
		Status: stateWord(i.State.Status), Running: i.State.Running, Paused: i.State.Paused, Restarting: i.State.Restarting,
		OOMKilled: i.State.OOMKilled, Dead: i.State.Dead, ExitCode: i.State.ExitCode, Error: i.State.Error,
		StartedAt: time.Time(i.State.StartedAt), FinishedAt: time.Time(i.State.FinishedAt),
	}
	// Podman tells of the health of what has no check: it is "".
	if h := i.State.Health; h != nil && h.Status != "" && h.Status != "none" {
		s.Health = &Health{Status: h.Status, FailingStreak: h.FailingStreak}
		if n := len(h.Log); n > 0 {
			last := h.Log[n-1]
			s.Health.LastExit = last.ExitCode
			s.Health.LastOutput = strings.ToValidUTF8(last.Output[:min(len(last.Output), maxOutput)], "")
		}
	}
	return s
}

// parsePort reads a port as in "80/tcp".
func parsePort(text string) (Port, bool) {
	number, proto, _ := strings.Cut(text, "/")
	n, err := strconv.Atoi(number)
	return Port{n, cmp.Or(proto, "tcp")}, err == nil && n > 0 && n < 65536
}

func sortedPorts(set map[Port]bool) []Port {
	return slices.SortedFunc(maps.Keys(set), func(a, b Port) int {
		return cmp.Or(cmp.Compare(a.Number, b.Number), cmp.Compare(a.Proto, b.Proto))
	})
}

func sortPublished(all []Published) {
	slices.SortFunc(all, func(a, b Published) int {
		return cmp.Or(cmp.Compare(a.Port, b.Port), cmp.Compare(a.Proto, b.Proto), cmp.Compare(a.HostPort, b.HostPort), cmp.Compare(a.HostIP, b.HostIP))
	})
}

// A moment is a time as engines write it. What is no time, or before 1970,
// is zero: Docker's word for never is the year 1, Podman's is "".
type moment time.Time

// UnmarshalJSON never fails, for a time is never what is asked for.
func (m *moment) UnmarshalJSON(text []byte) error {
	at, err := time.Parse(time.RFC3339Nano, strings.Trim(string(text), `"`))
	if err != nil || at.Unix() <= 0 {
		at = time.Time{}
	}
	*m = moment(at.UTC())
	return nil
}

// String returns the port as in "80/tcp".
func (p Port) String() string { return fmt.Sprintf("%d/%s", p.Number, p.Proto) }
