package celerycheck_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"hale/internal/kinds/celerycheck"
	"hale/internal/servertest"
)

func TestPing(t *testing.T) {
	t.Parallel()
	s := servertest.Redis(t, "requirepass open-sesame")
	broker := "redis://:open-sesame@" + s.Addr + "/0"
	servertest.Celery(t, broker, worker)
	expectUp(t, worker, "celery+"+broker)
	ping := func(broker, worker string) error {
		return celerycheck.Ping(t.Context(), broker, worker, time.Second)
	}
	if err := ping(broker, worker); err != nil {
		t.Error(err)
	}
	if err := ping(broker, "celery@nobody"); !errors.Is(err, celerycheck.ErrNoReply) || !strings.Contains(err.Error(), "no reply to ping from 'celery@nobody' within 1s") {
		t.Errorf("got %v, want no reply", err)
	}
	if err := ping(broker, "web-1"); !errors.Is(err, celerycheck.ErrNoReply) {
		t.Errorf("got %v, want no reply", err)
	}
	if err := ping(broker, ""); !errors.Is(err, celerycheck.ErrNoReply) || !strings.Contains(err.Error(), "'celery@") {
		t.Errorf("got %v, want no reply of this host's worker", err)
	}
	for _, test := range []struct{ broker, worker, want string }{
		{"redis://:wrong-word@" + s.Addr, worker, "refuses the user name or password"},
		{"redis://127.0.0.1:1/0", worker, "connection refused"},
		{"amqp://127.0.0.1:1//", worker, "connection refused"},
		{"rediss://127.0.0.1:1/0?ssl_cert_reqs=CERT_NONE&health_check_interval=5", worker, "connection refused"},
		{"rediss://127.0.0.1:1/0?ssl_ca_certs=/no/such/file", worker, "ca: open /no/such/file"},
		{"rediss://127.0.0.1:1/0?ssl_ca_certs=%", worker, "a % that is not followed by"},
		{"redis://127.0.0.1:1/x", worker, "is not the number of a database"},
		{"sqs://h", worker, `can't ping through a broker of the scheme "sqs"; give a URL such as redis://localhost:6379/0`},
		{"", worker, `can't ping through a broker of the scheme ""`},
	} {
		err := ping(test.broker, test.worker)
		if err == nil || errors.Is(err, celerycheck.ErrNoReply) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %s", test.broker, err, test.want)
		}
		if err != nil && strings.Contains(err.Error(), "wrong-word") {
			t.Errorf("the password is in %v", err)
		}
	}
}
