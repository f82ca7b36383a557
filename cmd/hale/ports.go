package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"hale/internal/admin"
	"hale/internal/agentcheck"
	"hale/internal/check"
	"hale/internal/config"
	"hale/internal/server"
)

// ports are what serve listens on. All but public may be nil.
type ports struct {
	public, private, agent net.Listener
	secure                 *tls.Config // of public; nil for none
}

// openPorts opens what the configuration asks for, all or nothing. The caller
// closes it. Its error has the exit code.
func openPorts(c *config.Config, log *slog.Logger) (*ports, error) {
	p := &ports{}
	var err error
	if c.TLS {
		if p.secure, err = server.NewTLS(c.TLSCert, c.TLSKey, c.TLSClientCA, log); err != nil {
			return nil, &exitError{exitConfig, err}
		}
	}
	if p.public, err = server.Listen(c.Listen); err != nil {
		return nil, &exitError{exitFail, err}
	}
	if c.Admin != "off" {
		if p.private, err = admin.Listen(c.Admin); err != nil {
			p.close()
			return nil, &exitError{exitFail, err}
		}
	}
	if c.AgentCheck != "off" {
		if p.agent, err = server.Listen(c.AgentCheck); err != nil {
			p.close()
			return nil, &exitError{exitFail, err}
		}
	}
	return p, nil
}

// all returns those that are open.
func (p *ports) all() []net.Listener {
	return slices.DeleteFunc([]net.Listener{p.public, p.private, p.agent}, func(l net.Listener) bool { return l == nil })
}

func (p *ports) close() {
	for _, l := range p.all() {
		l.Close()
	}
}

// watchOnDemand is how often a gRPC Watch runs the checks where they run on
// demand.
const watchOnDemand = 5 * time.Second

// answer starts answering balancers, until ctx ends: it adds the goroutines that
// do to group, and each sends to failed what it ends with.
func (p *ports) answer(ctx context.Context, c *config.Config, a checker, metrics *admin.Metrics, log *slog.Logger, group *sync.WaitGroup, failed chan<- error) {
	verdicts := server.VerdictOptions{FailStatus: c.FailStatus, DegradedStatus: c.DegradedStatus}
	if c.OnDemand {
		verdicts.WatchInterval = watchOnDemand
	}
	listener := server.New(server.Verdicts(a, verdicts), server.Options{
		MaxConnections: c.MaxConnections, ProxyFrom: c.ProxyProtocol, TLS: p.secure, Grace: answerGrace(c.Grace),
		Log: log, OnAnswer: metrics.Answered, OnDrop: metrics.Dropped,
	})
	group.Go(func() { failed <- listener.Serve(ctx, p.public) })
	if p.agent != nil {
		options := agentcheck.Options{DegradedWeight: c.DegradedWeight, Log: log}
		group.Go(func() { failed <- agentcheck.Serve(ctx, p.agent, a, options) })
	}
}

// answerGrace is what answers in flight have of the whole grace: the checks and
// the rest need a little of it to end, too.
func answerGrace(grace time.Duration) time.Duration { return grace - min(grace/5, time.Second) }

// announce logs what hale answers and where.
func announce(c *config.Config, p *ports, searches bool, log *slog.Logger) {
	attrs := []any{"version", versionText(), "listen", p.public.Addr().String(), "admin", addressText(p.private)}
	if p.agent != nil {
		attrs = append(attrs, "agent_check", addressText(p.agent))
	}
	log.Info("hale answers", append(attrs, "checks", describeChecks(c))...)
	if !searches {
		warnUnready(c.Checks, log)
	}
}

// warnUnready warns of checks none of which counts for traffic.
func warnUnready(checks []*check.Check, log *slog.Logger) {
	if !slices.ContainsFunc(checks, func(c *check.Check) bool { return c.In(check.GroupReady) }) {
		log.Warn("no check belongs to the group ready, so it passes whatever happens; only /healthz and /group/NAME tell of the checks")
	}
}

func addressText(l net.Listener) string {
	if l == nil {
		return "off"
	}
	return l.Addr().String()
}

// describeChecks says how many checks there are and where they come from.
func describeChecks(c *config.Config) string {
	if len(c.Checks) == 0 && len(c.Sources) == 0 {
		return "those that are found"
	}
	count := fmt.Sprintf("%d checks", len(c.Checks))
	if len(c.Checks) == 1 {
		count = "1 check"
	}
	if len(c.Sources) == 0 {
		return count
	}
	return count + " from " + strings.Join(c.Sources, ", ")
}
