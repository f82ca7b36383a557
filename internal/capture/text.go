package capture

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"hale/internal/balancer"
)

// maxShown bounds the lines that are shown of a head or of frames; JSON has all.
const maxShown = 40

// maxLine bounds a line that is shown.
const maxLine = 400

// WriteJSON writes an arrival as one line.
func (a *Arrival) WriteJSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(a)
}

// WriteText writes an arrival for a person to read.
func (a *Arrival) WriteText(w io.Writer) error {
	t := &text{}
	fmt.Fprintf(t, "#%d  %s  from %s to %s", a.Number, a.At.Format("15:04:05.000"), a.From, a.To)
	if a.Nth > 1 {
		fmt.Fprintf(t, ", request %d of the connection", a.Nth)
	}
	t.WriteString("\n")
	t.proxy(a.Proxy)
	t.tls(a.TLS)
	t.list("http/2", a.Frames)
	t.list("came", a.lines)
	t.list("decoded", decoded(a))
	if a.Body > 0 {
		t.line("body", fmt.Sprintf("%d bytes, not shown", a.Body))
	}
	if a.Ended != "" {
		t.line("ended", a.Ended)
	}
	if a.Answer != "" {
		t.line("answered", a.Answer)
	}
	t.pace(a)
	t.said(a)
	t.WriteString("\n")
	_, err := io.WriteString(w, t.String())
	return err
}

// said writes who it was and what is to be said about it, which is said once of
// what looks alike.
func (t *text) said(a *Arrival) {
	if a.Like > 0 {
		name := "as"
		if len(a.Who) > 0 {
			name = a.Who[0].Name + " (" + string(a.Who[0].Sure) + "), as"
		}
		t.line("who", fmt.Sprintf("%s #%d, with the same remarks", name, a.Like))
		return
	}
	t.who(a)
	for i, o := range a.Objections {
		t.line(once("mind", i), o.Text)
	}
	if hint := a.hint(); hint != "" {
		t.line("next", hint)
	}
}

// decoded are the fields of a head that was compressed.
func decoded(a *Arrival) (lines []string) {
	if len(a.Frames) == 0 {
		return nil
	}
	for _, f := range a.Fields {
		lines = append(lines, f.Name+": "+f.Value)
	}
	return lines
}

// text is what is written for a person: a label, and what belongs to it.
type text struct{ strings.Builder }

func (t *text) line(label, value string) {
	if len(value) > maxLine {
		value = value[:maxLine] + fmt.Sprintf("… (%d bytes more)", len(value)-maxLine)
	}
	fmt.Fprintf(t, "  %-9s %s\n", label, value)
}

// once is a label that is written in the first of several lines.
func once(label string, i int) string {
	if i > 0 {
		return ""
	}
	return label
}

func (t *text) list(label string, lines []string) {
	for i, line := range lines {
		if i == maxShown {
			t.line("", fmt.Sprintf("… (%d lines more)", len(lines)-i))
			return
		}
		t.line(once(label, i), line)
	}
}

func (t *text) proxy(p *Proxy) {
	if p == nil {
		return
	}
	kind := fmt.Sprintf("version %d", p.Version)
	switch {
	case p.Local && p.Version == 2:
		kind += " LOCAL: the sender's own connection, no client's"
	case p.Local:
		kind += " UNKNOWN: the sender's own connection, no client's"
	case p.From != "":
		kind += fmt.Sprintf(": from %s to %s", p.From, p.To)
	}
	if len(p.Extra) > 0 {
		kind += "; with " + strings.Join(p.Extra, "; ")
	}
	t.line("proxy", kind)
	t.line("", p.Raw)
}

func (t *text) tls(h *Hello) {
	if h == nil {
		return
	}
	name := "without a server name (SNI)"
	if h.ServerName != "" {
		name = "for " + h.ServerName
	}
	alpn := "no ALPN"
	if len(h.ALPN) > 0 {
		alpn = "ALPN " + strings.Join(h.ALPN, ", ")
	}
	versions := "of an unknown version"
	if len(h.Versions) > 0 {
		versions = strings.Join(h.Versions, ", ")
	}
	t.line("tls", fmt.Sprintf("hello %s; %s; %s; %d cipher suites", name, versions, alpn, h.Ciphers))
	t.line("", "first bytes "+h.First)
	if h.Agreed != "" {
		t.line("", "hale answered with a self-signed certificate: "+h.Agreed)
	}
	if h.Failed != "" {
		t.line("", "the handshake failed: "+h.Failed)
	}
}

func (t *text) pace(a *Arrival) {
	if a.Pace.Seen > 1 {
		t.line("every", fmt.Sprintf("%s, %d seen%s", a.Pace.Every, a.Pace.Seen, a.Pace.spread()))
	}
	if a.Together != nil {
		t.line(once("every", min(1, a.Pace.Seen-1)), fmt.Sprintf("%s, %d seen from %d addresses together%s", a.Together.Every, a.Together.Seen, a.Together.Senders, a.Together.spread()))
	}
}

// spread says between what the intervals lie, if they differ by more than a
// fifth.
func (p Pace) spread() string {
	if p.Most-p.Least <= p.Every/5 {
		return ""
	}
	return fmt.Sprintf(" (%s to %s)", p.Least, p.Most)
}

// maxWho bounds the guesses that are explained.
const maxWho = 3

func (t *text) who(a *Arrival) {
	if len(a.Who) == 0 && a.TLS != nil && a.TLS.Failed != "" {
		t.line("who", "can't be told: "+a.TLS.brokenOff())
		return
	}
	if len(a.Who) == 0 {
		t.line("who", "not recognised: no balancer of docs/load-balancers.md sends this by default")
		return
	}
	// Of many that are equally unsure, names say enough.
	if len(a.Who) > maxWho && a.Who[0].Sure == balancer.Guess {
		names := make([]string, len(a.Who))
		for i, who := range a.Who {
			names[i] = who.Name
		}
		t.line("who", "a guess, one of: "+strings.Join(names, ", "))
		t.line("", "  "+strings.Join(a.Who[0].Why, "; "))
		return
	}
	for i, who := range a.Who[:min(maxWho, len(a.Who))] {
		t.line(once("who", i), fmt.Sprintf("%s: %s (%s)", who.Sure, who.Name, who.Title))
		for _, why := range who.Why {
			t.line("", "  "+why)
		}
		if len(who.Assumed) > 0 {
			facts := make([]string, len(who.Assumed))
			for i, f := range who.Assumed {
				facts[i] = string(f)
			}
			t.line("", "  assumed, not established, of this balancer: "+strings.Join(facts, ", "))
		}
	}
	if more := len(a.Who) - maxWho; more > 0 {
		t.line("", fmt.Sprintf("and %d more, less sure", more))
	}
	if a.field("User-Agent") != "" {
		t.line("", "anybody can send this User-Agent: never let it alone open a door")
	}
}

// hint names the commands that go on from here.
func (a *Arrival) hint() string {
	if a.Kind != Request && a.Kind != Handshake {
		return ""
	}
	var names []string
	sure := balancer.Certainty("")
	for _, who := range a.Who {
		// Of those that are equally sure, none is to be preferred.
		if who.Explained && (sure == "" || who.Sure == sure) {
			names, sure = append(names, who.Name), who.Sure
		}
	}
	if len(names) == 0 {
		return ""
	}
	each := "it makes"
	if len(names) > 1 {
		each = "each of them makes"
	}
	return "hale explain URL --as " + strings.Join(names, ",") + " says what " + each + " of an application; hale snippet, what to configure"
}
