package engine

import "time"

// A Container is what an engine tells of one. [Client.Inspect] fills all of it,
// [Client.Containers] what its comments say.
type Container struct {
	// ID is its full id, Name its name without a slash in front, Image the name
	// of its image as it was given. In a list too.
	ID, Name, Image string
	// Labels are those of the container and its image. In a list too.
	Labels map[string]string
	// State is what it does. A list has its Status, the fields that follow
	// from that, and Health.Status.
	State State
	// Created is when it was made. In a list too, in whole seconds.
	Created time.Time
	// RestartCount is how often the engine restarted it by itself since it was
	// last started by somebody.
	RestartCount int
	// RestartPolicy is no, always, unless-stopped or on-failure.
	RestartPolicy string
	// Healthcheck is the check of its own that it was made with; nil is none.
	Healthcheck *Healthcheck
	// NetworkMode is how it is connected: bridge, host, none, container:ID or
	// the name of a network. In a list too, but not in Podman's.
	NetworkMode string
	// Networks are its networks by their names. In a list too.
	Networks map[string]Network
	// Exposed are the ports of it that it or its image says are in use,
	// whether published or not, sorted. In a list, only while it runs. Podman 4
	// tells of none but those that are published.
	Exposed []Port
	// Published are its ports that can be reached at ports of the engine's
	// host, while it runs, sorted. In a list too.
	Published []Published
	// Hostname is the name that it has for itself. The default is the first
	// twelve characters of its ID.
	Hostname string
}

// State is what a container does.
type State struct {
	// Status is created, running, paused, restarting, removing, exited or dead.
	Status string
	// Running is true also while it is paused, or about to be restarted.
	Running, Paused, Restarting, OOMKilled, Dead bool
	// ExitCode is how its program ended the last time.
	ExitCode int
	// Error is why the engine could not start it.
	Error string
	// StartedAt and FinishedAt are when its program last did so; zero is never.
	StartedAt, FinishedAt time.Time
	// Health is what its own check tells; nil is that it has none.
	Health *Health
}

// Health is what a container's own check tells.
type Health struct {
	// Status is starting, healthy or unhealthy.
	Status string
	// FailingStreak is how often in a row the check has failed.
	FailingStreak int
	// LastOutput is what the check's last run wrote, bounded.
	LastOutput string
	// LastExit is how the check's last run ended.
	LastExit int
}

// Healthcheck is the check of its own that a container was made with.
type Healthcheck struct {
	// Test is the command, after CMD or CMD-SHELL.
	Test []string
	// Interval is the time between two runs, Timeout how long one may take, and
	// StartPeriod for how long failures do not count; 0 is the engine's default.
	Interval, Timeout, StartPeriod time.Duration
	// Retries is after how many failures in a row it is unhealthy; 0 is the
	// engine's default.
	Retries int
}

// Network is how a container is connected to one network.
type Network struct {
	// ID is the network's. IP and IPv6 are the container's addresses in it; ""
	// is none, as while it does not run.
	ID, IP, IPv6 string
}

// A Port is one of a container.
type Port struct {
	Number int
	Proto  string // tcp, udp or sctp
}

// Published is a port of a container that can be reached at the engine's host.
type Published struct {
	// HostIP is the address of the host; 0.0.0.0 or :: is any.
	HostIP         string
	HostPort, Port int
	Proto          string
}

// Version is what an engine says of itself, and what is spoken with it.
type Version struct {
	// Name is Docker Engine, Podman Engine …
	Name string
	// Version is the engine's own, API the one that is spoken with it.
	Version, API string
}
