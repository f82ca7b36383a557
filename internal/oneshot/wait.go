package oneshot

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"hale/internal/check"
)

// waitFlags are the flags of wait besides the kinds' options.
var waitFlags = []ownFlag{
	{"config", "FILE", "take the checks of this configuration"},
	{"timeout", "DURATION", "give up after this long (default 1m0s; 0s is never)"},
	{"interval", "DURATION", "pause between one run of a check and the next (default 500ms)"},
	{"stable", "DURATION", "be content when all have been healthy for this long (default 0s)"},
	{"quiet", "", "print nothing but what went wrong"},
	{"help", "", "this help; with a kind or a URL, that kind's options"},
}

// waiting is how wait waits.
type waiting struct {
	timeout, interval, stable time.Duration
	quiet                     bool
	command                   []string // its path first; nil for none
}

// Wait is the wait command: it runs checks until all are healthy and returns 0,
// or becomes the command after "--". It returns 1 when the time is over before,
// after saying which checks were not healthy and why, 64 for a wrong command
// line, 78 for a wrong configuration, and 126 or 127 for a command that can't be
// run or found.
func Wait(ctx context.Context, args []string, p Program) int {
	return p.perform(ctx, func(ctx context.Context, p *Program) int { return p.waitCommand(ctx, args) })
}

func (p *Program) waitCommand(ctx context.Context, args []string) int {
	a, err := parse(args, waitFlags, kindsOf(args, p.Registry))
	if err != nil {
		return p.fail(exitUsage, "wait", err)
	}
	if a.help {
		return p.help(a, waitHelp, waitFlags)
	}
	w, err := newWaiting(a)
	if err != nil {
		return p.fail(codeOf(err), "wait", err)
	}
	selected, err := p.selected("wait", a)
	if err != nil {
		return p.fail(codeOf(err), "wait", err)
	}
	var code int
	if p.mayHang(selected.checks) {
		own := args
		if a.dashes {
			own = args[:len(args)-len(a.command)-len("-")]
		}
		code = p.inChild(ctx, "wait", own)
	} else {
		code = p.wait(ctx, selected, w)
	}
	if code != exitOK || w.command == nil {
		return code
	}
	err = syscall.Exec(w.command[0], a.command, os.Environ())
	return p.fail(126, "wait", fmt.Errorf("can't run %s: %w", w.command[0], err))
}

func newWaiting(a *arguments) (w waiting, err error) {
	var errs [3]error
	w.timeout, errs[0] = a.duration("timeout", time.Minute)
	w.interval, errs[1] = a.duration("interval", 500*time.Millisecond)
	w.stable, errs[2] = a.duration("stable", 0)
	w.quiet = a.on("quiet")
	if err := errors.Join(errs[:]...); err != nil {
		return w, err
	}
	if w.interval < check.MinInterval {
		return w, fmt.Errorf("--interval: %v is too short; give %v or more", w.interval, check.MinInterval)
	}
	if w.timeout > 0 && w.stable >= w.timeout {
		return w, fmt.Errorf("--stable: %v is not shorter than the timeout %v; raise --timeout", w.stable, w.timeout)
	}
	if !a.dashes {
		return w, nil
	}
	if len(a.command) == 0 {
		return w, errors.New("nothing stands after --; write the command to run there")
	}
	path, err := exec.LookPath(a.command[0])
	switch {
	case errors.Is(err, os.ErrPermission):
		return w, &codedError{126, fmt.Errorf("can't run %s: %w", clean(a.command[0]), err)}
	case err != nil:
		return w, &codedError{127, fmt.Errorf("can't find the command %s: %w", clean(a.command[0]), err)}
	}
	w.command = append([]string{path}, a.command[1:]...)
	return w, nil
}

// A believed is what is known of a check while it is waited for.
type believed struct {
	last  check.Result
	runs  int
	since time.Time // start of the healthy runs; zero when it is not healthy
	warns bool      // its failure is only a warning, and nothing to wait for
}

// ready reports whether the check has been healthy for as long as asked.
func (b believed) ready(stable time.Duration) bool {
	if b.warns {
		return b.runs > 0
	}
	return !b.since.IsZero() && b.last.At.Add(b.last.Took).Sub(b.since) >= stable
}

// A news is a result of the check with the index.
type news struct {
	index  int
	result check.Result
}

// wait runs the checks until all are ready, or the time is over.
func (p *Program) wait(ctx context.Context, selected *selection, w waiting) int {
	begin := time.Now()
	checks := selected.checks
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if w.timeout > 0 {
		ctx, cancel = context.WithTimeout(ctx, w.timeout)
		defer cancel()
	}
	results := make(chan news)
	var loops sync.WaitGroup
	defer func() {
		cancel()
		loops.Wait()
	}()
	r := p.newRunner()
	known := make([]believed, len(checks))
	cut := make([]check.Result, len(checks)) // of the runs that the end cut off
	for i, c := range checks {
		known[i].warns = c.Impact == check.ImpactWarn
		loops.Go(func() {
			cut[i] = r.repeat(ctx, c, w.interval, func(result check.Result) { deliver(ctx, results, news{i, result}) })
		})
	}
	progress := p.newProgress(w.quiet)
	defer progress.end()
	for {
		progress.show(checks, known, w.stable, time.Since(begin))
		select {
		case n := <-results:
			known[n.index].take(n.result)
			if selected.mistaken(n.index, n.result) {
				progress.end()
				return p.fail(exitUsage, "wait", p.wrongType("wait", checks[n.index], n.result))
			}
			if allReady(known, w.stable) {
				return exitOK
			}
		case <-progress.tick:
		case <-ctx.Done():
			progress.end()
			why := ctx.Err()
			cancel()
			loops.Wait()
			p.explainWait(checks, known, cut, w, why)
			return exitFail
		}
	}
}

// deliver sends a result, unless nobody takes it any more.
func deliver(ctx context.Context, to chan<- news, n news) {
	select {
	case to <- n:
	case <-ctx.Done():
	}
}

// repeat runs a check again and again until ctx ends. A run that ctx's end cut
// off is not told but returned.
func (r *runner) repeat(ctx context.Context, c *check.Check, pause time.Duration, tell func(check.Result)) (cut check.Result) {
	for {
		result := r.run(ctx, c)
		if ctx.Err() != nil {
			return result
		}
		tell(result)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return check.Result{}
		}
	}
}

// take takes a result into account.
func (b *believed) take(r check.Result) {
	switch {
	case !r.Healthy():
		b.since = time.Time{}
	case b.since.IsZero():
		b.since = r.At.Add(r.Took)
	}
	b.last = r
	b.runs++
}

func allReady(known []believed, stable time.Duration) bool {
	for _, b := range known {
		if !b.ready(stable) {
			return false
		}
	}
	return true
}

// explainWait says of each check that was not ready why.
func (p *Program) explainWait(checks []*check.Check, known []believed, cut []check.Result, w waiting, err error) {
	why := fmt.Sprintf("gave up after %v", w.timeout)
	if !errors.Is(err, context.DeadlineExceeded) {
		why = "interrupted"
	}
	var lines []string
	for i, c := range checks {
		switch b := known[i]; {
		case b.ready(w.stable):
		case b.runs == 0 && cut[i].Err != nil:
			lines = append(lines, line(c, cut[i]))
		case b.runs == 0:
			lines = append(lines, fmt.Sprintf("%s %s %s no result yet: its first run had not ended", wordFail, nameOf(c), c.Target))
		case !b.since.IsZero():
			lines = append(lines, fmt.Sprintf("%s, but not for %v yet", line(c, b.last), w.stable))
		default:
			lines = append(lines, line(c, b.last))
		}
	}
	fmt.Fprintf(p.Err, "%s wait: %s, waiting for:\n%s\n", p.Name, why, strings.Join(lines, "\n"))
}

const waitHelp = `Run checks until all are healthy, then end, or become the command after "--".

Usage:
  %[1]s wait URL… [--OPTION VALUE…] [-- COMMAND ARGUMENT…]
  %[1]s wait [NAME…] [-- COMMAND…]     checks of the configuration
  %[1]s wait --help KIND               the options of a kind

How long one run may take is in the URL: redis://127.0.0.1#timeout=1s. A check
whose impact is warn does not hold it up: one run of it, healthy or not, is enough.
Exit codes: 0 all healthy, 1 the time was over, 64 wrong command line, 78 wrong
configuration, 126 and 127 the command can't be run or found.

Examples:
  %[1]s wait postgres://db redis://redis --timeout 30s -- gunicorn app.wsgi
  %[1]s wait http://127.0.0.1:8000/health --stable 5s
`
