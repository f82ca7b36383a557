package servertest

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// A MariaDBServer is a MariaDB server. Over its socket root may log in without
// a password; nobody may over TCP until a test makes an account.
type MariaDBServer struct {
	*Server
	conf []string
}

// MariaDB makes and starts a MariaDB server with further lines for the section
// [mariadbd] of its configuration. It runs as the user mysql when the test runs
// as root, for it refuses to run as root.
func MariaDB(tb testing.TB, conf ...string) *MariaDBServer {
	tb.Helper()
	program := Program(tb, "mariadbd", "mariadb-server")
	install := Program(tb, "mariadb-install-db", "mariadb-server")
	account := mariaDBAccount(tb)
	// Not the test's own temporary directory, which nobody else may enter and
	// whose path may be too long for a socket.
	dir, err := os.MkdirTemp("", "hale-maria-")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			tb.Error(err)
		}
	})
	if account != nil {
		if err := os.Chown(dir, int(account.Uid), int(account.Gid)); err != nil {
			tb.Fatal(err)
		}
	}
	data := filepath.Join(dir, "data")
	const small = "--innodb-log-file-size=4M"
	cmd := exec.Command(install, "--no-defaults", "--datadir="+data, "--auth-root-authentication-method=normal", "--skip-test-db", small)
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: account}
	if out, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("mariadb-install-db: %v\n%s", err, out)
	}
	file := filepath.Join(dir, "my.cnf")
	s := &MariaDBServer{conf: conf}
	s.Server = launch(tb, dir, recipe{
		name: "mariadb",
		configure: func(server *Server) error {
			lines := append([]string{
				"[mariadbd]", "datadir=" + data, "socket=" + filepath.Join(dir, "my.sock"), "pid-file=" + filepath.Join(dir, "pid"),
				"bind-address=" + server.Host, "port=" + strconv.Itoa(server.Port), "innodb-buffer-pool-size=8M", small[len("--"):],
				"innodb-flush-log-at-trx-commit=0", "tmpdir=" + dir,
			}, s.conf...)
			return own(file, strings.Join(lines, "\n")+"\n", account)
		},
		command: func(*Server) *exec.Cmd {
			cmd := exec.Command(program, "--defaults-file="+file)
			// Looking up the names of clients must not take long where no
			// name server answers.
			cmd.Env = append(os.Environ(), "RES_OPTIONS=timeout:1 attempts:1")
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: account}
			cmd.Dir = dir
			return cmd
		},
		ready: func(*Server) error {
			out, err := mariaDBClient(tb, dir, "select 1").CombinedOutput()
			if err != nil {
				return fmt.Errorf("mariadb: %w: %s", err, out)
			}
			return nil
		},
		stop: syscall.SIGTERM,
	})
	return s
}

// Configure adds lines to the configuration that the server's next start reads.
func (s *MariaDBServer) Configure(conf ...string) { s.conf = append(s.conf, conf...) }

// Socket is the path of the server's unix socket.
func (s *MariaDBServer) Socket() string { return filepath.Join(s.Dir, "my.sock") }

// SQL runs statements as root and returns what the server answers, columns
// separated by tabs.
func (s *MariaDBServer) SQL(statements ...string) string {
	s.tb.Helper()
	out, err := mariaDBClient(s.tb, s.Dir, strings.Join(statements, ";\n")).CombinedOutput()
	if err != nil {
		s.tb.Fatalf("mariadb -e %q: %v: %s", statements, err, out)
	}
	return strings.TrimSpace(string(out))
}

func mariaDBClient(tb testing.TB, dir, statement string) *exec.Cmd {
	return exec.Command(Program(tb, "mariadb", "mariadb-client"), "--no-defaults", "--user=root", "--batch", "--skip-column-names",
		"--socket="+filepath.Join(dir, "my.sock"), "--execute="+statement)
}

// Own writes a file that the server may read into its directory and returns
// its path.
func (s *MariaDBServer) Own(name, content string) string {
	s.tb.Helper()
	path := filepath.Join(s.Dir, name)
	if err := own(path, content, mariaDBAccount(s.tb)); err != nil {
		s.tb.Fatal(err)
	}
	return path
}

// mariaDBAccount is whom the server runs as; nil is the test's own account.
func mariaDBAccount(tb testing.TB) *syscall.Credential {
	tb.Helper()
	if os.Geteuid() != 0 {
		return nil
	}
	account, err := user.Lookup("mysql")
	if err != nil {
		tb.Fatalf("%v, and MariaDB does not run as root: apt-get install mariadb-server", err)
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
