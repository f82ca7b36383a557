// The broker in these tests is kfake, the fake of the library franz-go, as no
// Debian package has Kafka. It speaks Kafka's protocol; what it does otherwise
// than Kafka, such as hanging up on a wrong password, is noted where it matters,
// and Kafka's own answer is then put in its place.
package kafkacheck_test

import (
	"io"
	"net"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"hale/internal/kinds/kafkacheck"
	"hale/internal/kinds/kindtest"
	"hale/internal/servertest"
)

var kinds = kindtest.Kinds{kafkacheck.Kind(), kafkacheck.KindTLS()}

var (
	run           = kinds.Run
	build         = kinds.Build
	value         = kindtest.Option
	expectNote    = kindtest.ExpectNote
	expectFailure = kindtest.ExpectFailure
)

// cluster starts a fake cluster until the test ends and returns it and the
// address of its first broker.
func cluster(t *testing.T, options ...kfake.Opt) (*kfake.Cluster, string) {
	t.Helper()
	c, err := kfake.NewCluster(options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, c.ListenAddrs()[0]
}

// answering makes every request of the kind be answered with what fill makes of
// an empty answer.
func answering[A kmsg.Response](c *kfake.Cluster, key kmsg.Key, fill func(kmsg.Request, A)) {
	c.ControlKey(key.Int16(), func(request kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		answer := request.ResponseKind()
		fill(request, answer.(A))
		return answer, nil, true
	})
}

// metadata returns what fills in the metadata of three brokers and one topic.
func metadata(topic string, change func(*kmsg.MetadataResponseTopic)) func(kmsg.Request, *kmsg.MetadataResponse) {
	return func(_ kmsg.Request, m *kmsg.MetadataResponse) {
		for id := range int32(3) {
			b := kmsg.NewMetadataResponseBroker()
			b.NodeID, b.Host, b.Port = id, "127.0.0.1", 9092
			m.Brokers = append(m.Brokers, b)
		}
		t := kmsg.NewMetadataResponseTopic()
		t.Topic = &topic
		for n := range int32(8) {
			p := kmsg.NewMetadataResponseTopicPartition()
			p.Partition, p.Leader = n, n%3
			p.Replicas, p.ISR = []int32{0, 1, 2}, []int32{0, 1, 2}
			t.Partitions = append(t.Partitions, p)
		}
		change(&t)
		m.Topics = append(m.Topics, t)
	}
}

// saying serves connections by reading what comes first, sending the answer, and
// hanging up if told to, until the test ends.
func saying(t *testing.T, answer string, hangUp bool) string {
	t.Helper()
	return "kafka://" + servertest.Peer(t, func(conn net.Conn) {
		_, _ = conn.Read(make([]byte, 1<<10))
		_, _ = io.WriteString(conn, answer)
		if !hangUp {
			_, _ = io.Copy(io.Discard, conn)
		}
	})
}
