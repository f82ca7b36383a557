package oneshot

import (
	"context"
	"fmt"

	"hale/internal/check"
)

// checkFlags are the flags of check besides the kinds' options.
var checkFlags = []ownFlag{
	{"config", "FILE", "take the checks of this configuration"},
	{"format", "FORMAT", "print text (the default) or json"},
	{"quiet", "", "print nothing; the exit code tells"},
	{"help", "", "this help; with a kind or a URL, that kind's options"},
}

// Check is the check command: it runs checks once, at the same time, and
// returns 0 when all are healthy, 1 when not, 64 for a wrong command line and 78
// for a wrong configuration. It blocks until the longest timeout at most.
func Check(ctx context.Context, args []string, p Program) int {
	return p.perform(ctx, func(ctx context.Context, p *Program) int { return p.check(ctx, args) })
}

func (p *Program) check(ctx context.Context, args []string) int {
	a, err := parse(args, checkFlags, kindsOf(args, p.Registry))
	if err != nil {
		return p.fail(exitUsage, "check", err)
	}
	if a.help {
		return p.help(a, checkHelp, checkFlags)
	}
	format := a.own["format"]
	if format != "" && format != "text" && format != "json" {
		return p.fail(exitUsage, "check", fmt.Errorf("--format: %q is not a format; give text or json", clean(format)))
	}
	if a.dashes {
		return p.fail(exitUsage, "check", fmt.Errorf("check runs no command; `%s wait URL… -- COMMAND` does", p.Name))
	}
	selected, err := p.selected("check", a)
	if err != nil {
		return p.fail(codeOf(err), "check", err)
	}
	checks := selected.checks
	if p.mayHang(checks) {
		return p.inChild(ctx, "check", args)
	}
	results := p.newRunner().runAll(ctx, checks)
	code := selected.codeOf(results)
	// The code is the answer, whether or not anybody reads the lines.
	switch {
	case a.on("quiet"):
	case format == "json":
		printJSON(p.Out, checks, results, code == exitOK)
	default:
		printLines(p.Out, checks, results)
	}
	for i, c := range checks {
		if selected.mistaken(i, results[i]) && code == exitUsage {
			p.fail(code, "check", p.wrongType("check", c, results[i]))
		}
	}
	return code
}

// codeOf is the exit code.
func (s *selection) codeOf(results []check.Result) int {
	code := exitOK
	for i, c := range s.checks {
		switch r := results[i]; {
		case r.Healthy() || c.Impact == check.ImpactWarn:
		case s.mistaken(i, r):
			code = exitUsage
		case code == exitOK:
			code = exitFail
		}
	}
	return code
}

// wrongType is the mistake of a target of the wrong type.
func (p *Program) wrongType(command string, c *check.Check, r check.Result) error {
	return fmt.Errorf("%s (for example: %s %s %s)", r.Text(), p.Name, command, p.example(c.Kind+":"))
}

const checkHelp = `Run checks once, all at the same time.

Usage:
  %[1]s check URL… [--OPTION VALUE…]   the options of the URLs' kind
  %[1]s check NAME…                    checks of the configuration, by their names
  %[1]s check                          every check of the configuration
  %[1]s check --help KIND              the options of a kind

Exit codes: 0 all healthy, 1 not, 64 wrong command line, 78 wrong configuration.
A check whose impact is warn is shown as "warn" when it fails and does not
change the exit code.

Examples:
  %[1]s check http://127.0.0.1:8000/health --status 200-204 --timeout 2s
  %[1]s check redis://127.0.0.1:6379 postgres://127.0.0.1
  %[1]s check file:///run/worker.live --max-age 70s
`
