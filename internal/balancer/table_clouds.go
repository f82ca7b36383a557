package balancer

// clouds are the rows of the other clouds and of what is in front of them.
func clouds() []*Balancer {
	return []*Balancer{{
		Name: "gcp", Title: "Google Cloud load balancing", Explained: true,
		Probes: []Probe{
			{
				Protocol: HTTP11, Method: "GET", Path: "/", Host: HostAddress,
				Fields: []Field{{"User-Agent", "GoogleHC/1.0"}, {"Connection", "Keep-alive"}},
				Note:   "as captured: nothing but these fields",
			},
			{Protocol: HTTP2, Method: "GET", Path: "/", Host: HostAddress, Fields: []Field{{"User-Agent", "GoogleHC/1.0"}}},
			{Protocol: TCP, Note: "may send a text and demand another"},
			{Protocol: SSL},
			{Protocol: GRPC, Method: "POST", Path: "/grpc.health.v1.Health/Check", Host: HostAddress, Note: "with a service name if its user gave one"},
		},
		Judge: Judge{
			Codes: only(200), Redirects: RedirectsJudged, BodyLimit: 1024, GRPC: "0 with SERVING",
			Body: "a string, if its user gave one, must be within the first 1,024 bytes",
		},
		TLS:         TLS{SNI: HostNone},
		Timing:      Timing{Interval: 5 * second, Timeout: 5 * second, Rise: 2, Fall: 2},
		From:        "35.191.0.0/16 and 130.211.0.0/22; a passthrough load balancer also 209.85.152.0/22 and 209.85.204.0/22",
		Networks:    []string{"35.191.0.0/16", "130.211.0.0/22", "209.85.152.0/22", "209.85.204.0/22"},
		AllDown:     "503 from one of HTTP, open from a passthrough one",
		Consequence: "a managed instance group with autohealing recreates the instance",
		Notes:       []string{"A PROXY protocol v1 header may precede the probe."},
		Sources:     []string{"cloud.google.com/load-balancing/docs/health-check-concepts", "kubernetes/ingress-gce#1768"},
		Assumed:     []Fact{FactVerify, FactSNI, FactAllDown, FactBody},
	}, {
		Name: "azure-lb", Title: "Azure Load Balancer", Explained: true,
		Probes: []Probe{
			{
				Protocol: HTTP11, Method: "GET", Path: "/", Host: HostAddress,
				Fields: []Field{{"User-Agent", "Load Balancer Agent"}, {"Connection", "close"}},
			},
			{Protocol: TCP},
		},
		Judge:       Judge{Codes: only(200), Redirects: RedirectsJudged},
		TLS:         TLS{SNI: HostNone, Verifies: "the chain must use SHA-256 or better"},
		Timing:      Timing{Interval: 5 * second, Timeout: 5 * second, Rise: 1, Fall: 1, Note: "one failure is down"},
		From:        "168.63.129.16",
		Networks:    []string{"168.63.129.16/32"},
		AllDown:     "no new flows",
		Consequence: "nothing besides",
		Sources:     []string{"learn.microsoft.com/azure/load-balancer/load-balancer-custom-probe-overview"},
		Assumed:     []Fact{FactHost, FactHeaders, FactRedirects, FactTimeout, FactSNI, FactBody},
	}, {
		Name: "app-gateway", Title: "Azure Application Gateway", Explained: true,
		Probes: []Probe{{
			Protocol: HTTP11, Method: "GET", Path: "/", Host: HostLoopback,
			Fields: []Field{{"Connection", "Keep-Alive"}},
			Note:   "the Host is 127.0.0.1 unless its user gave one",
		}},
		Judge: Judge{
			Codes: from(200, 399), Settable: "any", Redirects: RedirectsJudged, BodyLimit: 4090,
			Body: "a string, if its user gave one, must be within the first 4,090 bytes",
		},
		TLS:         TLS{Verify: true, Verifies: "the name must be the probe's Host; the chain must be known to the gateway", SNI: HostLoopback},
		Timing:      Timing{Interval: 30 * second, Timeout: 30 * second, Rise: 1, Fall: 3},
		From:        "the gateway's subnet",
		AllDown:     "502",
		Consequence: "nothing besides",
		Sources:     []string{"learn.microsoft.com/azure/application-gateway/application-gateway-probe-overview"},
		Assumed:     []Fact{FactHeaders, FactAgent, FactRedirects, FactBody},
	}, {
		Name: "front-door", Title: "Azure Front Door", Explained: true,
		Probes: []Probe{{
			Protocol: HTTP11, Method: "HEAD", Path: "/", Host: HostName,
			Fields: []Field{{"User-Agent", "Edge Health Probe"}, {"Connection", "Keep-Alive"}},
			Note:   "HEAD in new profiles, GET in older ones",
		}},
		Judge:       Judge{Codes: only(200), Redirects: RedirectsJudged},
		TLS:         TLS{Verify: true, Verifies: "the name must be the origin's", SNI: HostName},
		Timing:      Timing{Interval: 30 * second, Timeout: 30 * second, Note: "asks from every edge, so many times in each interval"},
		From:        "every edge: the service tag AzureFrontDoor.Backend",
		AllDown:     "open",
		Consequence: "nothing besides",
		Sources:     []string{"learn.microsoft.com/azure/frontdoor/health-probes"},
		Assumed:     []Fact{FactHost, FactHeaders, FactRedirects, FactVerify, FactSNI, FactTimeout, FactBody},
	}, {
		Name: "cloudflare", Title: "Cloudflare Load Balancing", Explained: true,
		Probes: []Probe{
			{
				Protocol: HTTP11, Method: "GET", Path: "/", Host: HostName,
				Fields: []Field{
					{"User-Agent", "Mozilla/5.0 (compatible; Cloudflare-Traffic-Manager/1.0; +https://www.cloudflare.com/traffic-manager/; pool-id: 0000000000000000)"},
					{"Connection", "close"},
				},
				Note: "the Host is the endpoint's address as configured, unless its user set one",
			},
			{Protocol: TCP},
		},
		Judge: Judge{
			Codes: only(200), Settable: "any, such as 2xx", Redirects: RedirectsJudged,
			Body: "a string, if its user gave one, must be in it, in whatever case",
		},
		TLS:         TLS{Verify: true, Verifies: "unless allow_insecure is set", SNI: HostName},
		Timing:      Timing{Interval: 60 * second, Timeout: 5 * second, Fall: 3, Rise: 1, Note: "2 retries at once"},
		From:        "Cloudflare's addresses",
		AllDown:     "the fallback pool",
		Consequence: "nothing besides",
		Notes:       []string{"Also probes by ICMP, UDP and SMTP. Its user may have redirects followed."},
		Sources:     []string{"developers.cloudflare.com/load-balancing/monitors"},
		Assumed:     []Fact{FactHeaders, FactTiming, FactTimeout, FactAllDown, FactCodes, FactAfter, FactBody},
	}, {
		Name: "hetzner", Title: "Hetzner Load Balancer", Explained: true,
		Probes: []Probe{
			{
				Protocol: HTTP10, Method: "GET", Path: "/", Host: HostNone,
				Note: "no Host unless its user gave a domain",
			},
			{Protocol: TCP},
		},
		Judge: Judge{
			Codes: from(200, 399), Settable: "patterns such as 2??", Redirects: RedirectsJudged,
			Body: "a string, if its user gave one, must be in it",
		},
		TLS:         TLS{SNI: HostNone},
		Timing:      Timing{Timeout: 10 * second, Note: "its user must give all of them; one count for both ways"},
		From:        "the load balancer's address, the private one if the target is in its network",
		AllDown:     "not established",
		Consequence: "nothing besides",
		Sources:     []string{"docs.hetzner.cloud", "zulip/zulip#37848"},
		Assumed:     []Fact{FactVersion, FactHeaders, FactAgent, FactCodes, FactRedirects, FactVerify, FactTimeout, FactAllDown, FactFrom, FactBody},
	}, {
		Name: "f5", Title: "F5 BIG-IP http monitor", Explained: true,
		Probes: []Probe{{
			Protocol: HTTP09, Method: "GET", Path: "/", Host: HostNone,
			Note: "a bare GET / without a version, unless its user wrote another send string",
		}},
		Judge:       Judge{Redirects: RedirectsJudged, Body: "an empty receive string takes any answer"},
		TLS:         TLS{SNI: HostNone},
		Timing:      Timing{Interval: 5 * second, Timeout: 16 * second, Rise: 1, Fall: 3, Note: "down when nothing came for the timeout"},
		From:        "the device's self address",
		AllDown:     "not established",
		Consequence: "nothing besides",
		Sources:     []string{"techdocs.f5.com, BIG-IP Local Traffic Manager: Monitors Reference"},
		Assumed:     []Fact{FactRedirects, FactFrom, FactSNI, FactAllDown, FactBody},
	}}
}
