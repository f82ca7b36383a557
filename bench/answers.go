package main

import (
	"context"
	"fmt"
	"time"
)

// healthy is how many checks a hale has that is otherwise unloaded.
const healthy = 10

// healthyChecks are as many checks of an nginx.
func healthyChecks(target *nginx) checkSet {
	return checkSet{name: "healthy", policy: policy{interval: 10 * time.Second}, urls: target.urls(healthy)}
}

// A responder is what wrk asks.
type responder struct {
	name, url string
	rates     []float64 // answers a second, by round
}

// runAnswers compares how many answers a second hale gives with nginx and with
// Go's own HTTP server. All three run all the time; one at a time is asked.
func runAnswers(ctx context.Context, b *bench) error {
	peer, err := b.startNginx(ctx, 1)
	if err != nil {
		return err
	}
	defer peer.stop()
	target, err := b.startNginx(ctx, 1)
	if err != nil {
		return err
	}
	defer target.stop()
	bare, barePort, err := b.startRole(ctx, "nethttp")
	if err != nil {
		return err
	}
	defer bare.stop()
	h, err := b.startHale(healthyChecks(target))
	if err != nil {
		return err
	}
	defer h.stop()
	if _, err := h.waitReady(ctx, 10*time.Millisecond, 10*time.Second); err != nil {
		return err
	}
	responders := []responder{
		{name: "nginx, `return 200`, one process", url: fmt.Sprintf("http://%s/", local(peer.ports[0]))},
		{name: "bare net/http server", url: fmt.Sprintf("http://%s/", local(barePort))},
		{name: fmt.Sprintf("hale serve, %d checks in the background", healthy), url: h.readyURL()},
	}
	err = alternate(ctx, b.plan.answerRounds, len(responders), func(round, i int) error {
		r := &responders[i]
		result, err := wrk(ctx, r.url, b.plan.wrkSeconds)
		if err != nil {
			return err
		}
		if result.refused > 0 {
			return fmt.Errorf("%s: %d answers were not 200", r.name, result.refused)
		}
		r.rates = append(r.rates, result.perSecond)
		b.progress("answers %d/%d: %s: %s a second", round+1, b.plan.answerRounds, r.name, number(result.perSecond))
		return nil
	})
	if err != nil {
		return err
	}
	b.writeAnswers(responders)
	return nil
}

// writeAnswers writes the rates, relative to the first of the responders.
func (b *bench) writeAnswers(responders []responder) {
	b.printf("`wrk -t1 -c32 -d%ds` with connections kept, %s in alternating order; medians (least–most).\n\n", b.plan.wrkSeconds, several(b.plan.answerRounds, "round"))
	var t table
	t.row("", "answers/s", "relative")
	for _, r := range responders {
		t.row(r.name, spread(r.rates), spread(ratios(r.rates, responders[0].rates)))
	}
	b.printf("%s", t)
	hale := responders[len(responders)-1]
	share := median(ratios(hale.rates, responders[0].rates))
	b.goal("at least 0.50 of nginx", number(share), share >= 0.5)
	b.printf("Relative to the bare net/http server: %s.\n", spread(ratios(hale.rates, responders[1].rates)))
}
