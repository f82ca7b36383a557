package zookeepercheck

import (
	"context"
	"io"
	"slices"
	"strings"
	"time"

	"hale/internal/check"
)

// checker is immutable once made.
type checker struct {
	dial            check.DialFunc
	address, target string
	word            string
	modes           []string
}

// Check asks once.
func (c *checker) Check(ctx context.Context) (string, error) {
	answer, err := c.ask(ctx)
	if err != nil {
		return "", err
	}
	switch {
	case strings.HasPrefix(answer, "This ZooKeeper instance is not currently serving requests"):
		return "", check.Failf(check.ReasonLoading, "%s: runs but does not serve: it is starting, or its ensemble has no quorum", c.target)
	case strings.HasPrefix(answer, c.word+" is not executed because it is not in the whitelist"):
		return "", check.Failf(check.ReasonPermission, "%s: does not answer to %s; add it to the list in zoo.cfg: 4lw.commands.whitelist=%s", c.target, c.word, c.word)
	case c.word == WordSrvr:
		return c.judge(answer)
	case answer == "imok":
		return answer, nil
	}
	return "", c.unexpected(answer)
}

// ask sends the word and returns all that the server answers.
func (c *checker) ask(ctx context.Context) (string, error) {
	conn, err := c.dial(ctx, "tcp", c.address)
	if err != nil {
		return "", c.broken("no connection", err)
	}
	defer func() { _ = conn.Close() }()
	// A deadline in the past ends whatever the connection is waiting for.
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	if _, err := io.WriteString(conn, c.word); err != nil {
		return "", c.broken("sending "+c.word, err)
	}
	answer, err := io.ReadAll(io.LimitReader(conn, MaxAnswer))
	if err == nil && len(answer) == 0 {
		err = io.EOF
	}
	if err != nil {
		return "", c.broken("no answer to "+c.word, err)
	}
	return string(answer), nil
}

// broken makes the failure of an exchange that broke off. A server that has as
// many connections as it accepts of one host breaks them off at any point.
func (c *checker) broken(what string, err error) error {
	reason, hint := check.ReasonOf(err), ""
	if reason == check.ReasonClosed || reason == check.ReasonReset {
		hint = "; see its log, and maxClientCnxns in zoo.cfg"
	}
	return check.Failf(reason, "%s: %s: %w%s", c.target, what, err, hint)
}

// judge reads the answer to srvr, which is lines of a name, a colon and a
// value.
func (c *checker) judge(answer string) (string, error) {
	var version, mode string
	for line := range strings.Lines(answer) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch name {
		case "Zookeeper version":
			version = value
		case "Mode":
			mode = value
		}
	}
	if mode == "" {
		return "", c.unexpected(answer)
	}
	if len(c.modes) > 0 && !slices.Contains(c.modes, mode) {
		return "", check.Failf(check.ReasonRole, "%s: its mode is %s, want %s", c.target, check.CleanText(mode), strings.Join(c.modes, " or "))
	}
	// "3.8.0-a1b2c3, built on …"
	if end := strings.IndexAny(version, "-,"); end > 0 {
		version = version[:end]
	}
	return check.CleanText(mode + ", version " + version), nil
}

func (c *checker) unexpected(answer string) error {
	const most = 80
	return check.Failf(check.ReasonProtocol, "%s: is not ZooKeeper: it answers %s with %q", c.target, c.word, check.CleanText(answer[:min(len(answer), most)]))
}
