// Command finder runs a docker source with the options NAME=VALUE of its
// arguments, and prints its log and each set of checks with their first results.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"hale/internal/check"
	"hale/internal/discover"
	"hale/internal/discover/docker"
	"hale/internal/kinds"
)

func main() {
	if err := run(); err != nil {
		fmt.Println(err)
	}
}

func run() error {
	registry, err := check.NewRegistry(check.Env{}, kinds.All()...)
	if err != nil {
		return err
	}
	var options []check.Option
	for _, arg := range os.Args[1:] {
		name, value, _ := strings.Cut(arg, "=")
		options = append(options, check.Option{Name: name, Values: []string{value}})
	}
	source, err := docker.Method().New(options, discover.Env{
		Registry: registry, Policy: check.DefaultPolicy(), Getenv: os.LookupEnv, Log: slog.New(slog.NewTextHandler(os.Stdout, nil)),
	})
	if err != nil {
		return err
	}
	source.Run(context.Background(), func(checks []*check.Check) {
		go func() {
			for _, c := range checks {
				result := c.Run(context.Background(), nil)
				fmt.Println("check", c.Name, c.Target, result.Reason(), result.Text())
			}
		}()
	})
	return nil
}
