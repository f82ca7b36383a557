package servertest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
)

// Rails starts Rails' own middleware under Puma, in the order that it has in a
// new application, around a page that answers everything with 200. The settings
// are lines of Ruby such as
//
//	use ActionDispatch::HostAuthorization, ["shop.example"]
//	use ActionDispatch::SSL
func Rails(tb testing.TB, settings string) *Server {
	tb.Helper()
	program := Program(tb, "puma", "puma ruby-actionpack")
	return launch(tb, tb.TempDir(), recipe{
		name: "Rails under Puma",
		configure: func(s *Server) error {
			return os.WriteFile(filepath.Join(s.Dir, "config.ru"), []byte(railsBefore+settings+railsAfter), 0o600)
		},
		command: func(s *Server) *exec.Cmd {
			cmd := exec.Command(program, "--bind", "tcp://"+s.Host+":"+strconv.Itoa(s.Port), "--threads", "1:4", "--environment", "production", "config.ru")
			cmd.Dir = s.Dir
			return cmd
		},
		ready: answers,
		stop:  syscall.SIGTERM,
	})
}

const (
	railsBefore = `require "active_support/all"
require "action_controller"
require "action_dispatch"
require "action_view"
require "rack/runtime"
`
	railsAfter = `
use Rack::Runtime
use ActionDispatch::RequestId, header: "X-Request-Id"
run ->(env) { [200, { "Content-Type" => "text/plain; charset=utf-8" }, ["well\n"]] }
`
)
