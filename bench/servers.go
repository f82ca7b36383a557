package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// startRedis starts a Redis that keeps nothing.
func (b *bench) startRedis(ctx context.Context) (*process, int, error) {
	path, err := program("redis-server", "redis-server")
	if err != nil {
		return nil, 0, err
	}
	port, err := b.ports.free()
	if err != nil {
		return nil, 0, err
	}
	p, err := b.start("redis", path, "--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--save", "", "--dir", b.dir)
	if err != nil {
		return nil, 0, err
	}
	if err := accepting(ctx, p, port); err != nil {
		p.stop()
		return nil, 0, err
	}
	return p, port, nil
}

// startPostgres starts a PostgreSQL with a new cluster and returns the directory
// of its programs too. It refuses to be root, so that root starts it as
// postgres.
func (b *bench) startPostgres(ctx context.Context) (p *process, port int, bin string, err error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if len(found) == 0 {
		return nil, 0, "", errors.New("postgres is missing: apt-get install postgresql")
	}
	bin = filepath.Dir(found[len(found)-1])
	dir, err := os.MkdirTemp("", "hale-bench-postgres-")
	if err != nil {
		return nil, 0, "", err
	}
	attributes := childAttributes()
	if os.Getuid() == 0 {
		if attributes.Credential, err = account("postgres"); err != nil {
			return nil, 0, "", err
		}
		if err := os.Chown(dir, int(attributes.Credential.Uid), int(attributes.Credential.Gid)); err != nil {
			return nil, 0, "", err
		}
	}
	data := filepath.Join(dir, "data")
	initdb := exec.CommandContext(ctx, filepath.Join(bin, "initdb"), "-D", data, "-A", "trust", "-U", "postgres", "--no-sync")
	initdb.Dir, initdb.SysProcAttr = dir, attributes
	if out, err := initdb.CombinedOutput(); err != nil {
		return nil, 0, "", fmt.Errorf("initdb: %w: %s", err, bytes.TrimSpace(out))
	}
	if port, err = b.ports.free(); err != nil {
		return nil, 0, "", err
	}
	p, err = b.startAs(attributes, "postgres", found[len(found)-1], "-D", data, "-h", "127.0.0.1", "-p", strconv.Itoa(port), "-k", dir, "-F")
	if err != nil {
		return nil, 0, "", err
	}
	p.afterwards = func() { _ = os.RemoveAll(dir) }
	ready := func() error {
		return exec.CommandContext(ctx, filepath.Join(bin, "pg_isready"), "-q", "-h", "127.0.0.1", "-p", strconv.Itoa(port)).Run()
	}
	if err := waitFor(ctx, p, "wait until it accepts connections", 50*time.Millisecond, 30*time.Second, ready); err != nil {
		p.stop()
		return nil, 0, "", err
	}
	return p, port, bin, nil
}

// account is the user of the name, for a child process.
func account(name string) (*syscall.Credential, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return nil, err
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, err
}

// celeryWorker is the name of the worker that is pinged.
const celeryWorker = "bench@localhost"

// startCelery starts a Celery worker on a Redis and returns how Celery itself
// pings it, which is the peer. python is Debian's, whatever another python3 is
// first in PATH.
func (b *bench) startCelery(ctx context.Context, redis int) (*process, contestant, error) {
	const python = "/usr/bin/python3"
	dir, err := os.MkdirTemp(b.dir, "celery-")
	if err != nil {
		return nil, contestant{}, err
	}
	app := fmt.Sprintf("from celery import Celery\napp = Celery('bench', broker='redis://%s/0')\n", local(redis))
	if err := os.WriteFile(filepath.Join(dir, "benchapp.py"), []byte(app), 0o600); err != nil {
		return nil, contestant{}, err
	}
	celery := []string{"-m", "celery", "--workdir", dir, "-A", "benchapp"}
	worker, err := b.start("celery", python, append(celery, "worker", "-n", celeryWorker, "--pool", "solo", "--without-gossip", "--without-mingle")...)
	if err != nil {
		return nil, contestant{}, err
	}
	inspect := contestant{
		name: "celery inspect ping",
		argv: append([]string{python}, append(celery, "inspect", "ping", "-d", celeryWorker, "-t", "5")...),
	}
	err = waitFor(ctx, worker, "wait until it answers", 100*time.Millisecond, time.Minute, func() error { return inspect.once(ctx) })
	if err != nil {
		worker.stop()
		return nil, contestant{}, fmt.Errorf("%w (apt-get install python3-celery python3-redis)", err)
	}
	return worker, inspect, nil
}
