package servertest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// PostgresUser is the superuser of the servers that [Postgres] starts, and
// PostgresPassword what it needs to log in over TCP. Over the socket in
// [PostgresServer.Dir] anybody may log in as anybody.
const (
	PostgresUser     = "postgres"
	PostgresPassword = "correct-horse"
)

// A PostgresServer is a PostgreSQL server.
type PostgresServer struct{ *Server }

// Postgres makes and starts a PostgreSQL server with further lines for
// postgresql.conf. It runs as the user postgres when the test runs as root, for
// it refuses to run as root.
func Postgres(tb testing.TB, conf ...string) *PostgresServer {
	tb.Helper()
	dir := postgresDir(tb)
	passwords := filepath.Join(dir, "password")
	writePostgres(tb, passwords, PostgresPassword+"\n")
	postgresRun(tb, dir, "initdb", "--no-sync", "--no-locale", "--encoding=UTF8", "--username="+PostgresUser,
		"--auth-host=scram-sha-256", "--auth-local=trust", "--pwfile="+passwords, "--pgdata="+filepath.Join(dir, "data"))
	return startPostgres(tb, dir, conf, 0)
}

// PostgresStandby makes a copy of a primary that follows it, and starts it.
// With "hot_standby = off" it never accepts connections.
func PostgresStandby(tb testing.TB, primary *PostgresServer, conf ...string) *PostgresServer {
	tb.Helper()
	dir := postgresDir(tb)
	postgresRun(tb, dir, "pg_basebackup", "--write-recovery-conf", "--checkpoint=fast", "--no-sync",
		"--host="+primary.Dir, "--port="+strconv.Itoa(primary.Port), "--username="+PostgresUser,
		"--pgdata="+filepath.Join(dir, "data"))
	rejecting := 0
	if slices.Contains(conf, "hot_standby = off") {
		rejecting = 1
	}
	return startPostgres(tb, dir, conf, rejecting)
}

// startPostgres starts the server in dir. It is ready when pg_isready exits
// with the code.
func startPostgres(tb testing.TB, dir string, conf []string, ready int) *PostgresServer {
	tb.Helper()
	bin, account := postgresBin(tb), postgresAccount(tb)
	data := filepath.Join(dir, "data")
	s := launch(tb, dir, recipe{
		name: "postgres",
		configure: func(s *Server) error {
			lines := append([]string{
				"listen_addresses = '" + s.Host + "'", "port = " + strconv.Itoa(s.Port),
				"unix_socket_directories = '" + s.Dir + "'", "fsync = off", "shared_buffers = 16MB",
				"max_connections = 20", "max_wal_senders = 4", "log_min_messages = warning",
			}, conf...)
			return own(filepath.Join(data, "hale.conf"), strings.Join(lines, "\n")+"\n", account)
		},
		command: func(s *Server) *exec.Cmd {
			cmd := exec.Command(filepath.Join(bin, "postgres"), "-D", data, "-c", "config_file="+filepath.Join(data, "hale.conf"),
				"-c", "hba_file="+filepath.Join(data, "pg_hba.conf"), "-c", "ident_file="+filepath.Join(data, "pg_ident.conf"))
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: account}
			cmd.Dir = dir
			return cmd
		},
		ready: func(s *Server) error {
			cmd := exec.Command(filepath.Join(bin, "pg_isready"), "-h", s.Host, "-p", strconv.Itoa(s.Port), "-U", PostgresUser, "-d", PostgresUser)
			_ = cmd.Run()
			if code := cmd.ProcessState.ExitCode(); code != ready {
				return fmt.Errorf("pg_isready exits with %d, want %d", code, ready)
			}
			return nil
		},
		// SIGINT is the fast shutdown: clients are disconnected.
		stop: syscall.SIGINT,
	})
	return &PostgresServer{Server: s}
}

// SQL runs statements, each in a transaction of its own, as the superuser and
// returns what psql prints.
func (s *PostgresServer) SQL(statements ...string) string {
	s.tb.Helper()
	args := []string{"-X", "-At", "-q", "-v", "ON_ERROR_STOP=1", "-h", s.Dir, "-p", strconv.Itoa(s.Port), "-U", PostgresUser, "-d", "postgres"}
	for _, statement := range statements {
		args = append(args, "-c", statement)
	}
	out, err := exec.Command(filepath.Join(postgresBin(s.tb), "psql"), args...).CombinedOutput()
	if err != nil {
		s.tb.Fatalf("psql -c %q: %v: %s", statements, err, out)
	}
	return strings.TrimSpace(string(out))
}

// Own writes a file that the server may read into its data directory and
// returns its path.
func (s *PostgresServer) Own(name, content string) string {
	s.tb.Helper()
	path := filepath.Join(s.Dir, "data", name)
	writePostgres(s.tb, path, content)
	return path
}

// Reload makes the server read its configuration files again, pg_hba.conf
// among them, and waits until it has.
func (s *PostgresServer) Reload() {
	s.tb.Helper()
	before := s.SQL("select pg_conf_load_time()")
	s.SQL("select pg_reload_conf()")
	Wait(s.tb, "the configuration to be read again", func() error {
		if s.SQL("select pg_conf_load_time()") == before {
			return errors.New("it was not yet")
		}
		return nil
	})
}

// postgresDir makes a directory that the server's account owns. It is not the
// test's own temporary directory, which nobody else may enter and whose path
// may be too long for a socket.
func postgresDir(tb testing.TB) string {
	tb.Helper()
	dir, err := os.MkdirTemp("", "hale-pg-")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			tb.Error(err)
		}
	})
	if account := postgresAccount(tb); account != nil {
		if err := os.Chown(dir, int(account.Uid), int(account.Gid)); err != nil {
			tb.Fatal(err)
		}
	}
	return dir
}

func writePostgres(tb testing.TB, path, content string) {
	tb.Helper()
	if err := own(path, content, postgresAccount(tb)); err != nil {
		tb.Fatal(err)
	}
}

func own(path, content string, account *syscall.Credential) error {
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		return err
	}
	if account == nil {
		return nil
	}
	return os.Chown(path, int(account.Uid), int(account.Gid))
}

func postgresRun(tb testing.TB, dir, program string, args ...string) {
	tb.Helper()
	cmd := exec.Command(filepath.Join(postgresBin(tb), program), args...)
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: postgresAccount(tb)}
	if out, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("%s: %v\n%s", program, err, out)
	}
}

// postgresBin is where the programs of the newest installed PostgreSQL are.
func postgresBin(tb testing.TB) string {
	tb.Helper()
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(found) == 0 {
		tb.Fatal("PostgreSQL's initdb is missing, and this test needs it: apt-get install postgresql")
	}
	version := func(path string) int {
		n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
		return n
	}
	return filepath.Dir(slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) }))
}

// postgresAccount is whom the server runs as; nil is the test's own account.
func postgresAccount(tb testing.TB) *syscall.Credential {
	tb.Helper()
	if os.Geteuid() != 0 {
		return nil
	}
	account, err := user.Lookup("postgres")
	if err != nil {
		tb.Fatalf("%v, and PostgreSQL does not run as root: apt-get install postgresql", err)
	}
	uid, err := strconv.ParseUint(account.Uid, 10, 32)
	if err != nil {
		tb.Fatal(err)
	}
	gid, err := strconv.ParseUint(account.Gid, 10, 32)
	if err != nil {
		tb.Fatal(err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}
