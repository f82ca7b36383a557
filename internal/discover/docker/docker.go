// Package docker finds checks among the containers of a Docker engine, or of
// Podman in its place.
//
// Every running container becomes checks: its web port over HTTP, its other
// TCP ports, its own health check; one that has none of these, that it runs.
// Labels of the container say otherwise. The checks follow the containers by
// the engine's events, and all is looked at anew after these were interrupted.
//
// What the engine tells of a container is kept in memory. A check of it reads
// that first: a container that has ended fails at once, without being dialled,
// and that takes the check down without a second look. While the engine does
// not answer, the containers that ran are dialled as before.
package docker

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"hale/internal/check"
	"hale/internal/discover"
	"hale/internal/engine"
)

// Name is the method's, and that of the check that tells of the engine.
const Name = "docker"

// Config holds the method's options.
type Config struct {
	Host        string        `option:"host" help:"the engine: unix:///PATH or tcp://HOST:PORT; DOCKER_HOST, or the first socket there is"`
	Networks    []string      `option:"networks,comma" help:"only containers on one of these networks"`
	Projects    []string      `option:"projects,comma" help:"only containers of these compose projects"`
	Labels      []string      `option:"labels,comma" help:"only containers with all of these labels: NAME or NAME=VALUE"`
	WebPorts    []string      `option:"web_ports,comma" help:"exposed ports that are checked over HTTP"`
	StartPeriod time.Duration `option:"start_period" help:"how long a started container has to be up for the first time, unless its health check says"`
}

func defaults() *Config {
	return &Config{WebPorts: []string{"80"}, StartPeriod: 30 * time.Second}
}

// Method is the way to find checks among the containers of an engine.
func Method() discover.Method {
	return discover.Method{
		Name:    Name,
		Help:    "the containers of the Docker or Podman engine",
		Options: check.DescribeOptions(defaults()),
		New:     newSource,
		Applies: func(env discover.Env) bool { return engine.Found(env.Getenv) },
	}
}

func newSource(options []check.Option, env discover.Env) (discover.Source, error) {
	config := defaults()
	optionErr := check.SetOptions(config, options)
	ports, portErr := parsePorts(config.WebPorts)
	errs := []error{optionErr, portErr}
	if config.StartPeriod < 0 {
		errs = append(errs, check.OptionErrorf("start_period", "%v is negative; give a duration such as 30s", config.StartPeriod))
	}
	for _, label := range config.Labels {
		if name, _, _ := strings.Cut(label, "="); name == "" {
			errs = append(errs, check.OptionErrorf("labels", "%q has no name; give NAME or NAME=VALUE", check.CleanText(label)))
		}
	}
	client, err := engine.New(engine.Options{Host: config.Host, Getenv: env.Getenv})
	if err != nil {
		errs = append(errs, check.OptionErrorf("host", "%v", err))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	r := &rules{config: *config, webPorts: ports, env: env}
	if r.env.Policy == (check.Policy{}) {
		r.env.Policy = check.DefaultPolicy()
	}
	return open(client, r), nil
}

// parsePorts reads the option web_ports.
func parsePorts(list []string) ([]int, error) {
	var ports []int
	for _, text := range list {
		port, err := strconv.Atoi(text)
		if err != nil || port < 1 || port > 65535 {
			return nil, check.OptionErrorf("web_ports", "%q is not a port; give numbers from 1 to 65535", check.CleanText(text))
		}
		ports = append(ports, port)
	}
	return ports, nil
}

// rules say which containers become checks, and which checks.
type rules struct {
	config   Config
	webPorts []int
	env      discover.Env
}

// The labels of docker compose that matter here.
const (
	labelProject = "com.docker.compose.project"
	labelOneOff  = "com.docker.compose.oneoff"
)

// wants reports whether the container is one to be checked, whether it runs or
// not, as far as its networks do not matter. It needs no more of it than a list
// has.
func (r *rules) wants(c *engine.Container) bool {
	enable, given := c.Labels[labelEnable]
	on, err := strconv.ParseBool(strings.TrimSpace(enable))
	if given && err == nil && !on {
		return false
	}
	if strings.EqualFold(c.Labels[labelOneOff], "true") && !on {
		return false // docker compose run: somebody's command, not a service
	}
	if len(r.config.Projects) > 0 && !slices.Contains(r.config.Projects, c.Labels[labelProject]) {
		return false
	}
	for _, label := range r.config.Labels {
		name, want, hasValue := strings.Cut(label, "=")
		value, ok := c.Labels[name]
		if !ok || hasValue && value != want {
			return false
		}
	}
	return true
}
