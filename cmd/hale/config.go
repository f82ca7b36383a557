package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"hale/internal/server"
)

func newConfig(s streams) *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Check or show the configuration",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.PersistentFlags().StringVar(&file, "config", "", "the configuration `FILE` (default "+defaultConfig+" if it exists)")
	cmd.AddCommand(&cobra.Command{
		Use:   "check [URL…]",
		Short: "Say whether the configuration is good, and all that is wrong with it",
		RunE: func(cmd *cobra.Command, urls []string) error {
			c, _, err := loadConfig(file, urls, nil, new(addressAsker).ask(cmd.Context()))
			if err != nil {
				return err
			}
			warn(s.err, c)
			if len(c.Checks) == 0 && c.Discover != nil && len(c.Discover) == 0 {
				return &exitError{exitConfig, errNoChecks}
			}
			if c.TLS {
				if _, err := server.NewTLS(c.TLSCert, c.TLSKey, c.TLSClientCA, nil); err != nil {
					return &exitError{exitConfig, err}
				}
			}
			_, err = fmt.Fprintf(s.out, "ok: %s\n", describeChecks(c))
			return err
		},
	}, &cobra.Command{
		Use:   "show [URL…]",
		Short: "Show what is in force: defaults filled in, secrets masked",
		RunE: func(cmd *cobra.Command, urls []string) error {
			c, _, err := loadConfig(file, urls, nil, new(addressAsker).ask(cmd.Context()))
			if err != nil {
				return err
			}
			warn(s.err, c)
			return c.Show(s.out)
		},
	})
	return cmd
}
