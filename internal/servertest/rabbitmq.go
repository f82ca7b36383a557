package servertest

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// RabbitMQUser is the user of the servers that [RabbitMQ] starts, who may do
// everything in the virtual host "/", and RabbitMQPassword their password.
const (
	RabbitMQUser     = "hare"
	RabbitMQPassword = "correct-horse"
)

const rabbitmqBin = "/usr/lib/rabbitmq/bin"

// A RabbitMQServer is a RabbitMQ node of its own, with its own epmd.
type RabbitMQServer struct {
	*Server
	// TLSPort is the port for TLS on Host; 0 without.
	TLSPort int

	epmd *Server
	env  []string
}

// RabbitMQ starts a RabbitMQ server with further lines for rabbitmq.conf.
// Starting one takes some seconds, so tests had better share it.
func RabbitMQ(tb testing.TB, conf ...string) *RabbitMQServer {
	tb.Helper()
	return rabbitmq(tb, &RabbitMQServer{}, conf)
}

// RabbitMQTLS is [RabbitMQ] with a second port, which speaks TLS with a
// certificate of certs and does not ask clients for one.
func RabbitMQTLS(tb testing.TB, certs *Certs, conf ...string) *RabbitMQServer {
	tb.Helper()
	r := &RabbitMQServer{TLSPort: FreePort(tb)}
	return rabbitmq(tb, r, append([]string{
		fmt.Sprintf("listeners.ssl.1 = 127.0.0.1:%d", r.TLSPort), "ssl_options.verify = verify_none",
		"ssl_options.cacertfile = " + certs.CA, "ssl_options.certfile = " + certs.Cert, "ssl_options.keyfile = " + certs.Key,
	}, conf...))
}

func rabbitmq(tb testing.TB, r *RabbitMQServer, conf []string) *RabbitMQServer {
	tb.Helper()
	program := Program(tb, filepath.Join(rabbitmqBin, "rabbitmq-server"), "rabbitmq-server")
	dir := tb.TempDir()
	writeFile(tb, filepath.Join(dir, ".erlang.cookie"), []byte("HALE"))
	writeFile(tb, filepath.Join(dir, "env.conf"), nil)
	writeFile(tb, filepath.Join(dir, "enabled_plugins"), []byte("[].\n"))
	r.epmd = epmd(tb)
	r.Server = launch(tb, dir, recipe{
		name: "rabbitmq",
		configure: func(s *Server) error {
			r.env = rabbitmqEnv(s, r.epmd.Port, FreePort(tb))
			lines := append([]string{
				fmt.Sprintf("listeners.tcp.1 = %s:%d", s.Host, s.Port), "default_user = " + RabbitMQUser,
				"default_pass = " + RabbitMQPassword, "log.file = false", "log.console = true", "log.console.level = warning",
				"disk_free_limit.absolute = 1MB", "vm_memory_high_watermark.absolute = 1GB",
			}, conf...)
			return os.WriteFile(filepath.Join(dir, "rabbitmq.conf"), []byte(strings.Join(lines, "\n")+"\n"), 0o600)
		},
		command: func(*Server) *exec.Cmd {
			cmd := exec.Command(program)
			cmd.Dir, cmd.Env = dir, r.env
			return cmd
		},
		ready: greetsAMQP,
		stop:  syscall.SIGTERM,
	})
	return r
}

// rabbitmqEnv is the environment of a node and of the tools that talk to it.
// All its files are in the server's directory, and what Erlang listens on to
// connect nodes is on the loopback interface only.
func rabbitmqEnv(s *Server, epmdPort, distPort int) []string {
	const loopback = "-kernel inet_dist_use_interface {127,0,0,1}"
	file := func(name string) string { return filepath.Join(s.Dir, name) }
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + s.Dir, "LANG=C.UTF-8",
		"ERL_EPMD_PORT=" + strconv.Itoa(epmdPort), "ERL_EPMD_ADDRESS=127.0.0.1",
		"RABBITMQ_CONF_ENV_FILE=" + file("env.conf"),
		"RABBITMQ_NODENAME=hale" + strconv.Itoa(epmdPort) + "@localhost",
		"RABBITMQ_DIST_PORT=" + strconv.Itoa(distPort),
		"RABBITMQ_CONFIG_FILE=" + file("rabbitmq.conf"), "RABBITMQ_ADVANCED_CONFIG_FILE=" + file("advanced.config"),
		"RABBITMQ_ENABLED_PLUGINS_FILE=" + file("enabled_plugins"),
		"RABBITMQ_MNESIA_BASE=" + file("mnesia"), "RABBITMQ_LOG_BASE=" + file("log"), "RABBITMQ_PID_FILE=" + file("pid"),
		"RABBITMQ_GENERATED_CONFIG_DIR=" + file("config"),
		"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=" + loopback, "RABBITMQ_CTL_ERL_ARGS=" + loopback,
		// The script then replaces itself with the server, so that signals and
		// the death of the test reach that.
		"RUNNING_UNDER_SYSTEMD=true",
	}
}

// epmd starts the name server of Erlang's nodes in the foreground, lest
// RabbitMQ start one that outlives it.
func epmd(tb testing.TB) *Server {
	tb.Helper()
	program := Program(tb, "epmd", "erlang-base")
	return launch(tb, tb.TempDir(), recipe{
		name: "epmd",
		command: func(s *Server) *exec.Cmd {
			return exec.Command(program, "-port", strconv.Itoa(s.Port), "-address", s.Host)
		},
		ready: accepts,
		stop:  syscall.SIGTERM,
	})
}

// greetsAMQP reports whether a server answers the header of AMQP 0-9-1.
func greetsAMQP(s *Server) error {
	conn, err := net.DialTimeout("tcp", s.Addr, time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(2 * time.Second)); err != nil {
		return err
	}
	if _, err := conn.Write([]byte("AMQP\x00\x00\x09\x01")); err != nil {
		return err
	}
	frame := make([]byte, 1)
	if _, err := conn.Read(frame); err != nil {
		return err
	}
	if frame[0] != 1 { // a method, Connection.Start
		return errors.New("the greeting is not of AMQP 0-9-1")
	}
	return nil
}

// Ctl runs rabbitmqctl with a command and its arguments and returns what it
// prints on its standard output, without headers.
func (r *RabbitMQServer) Ctl(args ...string) string {
	r.tb.Helper()
	options := []string{"--quiet"}
	if strings.HasPrefix(args[0], "list_") {
		options = append(options, "--no-table-headers")
	}
	var stderr strings.Builder
	cmd := exec.Command(filepath.Join(rabbitmqBin, "rabbitmqctl"), append(options, args...)...)
	cmd.Dir, cmd.Env, cmd.Stderr = r.Dir, r.env, &stderr
	out, err := cmd.Output()
	if err != nil {
		r.tb.Fatalf("rabbitmqctl %v: %v: %s%s", args, err, out, &stderr)
	}
	return strings.TrimSpace(string(out))
}

// URL returns the server's URL of the scheme, with user and password, for the
// virtual host "/"; the port is the one for TLS when the scheme ends in s.
func (r *RabbitMQServer) URL(scheme string) string {
	port := r.Port
	if strings.HasSuffix(scheme, "s") {
		port = r.TLSPort
	}
	return fmt.Sprintf("%s://%s:%s@%s:%d", scheme, RabbitMQUser, RabbitMQPassword, r.Host, port)
}
