package balancer

// orchestrators are the rows of what runs containers and watches services.
func orchestrators() []*Balancer {
	return []*Balancer{{
		Name: "kubelet", Title: "Kubernetes (kubelet)", Explained: true,
		Probes: []Probe{
			{
				Protocol: HTTP11, Method: "GET", Path: "/", Host: HostAddressPort,
				Fields: []Field{{"User-Agent", "kube-probe/1.32"}, {"Accept", "*/*"}, {"Connection", "close"}},
				Note:   "httpGet; the port is in the Host even if it is 80; no Accept-Encoding",
			},
			{
				Protocol: GRPC, Method: "POST", Path: "/grpc.health.v1.Health/Check", Host: HostAddressPort,
				Fields: []Field{{"User-Agent", "kube-probe/1.32"}},
				Note:   "without TLS",
			},
			{Protocol: TCP, Note: "tcpSocket"},
			{Protocol: Command, Note: "exec"},
		},
		Judge: Judge{
			Codes: from(200, 399), Redirects: RedirectsSameHost, BodyLimit: 10 << 10, Ends: true, Strict: true, Interim: InterimSkipped, GRPC: "0 with SERVING",
			Body: "a larger one passes",
		},
		TLS:         TLS{SNI: HostNone, Go: true},
		Timing:      Timing{Interval: 10 * second, Timeout: second, Rise: 1, Fall: 3},
		From:        "the node",
		AllDown:     "no endpoints: connections are refused",
		Consequence: "liveness restarts the container; readiness takes the pod out of its services",
		Notes: []string{
			"Istio's strict mTLS breaks httpGet; its probe rewriting strips bodies.",
			"A redirect once led a probe out through the cluster's own balancer, and the pod never recovered (rubygems/rubygems.org#1907).",
		},
		Sources: []string{"kubernetes/kubernetes pkg/probe/http", "kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes"},
	}, {
		Name: "docker", Title: "Docker, Swarm and ECS container health checks",
		Probes:      []Probe{{Protocol: Command, Note: "exit status 0 is healthy; Docker keeps 4,096 bytes of output"}},
		Judge:       Judge{Redirects: RedirectsJudged},
		TLS:         TLS{SNI: HostNone},
		Timing:      Timing{Interval: 30 * second, Timeout: 30 * second, Rise: 1, Fall: 3, Note: "Docker's start period is 0; ECS: timeout 5 s"},
		From:        "inside the container",
		AllDown:     "nothing besides",
		Consequence: "Swarm and ECS services replace the container; Docker alone only shows it",
		Sources:     []string{"docs.docker.com/reference/dockerfile", "docs.aws.amazon.com/AmazonECS/latest/developerguide/healthcheck.html"},
	}, {
		Name: "consul", Title: "HashiCorp Consul", Explained: true,
		Probes: []Probe{
			{
				Protocol: HTTP11, Method: "GET", Path: "/", Host: HostName,
				Fields: []Field{{"User-Agent", "Consul Health Check"}, {"Accept", "text/plain, text/*, */*"}, {"Accept-Encoding", "gzip"}, {"Connection", "close"}},
			},
			{Protocol: TCP},
			{Protocol: GRPC, Method: "POST", Path: "/grpc.health.v1.Health/Check", Host: HostName},
		},
		Judge: Judge{
			Codes: from(200, 299), Redirects: RedirectsFollowed, Strict: true, Interim: InterimSkipped, Special: "429 is a warning; every other code is critical",
			Body: "keeps 4 KB of it as output", GRPC: "0 with SERVING",
		},
		TLS:         TLS{Verify: true, Verifies: "unless tls_skip_verify is set", SNI: HostName, Go: true},
		Timing:      Timing{Interval: 10 * second, Timeout: 10 * second, Rise: 1, Fall: 1, Note: "interval at least 1 s"},
		From:        "the agent, most often on the same machine",
		AllDown:     "the service has no healthy instance in DNS and the API",
		Consequence: "nothing besides, unless deregister_critical_service_after is set",
		Sources:     []string{"hashicorp/consul agent/checks/check.go"},
		Assumed:     []Fact{FactRedirects, FactVerify, FactTiming, FactBody},
	}}
}
