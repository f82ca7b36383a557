package main

import (
	"errors"

	"hale/internal/check"
	"hale/internal/config"
	"hale/internal/kinds"
)

// defaultConfig is read when it exists and no other file is given.
const defaultConfig = config.DefaultFile

// loadConfig reads the configuration from a file ("" for the default one),
// HALE_CHECKS, URLs given as arguments, and settings given as flags; ${own_ip} is
// what own finds. It returns the registry that made the checks too. Its error
// has the exit code.
func loadConfig(file string, urls []string, flags map[string]string, own config.OwnIP) (*config.Config, *check.Registry, error) {
	registry, err := check.NewRegistry(check.Env{}, kinds.All()...)
	if err != nil {
		return nil, nil, &exitError{exitFail, err}
	}
	c, err := config.Load(config.Sources{
		File: file, DefaultFile: defaultConfig, Args: urls, Flags: flags, Methods: methodFaults(registry), OwnIP: own,
	}, registry)
	if err != nil {
		code := exitConfig
		if faults, ok := errors.AsType[config.Errors](err); ok && faults.Usage() {
			code = exitUsage
		}
		return nil, nil, &exitError{code, err}
	}
	return c, registry, nil
}
