// Package snippet prints configuration for the software around hale: proxies,
// container engines, orchestrators, applications. Each snippet says in its
// comments where it goes and why, and what it was tried with.
//
// What is put into a snippet is checked first, so strictly that it means the
// same in every one of their languages and needs no escaping in any; see
// [Setup.Validate]. The package does no I/O.
package snippet
