package dockerstatus

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// getenv reads variables written as words.
func getenv(words string) func(string) string {
	return func(name string) string {
		for _, word := range strings.Fields(words) {
			if value, ok := strings.CutPrefix(word, name+"="); ok {
				return value
			}
		}
		return ""
	}
}

func TestSettings(t *testing.T) {
	standard := func(change func(*settings)) settings {
		s := settings{timeout: 30 * time.Second, interval: 30 * time.Second, listen: "0.0.0.0:80", localName: "docker-status"}
		change(&s)
		return s
	}
	for _, test := range []struct {
		environ string
		want    settings
	}{
		{"", standard(func(*settings) {})},
		{"HTTP_TIMEOUT=15 TEST_INTERVAL=20", standard(func(s *settings) { s.timeout, s.interval = 15*time.Second, 20*time.Second })},
		{"HTTP_TIMEOUT=0.5 TEST_INTERVAL=2.25", standard(func(s *settings) { s.timeout, s.interval = 500*time.Millisecond, 2250*time.Millisecond })},
		{"TEST_INTERVAL=10 HTTP_TIMEOUT=15", standard(func(s *settings) {
			s.timeout, s.interval = 10*time.Second, 10*time.Second
			s.remarks = []string{"HTTP_TIMEOUT=15 is longer than TEST_INTERVAL: an app has 10s to answer"}
		})},
		{"TEST_INTERVAL=10", standard(func(s *settings) { s.timeout, s.interval = 10*time.Second, 10*time.Second })},
		{"LISTEN_HOST=127.0.0.1 LISTEN_PORT=8080", standard(func(s *settings) { s.listen = "127.0.0.1:8080" })},
		{"LISTEN_HOST=::", standard(func(s *settings) { s.listen = "[::]:80" })},
		{"LISTEN_HOST=[::1]", standard(func(s *settings) { s.listen = "[::1]:80" })},
		{"DEBUG=true DELAY_START=true", standard(func(s *settings) { s.debug, s.delayStart = true, true })},
		{"DEBUG=false DELAY_START=0", standard(func(*settings) {})},
		{"DEBUG=True DELAY_START=1", standard(func(s *settings) {
			s.remarks = []string{"DEBUG=True has no effect: only true does", "DELAY_START=1 has no effect: only true does"}
		})},
		{"GRAYLOG_HOST=logs", standard(func(s *settings) { s.graylog = "logs:12201" })},
		{"GRAYLOG_HOST=logs GRAYLOG_PORT=5555 GRAYLOG_LOCALNAME=web-1", standard(func(s *settings) { s.graylog, s.localName = "logs:5555", "web-1" })},
		{"GRAYLOG_PORT=nonsense", standard(func(*settings) {})},
		{"GRAYLOG_HOST=graylog GRAYLOG_PORT=tcp://172.17.0.4:9000", standard(func(s *settings) {
			s.graylog = "graylog:12201"
			s.remarks = []string{"GRAYLOG_PORT=tcp://172.17.0.4:9000 is what a link of that name sets, and no setting; the port is 12201"}
		})},
		{"HTTP_TIMEOUT= LISTEN_PORT=", standard(func(*settings) {})},
	} {
		got, err := readSettings(getenv(test.environ))
		if err != nil {
			t.Errorf("%s: %v", test.environ, err)
		}
		if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(settings{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.environ, diff)
		}
	}
}

func TestSettingsFaults(t *testing.T) {
	for _, test := range []struct{ environ, want string }{
		{"HTTP_TIMEOUT=30s", `HTTP_TIMEOUT="30s" is not a number of seconds; write one such as 30`},
		{"TEST_INTERVAL=abc", `TEST_INTERVAL="abc" is not a number`},
		{"TEST_INTERVAL=1.2.3", `TEST_INTERVAL="1.2.3" is not a number`},
		{"TEST_INTERVAL=-1", `TEST_INTERVAL="-1" is not a number`},
		{"TEST_INTERVAL=NaN", `TEST_INTERVAL="NaN" is not a number`},
		{"TEST_INTERVAL=0", `TEST_INTERVAL=0 is out of range; give a number of seconds from 0.1 to 86400`},
		{"TEST_INTERVAL=86401", `TEST_INTERVAL=86401 is out of range`},
		{"LISTEN_PORT=http", `LISTEN_PORT="http" is not a port; give a number from 1 to 65535`},
		{"LISTEN_PORT=0", `LISTEN_PORT="0" is not a port`},
		{"LISTEN_PORT=65536", `LISTEN_PORT="65536" is not a port`},
		{"GRAYLOG_HOST=logs GRAYLOG_PORT=gelf", `GRAYLOG_PORT="gelf" is not a port`},
	} {
		if _, err := readSettings(getenv(test.environ)); err == nil || !strings.HasPrefix(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %s…", test.environ, err, test.want)
		}
	}
	_, err := readSettings(getenv("HTTP_TIMEOUT=a TEST_INTERVAL=b LISTEN_PORT=c"))
	if n := strings.Count(err.Error(), "\n") + 1; n != 3 {
		t.Errorf("%d faults are told, want all 3: %v", n, err)
	}
}

// TestSettingsMakeAPolicy: whatever is accepted can be a check's.
func TestSettingsMakeAPolicy(t *testing.T) {
	for _, environ := range []string{"", "TEST_INTERVAL=0.1", "TEST_INTERVAL=86400 HTTP_TIMEOUT=86400", "TEST_INTERVAL=1 HTTP_TIMEOUT=0.1"} {
		s, err := readSettings(getenv(environ))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.policy().Validate(); err != nil {
			t.Errorf("%s: %v", environ, err)
		}
	}
}
