package check_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"hale/internal/check"
)

func TestSecretIsNotShown(t *testing.T) {
	s := check.NewSecret("hunter2")
	asJSON, err := json.Marshal(map[string]any{"password": s})
	if err != nil {
		t.Fatal(err)
	}
	type config struct{ Password check.Secret }
	for _, text := range []string{
		fmt.Sprint(s), fmt.Sprintf("%v %+v %#v %s %q", s, s, s, s, s), fmt.Sprintf("%v %+v %#v", config{s}, config{s}, config{s}),
		fmt.Sprintf("%v", &s), string(asJSON),
	} {
		if strings.Contains(text, "hunter2") || !strings.Contains(text, check.Masked) {
			t.Errorf("shown as %s", text)
		}
	}
	if s.Reveal() != "hunter2" || s.IsZero() {
		t.Error("the value is lost")
	}
	if empty := (check.Secret{}); empty.String() != "" || !empty.IsZero() {
		t.Errorf("an empty secret is shown as %q", empty)
	}
}

func TestMask(t *testing.T) {
	for _, test := range []struct {
		name    string
		secrets []string
		in, out string
	}{
		{"none", nil, "a b", "a b"},
		{"everywhere", []string{"hunter2"}, "hunter2xhunter2", "***x***"},
		{"short ones stay", []string{"abc", ""}, "abc", "abc"},
		{"the longer first", []string{"hunter2", "hunter22"}, "hunter22 hunter2", "*** ***"},
		{"as a query has it", []string{"a b+c/d"}, "x=a+b%2Bc%2Fd", "x=***"},
		{"as a path has it", []string{"a b+c/d"}, "a%20b+c%2Fd", "***"},
		{"percent-encoded", []string{"a b&c/d"}, "a%20b%26c%2Fd", "***"},
		{"as HTML has it", []string{"a<b>&c"}, "a&lt;b&gt;&amp;c", "***"},
		{"as %q has it", []string{"a\"b\\c\n"}, `"a\"b\\c\n"`, `"***"`},
		{"as CleanText has it", []string{" a\tb\nc "}, "a b c", "***"},
	} {
		if got := check.Secrets(nil).Add(test.secrets...).Mask(test.in); got != test.out {
			t.Errorf("%s: got %q, want %q", test.name, got, test.out)
		}
	}
	if got := (check.Secrets{""}).Mask("abc"); got != "abc" {
		t.Errorf("an empty secret: got %q", got)
	}
}

// Add leaves its receiver alone, which many checks may share.
func TestAddDoesNotChangeItsReceiver(t *testing.T) {
	shared := check.Secrets{"abcd", "abcdefgh"}
	before := slices.Clone(shared)
	var adding sync.WaitGroup
	for range 4 {
		adding.Go(func() {
			shared.Add()
			shared.Add("x-longer-than-all-others")
		})
	}
	adding.Wait()
	if !slices.Equal(shared, before) {
		t.Errorf("got %v, want %v", shared, before)
	}
}

func TestSecretName(t *testing.T) {
	for name, want := range map[string]bool{
		"password": true, "PGPASSWORD": true, "passwd": true, "MYSQL_PWD": true, "client_secret": true, "token": true,
		"X-Auth-Token": true, "api_key": true, "apikey": true, "X-API-Key": true, "aws-access-key": true, "PRIVATE_KEY": true,
		"Authorization": true, "Proxy-Authorization": true, "authorization": true, "auth": true, "REDISCLI_AUTH": true,
		"X-Auth-Key": true, "Cookie": true, "Set-Cookie": true, "sig": true, "X-Amz-Signature": true, "key": true, "ssl-key": true,
		"credentials": true, "jwt": true, "pw": true,
		"host": false, "keyspace": false, "monkey": false, "Accept": false, "url": false, "user": false, "signal": false, "config": false,
	} {
		if got := check.SecretName(name); got != want {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
}
