package dnscheck

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"hale/internal/check"
)

// checker is immutable once made.
type checker struct {
	dial       check.DialFunc
	target     string
	server     string // "" is the system's resolver
	resolvConf string
	question   dnsmessage.Question
	typeName   string
	wanted     []string
	exact      bool
	rcode      dnsmessage.RCode
	tcp        bool
}

// Check asks once.
func (c *checker) Check(ctx context.Context) (string, error) {
	if c.server != "" {
		parser, header, err := c.ask(ctx, c.server)
		if err != nil {
			return "", fmt.Errorf("%s: %w", c.target, err)
		}
		return c.judge(parser, header, "")
	}
	servers, err := nameServers(c.resolvConf)
	if err != nil {
		return "", check.Failf(check.ReasonOf(err), "%s: the system's resolver is not known: %w", c.target, err)
	}
	var failures []error
	for i, server := range servers {
		parser, header, err := c.askInTime(ctx, server, len(servers)-i)
		if err == nil {
			return c.judge(parser, header, " (name server "+server+")")
		}
		failures = append(failures, fmt.Errorf("name server %s: %w", server, err))
		if ctx.Err() != nil {
			break
		}
	}
	return "", check.Failf(check.ReasonOf(failures[0]), "%s: %w; see %s", c.target, joined(failures), c.resolvConf)
}

// askInTime asks one of several servers that share what is left of the time.
func (c *checker) askInTime(ctx context.Context, server string, left int) (*dnsmessage.Parser, dnsmessage.Header, error) {
	if deadline, ok := ctx.Deadline(); ok && left > 1 {
		share, cancel := context.WithTimeout(ctx, time.Until(deadline)/time.Duration(left))
		defer cancel()
		ctx = share
	}
	return c.ask(ctx, server)
}

// joined makes one line of several errors.
func joined(errs []error) error {
	all := errs[0]
	for _, err := range errs[1:] {
		all = fmt.Errorf("%w; %w", all, err)
	}
	return all
}

// judge decides by a reply's code and answers. From says who gave it.
func (c *checker) judge(parser *dnsmessage.Parser, header dnsmessage.Header, from string) (string, error) {
	if header.RCode != c.rcode {
		return "", c.wrongCode(header.RCode, from)
	}
	if c.rcode != dnsmessage.RCodeSuccess {
		return rcodeName(c.rcode), nil
	}
	answers, alias, err := c.answers(parser)
	if err != nil {
		return "", check.Failf(check.ReasonProtocol, "%s%s: the reply can't be read: %w", c.target, from, err)
	}
	shown := shorten(answers)
	switch {
	case len(answers) == 0 && header.Truncated:
		return "", check.Failf(check.ReasonProtocol, "%s%s: the reply is cut short even over TCP", c.target, from)
	case len(answers) == 0 && alias != "":
		return "", check.Failf(check.ReasonMissing, "%s%s: it is an alias of %s, which has no %s record", c.target, from, alias, c.typeName)
	case len(answers) == 0 && !header.RecursionAvailable && !header.Authoritative:
		return "", check.Failf(check.ReasonMissing, "%s%s: no %s record, only a hint whom to ask: the server is not a resolver, or not one for this client", c.target, from, c.typeName)
	case len(answers) == 0:
		return "", check.Failf(check.ReasonMissing, "%s%s: the name exists, but has no %s record", c.target, from, c.typeName)
	}
	for _, want := range c.wanted {
		if !slices.ContainsFunc(answers, func(a string) bool { return matches(c.question.Type, a, want) }) {
			return "", check.Failf(check.ReasonBody, "%s%s: the answer lacks %s: it is %s", c.target, from, want, shown)
		}
	}
	if c.exact {
		for _, a := range answers {
			if !slices.ContainsFunc(c.wanted, func(want string) bool { return matches(c.question.Type, a, want) }) {
				return "", check.Failf(check.ReasonBody, "%s%s: the answer has %s, which is not expected: it is %s", c.target, from, a, shown)
			}
		}
	}
	return shown, nil
}

// wrongCode describes a response code that is not the one expected.
func (c *checker) wrongCode(code dnsmessage.RCode, from string) error {
	reason, text := check.ReasonStatus, ""
	switch {
	case c.rcode != dnsmessage.RCodeSuccess:
		return check.Failf(reason, "%s%s: %s, want %s", c.target, from, rcodeName(code), rcodeName(c.rcode))
	case code == dnsmessage.RCodeNameError:
		reason, text = check.ReasonMissing, ": there is no such name"
	case code == dnsmessage.RCodeServerFailure:
		text = ": the server could not find an answer: it does not reach those who know the name, or the name's DNSSEC signature is not right; see its log"
	case code == dnsmessage.RCodeRefused:
		reason, text = check.ReasonPermission, ": the server does not answer this client, or not for this name; see whom it allows"
	}
	return check.Failf(reason, "%s%s: %s%s", c.target, from, rcodeName(code), text)
}

// answers returns the answers to the question, following aliases from its name,
// and the last alias.
func (c *checker) answers(parser *dnsmessage.Parser) (answers []string, alias string, err error) {
	records, err := parser.AllAnswers()
	if err != nil && !errors.Is(err, dnsmessage.ErrSectionDone) {
		return nil, "", err
	}
	owner := plain(c.question.Name)
	// Each record can lead to one more name, so that a circle comes to an end.
	for range len(records) + 1 {
		next := ""
		for i := range records {
			r := &records[i]
			if plain(r.Header.Name) != owner || r.Header.Class != dnsmessage.ClassINET {
				continue
			}
			if r.Header.Type == c.question.Type {
				if answer, ok := text(r.Body); ok {
					answers = append(answers, answer)
				}
			} else if cname, ok := r.Body.(*dnsmessage.CNAMEResource); ok {
				next = plain(cname.CNAME)
			}
		}
		if len(answers) > 0 || next == "" {
			break
		}
		owner, alias = next, next
	}
	slices.Sort(answers)
	return answers, alias, nil
}

// shorten shows the first answers.
func shorten(answers []string) string {
	const most = 5
	if more := len(answers) - most; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(answers[:most], ", "), more)
	}
	return strings.Join(answers, ", ")
}
