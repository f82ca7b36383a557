package listeners

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"hale/internal/check"
	"hale/internal/discover"
)

const (
	// patience is how long one hello may take.
	patience = time.Second
	// quiet is how long a service has to greet before it is spoken to.
	quiet = 300 * time.Millisecond
	// maxAnswer is how much of an answer is read.
	maxAnswer = 4 << 10
)

// A recogniser finds out what listens. It has one connection to a port at a
// time, and goes on only while nothing is known:
//
//  1. What is known to suffer from strangers is not connected to at all.
//  2. It listens for a greeting. Who greets is not sent anything that does not
//     belong to the protocol.
//  3. By the name of the process, then by the port, it tries the kind of check
//     that is likely. Each kind's run is made to leave nothing behind; see its
//     page.
//  4. It sends "GET / HTTP/1.0". That is safe by definition (RFC 9110, section
//     9.2.1), and who does not speak HTTP gets a short line of text, to which
//     some answer in their own way. Without a Host line, Redis does not take it
//     for an attack.
//  5. If that is answered by "TLS, please", it tries TLS.
//
// A kind is chosen when its check, run once, is healthy, or says that the
// service is starting; so what is found is up when it is found.
type recogniser struct{ env discover.Env }

// found is a check, and why it is that one.
type found struct {
	check *check.Check
	why   string
}

// A candidate is a check that may fit.
type candidate struct {
	scheme, path string
	options      []check.Option
	why          string
}

// recognise makes the check for a listener.
func (r recogniser) recognise(ctx context.Context, l listener) (found, error) {
	if f, ok := r.hello(ctx, l); ok {
		return f, nil
	}
	why := "what it speaks is not known"
	if l.mute || slices.Contains(hintsOf(l), silent) {
		why = "it was not said hello to"
	}
	return r.build(l, candidate{scheme: "tcp", why: why})
}

func (r recogniser) hello(ctx context.Context, l listener) (found, bool) {
	hints := hintsOf(l)
	if l.mute || slices.Contains(hints, silent) {
		return found{}, false
	}
	wait := quiet
	if slices.ContainsFunc(hints, greets) {
		wait = patience
	}
	greeting, err := r.exchange(ctx, l, "", wait)
	if len(greeting) > 0 {
		return r.first(ctx, l, greeted(greeting, l.port))
	}
	if err != nil {
		return found{}, false // it can't be reached, or breaks off at once
	}
	for _, h := range hints {
		if f, ok := r.first(ctx, l, r.hinted(ctx, l, h)); ok {
			return f, true
		}
	}
	answer, err := r.exchange(ctx, l, "GET / HTTP/1.0\r\n\r\n", patience)
	candidates := answered(answer)
	if wantsTLS(answer) || len(answer) == 0 && err != nil {
		candidates = append(r.secured(ctx, l, true), candidates...)
	}
	return r.first(ctx, l, candidates)
}

// hinted returns the candidates for a service that a hint names.
func (r recogniser) hinted(ctx context.Context, l listener, service string) []candidate {
	switch service {
	case ssh:
		return nil // it would have greeted
	case web:
		return r.secured(ctx, l, true)
	case overTLS:
		return r.secured(ctx, l, false)
	case "redis":
		return redis()
	case "amqp":
		return []candidate{amqp()}
	case "smtps":
		var all []candidate
		for _, c := range r.secured(ctx, l, false) {
			all = append(all, candidate{scheme: "smtps", options: c.options, why: "it answered as smtps does"}, c)
		}
		return all
	}
	return []candidate{{scheme: service, why: "it answered as " + service + " does"}}
}

func redis() []candidate {
	return []candidate{
		{scheme: "redis", why: "it answered PING"},
		{scheme: "tcp", options: options("send", `PING\r\n`, "expect_regexp", `^-(NOAUTH|NOPERM)`), why: "it is a Redis that wants a password; with one, use redis://"},
	}
}

// amqp is checked less often, for RabbitMQ logs each connection.
func amqp() candidate {
	return candidate{scheme: "amqp", options: options("interval", "15s"), why: "it let a guest in as AMQP brokers do"}
}

// greeted returns the candidates for what greets so.
func greeted(greeting []byte, port int) []candidate {
	switch text := string(greeting); {
	case strings.HasPrefix(text, "SSH-"):
		// The server logs each of these connections, and traffic does not hang on it.
		return []candidate{{scheme: "tcp", options: options("expect", "SSH-", "interval", "1m", "impact", "warn"), why: "it greeted as SSH does"}}
	case strings.HasPrefix(text, "220") && (portHint(port) == "smtp" || strings.Contains(strings.ToUpper(text), "SMTP")):
		return []candidate{{scheme: "smtp", why: "it greeted as SMTP does"}}
	case strings.HasPrefix(text, "INFO {"):
		return []candidate{{scheme: "nats", why: "it greeted as NATS does"}}
	case len(greeting) > 4 && greeting[3] == 0 && (greeting[4] == 10 || greeting[4] == 0xff): // a packet: length, number 0, protocol version or error
		return []candidate{{scheme: "mysql", why: "it greeted as MySQL does"}}
	case http2(greeting):
		return []candidate{{scheme: "grpc", why: "it greeted as gRPC does"}}
	}
	return nil
}

// http2 reports whether an answer begins with HTTP/2's SETTINGS (RFC 9113,
// section 6.5): a length, type 4, no flags, stream 0.
func http2(answer []byte) bool {
	return len(answer) >= 9 && answer[0] == 0 && bytes.Equal(answer[3:9], []byte{4, 0, 0, 0, 0, 0})
}

// answered returns the candidates for what answers an HTTP request so.
func answered(answer []byte) []candidate {
	switch text := string(answer); {
	case strings.HasPrefix(text, "HTTP/"):
		line, _, _ := strings.Cut(text, "\r\n")
		return []candidate{{scheme: "http", path: "/", options: anyAnswer(), why: "it answered GET / with " + check.CleanText(line)}}
	case strings.HasPrefix(text, "-ERR"), strings.HasPrefix(text, "-NOAUTH"), strings.HasPrefix(text, "-NOPERM"):
		return redis()
	case strings.HasPrefix(text, "AMQP"):
		return []candidate{amqp()}
	case http2(answer):
		return []candidate{{scheme: "grpc", why: "it answered as gRPC does"}}
	}
	return nil
}

// anyAnswer accepts every answer that is not a server's error: nobody said what
// the root page of this server should be.
func anyAnswer() []check.Option { return options("status", "200-499") }

// options makes options of names and values.
func options(pairs ...string) []check.Option {
	var all []check.Option
	for i := 0; i < len(pairs); i += 2 {
		all = append(all, check.Option{Name: pairs[i], Values: []string{pairs[i+1]}})
	}
	return all
}

// first returns the first candidate whose check fits. What wants a login is known
// by that, but can't be checked further without.
func (r recogniser) first(ctx context.Context, l listener, candidates []candidate) (found, bool) {
	refused := ""
	for _, c := range candidates {
		f, err := r.build(l, c)
		if err != nil {
			continue
		}
		run := *f.check
		run.Policy.Timeout = patience
		result := run.Run(ctx, nil)
		switch {
		case ctx.Err() != nil:
			return found{}, false
		case result.Healthy():
			return f, true
		case result.Reason() == check.ReasonLoading, result.Reason() == check.ReasonStatus && strings.HasPrefix(c.scheme, "http"):
			f.why += "; it does not serve now: " + result.Text()
			return f, true
		case result.Reason() == check.ReasonAuth:
			refused = c.scheme
		}
	}
	if refused == "" {
		return found{}, false
	}
	f, err := r.build(l, candidate{scheme: "tcp", why: "it speaks " + refused + " and wants a login; with one, use " + refused + "://"})
	return f, err == nil
}

// build makes the check of a candidate. What it says itself goes before the
// defaults.
func (r recogniser) build(l listener, c candidate) (found, error) {
	host := ""
	if l.addr.IsValid() {
		host = l.addr.String()
	}
	address := check.Address(host, l.port)
	all := slices.Clone(c.options)
	for _, d := range r.env.Defaults {
		if !slices.ContainsFunc(all, func(o check.Option) bool { return o.Name == d.Name }) {
			all = append(all, d)
		}
	}
	built, err := r.env.Registry.Build(check.Spec{
		Name: l.name(c.scheme), URL: c.scheme + "://" + address + c.path, Options: all, Policy: r.env.Policy,
	})
	if err != nil {
		return found{}, fmt.Errorf("a %s check of it can't be made: %w", c.scheme, err)
	}
	return found{built, c.why}, nil
}

// exchange connects, sends what there is to send, and returns the start of what
// comes. An error is that the connection was not made, or ended; that nothing
// comes in time is none.
func (r recogniser) exchange(ctx context.Context, l listener, send string, wait time.Duration) ([]byte, error) {
	conn, err := dial(ctx, l)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	_ = conn.SetDeadline(time.Now().Add(wait))
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if send != "" {
		if _, err := conn.Write([]byte(send)); err != nil {
			return nil, err
		}
	}
	buffer := make([]byte, maxAnswer)
	n := 0
	for n < len(buffer) {
		// A greeting is known by its first packet, an answer by all that comes.
		got, err := conn.Read(buffer[n:])
		n += got
		if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
			return buffer[:n], ctx.Err()
		}
		if err != nil || send == "" {
			return buffer[:n], err
		}
		_ = conn.SetDeadline(time.Now().Add(quiet)) // most close at the end; who does not is not waited for
	}
	return buffer[:n], nil
}

// dial connects to a listener within a second.
func dial(ctx context.Context, l listener) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	host := ""
	if l.addr.IsValid() {
		host = l.addr.String()
	}
	return check.Dial(ctx, "tcp", check.Address(host, l.port))
}
