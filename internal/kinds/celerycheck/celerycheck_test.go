package celerycheck_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"hale/internal/check"
	"hale/internal/kinds/celerycheck"
	"hale/internal/kinds/kindtest"
	"hale/internal/servertest"
)

var kinds = kindtest.Kinds{celerycheck.KindRedis(), celerycheck.KindRedisTLS(), celerycheck.KindAMQP(), celerycheck.KindAMQPTLS()}

var (
	run           = kinds.Run
	build         = kinds.Build
	option        = kindtest.Option
	expectFailure = kindtest.ExpectFailure
)

func mustBuild(t *testing.T, url string, options ...check.Option) *check.Check {
	t.Helper()
	c, err := build(url, options...)
	if err != nil {
		t.Fatalf("build %s: %v", url, err)
	}
	return c
}

// soon is for runs that are to end without a reply.
var soon = option("timeout", "800ms")

func expectPong(t *testing.T, result check.Result, worker string) {
	t.Helper()
	if want := worker + ": pong"; result.Err != nil || result.Note != want {
		t.Errorf("got note %q and error %v, want note %q", result.Note, result.Err, want)
	}
}

// expectUp asserts that the worker answers, as soon as it listens.
func expectUp(t *testing.T, worker, url string, options ...check.Option) {
	t.Helper()
	c := mustBuild(t, url, append(options, option("worker", worker), option("timeout", "3s"))...)
	servertest.Wait(t, worker+" to answer", func() error {
		return c.Run(t.Context(), nil).Err
	})
	expectPong(t, run(t, url, append(options, option("worker", worker))...), worker)
}

func TestContract(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.Scheme, func(t *testing.T) {
			kindtest.Network{Kind: kind, URL: func(a string) string { return kind.Scheme + "://user:secret@" + a }}.Run(t)
		})
	}
}

func TestDefaults(t *testing.T) {
	const want = "worker= username= password= exchange=celery.pidbox global_keyprefix= fanout_prefix=/{db}. " +
		"priority_steps=0,3,6,9 sep= ca= cert= key= server_name= insecure=false min_days=0 "
	for _, kind := range kinds {
		var got strings.Builder
		for _, o := range mustBuild(t, kind.Scheme+"://:1").Options {
			fmt.Fprintf(&got, "%s=%s ", o.Name, o.Value)
		}
		if got.String() != want {
			t.Errorf("%s:\n got %s\nwant %s", kind.Scheme, &got, want)
		}
	}
}

func TestWrongOptions(t *testing.T) {
	for _, test := range []struct {
		url  string
		want string
	}{
		{"celery+redis://h/x", `url: the path "/x" is not the number of a database; write celery+redis://HOST:PORT/3 for database 3`},
		{"celery+redis://h/-1", `url: the path "/-1" is not the number of a database; write celery+redis://HOST:PORT/3 for database 3`},
		{"celery+redis://h:0", `url: port 0 is out of range; a port is a number from 1 to 65535`},
		{"celery+redis://app@h", `username: needs a password; write celery+redis://USER:PASSWORD@HOST`},
		{"celery+redis://app:hunter2@h?username=web", `username: is "web", and the URL names another user; give it once`},
		{"celery+redis://app:hunter2@h?password=hunter3", `password: is not the one in the URL; give it once`},
		{"celery+redis://h?worker=web-1", `worker: "web-1" is not the name of a worker; write NAME@HOST as celery status shows it, such as celery@web-1`},
		{"celery+redis://h?worker=@web-1", `worker: "@web-1" is not the name of a worker; write NAME@HOST as celery status shows it, such as celery@web-1`},
		{"celery+redis://h?worker=celery@", `worker: "celery@" is not the name of a worker; write NAME@HOST as celery status shows it, such as celery@web-1`},
		{"celery+redis://h?exchange=shop", `exchange: "shop" is not the name of a pidbox; write the workers' control_exchange and .pidbox, such as celery.pidbox`},
		{"celery+redis://h?exchange=", `exchange: "" is not the name of a pidbox; write the workers' control_exchange and .pidbox, such as celery.pidbox`},
		{"celery+redis://h?exchange=.pidbox", `exchange: ".pidbox" is not the name of a pidbox; write the workers' control_exchange and .pidbox, such as celery.pidbox`},
		{"celery+redis://h?priority_steps=0,x", `priority_steps: "x" is not right there; give rising whole numbers such as 0,3,6,9`},
		{"celery+redis://h?priority_steps=3,1", `priority_steps: "1" is not right there; give rising whole numbers such as 0,3,6,9`},
		{"celery+redis://h?priority_steps=-1", `priority_steps: "-1" is not right there; give rising whole numbers such as 0,3,6,9`},
		{"celery+redis://h?priority_steps=", `priority_steps: "" is not right there; give rising whole numbers such as 0,3,6,9`},
		{"celery+redis://h?ca=/x", `ca: is for TLS, and this URL is without; write celery+rediss://`},
		{"celery+amqp://h?insecure", `insecure: is for TLS, and this URL is without; write celery+amqps://`},
		{"celery+rediss://h?ca=x", `ca: "x" is a relative path; give an absolute one`},
		{"celery+amqp://h?global_keyprefix=a&fanout_prefix=b&priority_steps=0,1&sep=x",
			"global_keyprefix: is for Redis, and this broker speaks AMQP; leave it out\n" +
				"fanout_prefix: is for Redis, and this broker speaks AMQP; leave it out\n" +
				"priority_steps: is for Redis, and this broker speaks AMQP; leave it out\n" +
				"sep: is for Redis, and this broker speaks AMQP; leave it out"},
	} {
		_, err := build(test.url)
		if got := fmt.Sprint(err); got != test.want {
			t.Errorf("%s:\n got %s\nwant %s", test.url, got, test.want)
		}
	}
}

func TestEmptyPrioritySteps(t *testing.T) {
	_, err := build("celery+redis://h", check.Option{Name: "priority_steps"})
	if want := "priority_steps: is empty; give rising whole numbers such as 0,3,6,9"; fmt.Sprint(err) != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// Without a name, the worker is the one that Celery names after the host.
func TestWorkerOfThisHost(t *testing.T) {
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	s := servertest.Redis(t)
	expectFailure(t, run(t, "celery+redis://"+s.Addr, soon), check.ReasonTimeout, "no reply to ping from 'celery@"+host+"' within 800ms")
}
