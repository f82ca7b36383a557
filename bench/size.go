package main

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"os"
)

// runSize looks at the binary itself.
func runSize(_ context.Context, b *bench) error {
	info, err := os.Stat(b.hale)
	if err != nil {
		return err
	}
	static, stripped, err := inspect(b.hale)
	if err != nil {
		return err
	}
	size := inMegabytes(uint64(info.Size()))
	var t table
	t.row("", "MB", "static", "stripped")
	t.row("hale", number(size), yes(static), yes(stripped))
	b.printf("%s", t)
	b.goal("at most 32 MB, static and stripped", number(size)+" MB", size <= 32 && static && stripped)
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
