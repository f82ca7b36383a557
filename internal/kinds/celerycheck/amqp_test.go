package celerycheck_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"hale/internal/check"
	"hale/internal/servertest"
)

// rabbitObjects returns the queues, exchanges and bindings of the virtual
// host "/", with how many messages are in the queues.
func rabbitObjects(t *testing.T, r *servertest.RabbitMQServer) []string {
	t.Helper()
	var all []string
	for _, args := range [][]string{
		{"list_queues", "name", "messages"}, {"list_exchanges", "name"},
		{"list_bindings", "source_name", "destination_name", "routing_key"},
	} {
		for line := range strings.Lines(r.Ctl(args...)) {
			all = append(all, args[0]+" "+strings.TrimSpace(line))
		}
	}
	slices.Sort(all)
	return all
}

func TestAMQP(t *testing.T) {
	t.Parallel()
	certs := servertest.NewCerts(t, 72*time.Hour, "rabbit.test", "127.0.0.1")
	r := servertest.RabbitMQTLS(t, certs)
	broker := r.URL("amqp") + "//"
	url := "celery+" + broker
	target := fmt.Sprintf("celery+amqp://%s", r.Addr)
	named := option("worker", worker)

	empty := rabbitObjects(t, r)
	expectFailure(t, run(t, url, named), check.ReasonMissing, target+": no reply to ping from '"+worker+"': no worker has been connected to this broker and virtual host since it started",
		"there is no exchange celery.pidbox")
	expectSame(t, empty, rabbitObjects(t, r))

	w := servertest.Celery(t, broker, worker)
	expectUp(t, worker, url)
	before := rabbitObjects(t, r)
	for range 5 {
		expectPong(t, run(t, url, named), worker)
	}
	expectFailure(t, run(t, url, option("worker", "celery@web-2"), soon), check.ReasonTimeout,
		"no reply to ping from 'celery@web-2' within 800ms; at least one worker is connected: this one hangs, or has another name")
	expectSame(t, before, rabbitObjects(t, r))

	t.Run("login", func(t *testing.T) { amqpLogin(t, r, target) })
	t.Run("other virtual host", func(t *testing.T) { amqpVirtualHost(t, r) })
	t.Run("tls", func(t *testing.T) { amqpTLS(t, r, certs) })
	t.Run("several, stopped, busy", func(t *testing.T) { amqpSeveral(t, r, w, broker, url) })
	t.Run("restart", func(t *testing.T) { amqpRestart(t, r, url) })
	t.Run("killed", func(t *testing.T) { killedOnAMQP(t, r, w, url) })
	w.Kill()
	servertest.Wait(t, "the worker to be gone", func() error {
		result := run(t, url, named, soon)
		if result.Reason() != check.ReasonMissing || !strings.Contains(result.Text(), "no queue is bound to the exchange celery.pidbox") {
			return fmt.Errorf("got %v", result.Err)
		}
		return nil
	})
}

func amqpLogin(t *testing.T, r *servertest.RabbitMQServer, target string) {
	named := option("worker", worker)
	expectFailure(t, run(t, fmt.Sprintf("celery+amqp://hare:wrong-word@%s", r.Addr)), check.ReasonAuth, "refuses the user name or password")
	expectFailure(t, run(t, target), check.ReasonAuth, "refuses the user name or password")
	expectFailure(t, run(t, r.URL("celery+amqp")+"/nothing"), check.ReasonMissing, `there is no virtual host "nothing"`)
	expectPong(t, run(t, target, named, option("username", servertest.RabbitMQUser), option("password", servertest.RabbitMQPassword)), worker)
	r.Ctl("add_user", "less", "pass-word")
	r.Ctl("set_permissions", "less", "^hale-.*", "", "^hale-.*")
	expectFailure(t, run(t, "celery+amqp://less:pass-word@"+r.Addr, named), check.ReasonPermission, `user "less" may not do what a ping needs`, "celery.pidbox")
	r.Ctl("set_permissions", "less", "^hale-.*", `^celery\.pidbox$`, "^hale-.*")
	expectPong(t, run(t, "celery+amqp://less:pass-word@"+r.Addr, named), worker)
}

func amqpVirtualHost(t *testing.T, r *servertest.RabbitMQServer) {
	named := option("worker", worker)
	r.Ctl("add_vhost", "shop")
	r.Ctl("set_permissions", "-p", "shop", servertest.RabbitMQUser, ".*", ".*", ".*")
	expectFailure(t, run(t, r.URL("celery+amqp")+"/shop", named), check.ReasonMissing, "no reply to ping")
	servertest.Celery(t, r.URL("amqp")+"/shop", "celery@shop", "app.conf.control_exchange = 'shop'")
	expectUp(t, "celery@shop", r.URL("celery+amqp")+"/shop", option("exchange", "shop.pidbox"))
}

func amqpTLS(t *testing.T, r *servertest.RabbitMQServer, certs *servertest.Certs) {
	named := option("worker", worker)
	servertest.Celery(t, r.URL("amqps")+"//", "celery@tls",
		fmt.Sprintf("import ssl; app.conf.broker_use_ssl = {'cert_reqs': ssl.CERT_REQUIRED, 'ca_certs': %q}", certs.CA))
	expectUp(t, "celery@tls", r.URL("celery+amqps"), option("ca", certs.CA))
	expectFailure(t, run(t, r.URL("celery+amqps"), named), check.ReasonTLS, "not trusted")
	expectFailure(t, run(t, fmt.Sprintf("celery+amqps://%s", r.Addr), named, soon), check.ReasonTLS, "does not speak TLS")
}

func amqpSeveral(t *testing.T, r *servertest.RabbitMQServer, w *servertest.CeleryWorker, broker, url string) {
	named := option("worker", worker)
	servertest.Celery(t, broker, "celery@web-2")
	expectUp(t, "celery@web-2", url)
	before := rabbitObjects(t, r)
	w.Pause()
	expectFailure(t, run(t, url, named, soon), check.ReasonTimeout, "no reply to ping from '"+worker+"' within 800ms")
	expectPong(t, run(t, url, option("worker", "celery@web-2")), "celery@web-2")
	w.Resume()
	expectUp(t, worker, url)
	expectSame(t, before, rabbitObjects(t, r))
	w.Python("app.sleep.delay(3600)\napp.sleep.delay(3600)")
	servertest.Wait(t, "a worker to be busy", func() error {
		_, err := os.Stat(filepath.Join(w.Dir, "asleep"))
		return err
	})
	expectPong(t, run(t, url, named), worker)
}

func amqpRestart(t *testing.T, r *servertest.RabbitMQServer, url string) {
	named := option("worker", worker)
	r.Stop()
	expectFailure(t, run(t, url, named), check.ReasonRefused)
	r.Start()
	expectUp(t, worker, url)
	r.Pause()
	expectFailure(t, run(t, url, named, soon), check.ReasonTimeout, "no answer in AMQP")
	r.Resume()
	expectUp(t, worker, url)
}
