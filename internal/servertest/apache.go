package servertest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// Apache starts an Apache that listens on its port with the lines of
// configuration given, in which $DIR stands for its directory and $PORT for its
// port. Beside what Debian has on by default there are mod_rewrite, mod_proxy,
// mod_headers and mod_ssl; the documents are in $DIR/html.
func Apache(tb testing.TB, config string) *Server {
	tb.Helper()
	program := Program(tb, "apache2", "apache2")
	file := func(s *Server) string { return filepath.Join(s.Dir, "apache2.conf") }
	return launch(tb, tb.TempDir(), recipe{
		name: "Apache",
		configure: func(s *Server) error {
			own := strings.NewReplacer("$DIR", s.Dir, "$PORT", strconv.Itoa(s.Port))
			html := filepath.Join(s.Dir, "html")
			if err := os.MkdirAll(html, 0o755); err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(html, "index.html"), []byte("hello\n"), 0o644); err != nil {
				return err
			}
			return os.WriteFile(file(s), []byte(own.Replace(fmt.Sprintf(apacheConf, config))), 0o600)
		},
		// Without -D FOREGROUND it would leave the test.
		command: func(s *Server) *exec.Cmd { return exec.Command(program, "-D", "FOREGROUND", "-f", file(s)) },
		ready:   accepts,
		stop:    syscall.SIGTERM,
	})
}

// Its own children are few, as a test asks little.
const apacheConf = `
ServerRoot $DIR
DefaultRuntimeDir $DIR
PidFile $DIR/apache.pid
Mutex file:$DIR default
Listen 127.0.0.1:$PORT
ServerName localhost
ErrorLog /dev/stderr
LogLevel warn
Include /etc/apache2/mods-available/mpm_event.load
Include /etc/apache2/mods-available/authz_core.load
Include /etc/apache2/mods-available/authz_host.load
Include /etc/apache2/mods-available/authn_core.load
Include /etc/apache2/mods-available/authn_file.load
Include /etc/apache2/mods-available/authz_user.load
Include /etc/apache2/mods-available/auth_basic.load
Include /etc/apache2/mods-available/alias.load
Include /etc/apache2/mods-available/dir.load
Include /etc/apache2/mods-available/mime.load
Include /etc/apache2/mods-available/env.load
Include /etc/apache2/mods-available/setenvif.load
Include /etc/apache2/mods-available/filter.load
Include /etc/apache2/mods-available/rewrite.load
Include /etc/apache2/mods-available/headers.load
Include /etc/apache2/mods-available/proxy.load
Include /etc/apache2/mods-available/proxy_http.load
Include /etc/apache2/mods-available/socache_shmcb.load
Include /etc/apache2/mods-available/ssl.load
TypesConfig /etc/mime.types
StartServers 1
ThreadsPerChild 25
MaxRequestWorkers 25
DocumentRoot $DIR/html
DirectoryIndex index.html
<Directory $DIR/html>
  Require all granted
</Directory>
%s
`
