// Package resp is a small client for what speaks Redis' protocol, for the kinds
// of check that do.
//
// It speaks version 2 of the protocol (RESP2,
// https://redis.io/docs/latest/develop/reference/protocol-spec/), which every
// version of Redis, Valkey, KeyDB and their proxies know. Whoever uses it writes
// commands and reads their replies in order; every part of a reply is bounded,
// and whatever a connection waits for ends with its context. What went wrong is
// said in words for people, with a [check.Reason] and without the password.
package resp
