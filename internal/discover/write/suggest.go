package write

import (
	"slices"
	"strings"

	"hale/internal/check"
)

// A suggestion is an option that is written commented out.
type suggestion struct{ name, value, help string }

// suggestions returns what is often wanted of a check, but for what it has
// already.
func suggestions(c *check.Check, lines []line, kind check.Kind) []suggestion {
	all := append(wanted(c.Kind), suggestion{"impact", "warn", "its failure degrades the verdict, and traffic goes on"})
	all = slices.DeleteFunc(all, func(s suggestion) bool {
		if s.name == "username" && strings.Contains(c.Target, "@") {
			return true // the URL has one
		}
		return slices.ContainsFunc(lines, func(l line) bool {
			return l.name == s.name || l.name == "insecure" && s.name == "min_days" || l.name == "expect_regexp" && s.name == "expect"
		})
	})
	for i, s := range all {
		for _, o := range kind.Options() {
			if o.Name == s.name && s.help == "" {
				all[i].help = o.Help
			}
		}
	}
	return all
}

// wanted returns examples of the options of a kind.
func wanted(scheme string) []suggestion {
	login := func(prefix string) []suggestion {
		return []suggestion{{name: "username", value: "hale"}, {name: "password", value: "${env:" + prefix + "_PASSWORD}"}}
	}
	switch scheme {
	case "http":
		return []suggestion{{name: "host", value: "www.example.org"}, {name: "body", value: "OK"}, {name: "slow", value: "500ms"}}
	case "https":
		return []suggestion{{name: "host", value: "www.example.org"}, {name: "body", value: "OK"}, {name: "slow", value: "500ms"}, {name: "min_days", value: "14"}}
	case "tls":
		return []suggestion{{name: "min_days", value: "14"}}
	case "tcp":
		return []suggestion{{name: "expect", value: "READY"}}
	case "redis", "rediss":
		return []suggestion{{name: "password", value: "${env:REDIS_PASSWORD}"}, {name: "role", value: "master"}}
	case "postgres", "postgresql":
		return append(login("POSTGRES"), suggestion{name: "role", value: "primary"})
	case "mysql":
		return login("MYSQL")
	case "amqp", "amqps":
		return append(login("AMQP"), suggestion{name: "queue", value: "jobs"})
	case "nats", "natss":
		return append(login("NATS"), suggestion{name: "jetstream", value: "true"})
	case "smtp":
		return []suggestion{{name: "starttls", value: "true"}}
	case "zookeeper":
		return []suggestion{{name: "mode", value: "[leader, follower]"}}
	case "kafka", "kafkas":
		return []suggestion{{name: "topic", value: "orders"}}
	case "grpc", "grpcs":
		return []suggestion{{name: "service", value: "shop.Orders"}}
	}
	return nil
}
