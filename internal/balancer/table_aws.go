package balancer

import "time"

const second = time.Second

// aws are the rows of Amazon Web Services.
func aws() []*Balancer {
	return []*Balancer{{
		Name: "elb", Title: "AWS Classic Load Balancer", Explained: true,
		Probes: []Probe{
			{
				Protocol: HTTP11, Method: "GET", Path: "/index.html", Host: HostBareAddress, HostFixed: true,
				Fields: []Field{{"User-Agent", "ELB-HealthChecker/1.0"}, {"Accept", "*/*"}, {"Connection", "keep-alive"}},
				Note:   "the console's default; reports differ on the Host: the target's private address, or none at all",
			},
			{
				Protocol: HTTP10, Method: "GET", Path: "/index.html", Host: HostNone, HostFixed: true,
				Fields: []Field{{"User-Agent", "ELB-HealthChecker/1.0"}},
				Note:   "the other report: no Host",
			},
			{Protocol: TCP, Note: "the API's default, TCP:80"},
			{Protocol: SSL},
		},
		Judge: Judge{Codes: only(200), Redirects: RedirectsJudged, Framed: true, Body: "must have a Content-Length or be chunked"},
		TLS:   TLS{SNI: HostNone},
		Timing: Timing{
			Interval: 30 * second, Timeout: 5 * second, Rise: 10, Fall: 2,
			Note: "interval 5–300 s, timeout 2–60 s",
		},
		From:        "the load balancer's subnets",
		AllDown:     "503",
		Consequence: "an Auto Scaling group of health type ELB terminates the instance",
		Notes:       []string{graceNote},
		Sources:     []string{"fnando/browser#275", "refinery-platform/refinery-platform#1239", "rails/rails#38829"},
		Assumed:     []Fact{FactHost, FactHeaders, FactVerify, FactSNI, FactAllDown, FactRedirects, FactFrom, FactBody},
	}, {
		Name: "alb", Title: "AWS Application Load Balancer", Explained: true,
		Probes: []Probe{
			{
				Protocol: HTTP11, Method: "GET", Path: "/", Host: HostAddress, HostFixed: true,
				Fields: []Field{{"Connection", "close"}, {"User-Agent", "ELB-HealthChecker/2.0"}, {"Accept-Encoding", "gzip, compressed"}},
				Note:   "no X-Forwarded-Proto",
			},
			{
				Protocol: HTTP2, Method: "GET", Path: "/", Host: HostAddress, HostFixed: true,
				Fields: []Field{{"User-Agent", "ELB-HealthChecker/2.0"}},
				Note:   "for a target group of version HTTP2",
			},
			{
				Protocol: GRPC, Method: "POST", Path: "/AWS.ALB/healthcheck", Host: HostAddress, HostFixed: true,
				Fields: []Field{{"User-Agent", "ELB-HealthChecker/2.0"}},
				Note:   "for a target group of version gRPC; the path is its user's choice",
			},
		},
		Judge: Judge{
			Codes: only(200), Settable: "200-499", Redirects: RedirectsJudged,
			GRPC: "12 (its user may choose any of 0-99)",
		},
		TLS: TLS{SNI: HostNone},
		Timing: Timing{
			Interval: 30 * second, Timeout: 5 * second, Rise: 5, Fall: 2,
			Note: "interval 5–300 s, timeout 2–120 s, counts 2–10; a new target's first success suffices",
		},
		From:        "the addresses of the load balancer's nodes",
		AllDown:     "open",
		Consequence: "an Auto Scaling group of health type ELB terminates the instance; ECS replaces the task",
		Notes:       []string{graceNote},
		Sources: []string{
			"docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html",
			"aptible/docker-nginx#114", "pomerium/pomerium-helm#201", "Cloud-CV/EvalAI#5208", "chef/supermarket#986",
			"kubernetes-sigs/aws-load-balancer-controller#2694", "kubernetes-sigs/aws-load-balancer-controller#2804",
		},
		Assumed: []Fact{FactHeaders, FactSNI, FactAfter, FactBody},
	}, {
		Name: "nlb", Title: "AWS Network Load Balancer", Explained: true,
		Probes: []Probe{
			{Protocol: TCP, ProxyLocal: true, Wait: Wait{All: 10 * second}, Note: "the default: connects, sends nothing, closes"},
			{
				Protocol: HTTP11, Method: "GET", Path: "/", Host: HostBalancer, HostFixed: true, ProxyLocal: true,
				Fields:  []Field{{"User-Agent", "ELB-HealthChecker/2.0"}, {"Connection", "close"}},
				WaitTLS: Wait{All: 10 * second},
				Note:    "the Host is the node's address and the listener's port, not the target's",
			},
		},
		Judge: Judge{Codes: from(200, 399), Settable: "200-599", Redirects: RedirectsJudged},
		TLS:   TLS{SNI: HostNone},
		Timing: Timing{
			Interval: 30 * second, Timeout: 6 * second, Rise: 3, Fall: 2,
			Note: "2 or 3 failures; asks more often than configured, as each node asks for itself",
		},
		From:        "the addresses of the load balancer's nodes",
		AllDown:     "open",
		Consequence: "an Auto Scaling group of health type ELB terminates the instance; ECS replaces the task",
		Notes: []string{
			graceNote,
			"With PROXY protocol v2 on the target group, a PROXY header with the command LOCAL precedes each probe.",
			"An application that allows its own address as Host does not allow this Host: allow the subnet.",
		},
		Sources: []string{
			"docs.aws.amazon.com/elasticloadbalancing/latest/network/target-group-health-checks.html",
			"grafana/grafana#112294", "kubernetes/kubernetes#57250",
		},
		Assumed: []Fact{FactAgent, FactHeaders, FactSNI, FactRedirects, FactAfter, FactBody},
	}, {
		Name: "route53", Title: "AWS Route 53 health checks", Explained: true,
		Probes: []Probe{
			{
				Protocol: HTTP11, Method: "GET", Path: "/", Host: HostName,
				Fields: []Field{
					{"Connection", "close"},
					{"User-Agent", "Amazon-Route53-Health-Check-Service (ref 00000000-0000-0000-0000-000000000000; report http://amzn.to/1vsZADi)"},
				},
				Wait: Wait{Connect: 4 * second, Status: 2 * second},
				Note: "the Host is the domain name, or the address if the check names one",
			},
			{Protocol: TCP, Wait: Wait{All: 10 * second}},
		},
		Judge: Judge{
			Codes: from(200, 399), Redirects: RedirectsJudged, BodyLimit: 5120,
			Body: "a string, if its user gave one, must be within the first 5,120 bytes, and within 2 s of the status",
		},
		TLS: TLS{SNI: HostName},
		Timing: Timing{
			Interval: 30 * second, Timeout: 6 * second, Fall: 3, Rise: 3,
			Note: "interval 10 or 30 s",
		},
		From:        "public checkers all over the world",
		AllDown:     "open",
		Consequence: "DNS failover",
		Sources:     []string{"docs.aws.amazon.com/Route53/latest/DeveloperGuide/dns-failover-determining-health-of-endpoints.html"},
		Assumed:     []Fact{FactHeaders, FactRedirects, FactAllDown, FactTiming, FactBody},
	}}
}

const graceNote = "The grace of an Auto Scaling group is 300 s when made in the console and 0 when made by the command line or an SDK: a slow boot with none is terminated over and over."
