package config

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"
)

// maxFile is the greatest size of a configuration file in bytes.
const maxFile = 1 << 20

// readFile reads a regular file of at most limit bytes. It never waits: not for
// a pipe's writer, nor for a device or one of those files in /proc that look
// regular and block.
func readFile(path string, limit int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, withoutPath(err)
	}
	if err := regular(info); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, withoutPath(err)
	}
	defer f.Close()
	// It may have been replaced since.
	if info, err = f.Stat(); err != nil {
		return nil, withoutPath(err)
	}
	if err := regular(info); err != nil {
		return nil, err
	}
	// A file on a disk takes no deadline and needs none.
	_ = f.SetReadDeadline(time.Now().Add(2 * time.Second))
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, withoutPath(err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("is longer than %d KiB, the most that is read", limit>>10)
	}
	return data, nil
}

func regular(info fs.FileInfo) error {
	switch mode := info.Mode(); {
	case mode.IsRegular():
		return nil
	case mode.IsDir():
		return fmt.Errorf("is a directory; give a file")
	default:
		return fmt.Errorf("is a %s; give a regular file", specialFile(mode))
	}
}

func specialFile(mode fs.FileMode) string {
	switch {
	case mode&fs.ModeNamedPipe != 0:
		return "pipe"
	case mode&fs.ModeSocket != 0:
		return "socket"
	case mode&fs.ModeDevice != 0:
		return "device"
	}
	return "special file"
}

// withoutPath leaves out what the error's place says already.
func withoutPath(err error) error {
	if e, ok := err.(*fs.PathError); ok {
		err = e.Err
	}
	return fmt.Errorf("can't be read: %w", err)
}

// textOf checks that a file's bytes are text: UTF-8 without control
// characters. A byte order mark is dropped.
func (s *source) textOf(data []byte) (string, *Error) {
	if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
		return "", s.fault(1, 1, "is UTF-16; save it as UTF-8")
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	line, column := 1, 1
	for rest := data; len(rest) > 0; {
		r, size := utf8.DecodeRune(rest)
		switch {
		case r == utf8.RuneError && size == 1:
			return "", s.fault(line, column, fmt.Sprintf("byte 0x%02x is not UTF-8; save the file as UTF-8", rest[0]))
		case r < ' ' && r != '\t' && r != '\n' && r != '\r', r == 0x7f:
			return "", s.fault(line, column, fmt.Sprintf("control character 0x%02x; a configuration is plain text", r))
		}
		rest = rest[size:]
		column++
		if r == '\n' {
			line, column = line+1, 1
		}
	}
	s.lines = strings.Split(string(data), "\n")
	return string(data), nil
}

func (s *source) fault(line, column int, msg string) *Error {
	return &Error{Source: s.name, Line: line, Column: column, Msg: msg, from: s}
}
