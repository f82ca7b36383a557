// Package dockerstatus is hale as Zooniverse's docker-status: an agent in a
// container that finds the web apps linked to it, requests each of them every
// half minute, and answers 200 while all are well and 500 otherwise.
//
// What operators rely on is the same: variables, statuses, bodies, and when a
// result is too old to count. What was broken is mended: the times may be set,
// an alias with a dash is found under its name, variables that a linked
// container hands on are not taken for links, and an app that hangs delays
// neither an answer nor the end.
package dockerstatus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"hale/internal/check"
	"hale/internal/discover/links"
	"hale/internal/kinds/httpcheck"
	"hale/internal/logs"
	"hale/internal/monitor"
	"hale/internal/server"
)

// grace is how long ending may take after a signal.
const grace = 10 * time.Second

// The exit codes.
const (
	exitOK    = 0
	exitFail  = 1
	exitUsage = 64
)

const help = `docker-status (hale)

Finds the containers that are linked to this one and expose port 80, requests
each of them every TEST_INTERVAL seconds, and answers 200 while all answer 200,
301 or 302, and 500 otherwise.

Usage: docker run --link app1 --link app2 IMAGE
IMAGE is hale's own (make image), or one whose entry point is docker-status, a
symlink of that name to hale. Elsewhere: docker-status, or hale compat docker-status.

Settings are variables of the environment; NAME is a link's, such as APP1:
  NAME_GET_PATH      what to request, perhaps after a port: /status, :8080/ (default /)
  NAME_CONNECT_IP    true connects to the container's address, not to its name
  HTTP_TIMEOUT       how many seconds an app has to answer (default 30), at most TEST_INTERVAL
  TEST_INTERVAL      seconds from one request to the next (default 30)
  LISTEN_HOST        where to answer (default 0.0.0.0)
  LISTEN_PORT        (default 80)
  DELAY_START        true starts one app's requests per TEST_INTERVAL
  GRAYLOG_HOST       sends each result there too, as GELF over UDP
  GRAYLOG_PORT       (default 12201)
  GRAYLOG_LOCALNAME  the sender's name in those (default docker-status)
  DEBUG              true logs more

Options:
  --help             show this help
  --version          show the version
`

// Main is the tool: it takes the arguments after its name, of which only --help
// and --version mean something, and its settings from the environment. It
// blocks until ctx ends and returns the exit code. Logs go to out, as the
// original's do.
func Main(ctx context.Context, args []string, out, errOut io.Writer, version string) int {
	if len(args) > 0 {
		return tell(args, out, errOut, version)
	}
	s, err := readSettings(os.Getenv)
	found, faults := links.Find(os.Environ())
	a := &agent{settings: s, remarks: slices.Concat(s.remarks, found.Remarks)}
	if err = errors.Join(err, faults); err == nil {
		err = a.prepare(found.Targets)
	}
	if err != nil {
		return fail(errOut, err)
	}
	lines := logs.New(out)
	defer lines.Close()
	if err := a.run(ctx, lines); err != nil {
		return fail(errOut, err)
	}
	return exitOK
}

// tell does what arguments ask for.
func tell(args []string, out, errOut io.Writer, version string) int {
	switch args[0] {
	case "--help", "-h", "help":
		_, _ = io.WriteString(out, help)
	case "--version", "version":
		fmt.Fprintf(out, "docker-status version %s (hale)\n", version)
	default:
		fmt.Fprintf(errOut, "docker-status: unexpected argument %q: every setting is a variable of the environment, see --help\n", check.CleanText(args[0]))
		return exitUsage
	}
	return exitOK
}

// fail prints every line of an error.
func fail(w io.Writer, err error) int {
	for line := range strings.Lines(err.Error()) {
		fmt.Fprintln(w, "docker-status: "+strings.TrimRight(line, "\n"))
	}
	return exitFail
}

// agent is the running tool.
type agent struct {
	settings
	remarks []string
	targets map[string]links.Target // by the check's name
	checks  []*check.Check
}

// prepare makes the checks.
func (a *agent) prepare(targets []links.Target) error {
	registry, err := check.NewRegistry(check.Env{}, httpcheck.Kind())
	if err != nil {
		return err
	}
	if a.checks, err = links.Checks(registry, targets, a.policy(), nil); err != nil {
		return err
	}
	a.targets = map[string]links.Target{}
	for i, c := range a.checks {
		a.targets[c.Name] = targets[i]
	}
	return nil
}

// run checks and answers until ctx ends.
func (a *agent) run(ctx context.Context, out io.Writer) error {
	listener, err := server.Listen(a.listen)
	if err != nil {
		return fmt.Errorf("%w (LISTEN_HOST and LISTEN_PORT say where)", err)
	}
	defer listener.Close()
	log := a.logger(out, slog.LevelInfo)
	r := &reporter{targets: a.targets, log: log}
	if a.graylog != "" {
		r.gelf = newGELF(a.graylog, a.localName, log)
	}
	// The reporter tells each result, so that changes need no telling.
	m := monitor.New(monitor.Options{Log: a.logger(out, slog.LevelWarn), Observer: r})
	front := server.New(answers(m, len(a.checks), a.interval), server.Options{Log: log})
	a.announce(log, listener.Addr().String())

	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var checking, parts sync.WaitGroup
	checking.Go(func() { m.Run(running) })
	checking.Go(func() { a.start(running, m) })
	sending, stopSending := context.WithCancel(context.WithoutCancel(ctx))
	defer stopSending()
	if r.gelf != nil {
		parts.Go(func() { r.gelf.run(sending) })
	}
	err = front.Serve(ctx, listener)
	stop()
	parts.Go(func() {
		checking.Wait()
		stopSending() // when the last result is there
	})
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

// logger makes a logger for what is at least as important as level, and with
// DEBUG for everything.
func (a *agent) logger(w io.Writer, level slog.Level) *slog.Logger {
	if a.debug {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level}))
}

// announce says what was found.
func (a *agent) announce(log *slog.Logger, address string) {
	log.Info("docker-status answers", "listen", address, "targets", len(a.checks), "interval", a.interval, "timeout", a.timeout)
	for _, remark := range a.remarks {
		log.Warn(remark)
	}
	for _, c := range a.checks {
		log.Info("a linked container is checked", "link", a.targets[c.Name].Name, "target", c.Target)
	}
	if len(a.checks) == 0 {
		log.Warn("no linked container exposes port 80, so nothing is checked and the answer is always 200 OK; link apps with docker run --link NAME")
	}
}

// start hands the checks to the monitor: all at once, or with DELAY_START one
// per interval.
func (a *agent) start(ctx context.Context, m *monitor.Monitor) {
	if !a.delayStart {
		m.Set(a.checks)
		return
	}
	next := time.NewTicker(a.interval)
	defer next.Stop()
	for n := range a.checks {
		m.Set(a.checks[:n+1])
		select {
		case <-next.C:
		case <-ctx.Done():
			return
		}
	}
}
