package main

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// runSize looks at the binary itself.
func runSize(_ context.Context, b *bench) error {
	var t table
	t.row("", "MB", "static", "stripped")
	var sizes []float64
	good := true
	for _, path := range []string{b.hale, b.probe} {
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		static, stripped, err := inspect(path)
		if err != nil {
			return err
		}
		good = good && static && stripped
		sizes = append(sizes, inMegabytes(uint64(info.Size())))
		t.row(filepath.Base(path), number(sizes[len(sizes)-1]), yes(static), yes(stripped))
	}
	b.printf("%s", t)
	b.goal("at most 32 MB, static and stripped", number(sizes[0])+" MB", sizes[0] <= 32 && good)
	b.goal("hale-probe at most half of hale", number(sizes[1]/sizes[0]), sizes[1] <= sizes[0]/2)
	return nil
}

// inspect reports whether a program needs no loader and has no symbols.
func inspect(path string) (static, stripped bool, err error) {
	file, err := elf.Open(path)
	if err != nil {
		return false, false, fmt.Errorf("%s: %w", path, err)
	}
	defer file.Close()
	static = true
	for _, p := range file.Progs {
		if p.Type == elf.PT_INTERP {
			static = false
		}
	}
	_, err = file.Symbols()
	if stripped = errors.Is(err, elf.ErrNoSymbols); stripped {
		err = nil
	}
	return static, stripped, err
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
