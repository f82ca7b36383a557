//go:build unix

// Package execcheck is the kind exec: it runs a program and takes its exit
// status for the result.
//
// The command line is split into words as a shell splits them, without a shell
// being run. The program starts in a session of its own with nothing on its
// standard input and hale's environment but for HALE_*, and hale keeps the
// first 4 KiB of its standard output and as much of its standard error.
//
// # Nothing is left
//
// A run ends when the program it started ends, or when its context does. It
// never waits for whoever else holds its output open. Either way everything
// that the program started is then killed and reaped, also what left its
// session or was inherited by another process; see host.
//
// That takes two things which the kernel has per process and not per run, and
// so this package has one [sync.OnceValue] of them:
//
//   - While a run is under way hale is a child subreaper (prctl(2)): orphans
//     become its children instead of init's.
//   - While a run's program is being started hale's own soft RLIMIT_LOCKS is
//     the run's mark. Linux has not enforced that limit since 2.4 but still
//     hands it on to every child, whatever the child does to its environment,
//     session or user. It tells whose orphan an orphan is. Another part of hale
//     that starts a process must not do so while checks run.
//
// On Unix other than Linux only the program's process group is killed.
package execcheck
