package listeners

// The services that a hint may name besides kinds of check.
const (
	// silent is what is left alone: it would print what it gets, or serves one
	// client and ends, or takes a stranger for an attack.
	silent = "silent"
	// ssh is an SSH server, which greets.
	ssh = "ssh"
	// overTLS is whatever begins with TLS and is not HTTP.
	overTLS = "tls"
	// web is HTTP over TLS.
	web = "https"
)

// processHint names the service that a process of this name is likely to be; ""
// is any.
func processHint(process string) string {
	switch process {
	case "redis-server", "redis-sentinel", "valkey-server", "valkey-sentinel", "keydb-server":
		return "redis"
	case "postgres", "postmaster", "pgbouncer":
		return "postgres"
	case "mysqld", "mariadbd":
		return "mysql"
	case "memcached":
		return "memcached"
	case "nats-server":
		return "nats"
	case "exim4", "exim", "sendmail", "opensmtpd", "smtpd":
		return "smtp"
	case "sshd", "dropbear":
		return ssh
	case "nc", "ncat", "netcat", "nc.openbsd", "nc.traditional", "socat", "gdbserver", "lldb-server", "dlv",
		"p910nd", "lpd", "Xorg", "Xvfb", "Xtigervnc", "Xvnc", "rpcbind", "rpc.statd", "rpc.mountd", "epmd", "inetd", "xinetd", "adb":
		return silent
	}
	return ""
}

// portHint names the service that is usually at the port; "" is any.
func portHint(port int) string {
	switch port {
	case 22:
		return ssh
	case 25, 587, 2525:
		return "smtp"
	case 443, 6443, 8443, 9443:
		return web
	case 465:
		return "smtps"
	case 636, 853, 990, 993, 995, 5671, 6697, 8883:
		return overTLS
	case 2181:
		return "zookeeper"
	case 3306:
		return "mysql"
	case 4222:
		return "nats"
	case 5432, 6432:
		return "postgres"
	case 5672:
		return "amqp"
	case 6379, 26379:
		return "redis"
	case 9092:
		return "kafka"
	case 11211:
		return "memcached"
	case 50051:
		return "grpc"
	}
	switch {
	case port == 515, 9100 <= port && port <= 9107: // printers
		return silent
	case port == 111, port == 4369, port == 5005, port == 5037: // rpcbind, epmd, debuggers
		return silent
	case 5900 <= port && port < 6064: // VNC and X
		return silent
	}
	return ""
}

// speaksHTTP reports whether a process is known to answer HTTP on a port whose
// hint is silent.
func speaksHTTP(process string) bool {
	switch process {
	case "node_exporter", "prometheus-node", "nginx", "apache2", "httpd", "caddy", "haproxy":
		return true
	}
	return false
}

// hintsOf returns what a listener may be, the likeliest first.
func hintsOf(l listener) []string {
	byProcess, byPort := processHint(l.owner.name), portHint(l.port)
	if byPort == silent && speaksHTTP(l.owner.name) {
		byPort = ""
	}
	if byProcess != "" && byPort == silent {
		byPort = "" // the process is known better
	}
	var hints []string
	for _, h := range []string{byProcess, byPort} {
		if h != "" && (len(hints) == 0 || hints[0] != h) {
			hints = append(hints, h)
		}
	}
	return hints
}

// greets reports whether a service speaks first, so that it is given time to.
func greets(service string) bool {
	switch service {
	case ssh, "smtp", "mysql", "nats":
		return true
	}
	return false
}
