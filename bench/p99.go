package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

// pacedGap is the pause of the paced client after each answer.
const pacedGap = time.Millisecond

// tail is what one condition came to, by round; in microseconds.
type tail struct {
	name         string
	paced, busy  []float64
	hanging      []float64 // connections to the silent server
	stillOpen    []float64 // idle connections at the end
	pacedSamples int
}

// runP99 compares the p99 of the answer of a hale whose checks are well with
// that of one whose checks hang while idle connections are open to it. Each
// round starts hale anew, so that the other one takes no time away.
func runP99(ctx context.Context, b *bench) error {
	target, err := b.startNginx(ctx, 1)
	if err != nil {
		return err
	}
	defer target.stop()
	silent, silentPort, err := b.startRole(ctx, "silent")
	if err != nil {
		return err
	}
	defer silent.stop()
	hanging := checkSet{name: "hanging", policy: b.plan.settle}
	for i := range b.plan.hanging {
		hanging.urls = append(hanging.urls, fmt.Sprintf("http://%s/%05d", local(silentPort), i))
	}
	tails := []tail{
		{name: fmt.Sprintf("%d healthy checks", healthy)},
		{name: fmt.Sprintf("the same, %s checks that hang, %s idle connections", thousands(int64(b.plan.hanging)), thousands(int64(b.plan.idle)))},
	}
	err = alternate(ctx, b.plan.p99Rounds, len(tails), func(round, i int) error {
		sets := []checkSet{healthyChecks(target)}
		if i == 1 {
			sets = append(sets, hanging)
		}
		t := &tails[i]
		if err := b.measureTail(ctx, t, sets, silentPort); err != nil {
			return err
		}
		b.progress("p99 %d/%d: %s: paced %s µs, busy %s µs", round+1, b.plan.p99Rounds, t.name, number(t.paced[len(t.paced)-1]), number(t.busy[len(t.busy)-1]))
		return nil
	})
	if err != nil {
		return err
	}
	b.writeP99(tails)
	return nil
}

// measureTail does one round: with a second set of checks, the loaded one.
func (b *bench) measureTail(ctx context.Context, t *tail, sets []checkSet, silentPort int) error {
	h, err := b.startHale(sets...)
	if err != nil {
		return err
	}
	defer h.stop()
	var idle []net.Conn
	if len(sets) == 1 {
		_, err = h.waitReady(ctx, 10*time.Millisecond, 10*time.Second)
	} else {
		idle, err = b.loadUp(ctx, h, silentPort)
	}
	defer closeAll(idle)
	if err != nil {
		return err
	}
	took, err := askPaced(ctx, local(h.public), b.plan.paced)
	if err != nil {
		return err
	}
	t.paced = append(t.paced, quantile(took, 0.99).Seconds()*1e6)
	t.pacedSamples = len(took)
	connections, err := connectionsTo(silentPort)
	if err != nil {
		return err
	}
	t.hanging = append(t.hanging, float64(connections))
	result, err := wrk(ctx, h.readyURL(), b.plan.wrkSeconds)
	if err != nil {
		return err
	}
	t.busy = append(t.busy, result.p99.Seconds()*1e6)
	t.stillOpen = append(t.stillOpen, float64(stillOpen(idle)))
	return nil
}

// loadUp waits until every check that hangs has been found down and nearly all
// hang again, so that nothing changes any more, and opens the idle connections.
func (b *bench) loadUp(ctx context.Context, h *hale, silentPort int) ([]net.Conn, error) {
	patience := 4*b.plan.settle.interval + 10*time.Second
	err := waitFor(ctx, h.process, "wait until all hanging checks are down", 200*time.Millisecond, patience, func() error {
		s, err := h.status(ctx)
		if err != nil {
			return err
		}
		down := 0
		for _, c := range s.Checks {
			if c.Status == "down" {
				down++
			}
		}
		if down != b.plan.hanging || len(s.Checks) != b.plan.hanging+healthy {
			return fmt.Errorf("%d of %d checks are down", down, len(s.Checks))
		}
		hanging, err := connectionsTo(silentPort)
		if err == nil && hanging < b.plan.hanging*9/10 {
			err = fmt.Errorf("%d checks hang", hanging)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	var idle []net.Conn
	for range b.plan.idle {
		conn, err := net.Dial("tcp", local(h.public))
		if err != nil {
			return idle, err
		}
		idle = append(idle, conn)
		// A connection that has never asked is closed soon; one that has may
		// wait for long.
		if _, err := ask(conn, bufio.NewReader(conn)); err != nil {
			return idle, err
		}
	}
	return idle, nil
}

// ask requests the verdict once and returns how long it took until the answer
// began to arrive.
func ask(conn net.Conn, r *bufio.Reader) (time.Duration, error) {
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return 0, err
	}
	begin := time.Now()
	if _, err := io.WriteString(conn, "GET /readyz HTTP/1.1\r\nHost: bench\r\n\r\n"); err != nil {
		return 0, err
	}
	if _, err := r.Peek(1); err != nil {
		return 0, err
	}
	took := time.Since(begin)
	response, err := http.ReadResponse(r, nil)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, response.Body)
	return took, errors.Join(err, response.Body.Close())
}

// askPaced asks over one connection at a pace that leaves hale idle most of the
// time, and returns how long each answer took.
func askPaced(ctx context.Context, address string, long time.Duration) ([]time.Duration, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	r := bufio.NewReader(conn)
	var all []time.Duration
	for begin := time.Now(); time.Since(begin) < long; {
		took, err := ask(conn, r)
		if err != nil {
			return nil, err
		}
		all = append(all, took)
		if err := sleep(ctx, pacedGap); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// stillOpen counts the connections that the other side has not closed.
func stillOpen(conns []net.Conn) int {
	open := 0
	for _, c := range conns {
		// In the past, a deadline would keep the end from being seen.
		_ = c.SetReadDeadline(time.Now().Add(time.Millisecond))
		if _, err := c.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
			open++
		}
	}
	return open
}

func closeAll(conns []net.Conn) {
	for _, c := range conns {
		_ = c.Close()
	}
}

func (b *bench) writeP99(tails []tail) {
	calm, loaded := tails[0], tails[1]
	b.printf("p99 of the answer in µs, %s in alternating order, hale started anew in each; medians (least–most). "+
		"Paced: one connection, a pause of %v after each answer, about %d requests a round, each from sending it to the answer's first byte. "+
		"Busy: `wrk -t1 -c32 --latency`. The checks that hang run every %v with a timeout of %v; the verdict is then 503. %s of them hung at the moment of a look, "+
		"and %s of the idle connections were still open at the end.\n\n",
		several(b.plan.p99Rounds, "round"), pacedGap, calm.pacedSamples, b.plan.settle.interval, b.plan.settle.timeout, spread(loaded.hanging), spread(loaded.stillOpen))
	var t table
	t.row("", "paced", "relative", "busy", "relative")
	for _, one := range tails {
		t.row(one.name, spread(one.paced), spread(ratios(one.paced, calm.paced)), spread(one.busy), spread(ratios(one.busy, calm.busy)))
	}
	b.printf("%s", t)
	paced, busy := median(ratios(loaded.paced, calm.paced)), median(ratios(loaded.busy, calm.busy))
	b.goal("at most 2 times the unloaded one", number(paced)+" paced, "+number(busy)+" busy", max(paced, busy) <= 2)
}
