// Package capture listens where a balancer is told to ask, shows what arrives as
// it came, says who sent it and what an application would object to, and
// answers.
//
// It is for looking, on a port of its own, for a while; it is not the listener
// that balancers ask. Everything that a peer sends is bounded in bytes and time,
// is made harmless to terminals, and loses what looks like a secret before
// anything else reads it.
//
// Who sends what comes from package balancer.
package capture
