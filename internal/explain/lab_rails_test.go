package explain_test

import (
	"testing"

	"hale/internal/balancer"
	"hale/internal/servertest"
)

// railsCases are what Rails' own middleware does.
func railsCases() []labCase {
	const hosts = `use ActionDispatch::HostAuthorization, ["shop.example"]`
	return []labCase{
		{
			name: "Rails' hosts, in development", as: "alb kubelet", sees: "HTTP/1.1 403 ",
			start: rails("", `use(Class.new { def initialize(app) = @app = app
def call(env) = @app.call(env.merge("action_dispatch.show_detailed_exceptions" => true)) })
`+hosts),
			want: balancer.CauseRailsHosts, software: "Rails", fix: "host_authorization",
		},
		{
			name: "Rails' hosts", as: "alb", sees: "HTTP/1.1 403 ",
			start: rails("shop.example", hosts), want: balancer.CauseRailsHosts, software: "Rails", fix: "host_authorization",
		},
		{
			name: "Rails' force_ssl", as: "alb gcp", sees: "HTTP/1.1 301 ",
			start: rails("", "use ActionDispatch::SSL"), want: balancer.CauseRailsSSL, software: "Rails", fix: "ssl_options",
		},
	}
}

// rails starts Rails' middleware with its settings.
func rails(site, settings string) func(*testing.T, *laboratory) place {
	return func(t *testing.T, _ *laboratory) place {
		where := at(servertest.Rails(t, settings), "/up")
		where.options.Site = site
		return where
	}
}
