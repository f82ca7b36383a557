// Command bench measures hale on this machine, beside what Debian packages to
// compare with, and prints the tables of docs/benchmarks.md. `make bench` runs
// it.
//
// A busy or slow machine changes every absolute figure, so what counts are
// ratios of two things measured in the same run, in alternating rounds, and of
// those the median. Each section says its goal and whether it was met.
//
// Everything it starts – nginx, wrk, hale and itself in the roles of roles.go –
// listens on 127.0.0.1, has its files in one temporary directory, and is stopped
// by its process id when a section ends, also after an error or an interrupt.
// Should bench be killed, the kernel kills what it started. Linux only.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

// longest bounds the whole run, whatever hangs.
const longest = 25 * time.Minute

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	// A reader that goes away, as head does, must not end bench before it has
	// tidied up: who listens for the signal gets an error from the write instead.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	ctx, cancel := context.WithTimeoutCause(ctx, longest, fmt.Errorf("the run took longer than %v", longest))
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	cancel()
	stop()
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// A section measures one thing and writes its table.
type section struct {
	name, title string
	run         func(context.Context, *bench) error
}

// sections are in the order in which they run.
var sections = []section{
	{"answers", "Answers per second", runAnswers},
	{"p99", "The answer while checks hang", runP99},
	{"first", "First verdict", runFirst},
	{"oneshot", "One-shot runs", runOneshot},
	{"hung", "One-shot runs that hang", runHung},
	{"engine", "Beside a Docker engine", runEngine},
	{"cpu", "CPU and memory by number of targets", runCPU},
	{"late", "Lateness of scheduled runs", runLate},
	{"size", "Size of the binary", runSize},
}

// A bench is one run of the program.
type bench struct {
	hale     string  // path of the binary
	probe    string  // path of the small one
	failed   []error // what a section could not measure of itself
	plan     plan
	dir      string // for everybody's files; removed at the end
	out, log io.Writer
	unread   error // why what was written to out did not arrive
	ports    ports
	loads    map[int]*load // by number of targets: two sections share them
}

func run(ctx context.Context, args []string, out, log io.Writer) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(log)
	hale := flags.String("hale", "bin/hale", "the `binary` to measure")
	probe := flags.String("probe", "bin/hale-probe", "the small `binary` to measure")
	only := flags.String("only", "", "the `sections` to run, with commas: "+sectionNames()+" (default all)")
	quick := flags.Bool("quick", false, "small and short, to see that everything works; the figures mean little")
	rounds := flags.Int("rounds", 0, "alternating `rounds` of every comparison (default 7, p99 5)")
	role := flags.String("role", "", "for bench itself: be a peer, nethttp, silent or client")
	addr := flags.String("role-addr", "", "for bench itself: the peer's `address`")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *role != "" {
		return runRole(ctx, *role, *addr, out)
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	chosen, err := chooseSections(*only)
	if err != nil {
		return err
	}
	if _, err := os.Stat(*hale); err != nil {
		return fmt.Errorf("%w; build it with: make build", err)
	}
	dir, err := os.MkdirTemp("", "hale-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{hale: *hale, probe: *probe, plan: newPlan(*quick, *rounds), dir: dir, out: out, log: log, ports: ports{}, loads: map[int]*load{}}
	b.raiseFileLimit()
	b.writeMachine(args)
	if *quick {
		b.printf("\n**A quick run**: its loads are smaller than those the goals are about, and its figures mean little.\n")
	}
	return b.runSections(ctx, chosen)
}

// runSections runs one after the other. One that fails does not keep the others
// from running.
func (b *bench) runSections(ctx context.Context, chosen []section) error {
	var failed []error
	for _, s := range chosen {
		b.printf("\n### %s\n\n", s.title)
		begin := time.Now()
		b.failed = nil
		err := errors.Join(append([]error{s.run(ctx, b)}, b.failed...)...)
		if ctx.Err() != nil {
			return fmt.Errorf("stopped in %s: %w", s.name, context.Cause(ctx))
		}
		if b.unread != nil {
			return b.unread
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", s.name, err))
			b.printf("**This could not be measured**: %v\n", err)
		}
		b.progress("%s took %v", s.name, time.Since(begin).Round(time.Second))
	}
	return errors.Join(failed...)
}

func sectionNames() string {
	var names []string
	for _, s := range sections {
		names = append(names, s.name)
	}
	return strings.Join(names, ",")
}

// chooseSections returns the sections with the names in only, all if it is
// empty.
func chooseSections(only string) ([]section, error) {
	if only == "" {
		return sections, nil
	}
	wanted := strings.Split(only, ",")
	for _, name := range wanted {
		if !slices.ContainsFunc(sections, func(s section) bool { return s.name == name }) {
			return nil, fmt.Errorf("-only: there is no section %q; give some of %s", name, sectionNames())
		}
	}
	return slices.DeleteFunc(slices.Clone(sections), func(s section) bool { return !slices.Contains(wanted, s.name) }), nil
}

// printf writes what is to be pasted into docs/benchmarks.md.
func (b *bench) printf(format string, args ...any) {
	if _, err := fmt.Fprintf(b.out, format, args...); err != nil && b.unread == nil {
		b.unread = err
	}
}

// progress tells who waits what is going on.
func (b *bench) progress(format string, args ...any) {
	fmt.Fprintf(b.log, "bench: "+format+"\n", args...)
}
