package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"hale/internal/admin"
)

// A hale is a running `hale serve`.
type hale struct {
	*process
	public, admin int // ports
	begun         time.Time
}

// A policy is that of checks; a zero timeout is hale's default.
type policy struct{ interval, timeout time.Duration }

// A checkSet is checks with the same policy, one for each URL.
type checkSet struct {
	name   string // prefix of their names
	policy policy
	urls   []string
}

// configText is a configuration with the checks.
func configText(sets ...checkSet) string {
	var text strings.Builder
	// The first set's policy is the default, which keeps a file of many
	// thousands of checks small.
	fmt.Fprintf(&text, "defaults: {%s}\nchecks:\n", sets[0].policy.text())
	for i, set := range sets {
		for n, url := range set.urls {
			if i > 0 {
				url = fmt.Sprintf("{url: %q, %s}", url, set.policy.text())
			}
			fmt.Fprintf(&text, "  %s%05d: %s\n", set.name, n, url)
		}
	}
	return text.String()
}

func (p policy) text() string {
	if p.timeout == 0 {
		return fmt.Sprintf("interval: %v", p.interval)
	}
	return fmt.Sprintf("interval: %v, timeout: %v", p.interval, p.timeout)
}

// startHale starts hale with the checks. It does not wait for anything.
func (b *bench) startHale(sets ...checkSet) (*hale, error) {
	return b.startHaleWith(configText(sets...))
}

// startHaleWith starts hale with a configuration.
func (b *bench) startHaleWith(text string) (*hale, error) {
	file, err := os.CreateTemp(b.dir, "hale-*.yaml")
	if err != nil {
		return nil, err
	}
	_, err = io.WriteString(file, text)
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return nil, err
	}
	h := &hale{}
	if h.public, err = b.ports.free(); err != nil {
		return nil, err
	}
	if h.admin, err = b.ports.free(); err != nil {
		return nil, err
	}
	h.begun = time.Now()
	h.process, err = b.start("hale", b.hale, "serve", "--config", file.Name(), "--listen", local(h.public), "--admin", local(h.admin))
	if err != nil {
		return nil, err
	}
	return h, nil
}

// readyURL is where the verdict is asked for.
func (h *hale) readyURL() string { return "http://" + local(h.public) + "/readyz" }

// waitReady waits until the verdict is 200, asking every so often, and returns
// how long that took since the start.
func (h *hale) waitReady(ctx context.Context, every, patience time.Duration) (time.Duration, error) {
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	err := waitFor(ctx, h.process, "wait until it is ready", every, patience, func() error {
		return get(ctx, client, h.readyURL(), func(io.Reader) error { return nil })
	})
	return time.Since(h.begun), err
}

// waitFail waits until the verdict is something else than 200.
func (h *hale) waitFail(ctx context.Context, every, patience time.Duration) error {
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	return waitFor(ctx, h.process, "wait until it is not ready", every, patience, func() error {
		if get(ctx, client, h.readyURL(), func(io.Reader) error { return nil }) == nil {
			return errors.New("it answers 200")
		}
		return nil
	})
}

// status asks for what hale believes.
func (h *hale) status(ctx context.Context) (admin.Status, error) {
	var s admin.Status
	err := get(ctx, slowClient, "http://"+local(h.admin)+"/api/v1/status", func(r io.Reader) error {
		return json.NewDecoder(r).Decode(&s)
	})
	return s, err
}

// metrics asks for the metrics, as text.
func (h *hale) metrics(ctx context.Context) (text []byte, err error) {
	err = get(ctx, slowClient, "http://"+local(h.admin)+"/metrics", func(r io.Reader) (err error) {
		text, err = io.ReadAll(r)
		return err
	})
	return text, err
}

// slowClient is for answers that are long. It keeps no connections and does not
// ask for compression, which would cost hale more than the answer.
var slowClient = &http.Client{
	Timeout:   20 * time.Second,
	Transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true},
}

// get requests a URL and lets use have the body of the answer, which must be
// 200.
func get(ctx context.Context, client *http.Client, url string, use func(io.Reader) error) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	defer io.Copy(io.Discard, response.Body)
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", url, response.Status)
	}
	return use(response.Body)
}
