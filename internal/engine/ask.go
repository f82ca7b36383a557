package engine

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"hale/internal/check"
)

// The versions of the API of which one is spoken. Docker has had the oldest
// since 1.12 (2016); the newest is the last one that this was written for.
const oldestAPI, newestAPI = "1.24", "1.51"

// How much is read of an answer.
const (
	maxHead    = 64 << 10
	maxFault   = 8 << 10
	maxAnswer  = 8 << 20
	maxList    = 256 << 20 // read, and not kept; 10,000 containers have some 25 MB
	maxInList  = 50_000
	maxMessage = 300 // of an error, in characters
)

// ErrNotFound is that the engine has no such container.
var ErrNotFound = errors.New("no such container")

// errTooLarge is that more was sent than anybody could mean to read.
var errTooLarge = errors.New("the answer is too large")

// Version asks the engine what it is, and agrees on the version of the API: the
// newest that both know. The other calls do so by themselves, and anew after an
// error, since the engine may be another one then.
func (c *Client) Version(ctx context.Context) (Version, error) {
	var answer struct {
		Version, ApiVersion, MinAPIVersion string
		Components                         []struct{ Name string }
	}
	if err := c.askFor(ctx, "/version", &answer); err != nil {
		return Version{}, err
	}
	v := Version{Name: "Docker", Version: check.CleanText(answer.Version), API: newestAPI}
	for _, component := range answer.Components {
		if strings.HasPrefix(component.Name, "Podman") {
			v.Name = "Podman"
		}
	}
	switch theirs := answer.ApiVersion; {
	case !isVersion(theirs):
		return Version{}, c.notAnEngine("it does not tell the version of its API")
	case older(theirs, oldestAPI):
		return Version{}, check.Failf(check.ReasonProtocol, "the engine at %s is too old: %s %s has API %s, and hale needs %s, which Docker has since 1.12; update it",
			c.Host(), v.Name, v.Version, check.CleanText(theirs), oldestAPI)
	case isVersion(answer.MinAPIVersion) && older(newestAPI, answer.MinAPIVersion):
		return Version{}, check.Failf(check.ReasonProtocol, "the engine at %s is too new: %s %s wants API %s or later, and hale knows %s; update hale",
			c.Host(), v.Name, v.Version, check.CleanText(answer.MinAPIVersion), newestAPI)
	case older(theirs, newestAPI):
		v.API = theirs
	}
	c.mu.Lock()
	c.version = v
	c.mu.Unlock()
	return v, nil
}

func isVersion(v string) bool {
	major, minor, ok := strings.Cut(v, ".")
	return ok && len(v) < 12 && isDigits(major) && isDigits(minor)
}

func isDigits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// older compares versions of the API: two numbers.
func older(a, b string) bool {
	number := func(v string) int {
		major, minor, _ := strings.Cut(v, ".")
		high, _ := strconv.Atoi(major)
		low, _ := strconv.Atoi(minor)
		return high*1_000_000 + low
	}
	return number(a) < number(b)
}

// spoken returns the version of the API that was agreed upon.
func (c *Client) spoken(ctx context.Context) (string, error) {
	c.mu.Lock()
	v := c.version
	c.mu.Unlock()
	if v.API == "" {
		var err error
		if v, err = c.Version(ctx); err != nil {
			return "", err
		}
	}
	return v.API, nil
}

// get asks for a path below the version that is spoken. The caller closes the
// answer's body.
func (c *Client) get(ctx context.Context, path string) (*http.Response, error) {
	api, err := c.spoken(ctx)
	if err != nil {
		return nil, err
	}
	answer, err := c.send(ctx, "/v"+api+path)
	if err != nil && !errors.Is(err, ErrNotFound) {
		c.mu.Lock()
		c.version = Version{}
		c.mu.Unlock()
	}
	return answer, err
}

// askFor reads a whole answer.
func (c *Client) askFor(ctx context.Context, path string, into any) error {
	ask := c.get
	if path == "/version" {
		ask = c.send
	}
	answer, err := ask(ctx, path)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if err := json.NewDecoder(&bounded{answer.Body, maxAnswer}).Decode(into); err != nil {
		return c.explain(err)
	}
	return nil
}
