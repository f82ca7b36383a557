package balancer

import (
	"fmt"
	"strings"
	"time"
)

// Markdown is docs/load-balancers.md.
func Markdown() string {
	var b strings.Builder
	b.WriteString(`# What load balancers send, and how they judge

<!-- Made by make docs from internal/balancer; edit that. -->

What each balancer and orchestrator sends to find out whether an instance is
well, and what it makes of the answer. ` + "`hale explain`" + ` plays them, and
` + "`hale capture`" + ` recognises them. The facts come from vendors' documents,
sources and bug threads, read in November 2026. What is marked **†** is assumed:
nothing that was read establishes it.

## What arrives

| balancer | protocol | request | Host | other header fields | remarks |
|---|---|---|---|---|---|
`)
	for _, r := range All() {
		for i, p := range r.Probes {
			name := ""
			if i == 0 {
				name = "**" + r.Title + "** (`" + r.Name + "`)"
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", name,
				r.mark(string(p.Protocol), FactVersion), requestText(r, p), hostText(r, p), fieldsText(r, p), p.Note)
		}
	}
	b.WriteString("\n## How it judges\n\nRise and fall are how many probes in a row change its mind.\n\n" +
		"| balancer | success | redirects | body | TLS |\n|---|---|---|---|---|\n")
	for _, r := range All() {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", r.Name, successText(r),
			r.mark(string(r.Judge.Redirects), FactRedirects), bodyText(r), tlsText(r))
	}
	b.WriteString("\n## When, and what follows\n\n" +
		"| balancer | interval | timeout | rise | fall | remarks | when all are down | besides | from |\n|---|---|---|---|---|---|---|---|---|\n")
	for _, r := range All() {
		t := r.Timing
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s | %s | %s | %s | %s |\n", r.Name,
			r.mark(durationText(t.Interval), FactTiming), timeoutText(r),
			r.mark(countText(t.Rise), FactTiming), r.mark(countText(t.Fall), FactTiming), t.Note,
			r.mark(r.AllDown, FactAllDown), r.mark(r.Consequence, FactAfter), r.mark(r.From, FactFrom))
	}
	b.WriteString("\n## Remarks and sources\n")
	for _, r := range All() {
		fmt.Fprintf(&b, "\n### %s\n\n", r.Title)
		for _, n := range r.Notes {
			b.WriteString("- " + n + "\n")
		}
		if len(r.Assumed) > 0 {
			b.WriteString("- Assumed: " + join(r.Assumed) + ".\n")
		}
		b.WriteString("- Sources: " + strings.Join(r.Sources, ", ") + ".\n")
	}
	b.WriteString(`
## Why a balancer fails a site that is up

The names in the first column are those that ` + "`hale explain`" + ` gives.

| cause | what it is | what is seen | what mends it |
|---|---|---|---|
`)
	for _, c := range Causes() {
		name := "`" + string(c.ID) + "`"
		if c.Hidden {
			name += " (can't be told from outside)"
		}
		fix := escaped(c.Fix)
		if len(c.Sources) > 0 {
			fix += " (" + strings.Join(c.Sources, ", ") + ")"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", name, c.Title, escaped(c.Symptom), fix)
	}
	return b.String()
}

// mark marks a fact that is assumed.
func (b *Balancer) mark(text string, f Fact) string {
	if text != "" && b.Assumes(f) {
		return text + " †"
	}
	return text
}

func requestText(b *Balancer, p Probe) string {
	line := strings.TrimSpace(p.Method + " " + p.Path)
	if line != "" {
		line = "`" + line + "`"
	}
	if p.ProxyLocal {
		line = strings.TrimSpace(line + " (a PROXY v2 LOCAL header may precede it)")
	}
	return b.mark(line, FactMethod)
}

func hostText(b *Balancer, p Probe) string {
	if p.Host == "" {
		return ""
	}
	text := string(p.Host)
	if p.HostFixed {
		text += ", fixed"
	}
	return b.mark(text, FactHost)
}

func fieldsText(b *Balancer, p Probe) string {
	var parts []string
	for _, f := range p.Fields {
		text := "`" + f.Name + ": " + f.Value + "`"
		if f.Name == "User-Agent" {
			text = b.mark(text, FactAgent)
		}
		parts = append(parts, text)
	}
	text := strings.Join(parts, " ")
	if text == "" && p.Protocol.HTTP() {
		text = "none"
	}
	return b.mark(text, FactHeaders)
}

func successText(b *Balancer) string {
	if _, ok := b.HTTP(); !ok {
		return ""
	}
	text := b.mark(b.Judge.Codes.String(), FactCodes)
	if b.Judge.Settable != "" {
		text += " (settable: " + b.Judge.Settable + ")"
	}
	if b.Judge.GRPC != "" {
		text += "; gRPC: " + b.Judge.GRPC
	}
	if b.Judge.Special != "" {
		text += "; " + b.Judge.Special
	}
	return text
}

// bodyText is what it makes of the body.
func bodyText(b *Balancer) string {
	if _, ok := b.HTTP(); !ok {
		return ""
	}
	waits := "not waited for"
	switch {
	case b.Judge.Ends && b.Judge.BodyLimit > 0:
		waits = fmt.Sprintf("must come whole in time, or its first %d bytes", b.Judge.BodyLimit)
	case b.Judge.Ends:
		waits = "must come whole in time"
	}
	text := b.mark(waits, FactBody)
	if b.Judge.Chunks {
		text += "; malformed chunks that come with the head are a failure"
	}
	if b.Judge.Strict {
		text += "; a malformed header is a failure"
	}
	if b.Judge.Interim == InterimJudged {
		text += "; an interim answer such as 100 Continue is judged like the answer"
	}
	if b.Judge.Body != "" {
		text += "; " + b.Judge.Body
	}
	return text
}

// timeoutText is its timeout, and those of probes that have another.
func timeoutText(b *Balancer) string {
	text := b.mark(durationText(b.Timing.Timeout), FactTimeout)
	for _, p := range b.Probes {
		if p.Wait != (Wait{}) {
			text += fmt.Sprintf("; %s: %s", p.Protocol, p.Wait)
		}
		if p.WaitTLS != (Wait{}) {
			text += fmt.Sprintf("; %s over TLS: %s", p.Protocol, p.WaitTLS)
		}
	}
	return text
}

func tlsText(b *Balancer) string {
	if _, ok := b.HTTP(); !ok {
		return ""
	}
	verifies := "not validated"
	if b.TLS.Verify {
		verifies = "validated"
	}
	if b.TLS.Verifies != "" {
		verifies += ": " + b.TLS.Verifies
	}
	return b.mark(verifies, FactVerify) + "; SNI: " + b.mark(string(b.TLS.SNI), FactSNI)
}

func durationText(d time.Duration) string {
	if d == 0 {
		return "its user's choice"
	}
	return d.String()
}

func countText(n int) string {
	if n == 0 {
		return "its user's choice"
	}
	return fmt.Sprint(n)
}

func join(facts []Fact) string {
	var parts []string
	for _, f := range facts {
		parts = append(parts, string(f))
	}
	return strings.Join(parts, ", ")
}

// escaped makes text safe in a table's cell.
func escaped(text string) string {
	return strings.NewReplacer("|", `\|`, "*", `\*`, "<", "&lt;").Replace(text)
}
