package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"hale/internal/admin"
)

func newStatus(s streams) *cobra.Command {
	var address, format string
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show what a running agent believes of its checks",
		Long: `status asks the admin listener of an agent on this host and prints every check
and every group's verdict. It exits 0 when ready passes, 1 when not.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if format != "table" && format != "json" {
				return fmt.Errorf("--format: %q is not a format; give table or json", format)
			}
			status, err := fetchStatus(cmd.Context(), address)
			if err != nil {
				return &exitError{exitFail, err}
			}
			if err := printStatus(s.out, status, format); err != nil {
				return &exitError{exitFail, err}
			}
			if status.Verdicts["ready"].Outcome == "fail" {
				return &exitError{code: exitFail}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&address, "admin", "127.0.0.1:5001", "`ADDRESS` of the agent's admin listener, or unix:PATH")
	cmd.Flags().StringVar(&format, "format", "table", "`FORMAT` of the output: table or json")
	return cmd
}

// maxStatus bounds what is read of an answer: room for tens of thousands of
// checks.
const maxStatus = 64 << 20

// fetchStatus asks the admin listener at the address.
func fetchStatus(ctx context.Context, address string) (*admin.Status, error) {
	address = strings.TrimSpace(address)
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	network, target := "tcp", address
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		network, target = "unix", path
	}
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, target)
		},
	}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/api/v1/status", nil)
	if err != nil {
		return nil, err
	}
	response, err := client.Do(request)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENOENT):
		return nil, fmt.Errorf("no agent answers at %s: is `hale serve` running, with this admin address?", address)
	case err != nil:
		return nil, fmt.Errorf("asking the agent at %s: %w", address, err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("what answers at %s is not hale's admin listener: %s", address, response.Status)
	}
	var status admin.Status
	if err := json.NewDecoder(io.LimitReader(response.Body, maxStatus)).Decode(&status); err != nil {
		return nil, fmt.Errorf("what answers at %s is not hale's admin listener: %w", address, err)
	}
	return &status, nil
}

func printStatus(w io.Writer, status *admin.Status, format string) error {
	if format == "json" {
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(status)
	}
	var groups []string
	for name, v := range status.Verdicts {
		groups = append(groups, name+" "+v.Outcome)
	}
	slices.Sort(groups)
	draining := ""
	if status.Draining {
		draining = " (draining)"
	}
	fmt.Fprintf(w, "%s%s\n\n", strings.Join(groups, ", "), draining)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "CHECK\tTARGET\tSTATUS\tREASON\tSINCE\tLAST RESULT")
	for _, c := range status.Checks {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", c.Name, c.Target, statusWord(c), reasonWord(c), sinceText(c.Since, status.Now), lastText(c))
	}
	return table.Flush()
}

func statusWord(c admin.Check) string {
	if c.Degraded {
		return "up (degraded)"
	}
	if c.StartBy != nil {
		return c.Status + " (starting)"
	}
	if c.Impact == "warn" && c.Status == "down" {
		return "down (warn)"
	}
	return c.Status
}

func reasonWord(c admin.Check) string {
	switch {
	case c.Stale:
		return "stale"
	case c.Last == nil || c.Last.Reason == "":
		return "-"
	default:
		return c.Last.Reason
	}
}

func sinceText(since *time.Time, now time.Time) string {
	if since == nil {
		return "-"
	}
	return now.Sub(*since).Round(time.Second).String()
}

func lastText(c admin.Check) string {
	text := "no result yet"
	if c.Last != nil {
		text = c.Last.Text
		if text == "" {
			text = fmt.Sprintf("took %v", seconds(c.Last.Took).Round(100*time.Microsecond))
		}
	}
	if c.Waiting {
		return fmt.Sprintf("a run has waited for a place for %v; %s", seconds(c.Late).Round(time.Second), text)
	}
	return text
}

func seconds(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }
