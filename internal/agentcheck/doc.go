// Package agentcheck answers HAProxy's agent-check: each connection gets one
// line that says what HAProxy is to make of the server, and is closed.
//
// The words and what they do are those of HAProxy's configuration manual,
// section 5.2, "agent-check": up and down set the operational state, ready and
// drain the administrative one, and a percentage the weight, relative to the
// one that was configured. HAProxy changes only what a line names and keeps it
// until another line names it, so each line takes back what an earlier one may
// have set.
package agentcheck
