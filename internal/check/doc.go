// Package check is hale's domain: what a check is, what one run of it says,
// and what is believed after a sequence of runs.
//
// A [Check] is a named thing to verify. A [Checker] verifies it once; a
// [Result] is what came of that; a [State] is what is believed after it, given
// a [Policy]. [State.Next] is a pure function of these and the only place
// where belief changes.
//
// A kind of check (tcp, http, redis, …) is a [Config]: a struct whose tagged
// fields are its options and whose starting value holds their defaults. A
// [Registry] turns a written [Spec] – a URL and options, from a file, an
// argument or a label – into a Check.
//
// The package uses the standard library only and imports nothing of hale. It
// does no I/O but for [Dial], which the kinds share, and starts no goroutines.
package check
