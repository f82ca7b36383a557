package balancer

// proxies are the rows of proxies that people run themselves.
func proxies() []*Balancer {
	return []*Balancer{{
		Name: "haproxy", Title: "HAProxy", Explained: true,
		Probes: []Probe{
			{Protocol: HTTP10, Method: "OPTIONS", Path: "/", Host: HostNone, Note: "option httpchk; no header fields at all"},
			{
				Protocol: HTTP11, Method: "GET", Path: "/", Host: HostName,
				Fields: []Field{{"connection", "close"}},
				Note:   "http-check send with ver HTTP/1.1 and hdr host; the names of its fields are in lower case",
			},
			{Protocol: TCP, Note: "check alone; with send-proxy-v2 the LOCAL header has no addresses"},
			{Protocol: Agent, Note: "agent-check reads one line of words: up, down, fail or stopped with a #reason, drain, maint, ready, 75%, maxconn:N; what was set must be taken back by the agent"},
		},
		Judge:       Judge{Codes: from(200, 399), Settable: "any, by http-check expect", Redirects: RedirectsJudged, Chunks: true, Strict: true, Interim: InterimJudged, Special: "404 may be a soft stop, by http-check disable-on-404"},
		TLS:         TLS{Verify: true, Verifies: "by verify; check-ssl with verify none does not", SNI: HostNone, ClientCertificate: true},
		Timing:      Timing{Interval: 2 * second, Timeout: 2 * second, Rise: 2, Fall: 3},
		From:        "the proxy",
		AllDown:     "503",
		Consequence: "nothing besides",
		Notes:       []string{"The server name is sent only with check-sni."},
		Sources:     []string{"docs.haproxy.org, Configuration Manual: option httpchk, agent-check", "haproxy/haproxy#2039", "patroni/patroni#2021"},
		Assumed:     []Fact{FactRedirects},
	}, {
		Name: "nginx", Title: "nginx (open source)",
		Probes:      []Probe{{Protocol: Passive, Note: "counts failures of real requests: max_fails=1, fail_timeout=10s"}},
		Judge:       Judge{Redirects: RedirectsJudged},
		TLS:         TLS{SNI: HostNone},
		Timing:      Timing{Interval: 10 * second, Fall: 1, Note: "fail_timeout is both the time to count in and the time out of use"},
		From:        "the proxy",
		AllDown:     "502",
		Consequence: "nothing besides",
		Sources:     []string{"nginx.org/en/docs/http/ngx_http_upstream_module.html"},
	}, {
		Name: "nginx-plus", Title: "NGINX Plus", Explained: true,
		Probes: []Probe{
			{
				Protocol: HTTP10, Method: "GET", Path: "/", Host: HostName,
				Fields: []Field{{"Connection", "close"}},
				Note:   "proxy_set_header sets the Host",
			},
			{Protocol: GRPC, Method: "POST", Path: "/grpc.health.v1.Health/Check", Host: HostName, Note: "health_check type=grpc"},
		},
		Judge:       Judge{Codes: from(200, 399), Settable: "any, by match", Redirects: RedirectsJudged, GRPC: "0 with SERVING"},
		TLS:         TLS{SNI: HostNone},
		Timing:      Timing{Interval: 5 * second, Timeout: 5 * second, Rise: 1, Fall: 1},
		From:        "the proxy",
		AllDown:     "502",
		Consequence: "nothing besides",
		Sources:     []string{"nginx.org/en/docs/http/ngx_http_upstream_hc_module.html"},
		Assumed:     []Fact{FactVersion, FactMethod, FactHost, FactHeaders, FactCodes, FactRedirects, FactVerify, FactSNI, FactTimeout, FactAllDown, FactBody},
	}, {
		Name: "envoy", Title: "Envoy", Explained: true,
		Probes: []Probe{
			{
				Protocol: HTTP11, Method: "GET", Path: "/", Host: HostCluster, Keeps: true,
				Fields: []Field{{"User-Agent", "Envoy/HC"}},
				Note:   "its user must give a path; the Host is the cluster's name unless its user gave one; asks again on the same connection",
			},
			{Protocol: HTTP2, Method: "GET", Path: "/", Host: HostCluster, Keeps: true, Fields: []Field{{"User-Agent", "Envoy/HC"}}},
			{Protocol: GRPC, Method: "POST", Path: "/grpc.health.v1.Health/Check", Host: HostCluster, Keeps: true, Fields: []Field{{"User-Agent", "Envoy/HC"}}},
			{Protocol: TCP},
		},
		Judge: Judge{
			Codes: only(200), Settable: "any, by expected_statuses", Redirects: RedirectsJudged, Ends: true, GRPC: "0 with SERVING",
			Special: "every other code is down at once unless it is in retriable_statuses",
		},
		TLS: TLS{SNI: HostNone, ClientCertificate: true, Verifies: "as the cluster's TLS context says"},
		Timing: Timing{
			Interval: 60 * second, Timeout: 5 * second,
			Note: "its user must give interval, timeout and both counts; 60 s without traffic",
		},
		From:        "the proxy",
		AllDown:     "open when less than half is healthy",
		Consequence: "nothing besides",
		Notes:       []string{"Honours the answer's fields x-envoy-immediate-health-check-fail (drains at once) and x-envoy-degraded."},
		Sources:     []string{"envoyproxy.io/docs, HTTP health checking filter; config.core.v3.HealthCheck"},
		Assumed:     []Fact{FactTimeout, FactSNI},
	}, {
		Name: "traefik", Title: "Traefik", Explained: true,
		Probes: []Probe{
			{
				Protocol: HTTP11, Method: "GET", Path: "/", Host: HostName,
				Fields: []Field{{"User-Agent", "Go-http-client/1.1"}, {"Accept-Encoding", "gzip"}},
				Note:   "the Host is that of the server's URL, unless hostname is set",
			},
			{Protocol: GRPC, Method: "POST", Path: "/grpc.health.v1.Health/Check", Host: HostName, Note: "mode: grpc"},
		},
		Judge:       Judge{Codes: from(200, 399), Settable: "one, by status", Redirects: RedirectsFollowed, Strict: true, Interim: InterimSkipped, GRPC: "0 with SERVING"},
		TLS:         TLS{Verify: true, Verifies: "unless the serversTransport has insecureSkipVerify", SNI: HostName, ClientCertificate: true, Go: true},
		Timing:      Timing{Interval: 30 * second, Timeout: 5 * second, Rise: 1, Fall: 1, Note: "one failure is down"},
		From:        "the proxy",
		AllDown:     "503",
		Consequence: "nothing besides",
		Sources:     []string{"doc.traefik.io/traefik/routing/services/#health-check"},
		Assumed:     []Fact{FactAgent, FactHeaders, FactTiming, FactTimeout, FactAllDown, FactBody},
	}, {
		Name: "caddy", Title: "Caddy", Explained: true,
		Probes: []Probe{{
			Protocol: HTTP11, Method: "GET", Path: "/", Host: HostNamePort, Keeps: true,
			Fields: []Field{{"User-Agent", "Go-http-client/1.1"}, {"Accept-Encoding", "gzip"}},
		}},
		Judge:       Judge{Codes: from(200, 299), Settable: "one, or a class such as 3xx, by health_status", Redirects: RedirectsJudged, Strict: true, Interim: InterimSkipped, Body: "a regular expression, if its user gave one, which has it wait for the end"},
		TLS:         TLS{Verify: true, Verifies: "as the transport says", SNI: HostName, ClientCertificate: true, Go: true},
		Timing:      Timing{Interval: 30 * second, Timeout: 5 * second, Rise: 1, Fall: 1},
		From:        "the proxy",
		AllDown:     "503",
		Consequence: "nothing besides",
		Sources:     []string{"caddyserver.com/docs/caddyfile/directives/reverse_proxy#active-health-checks"},
		Assumed:     []Fact{FactAgent, FactHeaders, FactVerify, FactSNI},
	}}
}
