// Package config turns what an operator wrote – a YAML file, the environment
// variable HALE_CHECKS, URL arguments and flags – into checks and settings.
//
// [Load] is strict and complete: it reports every fault at once, each an
// [Error] with its place, what was found and what would be right, and returns
// a [Config] only when there is none. It reads the file and the files that
// ${file:…} names, and does no other I/O; it never waits for a pipe or a
// device, and its time and memory are bounded whatever the input. No secret is
// ever in its errors or in what [Config.Show] writes.
//
// The YAML library gives a tree of nodes with lines and columns; this package
// walks it itself, because decoding into structs loses unknown keys, places
// and the text as it was written (a password of 0123 is not the number 83).
// go.yaml.in/yaml/v4 was chosen over goccy/go-yaml for its behaviour on bad
// input: its time is linear and its depth bounded, where goccy v1.19.2 takes
// 1 s for a block scalar of 16 KiB of blank lines and 17 s for 64 KiB, and does
// not finish 1 MiB of "[" within two minutes.
package config
