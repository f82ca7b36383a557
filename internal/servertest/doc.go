// Package servertest starts the real servers that tests check against: Redis,
// PostgreSQL, MariaDB, RabbitMQ, Celery, ZooKeeper, nginx, Apache, Caddy, HAProxy,
// Django, Rails, Docker, Podman, systemd and others, as Debian packages them. It
// also mounts file systems, one that hangs among them, and runs a test in a
// network of its own.
//
// Each runs in the foreground as a child of the test, on a free port of
// 127.0.0.1, with a directory of its own for its configuration, data and log.
// It is stopped, by its process id, when the test ends; should the test die
// first, the kernel kills it. A server whose program is missing fails the test
// and names the package to install; no test is ever skipped.
//
// A started server is ready: it answers on its port. A [Server] belongs to the
// test that started it and is not to be used by two goroutines at once.
package servertest
