package celerycheck_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"hale/internal/check"
	"hale/internal/monitor"
	"hale/internal/servertest"
)

const worker = "celery@web-1"

// redisKeys returns all keys of all databases and the members of the sets of
// bindings, but for the keys that workers lock and count with.
func redisKeys(t *testing.T, s *servertest.Server) []string {
	t.Helper()
	const script = `
		local all = {}
		for db = 0, 15 do
			redis.call('select', db)
			for _, key in ipairs(redis.call('keys', '*')) do
				all[#all + 1] = db .. ' ' .. key
				if redis.call('type', key).ok == 'set' then
					for _, member in ipairs(redis.call('smembers', key)) do
						all[#all + 1] = db .. ' ' .. key .. ' ' .. member
					end
				end
			end
		end
		return all`
	var keys []string
	for line := range strings.Lines(servertest.RedisCLI(t, s, "eval", script, "0")) {
		if line = strings.TrimSpace(line); line != "" && !strings.Contains(line, "unacked") {
			keys = append(keys, line)
		}
	}
	slices.Sort(keys)
	return keys
}

// expectSame asserts that a broker holds what it held before.
func expectSame(t *testing.T, before, after []string) {
	t.Helper()
	if !slices.Equal(before, after) {
		t.Errorf("the broker holds\n%s\nand held\n%s", strings.Join(after, "\n"), strings.Join(before, "\n"))
	}
}

func TestRedis(t *testing.T) {
	t.Parallel()
	s := servertest.Redis(t)
	url := "celery+redis://" + s.Addr + "/1"
	named := option("worker", worker)

	expectFailure(t, run(t, url, named, soon), check.ReasonTimeout, url[:len(url)-2]+": no reply to ping from '"+worker+"' within 800ms",
		"no worker is connected to this broker and database: nobody listens on /1.celery.pidbox")
	expectSame(t, nil, redisKeys(t, s))

	servertest.Celery(t, "redis://"+s.Addr+"/1", worker)
	expectUp(t, worker, url)
	before := redisKeys(t, s)
	for range 20 {
		expectPong(t, run(t, url, named), worker)
	}
	expectSame(t, before, redisKeys(t, s))

	// Another database is another broker.
	expectFailure(t, run(t, "celery+redis://"+s.Addr, named, soon), check.ReasonTimeout, "nobody listens on /0.celery.pidbox")
	expectFailure(t, run(t, "celery+redis://"+s.Addr+"/16", named, soon), check.ReasonMissing, "no such database")
	// Another name is another worker.
	expectFailure(t, run(t, url, option("worker", "celery@web-2"), soon), check.ReasonTimeout,
		"no reply to ping from 'celery@web-2' within 800ms; 1 worker is connected: it hangs, or has another name")
	expectSame(t, before, redisKeys(t, s))
}

func TestRedisSeveral(t *testing.T) {
	t.Parallel()
	s := servertest.Redis(t)
	url := "celery+redis://" + s.Addr
	named := option("worker", worker)
	w := servertest.Celery(t, "redis://"+s.Addr, worker)
	expectUp(t, worker, url)
	servertest.Celery(t, "redis://"+s.Addr, "celery@web-2")
	expectUp(t, "celery@web-2", url)

	// The named one counts.
	before := redisKeys(t, s)
	expectPong(t, run(t, url, named), worker)
	w.Pause()
	expectFailure(t, run(t, url, named, soon), check.ReasonTimeout, "no reply to ping from '"+worker+"' within 800ms; 2 workers are connected: this one hangs")
	expectPong(t, run(t, url, option("worker", "celery@web-2")), "celery@web-2")
	// A run that is given up cleans up too.
	ctx, cancel := context.WithCancel(t.Context())
	c := mustBuild(t, url, named)
	go func() {
		servertest.Wait(t, "the ping to be sent", func() error {
			if slices.Equal(before, redisKeys(t, s)) {
				return errors.New("nothing is stored")
			}
			return nil
		})
		cancel()
	}()
	expectFailure(t, c.Run(ctx, nil), check.ReasonCanceled, "'"+worker+"' had not answered the ping")
	expectSame(t, before, redisKeys(t, s))

	// A worker that goes on answers late, to nobody.
	w.Resume()
	expectUp(t, worker, url)
	expectSame(t, before, redisKeys(t, s))
}

func TestRedisBusyAndGone(t *testing.T) {
	t.Parallel()
	s := servertest.Redis(t)
	url := "celery+redis://" + s.Addr
	named := option("worker", worker)
	w := servertest.Celery(t, "redis://"+s.Addr, worker)
	expectUp(t, worker, url)

	// A busy worker is up.
	w.Python("app.sleep.delay(3600); app.sleep.delay(3600)")
	servertest.Wait(t, "the worker to be busy", func() error {
		_, err := os.Stat(filepath.Join(w.Dir, "asleep"))
		return err
	})
	expectPong(t, run(t, url, named), worker)

	w.Kill()
	servertest.Wait(t, "the worker to be gone", func() error {
		if result := run(t, url, named, soon); !strings.Contains(result.Text(), "no worker is connected") {
			return fmt.Errorf("got %v", result.Err)
		}
		return nil
	})
}

// Two workers of one name, which Celery warns of, both answer.
func TestRedisTwoOfOneName(t *testing.T) {
	t.Parallel()
	s := servertest.Redis(t)
	url := "celery+redis://" + s.Addr
	servertest.Celery(t, "redis://"+s.Addr, worker)
	servertest.Celery(t, "redis://"+s.Addr, worker)
	servertest.Wait(t, "both workers to listen", func() error {
		if result := run(t, url, option("worker", "celery@nobody"), soon); !strings.Contains(result.Text(), "2 workers are connected") {
			return fmt.Errorf("got %v", result.Err)
		}
		return nil
	})
	before := redisKeys(t, s)
	for range 30 {
		expectPong(t, run(t, url, option("worker", worker)), worker)
	}
	// An answer that comes when the run is over may be there for a second.
	servertest.Wait(t, "the second worker's late answers to be gone", func() error {
		if now := redisKeys(t, s); !slices.Equal(now, before) {
			return fmt.Errorf("the broker holds %q and held %q", now, before)
		}
		return nil
	})
}

func TestRedisRestarted(t *testing.T) {
	t.Parallel()
	s := servertest.Redis(t)
	url := "celery+redis://" + s.Addr
	servertest.Celery(t, "redis://"+s.Addr, worker)
	expectUp(t, worker, url)
	s.Stop()
	expectFailure(t, run(t, url, option("worker", worker)), check.ReasonRefused, url)
	s.Start()
	expectUp(t, worker, url)
	s.Pause()
	expectFailure(t, run(t, url, option("worker", worker), soon), check.ReasonTimeout, "no reply to SISMEMBER")
	s.Resume()
	expectUp(t, worker, url)
}

// The transport options of kombu that change where things are.
func TestRedisTransportOptions(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, lines string
		options     []check.Option
	}{
		{"priorities", "app.conf.broker_transport_options = {'priority_steps': list(range(10)), 'queue_order_strategy': 'priority'}",
			[]check.Option{option("priority_steps", "0,1,2,3,4,5,6,7,8,9")}},
		{"priorities from 1", "app.conf.broker_transport_options = {'priority_steps': [1, 2, 3]}", []check.Option{option("priority_steps", "1,2,3")}},
		{"separator", "app.conf.broker_transport_options = {'sep': ':', 'priority_steps': [1, 2]}",
			[]check.Option{option("sep", ":"), option("priority_steps", "1,2")}},
		{"prefix", "app.conf.broker_transport_options = {'global_keyprefix': 'shop:'}", []check.Option{option("global_keyprefix", "shop:")}},
		{"exchange", "app.conf.control_exchange = 'shop'", []check.Option{option("exchange", "shop.pidbox")}},
		{"no fanout prefix", "app.conf.broker_transport_options = {'fanout_prefix': False}", []check.Option{option("fanout_prefix", "")}},
		{"fanout prefix", "app.conf.broker_transport_options = {'fanout_prefix': '/shop-{db}.'}", []check.Option{option("fanout_prefix", "/shop-{db}.")}},
		{"no JSON", "app.conf.update(task_serializer='pickle', accept_content=['json', 'pickle'])\nimport os; os.environ['C_FORCE_ROOT'] = '1'", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := servertest.Redis(t)
			url := "celery+redis://" + s.Addr + "/2"
			servertest.Celery(t, "redis://"+s.Addr+"/2", worker, test.lines)
			expectUp(t, worker, url, test.options...)
			before := redisKeys(t, s)
			expectPong(t, run(t, url, append(test.options, option("worker", worker))...), worker)
			expectSame(t, before, redisKeys(t, s))
			if len(test.options) > 0 && test.name != "priorities" {
				// Each option was needed.
				reason, text := check.ReasonTimeout, "no reply to ping"
				if test.name == "separator" {
					reason, text = check.ReasonConfig, "another separator"
				}
				expectFailure(t, run(t, url, option("worker", worker), soon), reason, text)
			}
		})
	}
}

// A binding with another separator than the worker's would end its remote
// control. None is made, whoever asks, and the worker goes on answering.
func TestRedisWrongSeparator(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, line, member, right, wrong string }{
		{"the worker has its own", "app.conf.broker_transport_options = {'sep': ':'}", `"::` + worker + `.celery.pidbox"`, ":", ""},
		{"the worker has kombu's", "", `"\x06\x16\x06\x16` + worker + `.celery.pidbox"`, "", ":"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := servertest.Redis(t)
			url := "celery+redis://" + s.Addr
			servertest.Celery(t, "redis://"+s.Addr, worker, test.line)
			right, wrong := option("sep", test.right), option("sep", test.wrong)
			expectUp(t, worker, url, right)
			before := redisKeys(t, s)
			for _, name := range []string{worker, "celery@web-2"} {
				expectFailure(t, run(t, url, option("worker", name), wrong, soon), check.ReasonConfig,
					"another separator than the option sep", "they have "+test.member+" in _kombu.binding.celery.pidbox", "No ping was sent")
			}
			expectSame(t, before, redisKeys(t, s))
			expectPong(t, run(t, url, option("worker", worker), right), worker)

			// Of workers that are no more, or another app's, there may be others.
			servertest.RedisCLI(t, s, "eval", `for i = 1, 1000 do
				redis.call('sadd', KEYS[1], ARGV[1] .. ARGV[1] .. 'celery@' .. i .. '.celery.pidbox') end`, "1", "_kombu.binding.celery.pidbox", "|")
			expectPong(t, run(t, url, option("worker", worker), right), worker)
		})
	}
}

// Checks of workers with different separators in one database do not see each
// other's bindings.
func TestRedisTwoSeparators(t *testing.T) {
	t.Parallel()
	s := servertest.Redis(t)
	url := "celery+redis://" + s.Addr
	colon := option("sep", ":")
	paused := servertest.Celery(t, "redis://"+s.Addr, "celery@web-2", "app.conf.broker_transport_options = {'sep': ':'}")
	expectUp(t, "celery@web-2", url, colon)
	servertest.Celery(t, "redis://"+s.Addr, worker)
	expectUp(t, worker, url)
	paused.Pause()
	before := redisKeys(t, s)
	waiting := make(chan check.Result)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c := mustBuild(t, url, colon, option("worker", "celery@web-2"))
	go func() { waiting <- c.Run(ctx, nil) }()
	servertest.Wait(t, "the ping to be sent", func() error {
		if slices.Equal(before, redisKeys(t, s)) {
			return errors.New("nothing is stored")
		}
		return nil
	})
	expectPong(t, run(t, url, option("worker", worker)), worker)
	cancel()
	expectFailure(t, <-waiting, check.ReasonCanceled)
	expectPong(t, run(t, url, option("worker", worker)), worker)
}

// A broker that falls silent does not keep a run beyond what its callers wait,
// and what was wrong is told.
func TestRedisSilentWhileWaiting(t *testing.T) {
	t.Parallel()
	s := servertest.Redis(t)
	w := servertest.Celery(t, "redis://"+s.Addr, worker)
	url := "celery+redis://" + s.Addr
	expectUp(t, worker, url)
	w.Pause()
	c := mustBuild(t, url, option("worker", worker), option("timeout", "2s"))
	results := make(chan check.Result)
	go func() {
		const grace = 80 * time.Millisecond // of hale check
		results <- monitor.Once(t.Context(), []*check.Check{c}, grace, nil)[0]
	}()
	servertest.Wait(t, "the ping to be sent", func() error {
		if len(ownLists(t, s)) == 0 {
			return errors.New("nothing is stored")
		}
		return nil
	})
	s.Pause()
	expectFailure(t, <-results, check.ReasonTimeout, "no reply to LRANGE")
	s.Resume()
	servertest.Wait(t, "the broker to clean up", func() error {
		if left := ownKeys(t, s); len(left) > 0 {
			return fmt.Errorf("it holds %q", left)
		}
		return nil
	})
}

func TestRedisLogin(t *testing.T) {
	t.Parallel()
	s := servertest.Redis(t, "requirepass open-sesame",
		"user all on >pass-word resetkeys &/0.celery.pidbox ~hale-* ~_kombu.binding.hale-* %R~_kombu.binding.celery.pidbox +multi +exec +publish +sadd +srem +sismember +srandmember +rpush +lrange +expire +del +select",
		// Without the right to look at the workers' bindings.
		"user hale on >p@ss/word &/0.celery.pidbox ~_kombu.binding.hale-* ~hale-* +multi +exec +sadd +srem +rpush +del +lrange +expire +publish",
		"user less on >pass-word &* ~* +multi +exec +sadd +srem +rpush +del +lrange +publish")
	servertest.Celery(t, "redis://:open-sesame@"+s.Addr, worker)
	named := option("worker", worker)
	expectUp(t, worker, "celery+redis://:open-sesame@"+s.Addr)
	expectPong(t, run(t, "celery+redis://"+s.Addr, named, option("password", "open-sesame")), worker)
	expectPong(t, run(t, "celery+redis://hale:p%40ss%2Fword@"+s.Addr, named), worker)
	expectPong(t, run(t, "celery+redis://all:pass-word@"+s.Addr, named), worker)
	expectFailure(t, run(t, "celery+redis://all:pass-word@"+s.Addr, named, option("sep", ":")), check.ReasonConfig, "another separator")

	expectFailure(t, run(t, "celery+redis://"+s.Addr, named), check.ReasonAuth, "asks for a password, and none was given; write celery+redis://:PASSWORD@HOST")
	expectFailure(t, run(t, "celery+redis://:wrong-word@"+s.Addr, named), check.ReasonAuth, "refuses the user name or password")
	expectFailure(t, run(t, "celery+redis://less:pass-word@"+s.Addr, named), check.ReasonPermission, "may not use EXPIRE", "ACL SETUSER NAME +expire")
}

func TestRedisLoading(t *testing.T) {
	t.Parallel()
	source := servertest.Redis(t)
	servertest.RedisCLI(t, source, "eval", "for i = 1, 10000 do redis.call('set', 'key' .. i, 'value') end", "0")
	servertest.RedisCLI(t, source, "save")
	source.Stop()
	s := servertest.Redis(t, "dir "+source.Dir, "key-load-delay 5000", "loading-process-events-interval-bytes 1024")
	expectFailure(t, run(t, "celery+redis://"+s.Addr), check.ReasonLoading, "is loading its data into memory", "LOADING")
	s.Kill()
}

func TestRedisReplica(t *testing.T) {
	t.Parallel()
	master := servertest.Redis(t)
	replica := servertest.Redis(t, fmt.Sprintf("replicaof %s %d", master.Host, master.Port), "repl-diskless-sync-delay 0")
	servertest.Wait(t, "the replica to follow", func() error {
		if result := run(t, "celery+redis://"+replica.Addr, soon); result.Reason() != check.ReasonRole {
			return fmt.Errorf("got %v", result.Err)
		}
		return nil
	})
	expectFailure(t, run(t, "celery+redis://"+replica.Addr), check.ReasonRole, "is a replica and can't be written to; give its master")
}

func TestRedisTLS(t *testing.T) {
	t.Parallel()
	certs := servertest.NewCerts(t, 72*time.Hour, "redis.test", "127.0.0.1")
	s := servertest.RedisTLS(t, certs, "requirepass open-sesame")
	url := "celery+rediss://:open-sesame@" + s.Addr
	servertest.Celery(t, "rediss://:open-sesame@"+s.Addr, worker,
		fmt.Sprintf("import ssl; app.conf.broker_use_ssl = {'ssl_cert_reqs': ssl.CERT_REQUIRED, 'ssl_ca_certs': %q}", certs.CA))
	expectUp(t, worker, url, option("ca", certs.CA))
	expectPong(t, run(t, url, option("worker", worker), option("insecure", "true")), worker)
	expectFailure(t, run(t, url, option("worker", worker)), check.ReasonTLS, "unknown authority")
	expectFailure(t, run(t, "celery+redis://:open-sesame@"+s.Addr, option("worker", worker)), check.ReasonReset, "write celery+rediss:// if it speaks TLS")
}
