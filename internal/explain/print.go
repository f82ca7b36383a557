package explain

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"hale/internal/balancer"
)

// WriteText writes the report for people: a line for each balancer if there are
// several, then the steps, reasons and fixes of the first that would not be
// satisfied, or of the only one.
func (r *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	if len(r.Results) > 1 {
		fmt.Fprintf(&b, "%s\n\n", r.URL)
		width := 0
		for i := range r.Results {
			width = max(width, len(r.Results[i].Balancer.Name))
		}
		for i := range r.Results {
			one := &r.Results[i]
			fmt.Fprintf(&b, "%s  %-*s  %s%s\n", sign(one.OK), width, one.Balancer.Name, one.Summary, remarked(one))
		}
	}
	if one := r.detailed(); one != nil {
		if b.Len() > 0 {
			b.WriteString("\n")
		}
		one.write(&b, r.URL)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// detailed is the result whose details are shown; nil if none is.
func (r *Report) detailed() *Result {
	if len(r.Results) == 1 {
		return &r.Results[0]
	}
	for i := range r.Results {
		if !r.Results[i].OK {
			return &r.Results[i]
		}
	}
	return nil
}

func sign(ok bool) string {
	if ok {
		return "ok"
	}
	return "NO"
}

// remarked names the causes of the remarks, for a line among many.
func remarked(r *Result) string {
	var causes []string
	for _, f := range r.Remarks {
		name := string(f.Cause)
		if f.Sure == Guess {
			name = "maybe " + name
		}
		if !slices.Contains(causes, name) {
			causes = append(causes, name)
		}
	}
	if len(causes) == 0 {
		return ""
	}
	return " (but: " + strings.Join(causes, ", ") + ")"
}

// write writes one result in full.
func (r *Result) write(b *strings.Builder, url string) {
	fmt.Fprintf(b, "%s asks %s\n", r.Balancer.Title, url)
	for _, s := range r.Steps {
		writeWrapped(b, fmt.Sprintf("  %s  %-8s  ", sign(s.OK), s.Name), s.Text)
	}
	for i := range r.Findings {
		r.Findings[i].write(b)
	}
	for i := range r.Remarks {
		lead := "It passes, but: "
		switch {
		case !r.OK:
			lead = "Besides: "
		case r.Remarks[i].Sure == Guess:
			lead = "It passes, as far as is known, but: "
		}
		b.WriteString("\n  " + lead + balancer.CauseOf(r.Remarks[i].Cause).Title + ".\n")
		for _, line := range r.Remarks[i].Why {
			writeWrapped(b, "    ", line)
		}
	}
	if r.OK {
		fmt.Fprintf(b, "\n  %s would be satisfied.\n", r.Balancer.Title)
		return
	}
	if r.Balancer.Consequence != "" && r.Balancer.Consequence != "nothing besides" {
		after := ""
		if r.Balancer.Assumes(balancer.FactAfter) {
			after = " (assumed)"
		}
		writeWrapped(b, "\n  otherwise: ", r.Balancer.Consequence+after)
	}
}

// write writes a finding: what it is, why, and what mends it.
func (f *Finding) write(b *strings.Builder) {
	title := "none of the causes that hale knows fits"
	if f.Cause == "" && f.Sure != Guess {
		title = "none of the causes that have a name, but this:"
	}
	if f.Cause != "" {
		sure := map[Certainty]string{Certain: "", Likely: "likely: ", Guess: "a guess: "}[f.Sure]
		title = sure + balancer.CauseOf(f.Cause).Title + " [" + string(f.Cause) + "]"
	}
	b.WriteString("\n")
	writeWrapped(b, "  why: ", title)
	for _, line := range f.Why {
		writeWrapped(b, "    - ", line)
	}
	if len(f.Fix) > 0 {
		b.WriteString("\n")
	}
	for i, line := range f.Fix {
		lead := "       "
		if i == 0 {
			lead = "  fix: "
		}
		writeWrapped(b, lead, line)
	}
	if f.Config != "" {
		b.WriteString("\n")
		for line := range strings.Lines(f.Config) {
			if line = strings.TrimRight(line, "\n"); line != "" {
				line = "    " + line
			}
			b.WriteString(line + "\n")
		}
	}
	if len(f.Ask) > 0 {
		b.WriteString("\n  to ask, as it can't be seen from here:\n")
	}
	for _, line := range f.Ask {
		writeWrapped(b, "    - ", line)
	}
}

// wide is how long a line of text may be.
const wide = 100

// writeWrapped writes a text behind a lead, and its further lines as far in.
func writeWrapped(b *strings.Builder, lead, text string) {
	b.WriteString(lead)
	in := strings.Repeat(" ", utf8.RuneCountInString(strings.TrimLeft(lead, "\n")))
	at := utf8.RuneCountInString(in)
	for i, word := range strings.Fields(text) {
		n := utf8.RuneCountInString(word)
		switch {
		case i > 0 && at+1+n > wide:
			b.WriteString("\n" + in)
			at = len(in)
		case i > 0:
			b.WriteString(" ")
			at++
		}
		b.WriteString(word)
		at += n
	}
	b.WriteString("\n")
}

// The report in JSON; its names stay as they are.
type (
	reportJSON struct {
		URL     string       `json:"url"`
		OK      bool         `json:"ok"`
		Results []resultJSON `json:"results"`
	}
	resultJSON struct {
		Balancer string        `json:"balancer"`
		Title    string        `json:"title"`
		OK       bool          `json:"ok"`
		Summary  string        `json:"summary"`
		Steps    []stepJSON    `json:"steps"`
		Findings []findingJSON `json:"findings"`
		Remarks  []findingJSON `json:"remarks"`
		Assumed  []string      `json:"assumed"`
	}
	stepJSON struct {
		Name   StepName `json:"name"`
		OK     bool     `json:"ok"`
		Text   string   `json:"text"`
		TookMS float64  `json:"took_ms"`
	}
	findingJSON struct {
		Cause     string    `json:"cause"`
		Title     string    `json:"title"`
		Certainty Certainty `json:"certainty"`
		Why       []string  `json:"why"`
		Software  string    `json:"software"`
		Fix       []string  `json:"fix"`
		Config    string    `json:"config"`
		Ask       []string  `json:"ask"`
	}
)

// WriteJSON writes all of the report for programs.
func (r *Report) WriteJSON(w io.Writer) error {
	out := reportJSON{URL: r.URL, OK: r.OK(), Results: []resultJSON{}}
	for _, one := range r.Results {
		j := resultJSON{
			Balancer: one.Balancer.Name, Title: one.Balancer.Title, OK: one.OK, Summary: one.Summary,
			Steps: []stepJSON{}, Findings: findings(one.Findings), Remarks: findings(one.Remarks), Assumed: []string{},
		}
		for _, s := range one.Steps {
			j.Steps = append(j.Steps, stepJSON{s.Name, s.OK, s.Text, float64(s.Took.Round(time.Microsecond)) / float64(time.Millisecond)})
		}
		for _, fact := range one.Balancer.Assumed {
			j.Assumed = append(j.Assumed, string(fact))
		}
		out.Results = append(out.Results, j)
	}
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(out)
}

func findings(all []Finding) []findingJSON {
	out := []findingJSON{}
	for _, f := range all {
		title := ""
		if f.Cause != "" {
			title = balancer.CauseOf(f.Cause).Title
		}
		out = append(out, findingJSON{
			Cause: string(f.Cause), Title: title, Certainty: f.Sure, Why: orEmpty(f.Why), Software: f.Software,
			Fix: orEmpty(f.Fix), Config: f.Config, Ask: orEmpty(f.Ask),
		})
	}
	return out
}

// orEmpty makes a list of none, which is [] and not null.
func orEmpty(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}
