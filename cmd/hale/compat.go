package main

import (
	"context"

	"github.com/spf13/cobra"

	"hale/internal/compat/dockerstatus"
	"hale/internal/compat/healthchecker"
	"hale/internal/compat/maykin"
)

// A face is one of the tools that hale replaces: it takes the tool's arguments
// and returns its exit code.
type face func(ctx context.Context, args []string, s streams) int

// faces are the tools by their names.
var faces = map[string]face{
	"docker-status": func(ctx context.Context, args []string, s streams) int {
		outlivePipes()
		return whileAlive(ctx, s, func() int { return dockerstatus.Main(ctx, args, s.out, s.err, versionText()) })
	},
	"health-checker": func(ctx context.Context, args []string, s streams) int {
		outlivePipes()
		return whileAlive(ctx, s, func() int { return healthchecker.Main(ctx, args, s.out, s.err, versionText()) })
	},
	"maykin-common": func(ctx context.Context, args []string, s streams) int {
		return maykin.Tool{Version: versionText(), Out: s.out, Err: s.err}.Main(ctx, args)
	},
}

func newCompat(s streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "compat NAME [ARGUMENT…]",
		Short: "Be one of the tools that hale replaces",
		Long: `compat behaves as the named tool did, arguments and exit codes included.
A symlink of the tool's name to hale does the same.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	for name, face := range faces {
		cmd.AddCommand(&cobra.Command{
			Use:                name + " [ARGUMENT…]",
			Short:              "Be " + name,
			DisableFlagParsing: true,
			RunE: func(cmd *cobra.Command, args []string) error {
				if code := face(cmd.Context(), args, s); code != exitOK {
					return &exitError{code: code}
				}
				return nil
			},
		})
	}
	return cmd
}
