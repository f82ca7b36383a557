package maykin

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"hale/internal/check"
	"hale/internal/kinds/celerycheck"
)

// worker is what is to be known of a Celery worker.
type worker struct {
	livenessFile, readinessFile       string
	maxAge                            int // seconds
	broker, name                      string
	pingTimeout                       seconds
	skipLive, skipPing, skipReadiness bool
}

// workerHealthCheck has three parts; the first that fails ends it.
func (t Tool) workerHealthCheck(ctx context.Context, args []string) int {
	w := worker{pingTimeout: seconds(3 * time.Second), skipReadiness: true}
	f := flag.NewFlagSet("worker-health-check", flag.ContinueOnError)
	f.StringVar(&w.livenessFile, "liveness-file", "/tmp/celery_worker_event_loop_live", "")
	w.maxAge = 70
	f.Var((*age)(&w.maxAge), "max-age", "")
	f.StringVar(&w.broker, "broker", defaultBroker, "")
	f.StringVar(&w.name, "worker-name", "", "")
	f.Var(&w.pingTimeout, "ping-timeout", "")
	f.StringVar(&w.readinessFile, "readiness-file", "/tmp/celery_worker_ready", "")
	onOff(f, &w.skipLive, "skip-event-loop-liveness")
	onOff(f, &w.skipPing, "skip-ping")
	onOff(f, &w.skipReadiness, "skip-readiness")
	if code, done := t.parse(f, args); done {
		return code
	}
	if !w.skipLive {
		if err := w.live(ctx); err != nil {
			return t.down(exitDown, "The worker's event loop is not alive: %v", err)
		}
	}
	if !w.skipPing {
		if code := t.ping(ctx, w); code != exitOK {
			return code
		}
	}
	if !w.skipReadiness {
		if _, err := regular(ctx, w.readinessFile); err != nil {
			return t.down(exitNotReady, "The worker is not ready: %v", err)
		}
	}
	return exitOK
}

// live reports why the liveness file is not one of a living event loop.
func (w worker) live(ctx context.Context) error {
	info, err := regular(ctx, w.livenessFile)
	if err != nil {
		return err
	}
	if old := wholeSeconds(info, time.Now()); old > w.maxAge {
		return fmt.Errorf("%s was touched %ds ago, more than %ds", w.livenessFile, old, w.maxAge)
	}
	return nil
}

// ping asks the worker through its broker.
func (t Tool) ping(ctx context.Context, w worker) int {
	name, err := w.workerName()
	if err != nil {
		return t.down(exitDown, "The worker's name is not known: %v; give --worker-name", err)
	}
	timeout := time.Duration(w.pingTimeout)
	err = celerycheck.Ping(ctx, w.broker, name, timeout)
	switch {
	case errors.Is(err, celerycheck.ErrNoReply):
		return t.down(exitNoReply, "No reply to ping from '%s' after %ss.", name, strconv.FormatFloat(timeout.Seconds(), 'f', -1, 64))
	case len(faults(err)) > 0:
		return t.usage("worker-health-check", fmt.Errorf("--broker: %s", strings.Join(faults(err), "; ")))
	case err != nil:
		return t.down(exitDown, "Can't ping '%s': %v", name, err)
	}
	fmt.Fprintf(t.Out, "%s: PONG.\n", name)
	return exitOK
}

// faults are what is wrong with the broker's URL, if that is the error.
func faults(err error) []string {
	var messages []string
	for _, e := range check.OptionErrors(err) {
		if e.Option != "" {
			messages = append(messages, e.Msg)
		}
	}
	return messages
}

func (w worker) workerName() (string, error) {
	if name := cmp.Or(w.name, os.Getenv("CELERY_WORKER_NAME")); name != "" {
		return name, nil
	}
	host, err := os.Hostname()
	return "celery@" + host, err
}

// beatHealthCheck looks at the file that beat touches with each task.
func (t Tool) beatHealthCheck(ctx context.Context, args []string) int {
	f := flag.NewFlagSet("beat-health-check", flag.ContinueOnError)
	path := f.String("file", "/tmp/celery_beat_live", "")
	maxAge := 3600
	f.Var((*age)(&maxAge), "max-age", "")
	if code, done := t.parse(f, args); done {
		return code
	}
	info, err := regular(ctx, *path)
	if err != nil {
		return t.down(exitDown, "Celery beat is not alive: %v", err)
	}
	old := wholeSeconds(info, time.Now())
	fmt.Fprintf(t.Out, "Last scheduled task: %s ago.\n", ageText(old))
	if old > maxAge {
		return t.down(exitDown, "That is more than %ds.", maxAge)
	}
	return exitOK
}

// ageText gives an age in its largest unit: 12s, 1.5m, 2h.
func ageText(age int) string {
	unit, value := "s", float64(age)
	switch {
	case age >= 3600:
		unit, value = "h", value/3600
	case age >= 60:
		unit, value = "m", value/60
	}
	return strings.TrimSuffix(strconv.FormatFloat(value, 'f', 1, 64), ".0") + unit
}
