package links_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"hale/internal/check"
	"hale/internal/discover"
	"hale/internal/discover/links"
	"hale/internal/kinds/httpcheck"
)

func env(t *testing.T, environ string, log *bytes.Buffer) discover.Env {
	t.Helper()
	registry, err := check.NewRegistry(check.Env{}, httpcheck.Kind())
	if err != nil {
		t.Fatal(err)
	}
	return discover.Env{
		Registry: registry, Policy: check.DefaultPolicy(),
		Defaults: []check.Option{{Name: "impact", Values: []string{"warn"}}},
		Environ:  func() []string { return strings.Fields(environ) },
		Log:      slog.New(slog.NewTextHandler(log, nil)),
	}
}

// TestMethod: a source sets its checks, by hale's policy and defaults, and
// waits.
func TestMethod(t *testing.T) {
	var log bytes.Buffer
	e := env(t, "APP_1_PORT_80_TCP=tcp://172.17.0.2:80 APP_1_NAME=/hale/app-1 APP_1_GET_PATH=:8080/s?token=hush "+
		"_1_PORT_80_TCP=x 1_PORT_80_TCP=x SHOP_PORT_80_TCP=tcp://10.0.0.7:80 SHOP_SERVICE_HOST=10.0.0.7 OTHER_GET_PATH=/", &log)
	method := links.Method()
	if !method.Applies(e) {
		t.Error("the method does not apply though there are links")
	}
	source, err := method.New(nil, e)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	set := make(chan []*check.Check, 2)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		source.Run(ctx, func(checks []*check.Check) { set <- checks })
	}()
	checks := <-set
	var got []string
	for _, c := range checks {
		got = append(got, c.Name+" "+c.Target)
		if c.Policy != check.DefaultPolicy() || c.Impact != check.ImpactWarn {
			t.Errorf("%s has the policy %v and the impact %s", c.Name, c.Policy, c.Impact)
		}
		for _, o := range c.Options {
			if want, ok := map[string]string{"status": "200,301-302", "follow": "0"}[o.Name]; ok && o.Value != want && o.Value != "200,301,302" {
				t.Errorf("%s has %s %s, want %s", c.Name, o.Name, o.Value, want)
			}
		}
	}
	want := "1 http://1/\napp-1 http://app-1:8080/s?token=***\n1-2 http://_1/"
	if text := strings.Join(got, "\n"); text != want {
		t.Errorf("checks:\n%s\nwant:\n%s", text, want)
	}
	for _, part := range []string{"OTHER_GET_PATH has no effect", "a service of Kubernetes is left out", "check=app-1 link=APP_1"} {
		if !strings.Contains(log.String(), part) {
			t.Errorf("the log lacks %q:\n%s", part, log.String())
		}
	}
	if strings.Contains(log.String(), "hush") {
		t.Errorf("the log tells a secret:\n%s", log.String())
	}
	select {
	case <-ended:
		t.Error("the source ended before its context")
	case <-set:
		t.Error("the source set its checks twice")
	case <-time.After(50 * time.Millisecond):
	}
	cancel()
	<-ended
}

func TestMethodWithoutLinks(t *testing.T) {
	var log bytes.Buffer
	for _, environ := range []string{"PATH=/bin", "SHOP_PORT_80_TCP=tcp://10.0.0.7:80 SHOP_SERVICE_HOST=10.0.0.7"} {
		if links.Method().Applies(env(t, environ, &log)) {
			t.Errorf("the method applies to %s", environ)
		}
	}
}

func TestMethodFaults(t *testing.T) {
	var log bytes.Buffer
	for _, test := range []struct{ environ, want string }{
		{"A_PORT_80_TCP=x A_GET_PATH=status", "A_GET_PATH: \"status\" is not a path"},
		{"A_PORT_80_TCP=x A_GET_PATH=/a%zz", "A_GET_PATH: a special character"},
		{"A_PORT_80_TCP=x A_PORT_80_TCP_ADDR=a;b A_CONNECT_IP=true", "A_PORT_80_TCP_ADDR: "},
	} {
		e := env(t, test.environ, &log)
		if !links.Method().Applies(e) {
			t.Errorf("%s: the fault is passed over", test.environ)
		}
		_, err := links.Method().New(nil, e)
		if faults := check.OptionErrors(err); len(faults) != 1 || faults[0].Option != "" || !strings.HasPrefix(faults[0].Msg, test.want) {
			t.Errorf("%s: got %v, want %s…, and of no option", test.environ, err, test.want)
		}
	}
	_, err := links.Method().New([]check.Option{{Name: "path", Values: []string{"/"}}}, discover.Env{})
	if faults := check.OptionErrors(err); len(faults) != 1 || faults[0].Option != "path" {
		t.Errorf("an option is not refused: %v", err)
	}
}
