package config_test

import (
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"hale/internal/config"
)

// A file that hale may not read is an error, not a missing file, also when it
// is the default one.
func TestUnreadableFile(t *testing.T) {
	file := write(t, "checks: {}\n")
	if err := os.Chmod(file, 0); err != nil {
		t.Fatal(err)
	}
	// Root may read everything, so one thread becomes somebody else for the
	// eyes of the file system. It ends with its goroutine, which keeps it.
	done := make(chan [2]error)
	go func() {
		runtime.LockOSThread()
		if os.Getuid() == 0 {
			syscall.RawSyscall(syscall.SYS_SETFSUID, 65534, 0, 0)
			os.Chmod(file, 0)
		}
		_, err := config.Load(config.Sources{File: file, Getenv: unset}, registry(t))
		_, defaultErr := config.Load(config.Sources{DefaultFile: file, Getenv: unset}, registry(t))
		done <- [2]error{err, defaultErr}
	}()
	for _, err := range <-done {
		if err == nil || !strings.HasSuffix(err.Error(), "can't be read: permission denied") {
			t.Errorf("got %v", err)
		}
	}
}

// Files in /proc say that they are regular and empty. Their contents are read
// all the same, and one that keeps its readers waiting does not keep Load.
func TestProcFiles(t *testing.T) {
	got := loadErr(t, config.Sources{File: "/proc/self/environ"})
	if !strings.Contains(got, "control character 0x00") && !strings.Contains(got, "is empty") {
		t.Errorf("got %q", got)
	}
	loadErr(t, config.Sources{File: "/proc/kmsg"})
}
