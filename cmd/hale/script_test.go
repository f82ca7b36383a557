package main

import (
	"context"
	"fmt"
	"hale/internal/servertest"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain lets scripts run the real programs: hale, and hale by the names of
// the tools it replaces.
func TestMain(m *testing.M) {
	programs := map[string]func(){"hale": main}
	for name := range faces {
		programs[name] = main
	}
	testscript.Main(m, programs)
}

// TestScripts runs testdata/script/*.txtar. Besides testscript's own, there are
// these commands:
//
//	ports NAME…             sets each variable to a free loopback port
//	answers URL STATUS [BODY] [within DURATION]
//	                        waits until the URL answers so (10 s unless said)
//	never URL STATUS for DURATION   fails if the URL answers so in that time
//	listen NAME [HOST]      counts TCP connections on port $NAME (127.0.0.1)
//	accepted NAME N         fails unless exactly N connections came
//	at-once N URL STATUS [within DURATION]
//	                        N requests at the same time, all answered so
//	serve NAME STATUS [HEADER: VALUE]
//	                        answers HTTP on port $NAME with the status, until
//	                        the script ends; /slow never
//	metadata NAME ADDRESS   is EC2's metadata service on port $NAME, with tokens
//	silent NAME             accepts connections on port $NAME and says nothing
//	age FILE DURATION       makes a file that old
//	exits CODE PROGRAM …    runs a program that must exit with the code
//	sigterm PROGRAM         sends SIGTERM to the background PROGRAM
//	sighup PROGRAM          sends SIGHUP to it
//	runs PATTERN            waits until a process has the pattern in its
//	                        command line
//	gone PATTERN            waits until no process has the pattern in its
//	                        command line
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"ports":    cmdPorts,
			"answers":  cmdAnswers,
			"never":    cmdNever,
			"listen":   cmdListen,
			"accepted": cmdAccepted,
			"at-once":  cmdAtOnce,
			"exits":    cmdExits,
			"gone":     cmdGone,
			"metadata": cmdMetadata,
			"runs":     cmdRuns,
			"serve":    cmdServe,
			"silent":   cmdSilent,
			"age":      cmdAge,
			"sigterm":  cmdSigterm,
		},
		Setup: func(env *testscript.Env) error {
			// A configuration of this machine must not count.
			env.Setenv("HALE_CHECKS", "")
			hale, err := exec.LookPath("hale")
			if err != nil {
				return err
			}
			env.Setenv("HALE", hale)
			env.Values[listenersKey{}] = map[string]*atomic.Int64{}
			return nil
		},
	})
}

type listenersKey struct{}

func cmdPorts(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args {
		port, release, err := servertest.ClaimPort()
		ts.Check(err)
		ts.Defer(release)
		ts.Setenv(name, strconv.Itoa(port))
	}
}

// within cuts "within DURATION" (or another word) off the end of args.
func within(ts *testscript.TestScript, word string, args []string, otherwise time.Duration) ([]string, time.Duration) {
	if n := len(args); n >= 2 && args[n-2] == word {
		d, err := time.ParseDuration(args[n-1])
		ts.Check(err)
		return args[:n-2], d
	}
	return args, otherwise
}

var client = &http.Client{
	Timeout:       30 * time.Second,
	Transport:     &http.Transport{DisableKeepAlives: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// ask returns an answer in one line: its status and its body.
func ask(url string) string {
	response, err := client.Get(url)
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	return strings.TrimSpace(fmt.Sprintf("%d %s", response.StatusCode, body))
}

func matches(got, status, body string) bool {
	return got == status || strings.HasPrefix(got, status+" ") && strings.Contains(got, body)
}

func cmdAnswers(ts *testscript.TestScript, _ bool, args []string) {
	args, limit := within(ts, "within", args, 10*time.Second)
	url, status, body := args[0], args[1], strings.Join(args[2:], " ")
	begin := time.Now()
	for {
		got := ask(url)
		if matches(got, status, body) {
			ts.Logf("%s after %v: %s", url, time.Since(begin).Round(time.Millisecond), got)
			return
		}
		if time.Since(begin) > limit {
			ts.Fatalf("%s answers %q, want %s %s within %v", url, got, status, body, limit)
		}
		<-time.After(20 * time.Millisecond)
	}
}

func cmdNever(ts *testscript.TestScript, _ bool, args []string) {
	args, limit := within(ts, "for", args, time.Second)
	for begin := time.Now(); time.Since(begin) < limit; <-time.After(20 * time.Millisecond) {
		if got := ask(args[0]); matches(got, args[1], "") {
			ts.Fatalf("%s answers %q after %v", args[0], got, time.Since(begin))
		}
	}
}

func cmdListen(ts *testscript.TestScript, _ bool, args []string) {
	host := "127.0.0.1"
	if len(args) > 1 {
		host = args[1]
	}
	l, err := net.Listen("tcp", net.JoinHostPort(host, ts.Getenv(args[0])))
	ts.Check(err)
	count := new(atomic.Int64)
	ts.Value(listenersKey{}).(map[string]*atomic.Int64)[args[0]] = count
	var handlers sync.WaitGroup
	handlers.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			count.Add(1)
			_ = conn.Close()
		}
	})
	ts.Defer(func() {
		_ = l.Close()
		handlers.Wait()
	})
}

func cmdServe(ts *testscript.TestScript, _ bool, args []string) {
	status, err := strconv.Atoi(args[1])
	ts.Check(err)
	l, err := net.Listen("tcp", "127.0.0.1:"+ts.Getenv(args[0]))
	ts.Check(err)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			<-r.Context().Done()
			return
		}
		if name, value, ok := strings.Cut(strings.Join(args[2:], " "), ": "); ok {
			w.Header().Set(name, value)
		}
		w.WriteHeader(status)
		fmt.Fprintln(w, r.Method, r.URL)
	})}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(l) })
	ts.Defer(func() {
		_ = server.Close()
		serving.Wait()
	})
}

func cmdMetadata(ts *testscript.TestScript, _ bool, args []string) {
	l, err := net.Listen("tcp", "127.0.0.1:"+ts.Getenv(args[0]))
	ts.Check(err)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodPut && r.URL.Path == "/latest/api/token":
			fmt.Fprint(w, "a-token")
		case r.URL.Path == "/latest/meta-data/local-ipv4" && r.Header.Get("X-aws-ec2-metadata-token") == "a-token":
			fmt.Fprint(w, args[1])
		default:
			w.WriteHeader(http.StatusUnauthorized)
		}
	})}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(l) })
	ts.Defer(func() {
		_ = server.Close()
		serving.Wait()
	})
}

func cmdSilent(ts *testscript.TestScript, _ bool, args []string) {
	// The kernel accepts as many as wait in line.
	l, err := net.Listen("tcp", "127.0.0.1:"+ts.Getenv(args[0]))
	ts.Check(err)
	ts.Defer(func() { _ = l.Close() })
}

func cmdAge(ts *testscript.TestScript, _ bool, args []string) {
	age, err := time.ParseDuration(args[1])
	ts.Check(err)
	at := time.Now().Add(-age)
	ts.Check(os.Chtimes(ts.MkAbs(args[0]), at, at))
}

func cmdAccepted(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	count := ts.Value(listenersKey{}).(map[string]*atomic.Int64)[args[0]]
	for begin := time.Now(); count.Load() < want && time.Since(begin) < 5*time.Second; {
		<-time.After(10 * time.Millisecond)
	}
	if got := count.Load(); got != want {
		ts.Fatalf("%d connections came, want %d", got, want)
	}
}

func cmdAtOnce(ts *testscript.TestScript, _ bool, args []string) {
	args, limit := within(ts, "within", args, 20*time.Second)
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	answers := make([]string, n)
	begin := time.Now()
	var asked sync.WaitGroup
	for i := range n {
		asked.Go(func() { answers[i] = ask(args[1]) })
	}
	asked.Wait()
	if took := time.Since(begin); took > limit {
		ts.Fatalf("the answers took %v, want at most %v", took, limit)
	}
	for _, got := range answers {
		if !matches(got, args[2], "") {
			ts.Fatalf("%s answers %q, want %s", args[1], got, args[2])
		}
	}
}

func cmdExits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	// testscript keeps a failing program's output for stdout and stderr, but
	// not its exit code: a shell tells it.
	script := `"$@"; code=$?; test $code = ` + strconv.Itoa(want) + ` || { echo "exit code $code, want ` + strconv.Itoa(want) + `" >&2; exit 1; }`
	ts.Check(ts.Exec("sh", append([]string{"-c", script, "sh"}, args[1:]...)...))
}

func cmdSigterm(ts *testscript.TestScript, _ bool, args []string) {
	for _, cmd := range ts.BackgroundCmds() {
		if filepath.Base(cmd.Path) == args[0] {
			ts.Check(cmd.Process.Signal(syscall.SIGTERM))
		}
	}
}

func cmdRuns(ts *testscript.TestScript, _ bool, args []string) {
	for begin := time.Now(); len(processesWith(args[0])) == 0; <-time.After(10 * time.Millisecond) {
		if time.Since(begin) > 10*time.Second {
			ts.Fatalf("no process has %q in its command line", args[0])
		}
	}
}

func cmdGone(ts *testscript.TestScript, _ bool, args []string) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	for {
		left := processesWith(args[0])
		if len(left) == 0 {
			return
		}
		select {
		case <-ctx.Done():
			ts.Fatalf("still there: %q", left)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// processesWith returns the command lines that hold the pattern.
func processesWith(pattern string) []string {
	entries, _ := os.ReadDir("/proc")
	var found []string
	for _, e := range entries {
		line, err := os.ReadFile("/proc/" + e.Name() + "/cmdline")
		if err == nil && strings.Contains(string(line), pattern) {
			found = append(found, e.Name()+" "+strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return found
}
