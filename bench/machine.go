package main

import (
	"cmp"
	"os"
	"os/exec"
	"runtime"
	"strings"
)

// writeMachine writes what the figures are of and how to get them again. The
// machine's name is nobody's business.
func (b *bench) writeMachine(args []string) {
	command := strings.TrimSpace("go run ./bench " + strings.Join(args, " "))
	b.printf("Command: `%s`\n\n", command)
	b.printf("Machine: %d cores of %s, Linux %s; %s, GOMAXPROCS %d, %s; %s, %s; load average at the start %s.\n",
		runtime.NumCPU(), cpuModel(), firstLine(os.ReadFile("/proc/sys/kernel/osrelease")),
		runtime.Version(), runtime.GOMAXPROCS(0), tuning(),
		version("nginx", "-v"), version("wrk", "-v"), loadAverage())
}

// tuning is what the environment says to Go's runtime in hale.
func tuning() string {
	var parts []string
	for _, name := range []string{"GOGC", "GOMEMLIMIT"} {
		parts = append(parts, name+" "+cmp.Or(os.Getenv(name), "not set"))
	}
	return strings.Join(parts, ", ")
}

func cpuModel() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "an unknown CPU"
	}
	return parseCPUModel(string(text))
}

// parseCPUModel finds the model in /proc/cpuinfo, which not every architecture
// gives.
func parseCPUModel(cpuinfo string) string {
	for line := range strings.Lines(cpuinfo) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "an unknown CPU"
}

// loadAverage is that of the last minute: how many processes wanted to run.
func loadAverage() string {
	one, _, _ := strings.Cut(firstLine(os.ReadFile("/proc/loadavg")), " ")
	return one
}

// version is what a program says of itself, shortly.
func version(name, flag string) string {
	path, err := program(name, name)
	if err != nil {
		return name + " is missing"
	}
	// wrk says its version and fails, nginx says it to its error output.
	text, _ := exec.Command(path, flag).CombinedOutput()
	return parseVersion(firstLine(text, nil))
}

// parseVersion shortens what nginx and wrk say.
func parseVersion(line string) string {
	line = strings.TrimPrefix(line, "nginx version: ")
	line, _, _ = strings.Cut(line, " [")
	line, _, _ = strings.Cut(line, " Copyright")
	return strings.ReplaceAll(line, "/", " ")
}

func firstLine(text []byte, err error) string {
	if err != nil {
		return "unknown"
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return strings.TrimSpace(line)
}
