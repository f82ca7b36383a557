package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"hale/internal/check"
	"hale/internal/discover"
	"hale/internal/discover/docker"
	"hale/internal/discover/methods"
	"hale/internal/discover/write"
	"hale/internal/kinds"
)

const (
	// initPatience is how long init waits for a method to find anything.
	initPatience = time.Minute
	// initDoubt is how long it goes on when the method says that it has not
	// found out yet, or nothing.
	initDoubt = 3 * time.Second
	// initQuiet is how long a method must have no more to say.
	initQuiet = 300 * time.Millisecond
)

// dockerCaveat is what a file can't do for containers.
const dockerCaveat = `A container may get another address when it is started again, and new ones come. With "discover: {docker: {}}" in place of these checks hale follows them by itself.`

func newInit(s streams) *cobra.Command {
	var docker, force bool
	var output string
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Find what runs here and write a configuration",
		Long: `init looks once at what runs here, as serve does when nothing is configured, and
writes it as a commented configuration to begin with: the services that listen
on TCP ports of this host, or with --docker the containers of the engine.`,
		Example: `  hale init --output hale.yaml && hale config check --config hale.yaml
  hale init --docker`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			method, command := "listeners", "hale init"
			if docker {
				method, command = "docker", "hale init --docker"
			}
			if output != "" && !force {
				if _, err := os.Lstat(output); err == nil {
					return &exitError{exitFail, fmt.Errorf("%s exists already; give --force to write over it, or another --output", output)}
				}
			}
			document, err := findFor(cmd.Context(), method)
			if err != nil {
				return &exitError{exitFail, err}
			}
			document.Command, document.File = command, output
			if docker {
				document.Caveat = dockerCaveat
			}
			if err := writeDocument(s, document, output, force); err != nil {
				return &exitError{exitFail, err}
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.BoolVar(&docker, "docker", false, "find the containers of the Docker engine instead")
	flags.StringVar(&output, "output", "", "write to `FILE` instead of the standard output")
	flags.BoolVar(&force, "force", false, "write over a file that exists")
	return cmd
}

// findFor finds checks by a method, once.
func findFor(ctx context.Context, name string) (write.Document, error) {
	all := methods.All()
	i := slices.IndexFunc(all, func(m discover.Method) bool { return m.Name == name })
	if i < 0 {
		return write.Document{}, fmt.Errorf("this hale can't discover by the method %s", name)
	}
	registry, err := check.NewRegistry(check.Env{}, kinds.All()...)
	if err != nil {
		return write.Document{}, err
	}
	notes := write.NewNotes()
	source, err := all[i].New(nil, discover.Env{
		Registry: registry, Policy: check.DefaultPolicy(), Getenv: os.LookupEnv, Environ: os.Environ, Log: slog.New(notes),
	})
	if err != nil {
		return write.Document{}, err
	}
	checks, err := findOnce(ctx, source, registry)
	if err != nil {
		return write.Document{}, fmt.Errorf("discover %s: %w", name, err)
	}
	document := write.Document{What: all[i].Help, Checks: checks, Off: unwritable(ctx, checks, registry), Notes: notes, Registry: registry}
	if n, _ := document.Written(); n == 0 {
		return write.Document{}, nothingFound(ctx, document)
	}
	return document, nil
}

// findOnce runs a source until it has found what there is.
func findOnce(ctx context.Context, source discover.Source, registry *check.Registry) ([]*check.Check, error) {
	running, stop := context.WithTimeout(ctx, initPatience)
	sets := make(chan []*check.Check, 1) // the latest
	var run sync.WaitGroup
	run.Go(func() {
		source.Run(running, func(checks []*check.Check) {
			select {
			case <-sets:
			default:
			}
			sets <- checks
		})
	})
	defer run.Wait()
	defer stop()
	var latest []*check.Check
	var quiet, doubt <-chan time.Time
	for {
		select {
		case latest = <-sets:
			quiet = time.After(initQuiet)
			if doubt == nil {
				doubt = time.After(initDoubt)
			}
		case <-quiet:
			if searchFault(running, latest, registry) == nil {
				return latest, nil
			}
			quiet = time.After(initQuiet)
		case <-doubt:
			return latest, nil
		case <-running.Done():
			if ctx.Err() != nil {
				return nil, errors.New("given up")
			}
			return nil, fmt.Errorf("nothing came within %v", initPatience)
		}
	}
}

// searchFault runs the checks that tell of the search, which are of no kind that
// can be configured, and returns what fails.
func searchFault(ctx context.Context, checks []*check.Check, registry *check.Registry) error {
	for _, c := range checks {
		if _, known := registry.Kind(c.Kind); known {
			continue
		}
		if result := c.Run(ctx, nil); !result.Healthy() {
			return result.Err
		}
	}
	return nil
}

// unwritable returns, with the reasons, the checks of containers that fail for
// what can't be written: such as a label that is wrong, or a network that is gone.
// A check that the container runs would pass in their place.
func unwritable(ctx context.Context, checks []*check.Check, registry *check.Registry) map[string]string {
	off := map[string]string{}
	for _, c := range checks {
		if c.Kind != docker.Name {
			continue
		}
		found := c.Run(ctx, nil)
		if found.Healthy() {
			continue
		}
		written, err := registry.Build(check.Spec{Name: c.Name, URL: c.Target, Policy: c.Policy})
		if err != nil || written.Run(ctx, nil).Healthy() {
			off[c.Name] = "It would pass, and what was found fails: " + found.Text()
		}
	}
	return off
}

// nothingFound says why, in the words of the checks that tell of the search, and
// what was left out.
func nothingFound(ctx context.Context, d write.Document) error {
	nothing := fmt.Errorf("found nothing to check by looking at %s", d.What)
	fault := searchFault(ctx, d.Checks, d.Registry)
	if fault != nil {
		nothing = fmt.Errorf("%w: %w", nothing, fault)
	}
	errs := []error{nothing}
	for _, note := range d.Notes.Rest() {
		if fault == nil || !strings.Contains(note, fault.Error()) {
			errs = append(errs, errors.New(note))
		}
	}
	return errors.Join(errs...)
}

// writeDocument writes to the file, or to the standard output.
func writeDocument(s streams, d write.Document, output string, force bool) error {
	var text bytes.Buffer
	if err := d.Write(&text); err != nil {
		return err
	}
	all, commented := d.Written()
	count := fmt.Sprintf("%d checks", all)
	if all == 1 {
		count = "1 check"
	}
	if commented > 0 {
		count += fmt.Sprintf(", %d of them commented out, each with its reason", commented)
	}
	if output == "" {
		fmt.Fprintf(s.err, "hale: found by looking at %s: %s\n", d.What, count)
		_, err := s.out.Write(text.Bytes())
		return err
	}
	flags := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if force {
		flags = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	}
	file, err := os.OpenFile(output, flags, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists already; give --force to write over it, or another --output", output)
	}
	if err != nil {
		return err
	}
	if _, err = file.Write(text.Bytes()); err != nil {
		_ = file.Close()
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "wrote %s: %s, found by looking at %s\n", output, count, d.What)
	return err
}
