package main

import (
	"context"

	"github.com/spf13/cobra"

	"hale/internal/check"
	"hale/internal/kinds"
	"hale/internal/oneshot"
)

// oneshots are the commands that run checks once. They read their own command
// lines, because any option of any kind may be a flag.
var oneshots = map[string]func(context.Context, []string, oneshot.Program) int{
	"check": oneshot.Check,
	"wait":  oneshot.Wait,
}

// runOneshot runs such a command. Its error has the exit code.
func runOneshot(ctx context.Context, name string, args []string, s streams) error {
	outlivePipes() // who reads the lines does not decide the exit code
	registry, err := check.NewRegistry(check.Env{}, kinds.All()...)
	if err != nil {
		return &exitError{exitFail, err}
	}
	code := oneshots[name](ctx, args, oneshot.Program{
		Name: "hale", Registry: registry, ConfigFile: defaultConfig, Out: s.out, Err: s.err, OwnIP: new(addressAsker).ask(ctx),
	})
	if code != exitOK {
		return &exitError{code: code}
	}
	return nil
}

func newOneshot(s streams, name, use, short string) *cobra.Command {
	return &cobra.Command{
		Use:                use,
		Short:              short,
		DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			return runOneshot(cmd.Context(), name, args, s)
		},
	}
}
