package dnscheck

import "hale/internal/check"

// KindOf is the kind dns with another file for the system's resolver.
func KindOf(resolvConf string) check.Kind {
	return check.Define("dns", "", Config{Type: "A", Rcode: "NOERROR", resolvConf: resolvConf})
}

// NameServers is nameServers.
var NameServers = nameServers
