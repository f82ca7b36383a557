package config_test

import (
	"bytes"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v4"

	"hale/internal/config"
)

// secretFile writes a file for ${file:…}.
func secretFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestVariables(t *testing.T) {
	secret := secretFile(t, "p@ss:w/o#r?d%\n")
	vars := env("PLAIN", "v a:l", "DB_PASSWORD", "a/b@c", "EMPTY", "", "HOST_TOKEN", "x-1", "NEST", "${env:PLAIN}", "URL", "redis://u:p%40ss@h:1/0")
	for _, tt := range []struct{ name, yaml, want string }{
		{"in an option", `{url: "redis://h", password: "<${env:PLAIN}>"}`, ":<v a:l>"},
		{"an option is not encoded", `{url: "redis://h", password: "${file:` + secret + `}"}`, ":p@ss:w/o#r?d%"},
		{"a password is encoded in a URL", `"redis://u:${file:` + secret + `}@h"`, "u:p@ss:w/o#r?d%"},
		{"user and password", `"redis://${env:PLAIN}:x${env:DB_PASSWORD}y@h"`, "v a:l:xa/b@cy"},
		{"two in one", `{url: "redis://h", password: "${env:PLAIN}${env:DB_PASSWORD}"}`, ":v a:la/b@c"},
		{"empty is not unset", `{url: "redis://h", password: "a${env:EMPTY}b"}`, ":ab"},
		{"what is filled in is not filled in again", `{url: "redis://h", password: "${env:NEST}"}`, ":${env:PLAIN}"},
		{"escaped", `{url: "redis://h", password: "$${env:PLAIN} $$${x} $ {"}`, ":${env:PLAIN} $${x} $ {"},
		{"the whole URL", `"${env:URL}"`, "u:p@ss"},
		{"a secret in a path or query is encoded", `"http://h/a${env:DB_PASSWORD}?b=${env:DB_PASSWORD}"`, "http://h/aa/b%40c?b=a/b%40c"},
		{"a secret in an option of a URL", `"redis://h#password=${env:DB_PASSWORD}"`, ":a/b@c"},
		{"another value in a path is not encoded", `"http://h/${env:PLAIN}?${env:PLAIN}"`, "http://h/v%20a:l?v a:l"},
		{"a secret in a host", `"http://${env:HOST_TOKEN}.h:80/"`, "http://x-1.h:80/"},
		{"hostname", `{url: "redis://h", password: "${hostname}"}`, ":web-1"},
		{"in a command as it is", `exec:/x.sh ${env:PLAIN} http://${env:DB_PASSWORD}@h`, "/x.sh|v|a:l|http://a/b@c@h"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := config.Sources{
				File:     write(t, "checks:\n  a: "+tt.yaml+"\n"),
				Getenv:   vars,
				Hostname: func() (string, error) { return "web-1", nil },
			}
			if got := note(t, load(t, s).Checks[0]); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestVariableInHostAndSettings(t *testing.T) {
	c := load(t, config.Sources{
		File:   write(t, "listen: ':${env:PORT}'\nchecks:\n  a: tcp://${env:HOST}:${env:PORT}\n"),
		Getenv: env("PORT", "8080", "HOST", "db.internal"),
		Args:   []string{"tcp://${env:HOST}:1"},
	})
	if c.Listen != ":8080" || c.Checks[0].Target != "tcp://db.internal:8080" || c.Checks[1].Target != "tcp://db.internal:1" {
		t.Errorf("got %s, %s, %s", c.Listen, c.Checks[0].Target, c.Checks[1].Target)
	}
}

// A secret that is put into a host by mistake is not taken for more than that,
// parts of which would then be shown.
func TestSecretThatIsNoHost(t *testing.T) {
	got := loadErr(t, config.Sources{
		Args: []string{"http://${env:TOKEN}:80/"}, Getenv: env("TOKEN", "hunter2#Tr0ub"),
	})
	if want := "argument 1: ${env:TOKEN} holds a character that a host can't have"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestSecretFileLineEnds(t *testing.T) {
	for text, want := range map[string]string{
		"secret": "secret", "secret\n": "secret", "secret\r\n": "secret", "secret\n\n": "secret\n", " secret ": " secret ", "": "",
	} {
		c := load(t, config.Sources{File: write(t, "checks: {a: {url: 'redis://h', password: '${file:"+secretFile(t, text)+"}'}}\n")})
		if got := note(t, c.Checks[0]); got != ":"+want {
			t.Errorf("%q: got %q, want %q", text, got, ":"+want)
		}
	}
	long := secretFile(t, strings.Repeat("x", 64<<10+1))
	got := loadErr(t, config.Sources{Args: []string{"redis://:${file:" + long + "}@h"}})
	if !strings.HasSuffix(got, " is longer than 64 KiB, the most that is read") {
		t.Errorf("got %q", got)
	}
}

func TestHostnameUnknown(t *testing.T) {
	got := loadErr(t, config.Sources{
		Args:     []string{"tcp://${hostname}:80"},
		Hostname: func() (string, error) { return "", errors.New("no such thing") },
	})
	if want := "argument 1: ${hostname} can't be found out: no such thing"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// The secrets of every source, each put wherever it could come out.
func TestSecretsAreNotShown(t *testing.T) {
	for _, secret := range []string{"hunter2 Tr0ub@dor", "hunter2/Tr0ub+%41dor", "hunter2+Tr0ub@$dor", `hunter2\Tr0ub?&=#"dor`} {
		t.Run(strconv.Itoa(len(secret)), func(t *testing.T) { testSecretShown(t, secret) })
	}
}

func testSecretShown(t *testing.T, secret string) {
	file := secretFile(t, secret+"\n")
	encoded := url.PathEscape(secret)
	quoted := strings.ReplaceAll(secret, "'", "''")
	c := load(t, config.Sources{
		File: write(t, `
checks:
  in-url: postgres://app:${env:DB_PASSWORD}@db/app
  from-file: postgres://app:${file:`+file+`}@db/app
  token: postgres://${env:PLAIN}@db/app
  literal: postgres://app:`+encoded+`@db/app
  path: http://h/${env:API_TOKEN}/x?key=${file:`+file+`}
  option: {url: "redis://h", password: "${file:`+file+`}"}
  literal-option: {url: "redis://h", password: '`+quoted+`'}
  header: {url: "http://h/", headers: {Authorization: 'Bearer `+quoted+`', X: "${file:`+file+`}"}, body: "got ${env:DB_PASSWORD}!", host: "${file:`+file+`}"}
  bearer: {url: "http://h/", bearer: "${env:API_TOKEN}"}
  command: exec:/x.sh --password '${env:PLAIN}' '${env:API_TOKEN}'
  environment: {url: "exec:/x.sh", env: {PGPASSWORD: '`+quoted+`', OTHER: "${env:API_TOKEN}"}}
`),
		Getenv: env("DB_PASSWORD", secret, "API_TOKEN", secret, "PLAIN", secret,
			"HALE_CHECKS", "postgres://app:${env:DB_PASSWORD}@one/ exec:/x.sh --token '${file:"+file+"}'"),
		Args: []string{"postgres://app:" + encoded + "@two/", "http://h/a${env:API_TOKEN}b/c", "exec:'/x/${env:API_TOKEN}' a", "http://h/#body=${env:API_TOKEN}"},
	})
	var shown bytes.Buffer
	if err := c.Show(&shown); err != nil {
		t.Fatal(err)
	}
	text := shown.String()
	for _, ck := range c.Checks {
		text += ck.Name + ck.Target + ck.String()
		for _, s := range ck.Options {
			text += s.Value
		}
	}
	if len(c.Checks) != 17 {
		t.Errorf("%d checks, want 17", len(c.Checks))
	}
	noSecret(t, text)
	if got, want := option(find(t, c, "header"), "body"), "***"; got != want {
		t.Errorf("body %q, want %q: what surrounds a secret may tell it", got, want)
	}
}

// noSecret fails when a piece of the secret is in the text.
func noSecret(t *testing.T, text string) {
	t.Helper()
	for _, piece := range []string{"hunter2", "Tr0ub", "dor"} {
		if i := strings.Index(text, piece); i >= 0 {
			t.Errorf("%q is in: %s", piece, text[max(0, i-80):min(len(text), i+80)])
		}
	}
}

func TestSecretsAreNotInErrors(t *testing.T) {
	for _, secret := range []string{
		"hunter2-Tr0ub@dor",
		"hunter2  \"Tr0ub\"\\\té\n-----dor",
		strings.Repeat("hunter2", 30) + strings.Repeat("\nTr0ub@dor", 30),
		strings.Repeat("hunter2 Tr0ub@dor ", 200),
	} {
		t.Run(strconv.Itoa(len(secret)), func(t *testing.T) { testSecretInErrors(t, secret) })
	}
}

func testSecretInErrors(t *testing.T, secret string) {
	long := strings.Repeat("x", 500)
	file := secretFile(t, secret)
	for _, check := range []string{
		`{url: "http://h", follow: "` + long + `${env:DB_PASSWORD}"}`,
		`http://h/#follow=` + long + `${env:DB_PASSWORD}`,
		`http://h/#` + long[:490] + `${env:DB_PASSWORD}=1`,
		`http://h/#name=x${env:DB_NAME_TOKEN}`,
		`{url: "http://h", headers: ["` + long + `${file:` + file + `}", "${env:DB_PASSWORD}"]}`,
		`postgres://app:${env:DB_PASSWORD}@db:99999/app`,
		`postgres://app:${file:` + file + `}@db:x/app`,
		`postgres://app:hunter2%zzTr0ub@db/app`,
		`postgres://app:${env:DB_PASSWORD}@db/app#role=${env:DB_PASSWORD}`,
		`http://h/#follow=${env:DB_PASSWORD}`,
		`http://h/#${env:DB_PASSWORD}=1`,
		`${env:DB_PASSWORD}://h`,
		`${file:` + file + `}`,
		`{url: "http://h", follow: "${env:DB_PASSWORD}"}`,
		`{url: "http://h", slow: "${file:` + file + `}"}`,
		`{url: "http://h", interval: "${file:` + file + `}"}`,
		`{url: "http://h", impact: "${file:` + file + `}"}`,
		`{url: "http://h", groups: "${file:` + file + `} x"}`,
		`{url: "redis://h", password: [hunter2-Tr0ub@dor], role: "${env:DB_PASSWORD}"}`,
		`{url: "redis://h", password: "hunter2-Tr0ub@dor", role: "hunter2-Tr0ub@dor"}`,
		`app:hunter2-Tr0ub@dor@db:5432`,
	} {
		t.Run(check[:min(len(check), 40)], func(t *testing.T) {
			noSecret(t, loadErr(t, config.Sources{
				File: write(t, "checks:\n  a: "+check+"\n"), Getenv: env("DB_PASSWORD", secret, "DB_NAME_TOKEN", "hunter2"),
			}))
		})
	}
	for _, setting := range []string{"listen", "admin", "fail_status", "grace", "on_demand", "log_level", "log_format"} {
		noSecret(t, loadErr(t, config.Sources{File: write(t, setting+`: "${file:`+file+`} x"`), Getenv: unset}))
		noSecret(t, loadErr(t, config.Sources{File: write(t, setting+`: "`+long[:490]+`${env:TOKEN}"`), Getenv: env("TOKEN", secret)}))
	}
	noSecret(t, loadErr(t, config.Sources{File: write(t, `pools: {exec: "${file:`+file+`}"}`), Getenv: unset}))
	noSecret(t, loadErr(t, config.Sources{File: write(t, `defaults: {interval: "${file:`+file+`}"}`), Getenv: unset}))
}

func TestShow(t *testing.T) {
	c := load(t, config.Sources{
		File:     "testdata/good/full.yaml",
		Hostname: func() (string, error) { return "web-1", nil },
		Args:     []string{"redis://:secret@127.0.0.1:6379"},
	})
	var got bytes.Buffer
	if err := c.Show(&got); err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/good/full.show")
	if err != nil && !*update {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("testdata/good/full.show", got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		want = got.Bytes()
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// Whatever texts are in force, what is shown is YAML that means them.
func TestShowIsYAML(t *testing.T) {
	texts := []string{"true", "null", "~", "", " x ", "a: b", "- a", "#c", `"`, "'", "a\nb", "\t", "0123", "1e3", "&a", "*a", "!t", "%", "@", "é", "\u2028", "[", "{", "|", ">", "yes", "..."}
	for _, text := range texts {
		quoted, err := yaml.Dump(text)
		if err != nil {
			t.Fatal(err)
		}
		body := strings.ReplaceAll(strings.TrimSuffix(string(quoted), "\n"), "\n", "\n    ")
		c := load(t, config.Sources{File: write(t, "checks:\n  a:\n    url: http://h\n    body: "+body+"\n")})
		var b bytes.Buffer
		if err := c.Show(&b); err != nil {
			t.Fatal(err)
		}
		var shown struct {
			Checks map[string]map[string]any `yaml:"checks"`
		}
		if err := yaml.Load(b.Bytes(), &shown); err != nil {
			t.Fatalf("%q: %v in\n%s", text, err, &b)
		}
		got := shown.Checks["a"]["body"]
		if b, ok := got.(bool); ok && b {
			got = "true"
		}
		if got != text {
			t.Errorf("got %#v, want %q", got, text)
		}
	}
}

func TestShowNothing(t *testing.T) {
	var b bytes.Buffer
	if err := load(t, config.Sources{}).Show(&b); err != nil {
		t.Fatal(err)
	}
	want := `own_ip: auto
listen: :5000
admin: 127.0.0.1:5001
fail_status: 503
degraded_status: 200
drain_delay: 0s
grace: 10s
max_connections: 4096
proxy_protocol: off
tls: auto
tls_cert: ''
tls_key: ''
tls_client_ca: ''
agent_check: off
degraded_weight: off
on_demand: false
log_level: info
log_format: text
pools: {exec: 64}
checks: {}
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
