package config

import (
	"cmp"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"hale/internal/check"
)

// A key is a key of the file at its top level.
type key struct {
	name, help string
	// set takes a setting's text; nil for a key that holds more than a text.
	set func(c *Config, text string) error
	// read takes the value of a key that holds more than a text.
	read func(l *loader, e entry)
	// show gives a setting in force, and of a default config the default.
	show func(c *Config) string
}

// keys is every key of the file, in the order in which they are documented and
// shown. They are read in this order too, whatever the file's: checks need
// defaults.
func keys() []key {
	return []key{
		{
			name: "own_ip", help: "who is asked for `${own_ip}`: `auto`, `ec2`, `ecs`, `gcp`, `azure` or `route`, also written `{source: ec2}`",
			read: (*loader).readOwnIP,
			show: func(c *Config) string { return cmp.Or(c.OwnIP.Source, "auto") },
		}, {
			name: "listen", help: "where the public listener answers balancers: `:PORT` or `HOST:PORT`",
			set:  func(c *Config, text string) error { c.Listen = text; return validListen(text) },
			show: func(c *Config) string { return c.Listen },
		}, {
			name: "admin", help: "where the admin listener answers: a loopback `HOST:PORT`, `unix:/PATH`, or `off`",
			set:  func(c *Config, text string) error { c.Admin = text; return validAdmin(text) },
			show: func(c *Config) string { return c.Admin },
		}, {
			name: "fail_status", help: "the HTTP status of a verdict that is not good, from 400 to 599",
			set:  func(c *Config, text string) error { return setInt(&c.FailStatus, text, 400, 599) },
			show: func(c *Config) string { return strconv.Itoa(c.FailStatus) },
		}, {
			name: "degraded_status", help: "the HTTP status of a degraded verdict, from 200 to 599, such as 429 for Consul",
			set:  func(c *Config, text string) error { return setDegradedStatus(c, text) },
			show: func(c *Config) string { return strconv.Itoa(c.DegradedStatus) },
		}, {
			name: "drain_delay", help: "how long hale goes on answering, with `fail_status`, after it is told to stop",
			set:  func(c *Config, text string) error { return setDuration(&c.DrainDelay, text, 0, time.Hour) },
			show: func(c *Config) string { return c.DrainDelay.String() },
		}, {
			name: "grace", help: "how long stopping may take after `drain_delay`",
			set:  func(c *Config, text string) error { return setDuration(&c.Grace, text, time.Millisecond, time.Hour) },
			show: func(c *Config) string { return c.Grace.String() },
		}, {
			name: "max_connections", help: "how many connections the public listener holds at once",
			set:  func(c *Config, text string) error { return setInt(&c.MaxConnections, text, 1, 1_000_000) },
			show: func(c *Config) string { return strconv.Itoa(c.MaxConnections) },
		}, {
			name: "proxy_protocol", help: "from whom the PROXY protocol is taken: addresses and networks, such as `[10.0.0.5, 10.1.0.0/16]`, or `off`",
			set:  setProxyProtocol,
			read: (*loader).readProxyProtocol,
			show: shownProxyProtocol,
		}, {
			name: "tls", help: "TLS on the port of `listen`, beside plain HTTP: `auto`, with a self-signed certificate unless `tls_cert` is given, or `off`",
			set: func(c *Config, text string) error {
				c.TLS = text == "auto"
				return oneOf(text, "TLS setting", "auto", "off")
			},
			show: shownTLS,
		}, {
			name: "tls_cert", help: "the file with the certificate and its chain, in PEM; needs `tls_key`",
			set:  func(c *Config, text string) error { return setFile(&c.TLSCert, text) },
			show: func(c *Config) string { return c.TLSCert },
		}, {
			name: "tls_key", help: "the file with the key of `tls_cert`, in PEM",
			set:  func(c *Config, text string) error { return setFile(&c.TLSKey, text) },
			show: func(c *Config) string { return c.TLSKey },
		}, {
			name: "tls_client_ca", help: "the file with the authorities whose certificates TLS clients have to show, in PEM",
			set:  func(c *Config, text string) error { return setFile(&c.TLSClientCA, text) },
			show: func(c *Config) string { return c.TLSClientCA },
		}, {
			name: "agent_check", help: "where HAProxy's agent-check is answered: `:PORT` or `HOST:PORT`, or `off`",
			set:  func(c *Config, text string) error { c.AgentCheck = text; return validAgentCheck(text) },
			show: func(c *Config) string { return c.AgentCheck },
		}, {
			name: "degraded_weight", help: "the weight that `agent_check` gives a degraded instance: from `1%` to `100%`, or `off` for no weights",
			set:  setDegradedWeight,
			show: shownDegradedWeight,
		}, {
			name: "on_demand", help: "run the checks when a balancer asks instead of in the background: `true` or `false`",
			set:  func(c *Config, text string) error { return setBool(&c.OnDemand, text) },
			show: func(c *Config) string { return strconv.FormatBool(c.OnDemand) },
		}, {
			name: "log_level", help: "what is logged: `debug`, `info`, `warn` or `error`",
			set:  func(c *Config, text string) error { return setLevel(&c.LogLevel, text) },
			show: func(c *Config) string { return strings.ToLower(c.LogLevel.String()) },
		}, {
			name: "log_format", help: "how it is logged: `text` or `json`",
			set: func(c *Config, text string) error {
				c.LogFormat = text
				return oneOf(text, "log format", "text", "json")
			},
			show: func(c *Config) string { return c.LogFormat },
		},
		{name: "pools", help: "how many checks of each pool run at once, 64 unless given: a map of pool to count, such as `{exec: 64}`", read: (*loader).readPools},
		{name: "defaults", help: "policy, impact and groups of checks that do not say otherwise", read: (*loader).readDefaults},
		{
			name: "discover", help: "ways to find checks: a map of method to options, such as `{docker: {}}`; `{}` finds none",
			set:  setDiscover,
			read: (*loader).readDiscover,
		},
		{name: "checks", help: "the checks: a map of name to URL, or of name to a map with `url` and options", read: (*loader).readChecks},
	}
}

// Keys describes the keys of the file in their order.
func Keys() []check.OptionInfo {
	defaults := defaultConfig()
	var infos []check.OptionInfo
	for _, k := range keys() {
		info := check.OptionInfo{Name: k.name, Help: k.help}
		if k.show != nil {
			info.Default = k.show(defaults)
		}
		infos = append(infos, info)
	}
	return infos
}

func defaultConfig() *Config {
	return &Config{
		Listen:         ":5000",
		Admin:          "127.0.0.1:5001",
		FailStatus:     503,
		DegradedStatus: 200,
		TLS:            true,
		AgentCheck:     off,
		Grace:          10 * time.Second,
		MaxConnections: 4096,
		LogLevel:       slog.LevelInfo,
		LogFormat:      "text",
	}
}

// defaultPool is how many checks of a pool run at once.
const defaultPool = 64

// maxPool is the greatest size of a pool: each place may be a process.
const maxPool = 10_000

func validListen(text string) error {
	_, _, err := splitAddress(text, ":5000 for all addresses or 127.0.0.1:5000 for one")
	return err
}

// validAdmin refuses addresses that others can reach: the admin listener asks
// nobody who they are.
func validAdmin(text string) error {
	if text == "off" {
		return nil
	}
	if path, ok := strings.CutPrefix(text, "unix:"); ok {
		if !filepath.IsAbs(path) {
			return fmt.Errorf("%q has no absolute path; write unix:/run/hale/admin.sock", oneLine(text))
		}
		return nil
	}
	host, _, err := splitAddress(text, `127.0.0.1:5001, unix:/run/hale/admin.sock or "off"`)
	if err != nil {
		return err
	}
	if ip, err := netip.ParseAddr(host); host != "localhost" && (err != nil || !ip.IsLoopback()) {
		return fmt.Errorf("%q is not a loopback address; use 127.0.0.1, [::1] or localhost, or unix:/PATH", oneLine(text))
	}
	return nil
}

func splitAddress(text, examples string) (host string, port int, err error) {
	host, portText, err := net.SplitHostPort(text)
	if err != nil || strings.ContainsAny(host, "/ \t\n@") {
		return "", 0, fmt.Errorf("%q is not an address; write %s", oneLine(text), examples)
	}
	// Port 0 is any that is free.
	port, err = strconv.Atoi(portText)
	if err != nil || port < 0 || port > 65535 {
		return "", 0, fmt.Errorf("port %q is out of range; a port is a number from 1 to 65535", oneLine(portText))
	}
	return host, port, nil
}

func setInt(to *int, text string, least, most int) error {
	n, err := strconv.Atoi(text)
	if err != nil {
		return fmt.Errorf("%q is not a whole number; give one from %d to %d", oneLine(text), least, most)
	}
	if n < least || n > most {
		return fmt.Errorf("%d is out of range; give a number from %d to %d", n, least, most)
	}
	*to = n
	return nil
}

func setDuration(to *time.Duration, text string, least, most time.Duration) error {
	d, err := check.ParseDuration(text)
	if err != nil {
		return err
	}
	if d < 0 {
		return fmt.Errorf("%v is negative; give a duration such as 5s", d)
	}
	if d < least || d > most {
		return fmt.Errorf("%v is out of range; give a duration from %v to %v", d, least, most)
	}
	*to = d
	return nil
}

func setBool(to *bool, text string) error {
	*to = text == "true"
	return oneOf(text, "truth value", "true", "false")
}

func setLevel(to *slog.Level, text string) error {
	if err := oneOf(text, "log level", "debug", "info", "warn", "error"); err != nil {
		return err
	}
	return to.UnmarshalText([]byte(text))
}

// oneOf returns an error unless text is one of the words.
func oneOf(text, what string, words ...string) error {
	for _, w := range words {
		if text == w {
			return nil
		}
	}
	last := len(words) - 1
	return fmt.Errorf("%q is not a %s; give %s or %s", oneLine(text), what, strings.Join(words[:last], ", "), words[last])
}
