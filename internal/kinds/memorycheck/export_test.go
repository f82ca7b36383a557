package memorycheck

// KindOn is the kind on a host with these files.
var KindOn = kindOn
