package dnscheck

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// typeCAA is the type of records that say who may issue certificates (RFC 8659).
const typeCAA dnsmessage.Type = 257

// typeNames are the types that can be asked for, and typeCodes their numbers.
var (
	typeNames = []string{"A", "AAAA", "CAA", "CNAME", "MX", "NS", "PTR", "SOA", "SRV", "TXT"}
	typeCodes = []dnsmessage.Type{
		dnsmessage.TypeA, dnsmessage.TypeAAAA, typeCAA, dnsmessage.TypeCNAME, dnsmessage.TypeMX,
		dnsmessage.TypeNS, dnsmessage.TypePTR, dnsmessage.TypeSOA, dnsmessage.TypeSRV, dnsmessage.TypeTXT,
	}
)

// typeOf returns the type of a name in whichever letters.
func typeOf(name string) (code dnsmessage.Type, known bool) {
	i := slices.Index(typeNames, strings.ToUpper(name))
	if i < 0 {
		return 0, false
	}
	return typeCodes[i], true
}

// rcodes are the response codes by number (RFC 1035, section 4.1.1).
var rcodes = []string{"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"}

// rcodeName names a response code.
func rcodeName(code dnsmessage.RCode) string {
	if int(code) < len(rcodes) {
		return rcodes[code]
	}
	return fmt.Sprintf("response code %d", code)
}

// text shows a record's data as zone files do, names in small letters and
// without the last dot; ok is false for data of a type that can't be asked for.
func text(body dnsmessage.ResourceBody) (text string, ok bool) {
	switch r := body.(type) {
	case *dnsmessage.AResource:
		return netip.AddrFrom4(r.A).String(), true
	case *dnsmessage.AAAAResource:
		return netip.AddrFrom16(r.AAAA).String(), true
	case *dnsmessage.CNAMEResource:
		return plain(r.CNAME), true
	case *dnsmessage.NSResource:
		return plain(r.NS), true
	case *dnsmessage.PTRResource:
		return plain(r.PTR), true
	case *dnsmessage.MXResource:
		return fmt.Sprintf("%d %s", r.Pref, plain(r.MX)), true
	case *dnsmessage.SRVResource:
		return fmt.Sprintf("%d %d %d %s", r.Priority, r.Weight, r.Port, plain(r.Target)), true
	case *dnsmessage.SOAResource:
		return fmt.Sprintf("%s %s %d", plain(r.NS), plain(r.MBox), r.Serial), true
	case *dnsmessage.TXTResource:
		return strings.Join(r.TXT, ""), true
	case *dnsmessage.UnknownResource:
		return caa(r)
	}
	return "", false
}

// caa shows a CAA record: flags, and a tag after its length, and a value (RFC
// 8659, section 4.1).
func caa(r *dnsmessage.UnknownResource) (text string, ok bool) {
	if r.Type != typeCAA || len(r.Data) < 2 || len(r.Data) < 2+int(r.Data[1]) {
		return "", false
	}
	tag, value := r.Data[2:2+r.Data[1]], r.Data[2+r.Data[1]:]
	return fmt.Sprintf("%d %s %s", r.Data[0], tag, value), true
}

func plain(name dnsmessage.Name) string {
	return strings.TrimSuffix(strings.ToLower(name.String()), ".")
}

// matches reports whether an answer is what is wanted. Of a record that ends in
// a name, that name will do.
func matches(kind dnsmessage.Type, answer, want string) bool {
	switch kind {
	case dnsmessage.TypeMX, dnsmessage.TypeSRV:
		return answer == want || strings.HasSuffix(answer, " "+want)
	case dnsmessage.TypeSOA:
		return answer == want || strings.HasPrefix(answer, want+" ")
	}
	return answer == want
}

// reverse returns the name under which an address's PTR record is found: its
// bytes (RFC 1035, section 3.5) or half bytes (RFC 3596, section 2.5) from last
// to first.
func reverse(addr netip.Addr) string {
	bytes := addr.AsSlice()
	var b strings.Builder
	for i := len(bytes) - 1; i >= 0; i-- {
		if addr.Is4() {
			fmt.Fprintf(&b, "%d.", bytes[i])
		} else {
			fmt.Fprintf(&b, "%x.%x.", bytes[i]&0xf, bytes[i]>>4)
		}
	}
	if addr.Is4() {
		return b.String() + "in-addr.arpa"
	}
	return b.String() + "ip6.arpa"
}
