// Command hale-probe is the small hale for container images: hale's check and
// wait with every kind of check, and maykin-common's commands, but no agent.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"

	"hale/internal/check"
	"hale/internal/compat/maykin"
	"hale/internal/config"
	"hale/internal/kinds"
	"hale/internal/oneshot"
	"hale/internal/ownip"
)

// The exit codes of hale.
const (
	exitOK    = 0
	exitFail  = 1
	exitUsage = 64
)

// version is set when a release is built: -ldflags "-X main.version=1.2.3".
var version string

func versionText() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), oneshot.EndSignals()...)
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) // who reads the lines does not decide the code
	code := run(ctx, os.Args)
	stop()
	os.Exit(code)
}

const help = `hale-probe: hale's health checks for container images

Usage:
  hale-probe check URL…                run checks once; see hale-probe check --help
  hale-probe wait URL… [-- COMMAND…]   wait until all are healthy
  hale-probe maykin-common COMMAND …   the commands of maykin-common, which a
                                       symlink of that name also gives
  hale-probe version
`

// run is hale-probe without the process: it returns the exit code.
func run(ctx context.Context, args []string) int {
	if filepath.Base(args[0]) == "maykin-common" {
		return asMaykin(ctx, args[1:])
	}
	args = args[1:]
	if len(args) == 0 {
		fmt.Fprint(os.Stdout, help)
		return exitOK
	}
	switch args[0] {
	case "check":
		return asOneshot(ctx, oneshot.Check, args[1:])
	case "wait":
		return asOneshot(ctx, oneshot.Wait, args[1:])
	case "maykin-common":
		return asMaykin(ctx, args[1:])
	case "version", "--version":
		fmt.Fprintf(os.Stdout, "hale-probe %s\n", versionText())
		return exitOK
	case "help", "--help", "-h":
		fmt.Fprint(os.Stdout, help)
		return exitOK
	default:
		if strings.ContainsAny(args[0], ":@") { // a URL may hold a password
			fmt.Fprintln(os.Stderr, "hale-probe: a command is missing before the URL; write hale-probe check URL")
			return exitUsage
		}
		fmt.Fprintf(os.Stderr, "hale-probe: there is no command %q; it has check, wait, maykin-common and version\n", args[0])
		return exitUsage
	}
}

func asMaykin(ctx context.Context, args []string) int {
	return maykin.Tool{Version: versionText(), Out: os.Stdout, Err: os.Stderr}.Main(ctx, args)
}

func asOneshot(ctx context.Context, command func(context.Context, []string, oneshot.Program) int, args []string) int {
	registry, err := check.NewRegistry(check.Env{}, kinds.All()...)
	if err != nil {
		fmt.Fprintln(os.Stderr, "hale-probe:", err)
		return exitFail
	}
	return command(ctx, args, oneshot.Program{
		Name: "hale-probe", Registry: registry, ConfigFile: config.DefaultFile, Out: os.Stdout, Err: os.Stderr,
		OwnIP: config.OwnIP{Sources: ownip.Sources(), Find: func(source string) (string, string, error) {
			found, err := ownip.Find(ctx, ownip.Options{Source: source})
			if err != nil {
				return "", "", err
			}
			return found.Host(), found.Warning, nil
		}},
	})
}
