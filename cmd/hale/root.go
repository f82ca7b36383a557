package main

import (
	"errors"
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"hale/internal/check"
)

// version is set when a release is built: -ldflags "-X main.version=1.2.3".
var version string

// versionText is the version, or what the build knows of itself.
func versionText() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

// noCommand is the error of a word that is no command. A URL is not repeated,
// which may hold a password.
func noCommand(root *cobra.Command, word string) error {
	if strings.ContainsAny(word, ":@") {
		return errors.New("a command is missing before the URL; write hale check URL to check once, or hale serve URL for the agent")
	}
	var known []string
	for _, c := range root.Commands() {
		known = append(known, c.Name())
	}
	return fmt.Errorf("there is no command %q%s; see hale --help", word, check.DidYouMean(word, known))
}

// noArguments refuses arguments of a command that has no commands of its own, of
// which cobra would speak. A URL is not repeated, which may hold a password.
func noArguments(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return nil
	case strings.ContainsAny(args[0], ":@"):
		return fmt.Errorf("%s takes no URLs; see %s --help", cmd.Name(), cmd.CommandPath())
	}
	return fmt.Errorf("%s takes no arguments, and %q is one; see %s --help", cmd.Name(), check.CleanText(args[0]), cmd.CommandPath())
}

func newRoot(s streams) *cobra.Command {
	root := &cobra.Command{
		Use:   "hale",
		Short: "Should this instance get traffic?",
		Long: `hale checks everything an instance runs and depends on, in each thing's own
protocol, and tells load balancers, orchestrators and people whether the
instance should get traffic.`,
		Example: `  hale serve http://127.0.0.1:8000/health redis://127.0.0.1:6379 postgres://127.0.0.1
  curl -i http://127.0.0.1:5000/readyz
  hale status`,
		Version:       versionText(),
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			return noCommand(cmd, args[0])
		},
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetVersionTemplate("hale {{.Version}}\n")
	root.SetOut(s.out)
	root.SetErr(s.err)
	root.AddCommand(
		newCapture(s),
		newOneshot(s, "check", "check [URL|NAME…] [--OPTION VALUE…]", "Run checks once: exit 0 when all are healthy, 1 when not"),
		newCompat(s),
		newConfig(s),
		newExplain(s),
		newHealthcheck(s),
		newInit(s),
		newServe(s),
		newSnippet(s),
		newStatus(s),
		newVersion(s),
		newOneshot(s, "wait", "wait [URL|NAME…] [-- COMMAND…]", "Wait until all checks are healthy, then run a command"),
	)
	return root
}
