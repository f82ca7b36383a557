// Package healthchecker is hale as Gruntwork's health-checker: an agent that
// runs every configured check, in parallel, at each inbound HTTP request, and
// answers 200 or 504.
//
// What operators rely on is the same: options, statuses, bodies, messages. What
// was broken is mended: results are not shared without synchronisation, a
// script's children do not survive its timeout or delay the answer, a client
// that hangs up does no harm, and the listener has timeouts.
package healthchecker

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"hale/internal/agent"
	"hale/internal/check"
	"hale/internal/kinds/execcheck"
	"hale/internal/kinds/tcpcheck"
	"hale/internal/logs"
	"hale/internal/server"
)

const (
	// portTimeout is how long a connection to a port may take.
	portTimeout = 5 * time.Second
	// maxScriptTimeout is how many seconds scripts may take at most: a day, as any
	// check.
	maxScriptTimeout = int(check.MaxInterval / time.Second)
	// maxConnections bounds the runs that go on at once, as each connection
	// may cause one.
	maxConnections = 256
	// maxScripts bounds the scripts that run at once.
	maxScripts = 64
	// grace is how long ending may take after a signal.
	grace = 10 * time.Second
)

// options are the command line.
type options struct {
	ports         []string
	scripts       []string
	scriptTimeout int
	singleflight  bool
	listener      string
	logLevel      string
	version       bool
}

// Main is the tool: it takes the arguments after its name, blocks until ctx
// ends, and returns the exit code. Logs go to out, as the original's do.
func Main(ctx context.Context, args []string, out, errOut io.Writer, version string) int {
	var o options
	flags := o.flags()
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp) || err == nil && len(args) == 0:
		printHelp(out)
		return 0
	case err != nil:
		return fail(errOut, err)
	case o.version:
		fmt.Fprintf(out, "health-checker version %s (hale)\n", version)
		return 0
	}
	if rest := flags.Args(); len(rest) > 0 {
		return fail(errOut, fmt.Errorf("unexpected argument %q: every setting is an option, see --help", rest[0]))
	}
	lines := logs.New(out)
	defer lines.Close()
	if err := o.run(ctx, lines); err != nil {
		return fail(errOut, err)
	}
	return 0
}

// fail prints an error; with HEALTH_CHECKER_DEBUG=true also what it is made of.
func fail(w io.Writer, err error) int {
	fmt.Fprintln(w, err)
	if debug, _ := strconv.ParseBool(os.Getenv("HEALTH_CHECKER_DEBUG")); debug {
		for e := err; e != nil; e = errors.Unwrap(e) {
			fmt.Fprintf(w, "  %T: %v\n", e, e)
		}
	}
	return 1
}

func (o *options) flags() *flag.FlagSet {
	f := flag.NewFlagSet("health-checker", flag.ContinueOnError)
	f.SetOutput(io.Discard) // Main prints errors and help
	f.Func("port", "", func(s string) error { o.ports = append(o.ports, s); return nil })
	f.Func("script", "", func(s string) error { o.scripts = append(o.scripts, s); return nil })
	f.IntVar(&o.scriptTimeout, "script-timeout", 5, "")
	f.BoolVar(&o.singleflight, "singleflight", false, "")
	f.StringVar(&o.listener, "listener", "0.0.0.0:5000", "")
	f.StringVar(&o.logLevel, "log-level", "info", "")
	f.BoolVar(&o.version, "version", false, "")
	f.BoolVar(&o.version, "v", false, "")
	return f
}

const help = `health-checker (hale)

A simple HTTP server that returns 200 OK if the configured checks are all
successful, and 504 otherwise. The checks run when a request comes in.

Usage: health-checker [options]

Options:
  --port PORT               port on which a TCP connection is attempted; repeatable
  --script "CMD ARGS"       script to run, healthy if it exits 0 in time; repeatable
  --script-timeout SECONDS  how long scripts may take (default 5)
  --singleflight            requests at the same time share one run of the checks
  --listener IP:PORT        where to answer (default 0.0.0.0:5000)
  --log-level LEVEL         panic, fatal, error, warning, info or debug (default info)
  --help                    show this help
  --version                 show the version

Examples:
  health-checker --listener "0.0.0.0:6000" --port 5432 --port 3306
  health-checker --listener "0.0.0.0:6000" --port 5432 --script "/path/to/script.sh --flag" --script-timeout 10

The same with hale itself, which checks in the background and speaks more
protocols than TCP:
  hale serve --listen 0.0.0.0:6000 tcp://:5432 tcp://:3306
`

func printHelp(w io.Writer) { _, _ = io.WriteString(w, help) }

// run answers requests until ctx ends.
func (o *options) run(ctx context.Context, out io.Writer) error {
	log, err := o.logger(out)
	if err != nil {
		return err
	}
	checks, err := o.checks()
	if err != nil {
		return err
	}
	listener, err := server.Listen(o.address())
	if err != nil {
		return err
	}
	defer listener.Close()
	checker := agent.NewOnDemand(checks, agent.OnDemandOptions{Log: log, Unshared: !o.singleflight, Pools: map[string]int{execcheck.KindAnyPath().Pool: maxScripts}})
	front := server.New(face(checker), server.Options{MaxConnections: maxConnections, Log: log})
	log.Info("The health check is listening", "listener", listener.Addr().String(), "ports", len(o.ports), "scripts", len(o.scripts))

	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var parts sync.WaitGroup
	parts.Go(func() { checker.Run(running) })
	parts.Go(func() { execcheck.Reap(running) })
	served := make(chan error, 1)
	parts.Go(func() { served <- front.Serve(ctx, listener) })
	err = <-served
	stop()
	ended := make(chan struct{})
	go func() {
		parts.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(grace):
	}
	return err
}

// checks makes the checks of the ports and scripts.
func (o *options) checks() ([]*check.Check, error) {
	if len(o.ports)+len(o.scripts) == 0 {
		//lint:ignore ST1005 these are the original's words
		return nil, errors.New("Missing required parameter, one of --port / --script required")
	}
	if o.scriptTimeout < 1 || o.scriptTimeout > maxScriptTimeout {
		return nil, fmt.Errorf("--script-timeout %d: give a number of seconds from 1 to %d", o.scriptTimeout, maxScriptTimeout)
	}
	registry, err := check.NewRegistry(check.Env{}, tcpcheck.KindSeen(), execcheck.KindAnyPath())
	if err != nil {
		return nil, err
	}
	var checks []*check.Check
	for i, port := range o.ports {
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
			return nil, fmt.Errorf("--port %q: give a port from 1 to 65535", port)
		}
		c, err := registry.Build(check.Spec{
			Name: fmt.Sprintf("port-%d-%s", i+1, port), URL: "tcp://:" + port, Policy: policy(portTimeout),
		})
		if err != nil {
			return nil, fmt.Errorf("--port %s: %w", port, err)
		}
		checks = append(checks, c)
	}
	for i, script := range o.scripts {
		words, err := execcheck.Split(script)
		if err != nil {
			return nil, fmt.Errorf("--script %q: %w", check.CleanText(script), err)
		}
		c, err := registry.Build(check.Spec{
			Name: fmt.Sprintf("script-%d", i+1), URL: "exec:" + quote(words),
			Policy: policy(time.Duration(o.scriptTimeout) * time.Second),
		})
		if err != nil {
			return nil, fmt.Errorf("--script %q: %w", check.CleanText(script), err)
		}
		checks = append(checks, c)
	}
	return checks, nil
}

// quote joins words so that each stays one, whatever it holds: a word that
// begins with # is not the beginning of options here.
func quote(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
	}
	return strings.Join(quoted, " ")
}

// policy is that of checks that run when asked: one result decides, and only
// the timeout matters.
func policy(timeout time.Duration) check.Policy {
	p := check.DefaultPolicy()
	p.Timeout, p.Interval = timeout, max(p.Interval, timeout)
	return p
}

// address is the listener's: a bare port is one on every address.
func (o *options) address() string {
	if _, _, err := net.SplitHostPort(o.listener); err != nil && !strings.Contains(o.listener, ":") {
		return "0.0.0.0:" + o.listener
	}
	return o.listener
}

var levels = map[string]slog.Level{
	"panic": slog.LevelError + 8, "fatal": slog.LevelError + 4, "error": slog.LevelError,
	"warning": slog.LevelWarn, "info": slog.LevelInfo, "debug": slog.LevelDebug,
}

func (o *options) logger(w io.Writer) (*slog.Logger, error) {
	level, ok := levels[o.logLevel]
	if !ok {
		//lint:ignore ST1005 these are the original's words
		return nil, fmt.Errorf("The log-level value %q is invalid", o.logLevel)
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level})), nil
}

// The answers, as the original gives them.
var (
	passed = server.NewResponse(200, "text/plain; charset=utf-8", "OK")
	failed = server.NewResponse(504, "text/plain; charset=utf-8", "At least one health check failed")
)

// face answers any URL and any method.
func face(checker *agent.OnDemand) server.Handler {
	return server.HandlerFunc(func(ctx context.Context, _ *server.Request) *server.Response {
		if outcome, _ := checker.Answer(ctx, check.GroupReady); outcome.OK() {
			return passed
		}
		return failed
	})
}
