// Package balancer is one table of what load balancers and orchestrators send
// to find out whether an instance is well, and how they judge what comes back;
// and one list of the reasons for which they call a good site unhealthy.
//
// It is data, with no more code than turns a row into bytes, an answer into
// yes or no, and all of it into a page: docs/load-balancers.md is made from it
// (make docs), and a test keeps the two the same. Explain, capture, snippet and
// the tests of the public listener read it.
//
// Facts come from vendors' documents, sources and bug threads, read in November
// 2026; each row names those it has. What none of them establishes is listed in
// Assumed, and is shown to people as assumed.
package balancer
