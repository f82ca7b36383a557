package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"time"
)

// hungTimeout is the timeout of the checks whose target says nothing.
const hungTimeout = 500 * time.Millisecond

// silentTargets are URLs of every kind whose target can hang, given the address
// of a server that accepts connections and packets, and never says anything.
func silentTargets(tcp, udp string) []string {
	urls := []string{
		"exec:/bin/sleep 60", "dns://" + udp + "/www.example.org", "dns://" + tcp + "/www.example.org#tcp=true", "ntp://" + udp,
		"celery+redis://" + tcp + "/0#worker=w@h", "celery+rediss://" + tcp + "/0#worker=w@h",
		"celery+amqp://" + tcp + "#worker=w@h", "celery+amqps://" + tcp + "#worker=w@h",
		"tcp://" + tcp + "#expect=x", "supervisor://" + tcp, "postgres://u:p@" + tcp + "/d?query=select%201",
	}
	for _, scheme := range []string{
		"amqp", "amqps", "grpc", "grpcs", "http", "https", "kafka", "kafkas", "memcached", "mysql", "nats", "natss",
		"postgres", "redis", "rediss", "smtp", "smtps", "tls", "zookeeper",
	} {
		urls = append(urls, scheme+"://"+tcp)
	}
	return urls
}

// runHung measures how long after its timeout a one-shot check of a target that
// says nothing has ended, as a whole process.
func runHung(ctx context.Context, b *bench) error {
	silent, port, err := b.startRole(ctx, "silent")
	if err != nil {
		return err
	}
	defer silent.stop()
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer packets.Close()
	urls := silentTargets(local(port), packets.LocalAddr().String())
	late := make([][]float64, len(urls))
	err = alternate(ctx, b.plan.hungRounds, len(urls), func(_, i int) error {
		took, err := b.checkHung(ctx, urls[i])
		late[i] = append(late[i], inMilliseconds(took-hungTimeout))
		return err
	})
	if err != nil {
		return err
	}
	b.printf("`hale check URL --timeout %v` of a server that accepts and says nothing (for `exec`, a program that goes on), %s: how much later than its timeout the process has ended, its start included; medians (least–most).\n\n",
		hungTimeout, several(b.plan.hungRounds, "round"))
	var t table
	t.row("kind", "later, ms")
	worst := 0.0
	for i, url := range urls {
		scheme, rest, _ := strings.Cut(url, ":")
		if strings.Contains(rest, "tcp=true") {
			scheme += ", TCP"
		}
		if strings.Contains(rest, "query") {
			scheme += ", query"
		}
		t.row(scheme, spread(late[i]))
		worst = max(worst, median(late[i]))
	}
	b.printf("%s", t)
	b.goal("at most 100 ms, for every kind", fmt.Sprintf("at most %s ms", number(worst)), worst <= 100)
	return nil
}

// checkHung runs a check that must fail with a timeout.
func (b *bench) checkHung(ctx context.Context, url string) (time.Duration, error) {
	cmd := exec.CommandContext(ctx, b.hale, "check", url, "--timeout", hungTimeout.String())
	cmd.SysProcAttr = childAttributes()
	begin := time.Now()
	out, err := cmd.Output()
	took := time.Since(begin)
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 1 || !strings.Contains(string(out), " timeout: ") {
		return took, fmt.Errorf("hale check %s: %w: %s", url, err, out)
	}
	return took, nil
}
