// Package explain plays a balancer: it sends to a URL what the balancer would
// send, walks the way step by step, and says at which step the balancer would
// turn away, why, and what mends it.
//
// What a balancer sends and accepts comes from package balancer. The reason is
// found by sending more requests that differ from the balancer's in one thing
// only.
package explain
