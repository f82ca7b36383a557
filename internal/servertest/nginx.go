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

// Nginx starts an nginx that listens on its port with one server whose body is
// the given configuration, such as "return 200;". In it, $DIR stands for the
// server's directory and $PORT for its port.
func Nginx(tb testing.TB, server string) *Server {
	tb.Helper()
	return NginxHTTP(tb, "server {\nlisten 127.0.0.1:$PORT;\n"+server+"\n}")
}

// NginxHTTP is [Nginx] for all that stands in the block http: servers with what
// they listen on, which must include 127.0.0.1:$PORT, and what they share.
func NginxHTTP(tb testing.TB, http string) *Server {
	tb.Helper()
	program := Program(tb, "nginx", "nginx-light")
	file := func(s *Server) string { return filepath.Join(s.Dir, "nginx.conf") }
	return launch(tb, tb.TempDir(), recipe{
		name: "nginx",
		configure: func(s *Server) error {
			own := strings.NewReplacer("$DIR", s.Dir, "$PORT", strconv.Itoa(s.Port))
			return os.WriteFile(file(s), []byte(own.Replace(fmt.Sprintf(nginxConf, http))), 0o600)
		},
		command: func(s *Server) *exec.Cmd { return exec.Command(program, "-p", s.Dir, "-e", "stderr", "-c", file(s)) },
		ready:   accepts,
		stop:    syscall.SIGTERM,
	})
}

// One process does all, so that stopping, pausing and killing it is all there
// is to do.
const nginxConf = `
daemon off;
master_process off;
pid $DIR/nginx.pid;
error_log stderr;
events { worker_connections 256; }
http {
  access_log off;
  client_body_temp_path $DIR/body;
  proxy_temp_path $DIR/proxy;
  fastcgi_temp_path $DIR/fastcgi;
  uwsgi_temp_path $DIR/uwsgi;
  scgi_temp_path $DIR/scgi;
  %s
}
`
