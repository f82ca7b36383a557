// Package maykin is hale as maykin-common, the command line in Open Klant's
// containers: the health checks of an HTTP service, a Celery worker and Celery
// beat, with that tool's options, words and exit codes. See docs/open-klant.md.
package maykin

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"hale/internal/check"
	"hale/internal/isolate"
)

// The exit codes. A worker that does not answer is 2, a readiness file that is
// missing is 4, as maykin-common has them; a wrong command line is hale's own
// 64, so that it is never taken for one of these.
const (
	exitOK        = 0
	exitDown      = 1
	exitNoReply   = 2
	exitNotReady  = 4
	exitUsage     = 64
	defaultBroker = "redis://localhost:6379/0"
)

// A Tool is maykin-common with what it needs of the program.
type Tool struct {
	// Version is the program's.
	Version string
	// Out and Err are where it writes.
	Out, Err io.Writer
}

// commands are the tool's, by their names.
var commands = map[string]func(t Tool, ctx context.Context, args []string) int{
	"health-check":        Tool.healthCheck,
	"worker-health-check": Tool.workerHealthCheck,
	"beat-health-check":   Tool.beatHealthCheck,
	"version":             Tool.version,
}

const help = `maykin-common (hale): health checks of containers

Usage: maykin-common COMMAND [OPTIONS]

Commands:
  health-check         request an HTTP endpoint
    --endpoint URL     (default /_healthz/livez/ on http://localhost:8000)
    --timeout SECONDS  (default 3)
  worker-health-check  the event loop's liveness file (exit 1), a ping through the
                       broker (2), the readiness file (4) of a Celery worker
    --liveness-file PATH    (default /tmp/celery_worker_event_loop_live)
    --max-age SECONDS       how old it may be (default 70)
    --broker URL            (default redis://localhost:6379/0)
    --worker-name NAME      (default $CELERY_WORKER_NAME, else celery@<hostname>)
    --ping-timeout SECONDS  (default 3)
    --readiness-file PATH   (default /tmp/celery_worker_ready)
    --skip-event-loop-liveness / --no-skip-event-loop-liveness (default: checked)
    --skip-ping / --no-skip-ping                               (default: checked)
    --skip-readiness / --no-skip-readiness                     (default: skipped)
  beat-health-check    the file that Celery beat touches with each task it sends
    --file PATH        (default /tmp/celery_beat_live)
    --max-age SECONDS  (default 3600)
  version              print the version

The same with hale itself: hale check --help
`

// Main is maykin-common with the arguments after its name. It returns the exit
// code.
func (t Tool) Main(ctx context.Context, args []string) int {
	if len(args) == 0 || args[0] == "--help" || args[0] == "-h" || args[0] == "help" {
		_, _ = io.WriteString(t.Out, help)
		return exitOK
	}
	if args[0] == "--version" {
		return t.version(ctx, nil)
	}
	command, ok := commands[args[0]]
	if !ok {
		return t.usage("", fmt.Errorf("there is no command %s; see maykin-common --help", word(args[0])))
	}
	return command(t, ctx, args[1:])
}

func (t Tool) version(_ context.Context, args []string) int {
	if len(args) > 0 {
		return t.usage("version", fmt.Errorf("unexpected argument %s", word(args[0])))
	}
	fmt.Fprintf(t.Out, "maykin-common (hale) %s\n", t.Version)
	return exitOK
}

// parse reads the options of a command. When done is true the command is over
// with the code.
func (t Tool) parse(f *flag.FlagSet, args []string) (code int, done bool) {
	f.SetOutput(io.Discard) // errors and help are printed below
	err := f.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		_, _ = io.WriteString(t.Out, help)
		return exitOK, true
	case err == nil && f.NArg() > 0:
		err = fmt.Errorf("unexpected argument %s: every setting is an option", word(f.Arg(0)))
	}
	if err != nil {
		return t.usage(f.Name(), explainFlag(f, err)), true
	}
	return exitOK, false
}

// word quotes a word of the command line, but no URL, which may hold a password.
func word(w string) string {
	if strings.ContainsAny(w, ":@") {
		return "(a URL)"
	}
	return strconv.Quote(w)
}

// explainFlag names the option that was perhaps meant, and writes options as the
// tool does.
func explainFlag(f *flag.FlagSet, err error) error {
	name, unknown := strings.CutPrefix(err.Error(), "flag provided but not defined: -")
	if !unknown {
		return err
	}
	var known []string
	f.VisitAll(func(one *flag.Flag) { known = append(known, one.Name) })
	return fmt.Errorf("there is no option --%s%s", name, check.DidYouMean(name, known))
}

func (t Tool) usage(command string, err error) int {
	fmt.Fprintf(t.Err, "%s: %v\n", strings.TrimSpace("maykin-common "+command), err)
	return exitUsage
}

// down says what is wrong and returns the code.
func (t Tool) down(code int, format string, args ...any) int {
	fmt.Fprintf(t.Err, format+"\n", args...)
	return code
}

// seconds is an option in seconds, which may have a fraction.
type seconds time.Duration

func (s *seconds) String() string { return time.Duration(*s).String() }

func (s *seconds) Set(text string) error {
	number, err := strconv.ParseFloat(text, 64)
	if err != nil || !(number > 0 && number < 1e6) {
		return errors.New("give a number of seconds above 0, such as 3")
	}
	*s = seconds(number * float64(time.Second))
	return nil
}

// age is an option in whole seconds.
type age int

func (a *age) String() string { return strconv.Itoa(int(*a)) }

func (a *age) Set(text string) error {
	number, err := strconv.Atoi(text)
	if err != nil {
		return errors.New("give a whole number of seconds, such as 70")
	}
	*a = age(number)
	return nil
}

// onOff defines the pair of flags --NAME and --no-NAME; the last one given wins.
func onOff(f *flag.FlagSet, value *bool, name string) {
	for flagName, on := range map[string]bool{name: true, "no-" + name: false} {
		f.BoolFunc(flagName, "", func(text string) error {
			if text != "true" {
				return errors.New("takes no value")
			}
			*value = on
			return nil
		})
	}
}

// filePatience is how long a file system may take to tell of a file.
const filePatience = 3 * time.Second

// regular describes a regular file; anything else is an error, also a file
// system that does not answer.
func regular(ctx context.Context, path string) (os.FileInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, filePatience)
	defer cancel()
	var looks isolate.Group
	info, err := isolate.Do(ctx, &looks, path, func(context.Context) (os.FileInfo, error) { return os.Stat(path) })
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	return info, nil
}

// wholeSeconds is a file's age. It is negative when the file is from the future.
func wholeSeconds(info os.FileInfo, now time.Time) int {
	age := now.Sub(info.ModTime())
	whole := int(age / time.Second)
	if age < 0 && age%time.Second != 0 {
		whole--
	}
	return whole
}
