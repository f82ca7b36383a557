package main

import (
	"context"
	"errors"
	"io"
	stdlog "log"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"hale/internal/admin"
	"hale/internal/agent"
	"hale/internal/check"
	"hale/internal/config"
	"hale/internal/kinds/execcheck"
	"hale/internal/logs"
	"hale/internal/monitor"
	"hale/internal/oneshot"
	"hale/internal/server"
)

func newServe(s streams) *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "serve [URL…]",
		Short: "Run the agent: check, judge, answer",
		Long: `serve runs the checks given as URLs, in the configuration file and in the
environment variable HALE_CHECKS, and answers on two listeners: the public one
gives verdicts and nothing else, the admin one tells details on this host.
With --agent-check it answers HAProxy's agent-check on a third.`,
		Example: `  hale serve tcp://:5432 http://127.0.0.1:8000/health
  hale serve --config /etc/hale/hale.yaml --listen 0.0.0.0:5000`,
		RunE: func(cmd *cobra.Command, urls []string) error {
			var own addressAsker
			load := func(ask config.OwnIP) (*config.Config, *check.Registry, error) {
				return loadConfig(file, urls, settingsOf(cmd.Flags()), ask)
			}
			c, registry, err := load(own.ask(cmd.Context()))
			if err != nil {
				return err
			}
			if isDockerStatus(c, cmd.Flags()) {
				if code := faces["docker-status"](cmd.Context(), nil, s); code != exitOK {
					return &exitError{code: code}
				}
				return nil
			}
			saveMemory()
			outlivePipes()
			lines := logs.New(s.err)
			defer lines.Close()
			log := newLogger(lines, c)
			for _, warning := range c.Warnings {
				log.Warn(warning)
			}
			chooseDiscovery(c, registry, log)
			if len(c.Checks)+len(c.Discover) == 0 {
				return &exitError{exitUsage, errNoChecks}
			}
			refresh := func(ctx context.Context, checks *gatherer) {
				refreshOwnIP(ctx, c, own.found, load, checks, log)
			}
			return serve(cmd.Context(), c, registry, refresh, log)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&file, "config", "", "the configuration `FILE` (default "+defaultConfig+" if it exists)")
	flags.String("listen", "", "`ADDRESS` of the public listener (default :5000)")
	flags.String("admin", "", "`ADDRESS` of the admin listener, unix:PATH or off (default 127.0.0.1:5001)")
	flags.String("agent-check", "", "`ADDRESS` on which HAProxy's agent-check is answered, or off (default off)")
	flags.String("proxy-protocol", "", "take the PROXY protocol from these `ADDRESSES` and networks, with commas, or off (default off)")
	flags.String("discover", "", "find checks by these `METHODS`, with commas: "+strings.Join(methodNames(), ", ")+"; or off")
	flags.String("fail-status", "", "the HTTP `STATUS` that means: no traffic (default 503)")
	flags.String("degraded-status", "", "the HTTP `STATUS` of a degraded verdict (default 200)")
	flags.Bool("on-demand", false, "run the checks when asked instead of in the background")
	flags.String("drain-delay", "", "how long to answer with a failure before ending after SIGTERM: a `DURATION` (default 0s)")
	flags.String("grace", "", "how long ending may take after that: a `DURATION` (default 10s)")
	flags.String("log-level", "", "`LEVEL` of the log: debug, info, warn or error (default info)")
	flags.String("log-format", "", "`FORMAT` of the log: text or json (default text)")
	return cmd
}

// settingsOf returns the flags that were given, by the file's keys.
func settingsOf(flags *pflag.FlagSet) map[string]string {
	settings := map[string]string{}
	flags.Visit(func(f *pflag.Flag) {
		if f.Name != "config" {
			settings[strings.ReplaceAll(f.Name, "-", "_")] = f.Value.String()
		}
	})
	return settings
}

var errNoChecks = errors.New(`nothing to check. Give checks as URLs:
  hale serve tcp://:5432 http://127.0.0.1:8000/health redis://127.0.0.1:6379
or in a file (--config FILE, else ` + defaultConfig + `):
  checks:
    web: http://127.0.0.1:8000/health
or in the environment: HALE_CHECKS="tcp://:5432 redis://127.0.0.1:6379"`)

// newLogger makes the logger that the configuration asks for. What libraries
// write to the standard logger (net/http's HTTP/2 client does, of servers that
// break the protocol) goes to it at debug.
func newLogger(w io.Writer, c *config.Config) *slog.Logger {
	options := &slog.HandlerOptions{Level: c.LogLevel}
	var handler slog.Handler = slog.NewTextHandler(w, options)
	if c.LogFormat == "json" {
		handler = slog.NewJSONHandler(w, options)
	}
	stdlog.SetFlags(0)
	stdlog.SetOutput(slog.NewLogLogger(handler, slog.LevelDebug).Writer())
	return slog.New(handler)
}

// saveMemory makes the garbage collector run when the heap has grown by half
// instead of to the double. Checks make little garbage, so this costs next to
// nothing, and the memory of thousands of checks shrinks by a quarter. Who sets
// GOGC decides.
func saveMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50)
	}
}

// checker is what serve needs of an agent, whether it checks in the background
// or on demand.
type checker interface {
	server.Answerer
	admin.Source
	Set(checks []*check.Check)
	Run(ctx context.Context)
	Drain()
}

// serve runs the agent until ctx ends and it has drained. Meanwhile refresh keeps
// the written checks as they should be.
func serve(ctx context.Context, c *config.Config, registry *check.Registry, refresh func(context.Context, *gatherer), log *slog.Logger) error {
	// From the start, so that no signal is lost: the first one ends ctx too.
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, oneshot.EndSignals()...)
	defer signal.Stop(signals)
	defer outliveHangUps(log)()
	ports, err := openPorts(c, log)
	if err != nil {
		return err
	}
	defer ports.close()
	sources, err := newSources(c, discoverEnv(c, registry, log, ports.all()...))
	if err != nil {
		return &exitError{exitConfig, err}
	}
	metrics := admin.NewMetrics(http.StatusOK, c.DegradedStatus, c.FailStatus)
	agent := newAgent(c, log, metrics)
	found := gather(c, sources, log, agent.Set)
	announce(c, ports, len(sources) > 0, log)

	// All outlive the signal: draining answers. The listener ends before the
	// checks, so that no answer is made of checks that were given up.
	answering, stopAnswering := context.WithCancel(context.WithoutCancel(ctx))
	defer stopAnswering()
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	failed := make(chan error, 3)
	var front, parts sync.WaitGroup
	ports.answer(answering, c, agent, metrics, log, &front, failed)
	parts.Go(func() { agent.Run(running) })
	parts.Go(func() { execcheck.Reap(running) })
	if inImage() {
		parts.Go(func() { answerAlive(running, server.Verdicts(agent, server.VerdictOptions{}), log) })
	}
	parts.Go(func() { refresh(running, found) })
	for name, source := range sources {
		parts.Go(func() { source.Run(running, func(checks []*check.Check) { found.set(name, checks) }) })
	}
	if ports.private != nil {
		info := admin.Info{Version: versionText(), Started: time.Now()}
		handler := admin.Handler(agent, info, metrics.Handler(agent, info))
		parts.Go(func() { failed <- admin.Serve(running, ports.private, handler, log) })
	}

	select {
	case err = <-failed:
	case <-ctx.Done():
		err = drain(agent, c.DrainDelay, failed, signals, log)
	}
	grace := time.Now().Add(c.Grace)
	stopAnswering()
	ended := waitFor(&front, time.Until(grace))
	stop()
	if !waitFor(&parts, time.Until(grace)) || !ended {
		log.Warn("the grace is over, not everything has ended")
	}
	logFaults(failed, log)
	if err != nil {
		return &exitError{exitFail, err}
	}
	log.Info("hale has ended")
	return nil
}

// newAgent makes the agent that the configuration asks for.
func newAgent(c *config.Config, log *slog.Logger, metrics *admin.Metrics) checker {
	if c.OnDemand {
		return agent.NewOnDemand(nil, agent.OnDemandOptions{Log: log, Observer: metrics, Pools: c.Pools})
	}
	return agent.New(monitor.New(monitor.Options{Log: log, Observer: metrics, Pools: c.Pools}), log)
}

// drain fails the verdicts and keeps answering for the delay, so that balancers
// notice before connections are refused. Another signal ends the delay; one
// more after that ends hale at once.
func drain(a checker, delay time.Duration, failed <-chan error, signals <-chan os.Signal, log *slog.Logger) error {
	defer signal.Reset(oneshot.EndSignals()...)
	a.Drain()
	log.Info("ending", "drain_delay", delay)
	timer := time.NewTimer(delay)
	defer timer.Stop()
	for seen := 0; ; {
		select {
		case err := <-failed:
			return err
		case <-signals:
			if seen++; seen > 1 {
				log.Info("ending without further delay")
				return nil
			}
		case <-timer.C:
			return nil
		}
	}
}

// logFaults logs with what else the parts have ended.
func logFaults(failed <-chan error, log *slog.Logger) {
	for len(failed) > 0 {
		if err := <-failed; err != nil {
			log.Warn("not everything ended well", "error", err)
		}
	}
}

// waitFor waits for the parts, no longer than the grace.
func waitFor(parts *sync.WaitGroup, grace time.Duration) bool {
	done := make(chan struct{})
	go func() {
		parts.Wait()
		close(done)
	}()
	select {
	case <-done:
		return true
	case <-time.After(grace):
		return false
	}
}
