// Package ownip finds this instance's own address: the one that a balancer
// connects to, and that many put into the Host header.
//
// A cloud's metadata service knows it, and on a host of its own it is the
// address that the default route goes out from. A metadata service is asked
// only where something local says that this is its cloud: a variable, or what
// the firmware calls the machine. Asking it elsewhere would send packets to an
// address that somebody else may have.
//
// [Find] is bounded: three seconds at most, answers of 64 KiB at most, no proxy,
// no redirects. [Refresher] notices when the address may have changed.
package ownip
