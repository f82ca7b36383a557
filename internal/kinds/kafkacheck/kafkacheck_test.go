package kafkacheck_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"hale/internal/check"
	"hale/internal/kinds/kafkacheck"
	"hale/internal/kinds/kindtest"
	"hale/internal/servertest"
)

func TestContract(t *testing.T) {
	for name, n := range map[string]kindtest.Network{
		"kafka":      {Kind: kafkacheck.Kind(), URL: func(a string) string { return "kafka://" + a }},
		"kafka SASL": {Kind: kafkacheck.Kind(), URL: func(a string) string { return "kafka://hale:s3cret-word@" + a + "?sasl=scram-sha-256&topic=orders" }},
		"kafkas":     {Kind: kafkacheck.KindTLS(), URL: func(a string) string { return "kafkas://" + a }},
	} {
		t.Run(name, n.Run)
	}
}

func TestCluster(t *testing.T) {
	c, address := cluster(t, kfake.NumBrokers(3), kfake.SeedTopics(12, "orders"), kfake.AllowAutoTopicCreation())
	url := "kafka://" + address
	kindtest.ExpectLeavesNothing(t)
	expectNote(t, run(t, url), "3 brokers")
	expectNote(t, run(t, "kafka://"+address[strings.LastIndexByte(address, ':'):]), "3 brokers")
	expectNote(t, run(t, url+"?min_brokers=3&topic=orders&min_isr=1"), "3 brokers, orders: 12 partitions")
	expectFailure(t, run(t, url+"?min_brokers=4"), check.ReasonStatus, url+": knows of 3 brokers (0, 1, 2), want at least 4")
	expectFailure(t, run(t, url+"?topic=order"), check.ReasonMissing, url+`: there is no topic "order", or the user may not know of it`)
	if c.TopicInfo("order") != nil {
		t.Error("the check made the topic it asked about")
	}
	if err := c.RemoveNode(2); err != nil {
		t.Fatal(err)
	}
	expectFailure(t, run(t, url+"?min_brokers=3"), check.ReasonStatus, "knows of 2 brokers (0, 1), want at least 3")
	c.Close()
	expectFailure(t, run(t, url), check.ReasonRefused, url+": no connection: ")
}

// TestMetadata is about what a cluster in trouble answers, which the fake one
// never is by itself.
func TestMetadata(t *testing.T) {
	at := func(numbers []int, change func(*kmsg.MetadataResponseTopicPartition)) func(*kmsg.MetadataResponseTopic) {
		return func(t *kmsg.MetadataResponseTopic) {
			for _, n := range numbers {
				change(&t.Partitions[n])
			}
		}
	}
	leaderless := func(p *kmsg.MetadataResponseTopicPartition) { p.Leader, p.ErrorCode = -1, 5 }
	failing := func(code int16) func(*kmsg.MetadataResponseTopic) {
		return func(t *kmsg.MetadataResponseTopic) { t.ErrorCode, t.Partitions = code, nil }
	}
	for _, test := range []struct {
		name   string
		change func(*kmsg.MetadataResponseTopic)
		reason check.Reason
		text   string
	}{
		{"healthy", func(*kmsg.MetadataResponseTopic) {}, "", "3 brokers, orders: 8 partitions"},
		{"one without leader", at([]int{3}, leaderless), check.ReasonStatus, `no leader for partition 3 of 8 of the topic "orders"; see which brokers are down`},
		{"no leader without error", at([]int{0}, func(p *kmsg.MetadataResponseTopicPartition) { p.Leader = -1 }), check.ReasonStatus, `no leader for partition 0 of 8`},
		{"leader not on this listener", at([]int{1}, func(p *kmsg.MetadataResponseTopicPartition) { p.ErrorCode = 72 }), check.ReasonStatus, `no leader for partition 1 of 8`},
		{"none with leader", at([]int{7, 1, 2, 3, 4, 5, 6, 0}, leaderless), check.ReasonStatus, `no leader for partition 0, 1, 2, 3, 4 and 3 more of 8 of the topic`},
		{"out of sync", at([]int{2, 4}, func(p *kmsg.MetadataResponseTopicPartition) { p.ISR = p.ISR[:1+p.Partition%4/2] }), check.ReasonStatus,
			`too few replicas in sync for partition 4 of 8 of the topic "orders": 1, want at least 2; see which brokers are down or slow`},
		{"more out of sync", at([]int{2, 4}, func(p *kmsg.MetadataResponseTopicPartition) { p.ISR = p.ISR[:1-p.Partition/4] }), check.ReasonStatus,
			`too few replicas in sync for partition 2, 4 of 8 of the topic "orders": 0, want at least 2`},
		{"no partitions", func(t *kmsg.MetadataResponseTopic) { t.Partitions = nil }, check.ReasonStatus, `the topic "orders" has no partitions`},
		{"unknown", failing(3), check.ReasonMissing, `there is no topic "orders", or the user may not know of it`},
		{"forbidden", failing(29), check.ReasonPermission, `the user may not know of the topic "orders"; allow it to describe it (kafka-acls --operation Describe)`},
		{"new", failing(5), check.ReasonLoading, `the topic "orders" has no leaders yet; it is new`},
		{"error", failing(99), check.ReasonStatus, `answers about the topic "orders" with the error number 99`},
		{"another topic", func(t *kmsg.MetadataResponseTopic) { t.Topic = kmsg.StringPtr("odors") }, check.ReasonProtocol, `its answer to Metadata lacks the topic "orders", which it was asked for`},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, address := cluster(t, kfake.NumBrokers(1))
			answering(c, kmsg.Metadata, metadata("orders", test.change))
			result := run(t, "kafka://"+address+"?topic=orders&min_isr=2")
			if test.reason == "" {
				expectNote(t, result, test.text)
				return
			}
			expectFailure(t, result, test.reason, "kafka://"+address+": "+test.text)
		})
	}
}

func TestStarting(t *testing.T) {
	c, address := cluster(t, kfake.NumBrokers(1))
	answering(c, kmsg.Metadata, func(kmsg.Request, *kmsg.MetadataResponse) {})
	expectFailure(t, run(t, "kafka://"+address), check.ReasonLoading, "knows of no brokers, not even itself: it is starting, or has lost its controller")
}

// TestRequest pins what a broker is asked: a topic or none, never all, and never
// to make one.
func TestRequest(t *testing.T) {
	for url, want := range map[string]string{"": "0 false", "?topic=orders": "1 false"} {
		c, address := cluster(t, kfake.NumBrokers(1))
		asked := make(chan string, 1)
		answering(c, kmsg.Metadata, func(r kmsg.Request, m *kmsg.MetadataResponse) {
			request := r.(*kmsg.MetadataRequest)
			text := fmt.Sprint(len(request.Topics), request.AllowAutoTopicCreation)
			if request.Topics == nil {
				text = "all"
			}
			asked <- text
			metadata("orders", func(*kmsg.MetadataResponseTopic) {})(r, m)
		})
		run(t, "kafka://"+address+url)
		if got := <-asked; got != want {
			t.Errorf("%q asks for %s, want %s", url, got, want)
		}
	}
}

func TestVersions(t *testing.T) {
	for _, test := range []struct {
		name     string
		versions *kversion.Versions
	}{{"0.11", kversion.V0_11_0()}, {"1.0", kversion.V1_0_0()}, {"3.9", kversion.V3_9_0()}, {"4.0", kversion.V4_0_0()}} {
		t.Run(test.name, func(t *testing.T) {
			_, address := cluster(t, kfake.NumBrokers(1), kfake.SeedTopics(1, "orders"), kfake.MaxVersions(test.versions))
			expectNote(t, run(t, "kafka://"+address+"?topic=orders"), "1 broker, orders: 1 partition")
		})
	}
	for _, test := range []struct {
		name, text string
		fill       func(kmsg.Request, *kmsg.ApiVersionsResponse)
	}{
		{"too old", "speaks versions 0 to 2 of the Metadata request, and one from 4 to 8 is needed, which brokers speak since Kafka 0.11", func(_ kmsg.Request, a *kmsg.ApiVersionsResponse) {
			a.ApiKeys = []kmsg.ApiVersionsResponseApiKey{{ApiKey: 18}, {ApiKey: 3, MaxVersion: 2}}
		}},
		{"too new", "speaks versions 9 to 20 of the Metadata request", func(_ kmsg.Request, a *kmsg.ApiVersionsResponse) {
			a.ApiKeys = []kmsg.ApiVersionsResponseApiKey{{ApiKey: 3, MinVersion: 9, MaxVersion: 20}}
		}},
		{"controller", "is not a broker for clients: it does not know the Metadata request; see the listener and, for a KRaft controller, process.roles", func(kmsg.Request, *kmsg.ApiVersionsResponse) {}},
		{"error", "answers ApiVersions with the error UNSUPPORTED_VERSION", func(_ kmsg.Request, a *kmsg.ApiVersionsResponse) { a.ErrorCode = 35 }},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, address := cluster(t, kfake.NumBrokers(1))
			answering(c, kmsg.ApiVersions, test.fill)
			expectFailure(t, run(t, "kafka://"+address), check.ReasonProtocol, "kafka://"+address+": "+test.text)
		})
	}
}

// TestNotKafka is about answers that are none, and those without end.
func TestNotKafka(t *testing.T) {
	for _, test := range []struct {
		name, answer string
		reason       check.Reason
		text         string
	}{
		{"HTTP", "HTTP/1.1 400 Bad Request\r\n\r\n", check.ReasonProtocol, `is not Kafka: its answer begins with "HTTP/1.1"`},
		{"short", "-ERR", check.ReasonProtocol, `is not Kafka: its answer begins with "-ERR"`},
		{"TLS", "\x15\x03\x01\x00\x02\x02\x46", check.ReasonProtocol, "speaks TLS; write kafkas://"},
		{"too small", "\x00\x00\x00\x03\x00\x00\x00\x01", check.ReasonProtocol, "is not Kafka"},
		{"another number", "\x00\x00\x00\x0a\x00\x00\x00\x02123456", check.ReasonProtocol, "is not Kafka"},
		{"too large", "\x00\x04\x00\x01\x00\x00\x00\x01", check.ReasonProtocol, "the answer to ApiVersions has 262145 bytes, more than the 262144 that are read"},
		{"cut off", "\x00\x00\x00\x0a\x00\x00\x00\x01123", check.ReasonClosed, "waiting for the answer to ApiVersions: after 3 of 6 bytes: "},
		{"empty", "\x00\x00\x00\x04\x00\x00\x00\x01", check.ReasonProtocol, "its answer to ApiVersions can't be read: "},
		{"endless list", "\x00\x00\x00\x0a\x00\x00\x00\x01\x00\x00\x7f\xff\xff\xff", check.ReasonProtocol, "its answer to ApiVersions can't be read: "},
		{"nothing", "", check.ReasonClosed, "waiting for the answer to ApiVersions: EOF; see its log, and write kafkas:// if it speaks TLS"},
	} {
		t.Run(test.name, func(t *testing.T) {
			url := saying(t, test.answer, true)
			expectFailure(t, run(t, url), test.reason, url+": "+test.text)
		})
	}
	t.Run("hangs in the middle", func(t *testing.T) {
		c := kindtest.Build(t, kafkacheck.Kind(), saying(t, "\x00\x03\xff\xff\x00\x00\x00\x01abc", false))
		kindtest.ExpectLeavesNothing(t)
		kindtest.ExpectReason(t, kindtest.Run(t, t.Context(), c), check.ReasonTimeout)
	})
}

// TestHangs is about a broker that hangs after it answered once.
func TestHangs(t *testing.T) {
	c, address := cluster(t, kfake.NumBrokers(1))
	release := make(chan struct{})
	defer close(release)
	c.ControlKey(kmsg.Metadata.Int16(), func(kmsg.Request) (kmsg.Response, error, bool) {
		c.SleepControl(func() { <-release })
		return nil, nil, false
	})
	k := kindtest.Build(t, kafkacheck.Kind(), "kafka://"+address)
	expectFailure(t, kindtest.Run(t, t.Context(), k), check.ReasonTimeout, "waiting for the answer to Metadata")
}

// serverTLS is what a broker with TLS needs, and demands a client certificate of
// the same authority if it is to.
func serverTLS(t *testing.T, certs *servertest.Certs, mutual bool) *tls.Config {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(certs.Cert, certs.Key)
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{pair}}
	if mutual {
		pem, err := os.ReadFile(certs.CA)
		if err != nil {
			t.Fatal(err)
		}
		config.ClientCAs = x509.NewCertPool()
		config.ClientCAs.AppendCertsFromPEM(pem)
		config.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return config
}

func TestTLS(t *testing.T) {
	certs := servertest.NewCerts(t, 240*time.Hour, "kafka.example", "127.0.0.1")
	_, address := cluster(t, kfake.NumBrokers(1), kfake.TLS(serverTLS(t, certs, false)))
	url := "kafkas://" + address
	expectNote(t, run(t, url+"?ca="+certs.CA), "1 broker")
	expectNote(t, run(t, url+"?insecure"), "1 broker")
	expectNote(t, run(t, url+"?server_name=kafka.example&min_days=9&ca="+certs.CA), "1 broker")
	expectFailure(t, run(t, url), check.ReasonTLS, url+`: the certificate of kafka.example, 127.0.0.1 is signed by "test authority", which is not trusted; set ca`)
	expectFailure(t, run(t, url+"?server_name=db.example&ca="+certs.CA), check.ReasonTLS, "not for db.example")
	expectFailure(t, run(t, url+"?min_days=11&insecure"), check.ReasonTLS, url+": the certificate of kafka.example expires on ")
	// The broker hangs up, before or after it says why.
	result := run(t, "kafka://"+address)
	if text := result.Text(); result.Healthy() || !strings.Contains(text, "write kafkas://") {
		t.Errorf("got %q, want the hint to write kafkas://", text)
	}
	// Kafka takes the handshake for the length of a request, one longer than
	// socket.request.max.bytes, and hangs up. The fake broker waits for all of it.
	plain := strings.Replace(saying(t, "", true), "kafka", "kafkas", 1)
	result = run(t, plain)
	if text := result.Text(); result.Healthy() || !strings.HasPrefix(text, plain+": ") || !strings.HasSuffix(text, "; write kafka:// if it is without TLS") {
		t.Errorf("got %q, want the hint to write kafka://", text)
	}
}

func TestMutualTLS(t *testing.T) {
	certs := servertest.NewCerts(t, time.Hour, "127.0.0.1")
	other := servertest.NewCerts(t, time.Hour, "127.0.0.1")
	_, address := cluster(t, kfake.NumBrokers(1), kfake.TLS(serverTLS(t, certs, true)))
	url := "kafkas://" + address + "?ca=" + certs.CA
	with := func(c *servertest.Certs) string { return "&cert=" + c.Cert + "&key=" + c.Key }
	expectNote(t, run(t, url+with(certs)), "1 broker")
	expectFailure(t, run(t, url), check.ReasonTLS, "ends the connection after it asked for a client certificate: set cert and key")
	expectFailure(t, run(t, url+with(other)), check.ReasonTLS, "ends the connection after it asked for a client certificate: it refuses the one that cert has")
}

func TestOptions(t *testing.T) {
	const noTLS = "is for TLS, and this URL is without; write kafkas://"
	for _, test := range []struct{ name, url, want string }{
		{"opaque", "kafka:9092", "url: kafka:9092 has no host; write kafka://HOST:PORT, or kafka://:PORT for this host"},
		{"port", "kafka://h:70000", "url: port 70000 is out of range; a port is a number from 1 to 65535"},
		{"path", "kafka://h/orders", `url: has the path "/orders"; to ask about a topic, set the option topic=orders`},
		{"several", "kafka://h1,h2", "url: names several brokers; one tells about all of them, or make a check of each"},
		{"no brokers", "kafka://h?min_brokers=0", "min_brokers: 0 is out of range; give 1 or more"},
		{"topic", "kafka://h?topic=a%20b", `topic: "a b" is not a topic; use letters, digits, '.', '_' and '-'`},
		{"dots", "kafka://h?topic=..", `topic: ".." is not a topic; use letters, digits, '.', '_' and '-'`},
		{"long topic", "kafka://h?topic=" + strings.Repeat("x", 250), "topic: is longer than 249 characters"},
		{"negative ISR", "kafka://h?topic=a&min_isr=-1", "min_isr: -1 is negative; give a number of replicas, 0 for any"},
		{"ISR of nothing", "kafka://h?min_isr=2", "min_isr: needs topic, the topic that it is about"},
		{"user alone", "kafka://hale@h", "username: needs a password; write kafka://USER:PASSWORD@HOST"},
		{"password alone", "kafka://:pass-word@h", "password: needs username, the user it is the password of"},
		{"two users", "kafka://a:pass-word@h?username=b", `username: is "b", and the URL names another user; give it once`},
		{"two passwords", "kafka://a:pass-word@h?password=other-word", "password: is not the one in the URL; give it once"},
		{"mechanism", "kafka://h?sasl=scram-sha-265", `sasl: "scram-sha-265" is not known; did you mean "scram-sha-256"? (known: plain, scram-sha-256, scram-sha-512)`},
		{"TLS options", "kafka://h?insecure&ca=/ca&cert=/c&key=/k&server_name=n&min_days=1", "ca: " + noTLS + "\ncert: " + noTLS + "\nkey: " + noTLS + "\nserver_name: " + noTLS + "\ninsecure: " + noTLS + "\nmin_days: " + noTLS},
		{"relative CA", "kafkas://h?ca=ca.pem", `ca: "ca.pem" is a relative path; give an absolute one`},
		{"missing CA", "kafkas://h?ca=/nowhere/ca.pem", "ca: open /nowhere/ca.pem: no such file or directory"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := build(test.url)
			if err == nil || err.Error() != test.want {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
		})
	}
}

func TestDefaults(t *testing.T) {
	const want = "[{min_brokers 1} {topic } {min_isr 0} {username } {password } {sasl plain} {ca } {cert } {key } {server_name } {insecure false} {min_days 0}]"
	for _, url := range []string{"kafka://", kafkacheck.Kind().Example, kafkacheck.KindTLS().Example} {
		c, err := build(url)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(c.Options); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
