package balancer_test

import (
	"testing"

	"hale/internal/balancer"
)

func TestSecret(t *testing.T) {
	for _, name := range []string{
		"Authorization", "Proxy-Authorization", "X-Auth-User", "oauth", "auth", "x_auth", "Cookie", "Set-Cookie2",
		"X-Functions-Key", "Ocp-Apim-Subscription-Key", "functions-key", "functionsKey", "AWSAccessKeyId", "apikey", "API_KEY", "key", "KEY1", "keys",
		"X-JWT", "jwt", "id_token", "accessToken", "X-Amz-Security-Token", "csrfmiddlewaretoken", "client_secret", "secretKey",
		"password", "PASSWD", "pass", "db_pass", "pwd", "PassWord", "session", "JSESSIONID", "PHPSESSID", "connect.sid", "credential", "X-Amz-Credential",
		"X-Amz-Signature", "signature", "sig", "X-Sig", "code", "code_verifier", "user_code", "state", "RelayState", "ticket",
	} {
		if !balancer.Secret(name) {
			t.Errorf("%s is shown", name)
		}
	}
	for _, name := range []string{
		"", "Accept", "Accept-Encoding", "Content-Encoding", "X-Request-Id", "Host", ":authority", ":path", ":status", "Connection", "Keep-Alive",
		"User-Agent", "X-Forwarded-For", "X-Forwarded-Proto", "Via", "traceparent", "tracestate", "Cache-Control", "Content-Length", "X-Author",
		"keyword", "signal", "design", "status", "statement", "coded", "passive", "q", "id", "service", "checks",
	} {
		if balancer.Secret(name) {
			t.Errorf("%s is masked", name)
		}
	}
}
